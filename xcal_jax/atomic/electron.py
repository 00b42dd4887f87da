"""How electrons lose energy and scatter in an element: PENELOPE-2018's numbers (`data/atomic/build_electrons.py`)."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from xcal_jax.atomic.element import ELEMENTS, loglog
from xcal_jax.atomic.tables import read_tables
from xcal_jax.units import shown

ELECTRON_LIMITS = (50.0, 1.0e6)
"""eV: where the electron tables hold. PENELOPE calls its own cross sections semi-quantitative below 1 keV."""


@dataclass(frozen=True)
class ElectronTables:
    """One element.

    stopping_energy: (E,) eV; collision, radiative: (E,) MeV cm2/g
    elastic_energy: (F,) eV; transport_1, transport_2: (F,) cm2/atom, transport cross sections of elastic scattering
    wide: (M,) mu = (1 - cosine) / 2 of wide angles; wide_energy: (D,) eV; differential: (D, M) cm2/atom, elastic cross
        section per unit of mu; narrow, narrow_square: (D,) cm2/atom, its integrals with mu and mu squared below `wide`
    electrons, ionisation, resonance: (K,) 1, eV, eV: the oscillators of inelastic collisions; an ionisation energy
        of 0 is that of conduction electrons
    """

    stopping_energy: np.ndarray
    collision: np.ndarray
    radiative: np.ndarray
    elastic_energy: np.ndarray
    transport_1: np.ndarray
    transport_2: np.ndarray
    wide: np.ndarray
    wide_energy: np.ndarray
    differential: np.ndarray
    narrow: np.ndarray
    narrow_square: np.ndarray
    electrons: np.ndarray
    ionisation: np.ndarray
    resonance: np.ndarray

    def stopping_power(self, energy: np.ndarray) -> np.ndarray:
        """Collision and radiative together, MeV cm2/g, at ``energy`` in eV."""
        return loglog(energy, self.stopping_energy, self.collision + self.radiative)

    def transport(self, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second transport cross sections, cm2/atom, at ``energy`` in eV."""
        grid = self.elastic_energy
        return loglog(energy, grid, self.transport_1), loglog(energy, grid, self.transport_2)

    def angular(self, energy: np.ndarray) -> np.ndarray:
        """`narrow`, `narrow_square` and `differential` (2 + M, R) at ``energy`` (R,) eV."""
        columns = [self.narrow, self.narrow_square, *self.differential.T]
        return np.array([loglog(energy, self.wide_energy, column) for column in columns])


@cache
def load_electron_tables(symbol: str) -> ElectronTables:
    """The element of ``symbol``, H to Es, read once. Raises ValueError for any other."""
    tables = dict(read_tables("electrons.nc"))
    starts = tables.pop("oscillator_start")
    i = ELEMENTS.index(symbol) if symbol in ELEMENTS else len(starts)
    if i + 1 >= len(starts):
        raise ValueError(f"electrons can be scattered in elements H to Es only, but not in {shown(symbol)}")
    rows = slice(starts[i], starts[i + 1])
    columns = {}
    for name, values in tables.items():
        by_element, by_oscillator = values.ndim > 1, name in ("electrons", "ionisation", "resonance")
        columns[name] = values[i] if by_element else values[rows] if by_oscillator else values
    return ElectronTables(**columns)
