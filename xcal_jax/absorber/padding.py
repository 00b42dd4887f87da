"""Tables of matter padded to a few sizes, so that one compiled program serves absorbers of many materials.

A program is compiled for the shapes of its tables. Elements differ in their numbers of edges, subshells and
transitions, and without padding each new mixture of elements would wait for a compilation of its own. What is padded
is never drawn: counts are the same, bit by bit. What still needs another program: another number of layers, of
materials or of words for the vacancies of an ion (8 subshells each), and another order of materials in the layers.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from jax import Array
from jaxtyping import Int

from xcal_jax.absorber.matter import Matter
from xcal_jax.physics.angular import AngularLaws
from xcal_jax.physics.attenuation import Attenuation
from xcal_jax.physics.impulse import Impulse
from xcal_jax.physics.relaxation import Relaxation

ROWS, CHANNELS, SUBSHELLS, TRANSITIONS, ELEMENTS, EDGES = 512, 32, 32, 64, 4, 2  # sizes are multiples of these


def padded(matter: Matter) -> Matter:
    """``matter`` with the same laws in larger tables, on the host; the codes of its channels follow."""
    relaxation = matter.relaxation
    compton = matter.compton
    subshells, elements = relaxation.subshells, relaxation.elements
    scattering = matter.compton_channels
    room = up(subshells, SUBSHELLS)
    places = room if compton.ionises else up(elements, ELEMENTS)  # of Compton channels
    if isinstance(compton, Impulse):
        compton = replace(compton, **{name: more(table, 0, room) for name, table in vars(compton).items()})
    code = np.asarray(matter.attenuation.code)
    code = code + np.where(code >= subshells, room - subshells, 0).astype(code.dtype)
    code = code + np.where(code >= room + scattering, places - scattering, 0).astype(code.dtype)
    photons = np.asarray(matter.angles.cosine)
    cosine, rayleigh = more(photons[: 1 + scattering], 0, 1 + places), photons[1 + scattering :]
    if rayleigh.size:
        cosine = np.concatenate([cosine, more(rayleigh, 0, up(elements, ELEMENTS))])
    return replace(
        matter,
        attenuation=_attenuation(replace(matter.attenuation, code=code)),
        relaxation=_relaxation(relaxation),
        angles=AngularLaws(cosine),
        compton=compton,
        maximum_range=more(matter.maximum_range, 0, room),
        compton_channels=places,
    )


def peaks_of(matter: Matter, peaks: Int[np.ndarray, "K cells"]) -> Int[np.ndarray, "K lines"]:
    """The counts of the transitions of ``matter``, from those that a program counted with its `padded` tables."""
    subshells, transitions = matter.relaxation.energy.shape
    shape = up(subshells, SUBSHELLS), up(transitions, TRANSITIONS)
    return peaks.reshape(-1, *shape)[:, :subshells, :transitions].reshape(len(peaks), -1)


def up(size: int, step: int) -> int:
    """The next multiple of ``step``."""
    return -(-size // step) * step


def more(table: Array, axis: int, size: int, fill: float | None = 0.0) -> Any:
    """``table`` made ``size`` long along ``axis``, with ``fill``, or with its last entries (None)."""
    widths = [(0, size - table.shape[axis] if n == axis else 0) for n in range(table.ndim)]
    return np.pad(table, widths, mode="edge") if fill is None else np.pad(table, widths, constant_values=fill)


def _attenuation(table: Attenuation) -> Attenuation:
    """The last row is repeated, so that a place in the rows is what it was."""
    materials, rows = table.log_mass_attenuation.shape
    room, channels = up(rows, ROWS), up(table.code.shape[1], CHANNELS)

    def law(of: Array) -> Any:
        return more(more(of.reshape(materials, rows, -1), 1, room, None), 2, channels).reshape(-1, channels)

    laws = {name: law(getattr(table.channels, name)) for name in ("probabilities", "threshold", "alias")}
    return replace(
        table,
        energy=more(table.energy, 0, room, None),
        log_mass_attenuation=more(table.log_mass_attenuation, 1, room, None),
        channels=replace(table.channels, **laws),
        code=more(table.code, 1, channels),
        cell_edge=more(table.cell_edge, 1, up(table.cell_edge.shape[1], EDGES), np.inf),
    )


def _relaxation(tables: Relaxation) -> Relaxation:
    subshells, transitions = up(tables.subshells, SUBSHELLS), up(tables.energy.shape[1], TRANSITIONS)

    def wide(of: Array) -> Any:
        return more(more(of, 0, subshells), 1, transitions)

    laws = {
        law: replace(of, **{name: wide(getattr(of, name)) for name in ("probabilities", "threshold", "alias")})
        for law, of in (("analog", tables.analog), ("biased", tables.biased))
    }
    each = ("binding", "decays", "no_photon_probability", "hardest", "element")
    every = ("energy", "radiative", "first", "second")
    return replace(
        tables,
        **{name: more(getattr(tables, name), 0, subshells) for name in each},
        **{name: wide(getattr(tables, name)) for name in every},
        **laws,
        offset=more(tables.offset, 0, up(tables.elements, ELEMENTS)),
    )
