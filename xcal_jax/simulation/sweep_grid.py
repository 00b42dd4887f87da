"""The grid of a sweep as its TOML file describes it: an absorber, a line of photons, and what varies."""

import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.constants import DEFAULT_PHYSICS, PHYSICS
from xcal_jax.io import toml
from xcal_jax.io.datasets import variable
from xcal_jax.io.files import read_text
from xcal_jax.units import parse_quantity, parse_whole

KEYS = ("absorber", "n", "seed", "bin", "yields", "energy", "at", "angle", "grid")
SOURCE = {
    "energy": ("photon_energy", "eV", "photon energy"),
    "at": ("position", "", "impact, from the centre of the top"),
    "angle": ("angle", "deg", "incidence against the normal"),
}
WHOLE = {
    "width": ("width", "um", "of the absorber, along x"),
    "length": ("length", "um", "of the absorber, along y"),
    "physics": ("physics", "", "all models"),
    "electrons": ("electrons", "", "electron model"),
}
LAYER = {
    "material": ("material", "", "material of layer {}"),
    "thickness": ("thickness", "um", "thickness of layer {}"),
    "density": ("density", "g/cm^3", "density of layer {}"),
}
MOST_VALUES = 2**28  # in the spectra of all points


@dataclass(frozen=True)
class Grid:
    """All combinations of what varies.

    axes: the values of what varies, by key ("energy", "layers.1.thickness"), in the units of `Absorber` and `Source`;
    fixed: what a source has at all points, by key; n: photons a point; bin_width: eV; text: that of the file.
    """

    absorber: Absorber
    axes: dict[str, list[Any]]
    fixed: dict[str, Any]
    n: int
    seed: int
    bin_width: float
    yields: str
    text: str

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Grid":
        """The sweep described in the TOML file ``path``. Raises ValueError, naming the key, where it makes no sense."""
        where = f"sweep {str(path)!r}"
        text = read_text(path, where, "TOML")
        table = toml.parse(text, where)
        toml.check_keys(table, KEYS, ("absorber", "grid"), where)
        name = table["absorber"]
        if not isinstance(name, str):
            raise ValueError(f"`absorber` in {where} must be a preset or a TOML file, but is {name!r}")
        beside = Path(path).parent / name
        absorber = Absorber.load(beside if beside.is_file() else name)
        absorber.check_alone("a sweep")
        axes = dict(_flat(table["grid"]))
        layers = (f"layers.{n}.{what}" for n in range(len(absorber.formulas)) for what in LAYER)
        toml.check_keys(axes, (*SOURCE, *WHOLE, *layers), (), f"the grid of {where}")
        axes = {key: _values(key, values, where) for key, values in axes.items()}
        if not axes:
            raise ValueError(f"`grid` in {where} must name at least one thing that varies, but is empty")
        fixed = {key: _value(key, table[key]) for key in SOURCE if key in table}
        if "energy" not in {**axes, **fixed}:
            raise ValueError(f"`energy` is missing in {where}")
        if both := sorted(set(axes) & set(fixed)):
            raise ValueError(f"`{both[0]}` in {where} must be fixed or in the grid, but is both")
        n = parse_whole(table.get("n", 1e6), "n")
        if n < 1:
            raise ValueError(f"`n` in {where} must be at least 1, but is {n}")
        bin_width = parse_quantity(table.get("bin", 1.0), "eV", "bin")
        grid = cls(absorber, axes, fixed, n, table.get("seed", 1), bin_width, table.get("yields", "eadl"), text)
        if bin_width > 0 and grid.size * grid.highest_energy / bin_width > MOST_VALUES:
            raise ValueError(f"spectra of {grid.size} points must have fewer or wider bins than {bin_width:g} eV")
        return grid

    @property
    def shape(self) -> dict[str, int]:
        """Dimensions and their sizes."""
        return {_describe(key)[0]: len(values) for key, values in self.axes.items()}

    @property
    def size(self) -> int:
        """Number of points."""
        return prod(self.shape.values())

    @property
    def highest_energy(self) -> float:
        """The highest photon energy of all points, eV."""
        return float(max(self.axes.get("energy", [self.fixed.get("energy")])))

    def point(self, k: int) -> tuple[Absorber, Source]:
        """Absorber and source of the point ``k``, the last dimension fastest.

        Raises ValueError as `Absorber.build` and `Source.build` do.
        """
        index = np.unravel_index(k, tuple(self.shape.values()))
        chosen = {key: values[i] for (key, values), i in zip(self.axes.items(), index, strict=True)}
        table = toml.parse(self.absorber.to_toml(), "absorber")
        for key, value in chosen.items():
            if key == "physics":
                table = {name: own for name, own in table.items() if name not in PHYSICS[DEFAULT_PHYSICS]}
            if key in WHOLE:
                table[key] = value
            elif key not in SOURCE:
                layer, what = _layer(key)
                table["layers"][layer][what] = value
                if what == "material" and f"layers.{layer}.density" not in chosen:
                    table["layers"][layer].pop("density", None)  # the tables' own
        arguments = {**self.fixed, **{key: chosen[key] for key in SOURCE if key in chosen}}
        return Absorber.from_table(table, f"point {k} of the sweep"), Source.build(**arguments)

    def coordinates(self) -> dict[str, xr.Variable]:
        """The coordinates of a Dataset: one for each dimension, but x and y for a position."""
        found: dict[str, xr.Variable] = {}
        for key, values in self.axes.items():
            dimension, units, long_name = _describe(key)
            if key == "at":
                for name, places in zip("xy", zip(*values, strict=True), strict=True):
                    found[name] = variable(dimension, list(places), "um", f"{long_name}, {name}")
            else:
                found[dimension] = variable(dimension, values, units, long_name)
        return found


def _flat(table: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Nested tables as dotted keys: ``layers.1.thickness``."""
    if not isinstance(table, dict):
        raise ValueError(f"`grid` must be a table, but is {table!r}")
    pairs: list[tuple[str, Any]] = []
    for key, value in table.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs


def _values(key: str, values: Any, where: str) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"`{key}` in the grid of {where} must be a list of values, but is {values!r}")
    found = [_value(key, value) for value in values]
    if any(value in found[:n] for n, value in enumerate(found)):
        raise ValueError(f"`{key}` in the grid of {where} must have each value once, but repeats one")
    return found


def _value(key: str, value: Any) -> Any:
    units = _describe(key)[1]
    if key == "at":
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError(f"`at` must be two lengths, [x, y], but is {value!r}")
        return tuple(parse_quantity(place, "um", key) for place in value)
    if units:
        return parse_quantity(value, units, key)
    if not isinstance(value, str):
        raise ValueError(f"`{key}` must be text, but is {value!r}")
    return value


def _describe(key: str) -> tuple[str, str, str]:
    """Dimension, unit and long name of a key."""
    if key in SOURCE or key in WHOLE:
        return {**SOURCE, **WHOLE}[key]
    layer, what = _layer(key)
    name, units, long_name = LAYER[what]
    return f"{name}_{layer}", units, long_name.format(layer)


def _layer(key: str) -> tuple[int, str]:
    _, layer, what = key.split(".")
    return int(layer), what
