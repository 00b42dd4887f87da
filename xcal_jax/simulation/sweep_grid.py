"""The grid of a sweep as its TOML file describes it: an absorber, a line of photons, and what varies."""

import json
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any, NotRequired, cast

import numpy as np
import xarray as xr
from typing_extensions import TypedDict

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.compute.random import SEEDS
from xcal_jax.constants import DEFAULT_PHYSICS, ELECTRONS, PHYSICS, YIELDS
from xcal_jax.io import toml
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.io.files import read_text
from xcal_jax.io.schema import Density, Different, Energy, InFileOrder, Length, Pair, Place, one_of, quantity, whole
from xcal_jax.simulation.counting import MOST_PHOTONS
from xcal_jax.units import shown_path

SOURCE = {
    "energy": ("photon_energy", "eV", "photon energy"),
    "line": ("source_line", "", "natural lines of the source"),
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
MOST_POINTS = 10_000
Angle = Annotated[float, quantity("deg", least=0.0, below=90.0)]
Model = Annotated[str, one_of(*ELECTRONS)]


class LayerAxes(TypedDict, total=False):
    """What varies of a layer: the table grid.layers.N of a sweep's TOML file."""

    material: Different[str]
    thickness: Different[Length]
    density: Different[Density]


class GridTable(TypedDict, total=False):
    """What varies: the table [grid] of a sweep's TOML file."""

    energy: Different[Energy]
    line: Different[str]
    at: Different[Pair[Place]]
    angle: Different[Angle]
    width: Different[Length]
    length: Different[Length]
    physics: Different[Annotated[str, one_of(*PHYSICS)]]
    electrons: Different[Model]
    layers: dict[str, InFileOrder[LayerAxes]]


class SweepTable(TypedDict):
    """The TOML file of a sweep."""

    absorber: str
    n: NotRequired[Annotated[int, whole(least=1, most=MOST_PHOTONS)]]
    seed: NotRequired[Annotated[int, whole(least=0, below=SEEDS)]]
    bin: NotRequired[Energy]
    yields: NotRequired[Annotated[str, one_of(*YIELDS)]]
    energy: NotRequired[Energy]
    line: NotRequired[str]
    at: NotRequired[Pair[Place]]
    angle: NotRequired[Angle]
    grid: InFileOrder[GridTable]


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
    @checked
    def load(cls, path: str | os.PathLike[str] | dict[str, Any]) -> "Grid":
        """The sweep described in the TOML file ``path``, or in the tables of one.

        In a dict the absorber may be an `Absorber`, and a key of the grid dotted: "layers.1.thickness".
        Raises ValueError, naming the key, where it makes no sense.
        """
        given = None
        if isinstance(path, dict):
            given = path["absorber"] if isinstance(path.get("absorber"), Absorber) else None
            path = path | ({} if given is None else {"absorber": given.name})
            where, folder, text = "the sweep", Path(), json.dumps(path, default=str)
            table = toml.check(_nested(path), where, SweepTable)
        else:
            where, folder = f"sweep {shown_path(path)}", Path(path).parent
            text = read_text(path, where, "TOML")
            table = toml.parse(text, where, SweepTable)
        name = table["absorber"]
        beside = folder / name
        absorber = given or Absorber.load(beside if os.path.isfile(beside) else name)
        absorber.check_alone("a sweep")
        axes = _axes(table["grid"])
        if not axes:
            raise ValueError(f"`grid` in {where} must name at least one thing that varies, but is empty")
        count = len(absorber.formulas)
        for n in table["grid"].get("layers", {}):
            if n not in map(str, range(count)):
                rule = f"a layer of absorber {absorber.name!r}, from 0 to {count - 1}"
                raise ValueError(f"`grid.layers.{n}` in {where} must be {rule}")
        fixed = {key: value for key, value in table.items() if key in SOURCE}
        if len({"energy", "line"} & {*axes, *fixed}) != 1:
            raise ValueError(f"{where} must have one of `energy` and `line`")
        if both := sorted(set(axes) & set(fixed)):
            raise ValueError(f"`{both[0]}` in {where} must be fixed or in the grid, but is both")
        bin_width = table.get("bin", 1.0)
        given = table.get("n", 10**6), table.get("seed", 1), bin_width, table.get("yields", YIELDS[0])
        grid = cls(absorber, axes, fixed, *given, text)
        if grid.size > MOST_POINTS:
            raise ValueError(f"`grid` in {where} must have at most {MOST_POINTS} points, but has {grid.size}")
        if grid.size * grid.highest_energy / bin_width > MOST_VALUES:
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
        lines = self.axes.get("line", [self.fixed["line"]] if "line" in self.fixed else [])
        if lines:
            return max(Source.build(line=line).highest_energy for line in lines)
        return float(max(self.axes.get("energy", [self.fixed.get("energy")])))

    def point(self, k: int) -> tuple[Absorber, Source]:
        """Absorber and source of the point ``k``, the last dimension fastest.

        Raises ValueError as `Absorber.build` and `Source.build` do.
        """
        index = np.unravel_index(k, tuple(self.shape.values()))
        chosen = {key: values[i] for (key, values), i in zip(self.axes.items(), index, strict=True)}
        table = toml.parse(self.absorber.to_toml(), "absorber", dict[str, Any])
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


def _nested(sweep: dict[str, Any]) -> dict[str, Any]:
    """The tables of a ``sweep``, in which a dotted key of the grid is a table in a table, as in a TOML file."""
    if not isinstance(sweep.get("grid"), dict):
        return sweep
    grid: dict[str, Any] = {}
    for key, values in sweep["grid"].items():
        *outer, last = str(key).split(".")
        table = grid
        for name in outer:
            inner = table.get(name, {})
            if not isinstance(inner, dict):
                raise ValueError(f"`grid.{name}` in the sweep must be values or a table, but is both")
            table[name] = {**inner}  # the caller's own stays as it is
            table = table[name]
        table[last] = values
    return sweep | {"grid": grid}


def _axes(grid: GridTable) -> dict[str, list[Any]]:
    """The values of what varies, by dotted key: ``layers.1.thickness``."""
    found: dict[str, list[Any]] = {}
    for key, value in grid.items():
        if isinstance(value, dict):
            found |= {f"layers.{n}.{what}": values for n, layer in value.items() for what, values in layer.items()}
        else:
            found[key] = cast(list[Any], value)
    return found


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
