"""The material of a layer: an element or a compound, as mass fractions and a density."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import isclose, isfinite

import numpy as np
from typing_extensions import TypedDict

from xcal_jax.atomic.element import ELEMENTS, load_element, nearest_element
from xcal_jax.io import toml
from xcal_jax.io.schema import Density
from xcal_jax.units import shown


class CompoundTable(TypedDict):
    """A table of `compounds.toml`: density at room temperature, g/cm3, and where it comes from."""

    density: Density
    source: str


DENSEST = 30.0  # g/cm3; osmium has 22.6


@dataclass(frozen=True)
class Material:
    """A homogeneous material of n elements.

    formula: as given                    density: g/cm3
    elements: (n,) symbols               number_ratio: (n,) atoms of each in a formula unit
    mass_fraction: (n,) sums to 1        z_over_a: mass-weighted Z/A, mol/g, which scales electron ranges
    """

    formula: str
    elements: tuple[str, ...]
    number_ratio: tuple[float, ...]
    mass_fraction: tuple[float, ...]
    density: float
    z_over_a: float

    @classmethod
    def build(cls, formula: str, density: float | None = None) -> "Material":
        """Return the material of a symbol ("Au") or formula ("Bi2Te3", "Hg0.8Cd0.2Te", "Ca(OH)2").

        ``density`` in g/cm3 is needed where neither the element table nor `compounds.toml` has one. Raises
        ValueError for what is no formula, an unknown element, an isotope or ion, or an impossible density.
        """
        atoms = _atoms(formula)
        data = [load_element(symbol) for symbol in atoms]
        ratio = np.array(list(atoms.values()))
        weight = ratio * [element.weight for element in data]
        fraction = weight / weight.sum()
        if density is None:
            density = data[0].density if len(data) == 1 else _compound_density(atoms)
            if not isfinite(density):
                meant = formula.capitalize()
                hint = f" (or is {meant!r} meant, the element?)" if formula.isupper() and meant in ELEMENTS else ""
                raise ValueError(f"the density of {formula} is not known: give `density`{hint}")
        if not 0.0 < density <= DENSEST:
            unit = (
                f": {density:g} kg/m3 are {density / 1000.0:g} g/cm3" if DENSEST < density <= 1000.0 * DENSEST else ""
            )
            rule = f"positive and at most {DENSEST:g} g/cm3"
            raise ValueError(f"`density` must be {rule}, but {formula} has {density:g} g/cm3{unit}")
        return cls(
            formula=formula,
            elements=tuple(atoms),
            number_ratio=tuple(ratio.tolist()),
            mass_fraction=tuple(fraction.tolist()),
            density=float(density),
            z_over_a=float(sum(fraction * [element.z / element.weight for element in data])),
        )

    def mass_attenuation(self, energy: np.ndarray | float, rayleigh: bool = True) -> np.ndarray:
        """Attenuation, cm2/g, at ``energy`` in eV: photoelectric, Compton and, unless refused, Rayleigh."""
        parts = zip(self.elements, self.mass_fraction, strict=True)
        return np.sum([w * load_element(s).mass_attenuation(energy, rayleigh) for s, w in parts], axis=0)


def _atoms(formula: str) -> dict[str, float]:
    """Number of atoms of each element in a formula unit, by ascending atomic number."""
    from periodictable import formula as parse

    if not re.fullmatch(r"[A-Za-z0-9.() ]+", formula):
        raise ValueError(f"material {shown(formula)} must be a symbol or formula like HgTe, no isotope, ion or mixture")
    for symbol in re.findall(r"[A-Z][a-z]?", formula):
        if symbol not in ELEMENTS:
            raise ValueError(
                f"element {shown(symbol)} of material {shown(formula)} is not in the tables (H to Fm): "
                f"did you mean {nearest_element(symbol)!r}?"
            )
    try:
        counts = {str(atom): float(n) for atom, n in parse(formula).atoms.items()}
    except Exception as problem:  # the parser's own errors share no base class
        hint = f": did you mean {formula.capitalize()!r}?" if formula.capitalize() in ELEMENTS else ""
        raise ValueError(f"material {shown(formula)} must be a symbol or chemical formula{hint}") from problem
    if not counts or min(counts.values()) <= 0:
        raise ValueError(f"material {shown(formula)} must have a positive number of every element")
    return dict(sorted(counts.items(), key=lambda item: ELEMENTS.index(item[0])))


def _compound_density(atoms: dict[str, float]) -> float:
    """Density, g/cm3, of the compound with these proportions, or NaN."""
    for known, density in _compounds():
        scale = sum(atoms.values()) / sum(known.values())
        if known.keys() == atoms.keys() and all(isclose(atoms[s], scale * known[s]) for s in known):
            return density
    return float("nan")


@cache
def _compounds() -> tuple[tuple[dict[str, float], float], ...]:
    text = (files("xcal_jax.atomic") / "compounds.toml").read_text(encoding="utf-8")
    table = toml.parse(text, "compounds.toml", dict[str, CompoundTable])
    return tuple((_atoms(formula), entry["density"]) for formula, entry in table.items())
