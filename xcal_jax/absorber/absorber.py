"""An absorber as its TOML file describes it: layers from the top, each a material, a thickness and a density."""

import difflib
import json
import os
import tomllib
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.absorber.geometry import Stack
from xcal_jax.atomic import Material
from xcal_jax.units import parse_quantity

ELECTRONS = ("range", "scattering")
KEYS = ("name", "width", "length", "electrons", "rayleigh", "layers")
LAYER_KEYS = ("material", "thickness", "density")
LONGEST = 1e6  # um; a metre of absorber is a typing error


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Absorber:
    """A rectangular absorber of L layers.

    thickness: (L,) um, from the top; density: (L,) g/cm3; width (along x), length (along y): () um.
    formulas: one a layer; electrons: the electron model; rayleigh: whether photons scatter coherently.
    """

    thickness: Array
    density: Array
    width: Array
    length: Array
    formulas: tuple[str, ...] = field(metadata={"static": True})
    name: str = field(default="absorber", metadata={"static": True})
    electrons: str = field(default="range", metadata={"static": True})
    rayleigh: bool = field(default=False, metadata={"static": True})

    @classmethod
    def build(cls, layers, width, length, name="absorber", electrons="range", rayleigh=False) -> "Absorber":
        """From ``layers``: (material, thickness) or (material, thickness, density) from the top; um and g/cm3.

        Lengths may be numbers (um) or text with a unit. A density may be left out where the tables know it.
        Raises ValueError where a material is unknown, a length or density is not positive and finite, there are
        no layers, or the electron model is unknown.
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
        return cls(
            double(thickness),
            double(density),
            double(_length(width, "width")),
            double(_length(length, "length")),
            tuple(formulas),
            name,
            electrons,
            rayleigh,
        )

    @classmethod
    def from_toml(cls, text: str, where: str = "absorber") -> "Absorber":
        """From the text of a TOML file; ``where`` names it in errors. Raises ValueError as `build` does."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise ValueError(f"{where} must be valid TOML: {problem}") from problem
        _check_keys(table, KEYS, ("layers", "width", "length"), where)
        layers = table.pop("layers")
        if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
            raise ValueError(f"`layers` in {where} must be [[layers]] tables")
        for n, layer in enumerate(layers):
            _check_keys(layer, LAYER_KEYS, ("material", "thickness"), f"layer {n} of {where}")
        try:
            return cls.build([tuple(layer.get(key) for key in LAYER_KEYS) for layer in layers], **table)
        except ValueError as problem:
            raise ValueError(f"{where}: {problem}") from problem

    @classmethod
    def load(cls, name: str | os.PathLike, electrons: str | None = None) -> "Absorber":
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
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as problem:
            raise ValueError(f"{str(path)!r} must be a TOML file in UTF-8, but is not text") from problem
        return cls.from_toml(text, repr(str(path)))

    @classmethod
    def preset(cls, name: str) -> "Absorber":
        """A shipped absorber: one of `presets`. Raises ValueError for any other name."""
        if name not in presets():
            raise ValueError(f"preset must be one of {', '.join(presets())}, but is {name!r}")
        return cls.from_toml(_preset_folder().joinpath(f"{name}.toml").read_text(encoding="utf-8"), f"preset {name!r}")

    def to_toml(self) -> str:
        """The absorber in full, as a TOML file that `load` reads back."""
        lines = [
            f"name = {json.dumps(self.name)}",
            f'width = "{float(self.width)!r} um"',
            f'length = "{float(self.length)!r} um"',
            f"electrons = {json.dumps(self.electrons)}",
            f"rayleigh = {json.dumps(self.rayleigh)}",
        ]
        for formula, thickness, density in zip(self.formulas, self.thickness, self.density, strict=True):
            lines += [
                "[[layers]]",
                f"material = {json.dumps(formula)}",
                f'thickness = "{float(thickness)!r} um"',
                f"density = {float(density)!r}",
            ]
        return "\n".join(lines) + "\n"

    @property
    def stack(self) -> Stack:
        """The geometry alone, as JAX arrays."""
        return Stack(jnp.asarray(self.thickness), jnp.asarray(self.width), jnp.asarray(self.length))


def check_electrons(model: str) -> None:
    """Raise ValueError for an unknown electron model."""
    if model not in ELECTRONS:
        raise ValueError(f"`electrons` must be one of {', '.join(ELECTRONS)}, but is {model!r}")


def double(value) -> Array:
    """A number or array in double precision, whatever JAX's own: rounded only when a program takes it."""
    return cast(Array, np.asarray(value, dtype=np.float64))


def presets() -> list[str]:
    """Names of the shipped absorbers."""
    return sorted(entry.name.removesuffix(".toml") for entry in _preset_folder().iterdir())


def _preset_folder():
    return resources.files("xcal_jax.absorber") / "presets"


def _length(value: str | float, name: str) -> float:
    length = parse_quantity(value, "um", name)
    if not 0.0 < length <= LONGEST:
        raise ValueError(f"`{name}` must be positive and at most {LONGEST:g} um, but is {length:g} um")
    return length


def _check_keys(table: dict, known: tuple[str, ...], needed: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, 1, cutoff=0.0)
            raise ValueError(f"unknown key `{key}` in {where}; the nearest valid key is `{nearest[0]}`")
    for key in needed:
        if key not in table:
            raise ValueError(f"`{key}` is missing in {where}")
