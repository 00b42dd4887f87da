"""Tables of matter padded to a few sizes, so that one compiled program serves absorbers of many materials.

A program is compiled for the shapes of its tables. Elements differ in their numbers of edges, subshells and
transitions, and without padding each new mixture of elements would wait for a compilation of its own. What is padded
is never drawn: counts are the same, bit by bit. What still needs another program: another number of layers, of
materials or of words for the vacancies of an ion (8 subshells each), and another order of materials in the layers.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from xcal_jax.absorber.matter import Matter
from xcal_jax.physics.angular import AngularLaws
from xcal_jax.physics.attenuation import Attenuation
from xcal_jax.physics.discrete import Discrete
from xcal_jax.physics.impulse import Impulse
from xcal_jax.physics.relaxation import Relaxation

ROWS, CHANNELS, SUBSHELLS, TRANSITIONS, ELEMENTS, EDGES = 512, 64, 64, 192, 4, 2  # sizes are multiples of these
RELAXATION_BY_SUBSHELL = ("binding", "decays", "no_photon_probability", "hardest", "element")
RELAXATION_BY_TRANSITION = ("energy", "radiative", "first", "second", "analog", "biased")


def padded(matter: Matter) -> Matter:
    """``matter`` with the same laws in larger tables, on the host; the codes of its channels follow."""
    relaxation, compton = matter.relaxation, matter.compton
    subshells, elements, scattering = relaxation.subshells, relaxation.elements, matter.compton_channels
    room = up(subshells, SUBSHELLS)
    places = room if compton.ionises else up(elements, ELEMENTS)  # of Compton channels
    if isinstance(compton, Impulse):
        compton = replace(compton, binding=more(compton.binding, 0, room), width=more(compton.width, 0, room))
    code = np.asarray(matter.attenuation.code)
    code = code + np.where(code >= subshells, room - subshells, 0).astype(code.dtype)
    code = code + np.where(code >= room + scattering, places - scattering, 0).astype(code.dtype)
    photons = np.asarray(matter.angles.cosine)
    cosine, rayleigh = more(photons[: 1 + scattering], 0, 1 + places), photons[1 + scattering :]
    if rayleigh.size:
        cosine = np.concatenate([cosine, more(rayleigh, 0, up(elements, ELEMENTS))])
    return replace(
        matter,
        attenuation=_attenuation(matter.attenuation, code),
        relaxation=_relaxation(relaxation),
        angles=AngularLaws(cosine),
        compton=compton,
        maximum_range=more(matter.maximum_range, 0, room),
        compton_channels=places,
    )


def channels(law: Discrete, materials: int) -> Discrete:
    """A law of `Attenuation`, rows M R, outcomes C, in larger tables. Each material's last row is repeated."""

    def larger(table: Array) -> Any:
        split = np.reshape(table, (materials, -1, table.shape[1]))
        rows, columns = (up(n, step) for n, step in zip(split.shape[1:], (ROWS, CHANNELS), strict=True))
        return more(more(split, 1, rows, None), 2, columns).reshape(-1, columns)

    return law.mapped(larger)


def cascades(table: Any) -> Any:
    """A table of `Relaxation`, (S, T), or one of its laws, in larger tables."""
    if isinstance(table, Discrete):
        return table.mapped(cascades)
    return more(more(table, 0, up(table.shape[0], SUBSHELLS)), 1, up(table.shape[1], TRANSITIONS))


def lines_of(shape: Sequence[int], cells: Any) -> Any:
    """Figures (..., S T) of the S x T transitions of ``shape``, out of those (..., cells) of larger tables."""
    subshells, transitions = shape
    larger = up(subshells, SUBSHELLS), up(transitions, TRANSITIONS)
    kept = cells.reshape(*cells.shape[:-1], *larger)[..., :subshells, :transitions]
    return kept.reshape(*cells.shape[:-1], subshells * transitions)


def up(size: int, step: int) -> int:
    """The next multiple of ``step``."""
    return -(-size // step) * step


def more(table: ArrayLike, axis: int, size: int, fill: float | None = 0.0) -> Any:
    """``table`` made ``size`` long along ``axis``, with ``fill``, or with its last entries (None)."""
    table = np.asarray(table)
    widths = [(0, size - table.shape[axis] if n == axis else 0) for n in range(table.ndim)]
    return np.pad(table, widths, mode="edge") if fill is None else np.pad(table, widths, constant_values=fill)


def _attenuation(table: Attenuation, code: np.ndarray) -> Attenuation:
    """The last row is repeated, so that a place in the rows is what it was."""
    materials, rows = table.log_mass_attenuation.shape
    return replace(
        table,
        energy=more(table.energy, 0, up(rows, ROWS), None),
        log_mass_attenuation=more(table.log_mass_attenuation, 1, up(rows, ROWS), None),
        channels=channels(table.channels, materials),
        code=more(code, 1, up(code.shape[1], CHANNELS)),
        cell_edge=more(table.cell_edge, 1, up(table.cell_edge.shape[1], EDGES), np.inf),
    )


def _relaxation(tables: Relaxation) -> Relaxation:
    room = up(tables.subshells, SUBSHELLS)
    each = {name: more(getattr(tables, name), 0, room) for name in RELAXATION_BY_SUBSHELL}
    every = {name: cascades(getattr(tables, name)) for name in RELAXATION_BY_TRANSITION}
    larger: dict[str, Any] = each | every
    return replace(tables, **larger, offset=more(tables.offset, 0, up(tables.elements, ELEMENTS)))
