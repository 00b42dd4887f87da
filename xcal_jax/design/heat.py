"""Heat capacities at millikelvins: c = gamma T + a T^3 per mole, electrons and lattice (Debye).

a = 12 pi^4 R / (5 theta^3). Cu, Ag and Au: gamma and theta as measured between 0.4 and 30 K by D.L. Martin 1973, doi
10.1103/PhysRevB.8.5357. Bi: gamma 0.008 mJ/mol/K2 and theta 119 K as Kittel's Introduction to Solid State Physics is
commonly quoted. Theta agrees with measurements: 117 K (doi 10.1103/PhysRev.96.897) and 120.4 K (Phillips 1960, doi
10.1103/PhysRev.118.644). Gamma is uncertain: Phillips has 0.021 next to a nuclear term that Collan, Krusius and Pickett
(1969, Phys. Rev. Lett. 23, 11) do not find down to 50 mK; their new gamma has not been seen here. Half of Bi's heat
capacity at 90 mK depends on gamma; with 0.021 it is 1.75 times as much.

Nuclear terms, grain boundaries and impurities are not included. Absorbers can be far above: three of Bi had 0.3 to 0.6
J/K/m3 at 100 mK (Nucl. Instrum. Methods A 520, 212, 2004), where these numbers give 0.09. Every number can be
overridden in a design file.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from xcal_jax.absorber.absorber import VACUUM, Absorber
from xcal_jax.atomic import Material, load_element
from xcal_jax.io.arguments import checked
from xcal_jax.units import Quantity, parse_quantity

TEMPERATURE = 0.09  # K, unless another is given
HIGHEST_TEMPERATURE = 4.0  # K: above, the lattice is no longer that of a T^3 law
GAS_CONSTANT = 8.314462618  # J/mol/K, CODATA 2018
PER_PICO = 1e12
CUBIC_UM = 1e-12  # cm3


@dataclass(frozen=True)
class SpecificHeat:
    """Specific heat of a mole of formula units. electron: J/mol/K2, times T; lattice: J/mol/K4, times T cubed."""

    electron: float
    lattice: float

    @classmethod
    def of_debye(cls, electron: float, temperature: float) -> "SpecificHeat":
        """The specific heat of gamma, ``electron`` J/mol/K2, and of the Debye ``temperature`` in K."""
        return cls(electron, 12.0 * np.pi**4 * GAS_CONSTANT / (5.0 * temperature**3))

    def at(self, temperature: float) -> float:
        """The specific heat at ``temperature`` K, in J/mol/K."""
        return self.electron * temperature + self.lattice * temperature**3


KNOWN = {
    "Au": SpecificHeat.of_debye(0.689e-3, 161.8),
    "Bi": SpecificHeat.of_debye(0.008e-3, 119.0),
    "Cu": SpecificHeat.of_debye(0.691e-3, 344.3),
    "Ag": SpecificHeat.of_debye(0.640e-3, 226.6),
}


def heat_per_um(formula: str, density: float, area: float, temperature: float, specific_heat: SpecificHeat) -> float:
    """Heat capacity of a micrometre of a layer of ``area`` um2, in pJ/K; density: g/cm3, temperature: K."""
    material = Material.build(formula, density)
    weight = sum(
        n * load_element(symbol).weight for symbol, n in zip(material.elements, material.number_ratio, strict=True)
    )
    return PER_PICO * density * area * CUBIC_UM / weight * specific_heat.at(temperature)


@checked
def heat_capacity(
    absorber: Absorber | str | os.PathLike[str],
    temperature: Quantity = TEMPERATURE,
    specific_heats: Mapping[str, SpecificHeat] = KNOWN,
) -> Float[np.ndarray, " L"]:
    """Heat capacity of each layer of ``absorber`` (what `Absorber.load` takes), pJ/K; their sum is the absorber's.

    temperature: K, or with a unit, at most 4 K: the laws at the top of this file. NaN where the specific heat of a
    material is not in ``specific_heats``, by formula; vacuum has none. Raises ValueError for other temperatures.

    >>> print(heat_capacity("gold", "90 mK").round(3), "pJ/K")
    [0.682] pJ/K
    """
    absorber = Absorber.load(absorber)
    kelvin = parse_quantity(temperature, "K", "temperature", above=0.0, most=HIGHEST_TEMPERATURE)
    return heat_per_um_by_layer(absorber, kelvin, specific_heats) * np.asarray(absorber.thickness)


def heat_per_um_by_layer(
    absorber: Absorber, temperature: float, specific_heats: Mapping[str, SpecificHeat]
) -> Float[np.ndarray, " L"]:
    """Heat capacity of a micrometre of each layer of ``absorber``, pJ/K/um; NaN where its material is not known.

    temperature: K. Vacuum has none.
    """
    area = float(absorber.width) * float(absorber.length)

    def of_layer(formula: str, density: float) -> float:
        if formula == VACUUM:
            return 0.0
        known = specific_heats.get(formula)
        return np.nan if known is None else heat_per_um(formula, density, area, temperature, known)

    return np.array([of_layer(*layer) for layer in zip(absorber.formulas, map(float, absorber.density), strict=True)])
