"""Filters in front of an absorber: sheets and meshes that let a part of the photons through, and send nothing back."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Annotated, NotRequired

import numpy as np
from jaxtyping import Float
from typing_extensions import TypedDict

from xcal_jax.atomic import Material, load_element
from xcal_jax.constants import PER_UM
from xcal_jax.io import toml
from xcal_jax.io.schema import Density, Length, quantity

Energies = Float[np.ndarray, " E"]


class FilterTable(TypedDict):
    """A table [[filters]] of an absorber's TOML file; fill: the fraction of the area that it covers, 1 if left out."""

    material: str
    thickness: Length
    density: NotRequired[Density]
    fill: NotRequired[Annotated[float, quantity("", above=0.0, most=1.0)]]


@dataclass(frozen=True)
class Filter:
    """A sheet of ``material``, ``thickness`` um, that covers the fraction ``fill`` of the area, as a mesh does."""

    material: Material
    thickness: float
    fill: float = 1.0

    @classmethod
    def of(cls, table: FilterTable) -> "Filter":
        """The filter of a table. Raises ValueError for an unknown material or an impossible density."""
        return cls(Material.build(table["material"], table.get("density")), table["thickness"], table.get("fill", 1.0))

    def __str__(self) -> str:
        """Thickness and material in words."""
        mesh = "" if self.fill == 1.0 else f" on {100 * self.fill:g} % of the area"
        return f"{self.thickness:g} um {self.material.formula}{mesh}"

    def to_toml(self) -> list[str]:
        """Its lines in a TOML file."""
        return [
            "[[filters]]",
            f"material = {toml.quoted(self.material.formula)}",
            f'thickness = "{self.thickness!r} um"',
            f"density = {self.material.density!r}",
            f"fill = {self.fill!r}",
        ]

    def transmission(self, energy: Energies, cosine: float = 1.0) -> Energies:
        """Fraction (E,) of photons of ``energy`` (E,) eV that pass: 1 - fill + fill exp(-mu t / cosine).

        cosine: of the angle against the normal. Rayleigh scattering takes no photon out of the beam.
        """
        depth = PER_UM * self.material.density * self.thickness * self.material.mass_attenuation(energy, rayleigh=False)
        return 1.0 - self.fill + self.fill * np.exp(-depth / cosine)


def transmission(filters: Iterable[Filter], energy: Energies, cosine: float = 1.0) -> Energies:
    """Fraction (E,) of photons of ``energy`` (E,) eV that pass all ``filters``."""
    return np.asarray(prod((each.transmission(energy, cosine) for each in filters), start=np.ones_like(energy)))


def edges(filters: Iterable[Filter]) -> Float[np.ndarray, " K"]:
    """Absorption edges of the elements of ``filters``, eV."""
    symbols = {symbol for each in filters for symbol in each.material.elements}
    return np.unique([subshell.binding for symbol in symbols for subshell in load_element(symbol).subshells])
