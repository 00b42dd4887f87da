"""An absorber as its TOML file describes it: layers from the top, each a material, a thickness and a density."""

import difflib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from xcal_jax.atomic import Material
from xcal_jax.constants import ELECTRONS
from xcal_jax.io import toml
from xcal_jax.physics.geometry import Pixels, Stack
from xcal_jax.units import parse_quantity

KEYS = ("name", "width", "length", "electrons", "rayleigh", "fwhm", "array", "layers")
ARRAY_KEYS = ("rows", "columns", "pitch")
LAYER_KEYS = ("material", "thickness", "density")
LONGEST = 1e6  # um; a metre of absorber is a typing error
MOST_PIXELS = 64  # along a side of an array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Absorber:
    """A rectangular absorber of L layers.

    thickness: (L,) um, from the top; density: (L,) g/cm3; width (along x), length (along y): () um.
    formulas: the material of each layer; electrons: the electron model; rayleigh: whether photons scatter coherently;
    array: the array of equal absorbers that it stands for, or None for one alone; fwhm: eV, of its detector, or
    None; matrices alone ask for it.
    """

    thickness: Array
    density: Array
    width: Array
    length: Array
    formulas: tuple[str, ...] = field(metadata={"static": True})
    name: str = field(default="absorber", metadata={"static": True})
    electrons: str = field(default="range", metadata={"static": True})
    rayleigh: bool = field(default=False, metadata={"static": True})
    array: Pixels | None = None
    fwhm: float | None = field(default=None, metadata={"static": True})

    @classmethod
    def build(
        cls,
        layers: Iterable[Sequence[Any]],
        width: str | float,
        length: str | float,
        name: str = "absorber",
        electrons: str = "range",
        rayleigh: bool = False,
        array: dict[str, Any] | None = None,
        fwhm: str | float | None = None,
    ) -> "Absorber":
        """An absorber of ``layers``: (material, thickness) or (material, thickness, density) from the top; um, g/cm3.

        Lengths may be numbers (um) or text with a unit, as may the ``fwhm`` (eV) of its detector. A density may be left
        out where the tables know it. array:
        {"rows": 3, "columns": 3, "pitch": 317.0} for equal pixels side by side; a pitch may be two, along x and y.
        Raises ValueError where a material is unknown, a length, density or width is not positive and finite, there are
        no layers, the electron model is unknown, or pixels would overlap.
        """
        layers = [(*layer, None)[:3] for layer in layers]
        if not layers:
            raise ValueError("`layers` must hold at least one layer, but is empty")
        check_electrons(electrons)
        if not isinstance(rayleigh, bool):
            raise ValueError(f"`rayleigh` must be true or false, but is {rayleigh!r}")
        if not isinstance(name, str):
            raise ValueError(f"`name` must be text, but is {name!r}")
        thickness, density, formulas = [], [], []
        for n, (material, depth, given) in enumerate(layers):
            where = f" of layer {n} ({material})"
            if not isinstance(material, str):
                raise ValueError(f"`material` of layer {n} must be a symbol or formula, but is {material!r}")
            thickness.append(_length(depth, f"thickness{where}"))
            known = None if given is None else parse_quantity(given, "g/cm^3", f"density{where}")
            density.append(Material.build(material, known).density)
            formulas.append(material)
        width, length = _length(width, "width"), _length(length, "length")
        return cls(
            double(thickness),
            double(density),
            double(width),
            double(length),
            tuple(formulas),
            name,
            electrons,
            rayleigh,
            None if array is None else _pixels(array, width, length),
            None if fwhm is None else _width(fwhm),
        )

    @classmethod
    def from_toml(cls, text: str, where: str = "absorber") -> "Absorber":
        """The absorber that the ``text`` of a TOML file describes; ``where`` names it in errors.

        Raises ValueError as `build` does, and for keys that are unknown or missing.
        """
        return cls.from_table(toml.parse(text, where), where)

    @classmethod
    def from_table(cls, table: dict[str, Any], where: str) -> "Absorber":
        """The absorber that the ``table`` of a TOML file describes; ``where`` names it in errors.

        Raises ValueError as `build` does, and for keys that are unknown or missing.
        """
        toml.check_keys(table, KEYS, ("layers", "width", "length"), where)
        layers = toml.table_list(table["layers"], "layers", where)
        for n, layer in enumerate(layers):
            toml.check_keys(layer, LAYER_KEYS, ("material", "thickness"), f"layer {n} of {where}")
        others = {key: value for key, value in table.items() if key != "layers"}
        try:
            return cls.build([tuple(layer.get(key) for key in LAYER_KEYS) for layer in layers], **others)
        except ValueError as problem:
            raise ValueError(f"{where}: {problem}") from problem

    @classmethod
    def load(cls, name: str | os.PathLike[str], electrons: str | None = None) -> "Absorber":
        """The preset of that name, or else the TOML file at that path, with another electron model if one is given.

        Raises ValueError when it is neither, or the model is unknown.
        """
        if electrons is not None:
            check_electrons(electrons)
            return replace(cls.load(name), electrons=electrons)
        if name in presets():
            return cls.preset(str(name))
        path = Path(name)
        if not path.is_file():
            nearest = difflib.get_close_matches(str(name), presets(), 1)
            hint = f"; the nearest preset is {nearest[0]!r}" if nearest else ""
            raise ValueError(
                f"absorber must be a preset ({', '.join(presets())}) or a TOML file, but is {str(name)!r}{hint}"
            )
        return cls.from_table(toml.read(path, "absorber"), f"absorber {str(path)!r}")

    @classmethod
    def preset(cls, name: str) -> "Absorber":
        """The shipped absorber ``name``, one of `presets`. Raises ValueError for any other name."""
        if name not in presets():
            raise ValueError(f"preset must be one of {', '.join(presets())}, but is {name!r}")
        return cls.from_toml(_preset_folder().joinpath(f"{name}.toml").read_text(encoding="utf-8"), f"preset {name!r}")

    def to_toml(self) -> str:
        """The absorber in full, as a TOML file that `load` reads back."""
        lines = [
            f"name = {toml.quoted(self.name)}",
            f'width = "{float(self.width)!r} um"',
            f'length = "{float(self.length)!r} um"',
            f"electrons = {json.dumps(self.electrons)}",
            f"rayleigh = {json.dumps(self.rayleigh)}",
        ]
        if self.fwhm is not None:
            lines.append(f'fwhm = "{self.fwhm!r} eV"')
        if self.array is not None:
            pitch = f'"{float(self.array.pitch_x)!r} um", "{float(self.array.pitch_y)!r} um"'
            rows, columns = self.array.shape
            lines += ["[array]", f"rows = {rows}", f"columns = {columns}", f"pitch = [{pitch}]"]
        for formula, thickness, density in zip(self.formulas, self.thickness, self.density, strict=True):
            lines += [
                "[[layers]]",
                f"material = {toml.quoted(formula)}",
                f'thickness = "{float(thickness)!r} um"',
                f"density = {float(density)!r}",
            ]
        return "\n".join(lines) + "\n"

    @property
    def stack(self) -> Stack:
        """The geometry alone, as JAX arrays."""
        thickness, width, length = (jnp.asarray(side) for side in (self.thickness, self.width, self.length))
        return Stack(thickness, width, length, jax.tree.map(jnp.asarray, self.array))

    def check_alone(self, what: str) -> None:
        """Raise ValueError where the absorber is an array, since ``what`` is of one absorber alone."""
        if self.array is not None:
            raise ValueError(f"{what} is of one absorber alone, but {self.name!r} has an [array]: leave that out")


