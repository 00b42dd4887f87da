"""Collisions of electrons in a material, elastic and inelastic, by its elements; how far electrons get."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from xcal_jax.atomic import Material, load_element
from xcal_jax.atomic.electron import load_electron_tables
from xcal_jax.atomic.element import loglog
from xcal_jax.physics.electrons.elastic import elastic_law
from xcal_jax.physics.electrons.inelastic import GRID, HARD, Inelastic, first_electrons, outcomes

AVOGADRO = 6.02214076e23
EV_PER_MEV = 1e6
STARTS, GOES_ON = 3.5, 4.0  # standard deviations of the displacement along an axis that count as out of reach


@dataclass(frozen=True)
class Collisions:
    """Collisions of electrons in a material at R energies.

    elastic, hard: (R,) cm2/g, cross sections of elastic collisions and of losing more than `HARD`
    law: (R, PARTS), b of the law of angles: see `elastic`
    outcome: (2, R, LOSSES) eV, equally probable hard losses, and the electrons that they set free: see `outcomes`
    soft: (R,) eV cm2/g, stopping power of the smaller losses; stopping: (R,) eV cm2/g, of all losses
    range: (R,) g/cm2, path until an electron has slowed down to the first energy
    maximum: (2, R) g/cm2, how far along an axis an electron gets from its start, and from any later place
    """

    elastic: np.ndarray
    hard: np.ndarray
    law: np.ndarray
    outcome: np.ndarray
    soft: np.ndarray
    stopping: np.ndarray
    range: np.ndarray
    maximum: np.ndarray

    @classmethod
    def build(cls, material: Material, energy: Float[np.ndarray, " R"]) -> "Collisions":
        """The collisions at ``energy`` in eV. In a compound each element contributes as it does alone (Bragg's rule).

        Inelastic collisions deflect electrons, too, by narrow angles; they make a fraction 1/Z of the deflection.
        """
        window = np.geomspace(HARD, max(energy[-1], 2 * HARD), GRID)
        stopping, first, second = np.zeros((3, len(energy)))
        angles, density, ionisation, auger = [], [], [], []
        for symbol, fraction in zip(material.elements, material.mass_fraction, strict=True):
            tables, element = load_electron_tables(symbol), load_element(symbol)
            atoms = AVOGADRO * fraction / element.weight
            model = Inelastic.build(tables, energy, window)
            collision = loglog(energy, tables.stopping_energy, tables.collision)
            scale = collision * EV_PER_MEV * fraction / model.stopping
            transport_1, transport_2 = tables.transport(energy)
            inelastic_1, inelastic_2 = scale * model.transport_1, scale * model.transport_2
            stopping += tables.stopping_power(energy) * EV_PER_MEV * fraction
            first += atoms * transport_1 + inelastic_1
            second += atoms * transport_2 + inelastic_2
            angular = atoms * tables.angular(energy)
            angular[:2] += [0.5 * inelastic_1, 0.5 * inelastic_1 - inelastic_2 / 6.0]
            angles.append(angular)
            density.append(scale[:, None] * model.density)
            ionisation.append(tables.ionisation)
            auger += first_electrons(element, tables.ionisation)
        hard, lost, outcome = outcomes(window, np.concatenate(density), np.concatenate(ionisation), auger)
        narrow, differential = np.split(np.sum(angles, axis=0).T, [2], axis=1)
        elastic, law = elastic_law(first, second, narrow, tables.wide, differential)
        path = slowing_down(energy, stopping)
        maximum = np.minimum(path, np.outer([STARTS, GOES_ON], displacement(path, first)) / np.sqrt(3))
        return cls(elastic, hard, law, outcome, stopping - lost, stopping, path, maximum)


def slowing_down(energy: Float[np.ndarray, " R"], stopping: Float[np.ndarray, " R"]) -> Float[np.ndarray, " R"]:
    """Range in g/cm2 from each ``energy`` in eV to the first; stopping: eV cm2/g."""
    from scipy.integrate import cumulative_trapezoid  # takes a quarter of a second to import; tables are mostly `kept`

    return cumulative_trapezoid(1 / stopping, energy, initial=0.0)


def displacement(path: Float[np.ndarray, " R"], transport: Float[np.ndarray, " R"]) -> Float[np.ndarray, " R"]:
    """Root mean square distance in g/cm2 between the ends of tracks of ranges ``path`` in g/cm2, by Lewis's theory.

    transport: first transport cross section, cm2/g. The mean displacement z along the first direction obeys
    dz/dR = 1 - z transport, and the mean square distance is twice the integral of z over R (H.W. Lewis 1950,
    doi 10.1103/PhysRev.78.526).
    """
    forward, square = np.zeros((2, path.size))
    for row, step in enumerate(np.diff(path)):
        deflection = 0.5 * (transport[row] + transport[row + 1])
        forward[row + 1] = forward[row] * np.exp(-step * deflection) - np.expm1(-step * deflection) / deflection
        square[row + 1] = square[row] + step * (forward[row] + forward[row + 1])
    return np.sqrt(square)