def check_electrons(model: str) -> None:
    """Raise ValueError for an unknown electron model."""
    if model not in ELECTRONS:
        raise ValueError(f"`electrons` must be one of {', '.join(ELECTRONS)}, but is {model!r}")


def double(value: ArrayLike) -> Array:
    """``value`` in double precision on the host, whatever JAX's own: it is rounded only when a program takes it."""
    return cast(Array, np.asarray(value, dtype=np.float64))


def presets() -> list[str]:
    """Names of the shipped absorbers."""
    return sorted(entry.name.removesuffix(".toml") for entry in _preset_folder().iterdir())


def _preset_folder() -> Traversable:
    return resources.files("xcal_jax.absorber") / "presets"


def _length(value: str | float, name: str) -> float:
    length = parse_quantity(value, "um", name)
    if not 0.0 < length <= LONGEST:
        raise ValueError(f"`{name}` must be positive and at most {LONGEST:g} um, but is {length:g} um")
    return length


def _width(value: str | float) -> float:
    width = parse_quantity(value, "eV", "fwhm")
    if width <= 0.0:
        raise ValueError(f"`fwhm` must be positive, but is {width:g} eV")
    return width


def _pixels(array: dict[str, Any], width: float, length: float) -> Pixels:
    toml.check_keys(array, ARRAY_KEYS, ARRAY_KEYS, "[array]")
    for name in ("rows", "columns"):
        number = array[name]
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_PIXELS:
            raise ValueError(f"`{name}` of [array] must be a whole number from 1 to {MOST_PIXELS}, but is {number!r}")
    pitch = array["pitch"] if isinstance(array["pitch"], list | tuple) else [array["pitch"]] * 2
    if len(pitch) != 2:
        raise ValueError(f"`pitch` of [array] must be one length or two, along x and y, but is {pitch!r}")
    pitches = [_length(one, "pitch of [array]") for one in pitch]
    for one, side, name in zip(pitches, (width, length), ("width", "length"), strict=True):
        if one < side:
            raise ValueError(f"`pitch` of [array] must be at least the {name}, {side:g} um, but is {one:g} um")
    return Pixels(double(pitches[0]), double(pitches[1]), array["rows"], array["columns"])
