"""Energies of a response: rows of the matrix, channels, the nodes that are simulated, and rows drawn from nodes.

Everything about an absorber's response is smooth in the photon energy between two absorption edges and jumps at
them. So rows and nodes end at edges, and a row draws on the nodes near it on its own side of an edge. Its value is a
local linear regression: the straight line through the nodes' values over the logarithm of the energy, with tricube
weights (Cleveland 1979, doi 10.1080/01621459.1979.10481038). It is linear in what was counted, so errors propagate
exactly, and sums stay sums.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from xcal_jax.atomic import ENERGY_LIMITS, Element, check_energies
from xcal_jax.units import parse_quantity, shown

MOST = 2**20  # rows or channels
ROUND = (1.0, 2.0, 2.5, 4.0, 5.0, 8.0)
FINE = 2**16  # energies at which the width of rows is asked for
SPACING = 0.01  # of the nodes, in the logarithm of the energy
WINDOW = 0.03  # half width of the nodes that a row draws on, in the same
BESIDE = 2e-5  # relative distance of a node from an edge: single precision tells them apart
SLIVER = 0.1  # of a row's width: less than this from an edge, the row's end moves to the edge


def parse_grid(text: str, name: str) -> Float[np.ndarray, " B"]:
    """Boundaries in eV of the intervals that ``text`` stands for, such as "0.2:12:5eV"; without a step, its two ends.

    Ends without a unit are in keV, a step without one is in eV.
    The last interval is shorter where the step does not fit a whole number of times. Raises ValueError, naming
    ``name``, for anything but positive, ascending ends and a positive step that fits between them.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(
            f"`{name}` must be LOW:HIGH:STEP or LOW:HIGH, such as 0.2:12:5eV, or a file, not {shown(text)}"
        )
    low, high = (1000.0 * parse_quantity(part, "keV", name) for part in parts[:2])
    if not 0.0 < low < high:
        raise ValueError(f"`{name}` must run upwards from above 0, but runs from {low:g} to {high:g} eV")
    if high > ENERGY_LIMITS[1] >= high / 1000.0:
        meant = f"ends without a unit are in keV, was '{parts[0]}eV:{parts[1]}eV' meant?"
        raise ValueError(f"`{name}` must be within the tables, but goes up to {high:g} eV: {meant}")
    if len(parts) == 2:
        return np.array([low, high])
    step = parse_quantity(parts[2], "eV", name)
    if not 0.0 < step <= high - low:
        raise ValueError(f"`{name}` must have a step above 0 and at most {high - low:g} eV, but has {step:g} eV")
    if (high - low) / step > MOST:
        raise ValueError(f"`{name}` must have at most {MOST} intervals, but has {(high - low) / step:.3g}")
    return np.append(low + step * np.arange(_count(low, high, step)), high)


def channels_between(low: float, high: float, widest: float) -> Float[np.ndarray, " C"]:
    """Boundaries in eV of equal channels from ``low`` to ``high`` or just above, as wide as ``widest`` eV allows."""
    step = round_width(widest)
    return low + step * np.arange(1 + _count(low, high, step))


def rows_between(low: float, high: float, widest: Callable[[np.ndarray], np.ndarray]) -> Float[np.ndarray, " B"]:
    """Boundaries in eV of rows from ``low`` to ``high``, each as wide as ``widest`` (eV to eV) allows at its energy.

    Where that is the same everywhere, their width is a round one.
    """
    fine = np.linspace(low, high, FINE)
    width = widest(fine)
    if np.ptp(width) == 0.0:
        step = round_width(float(width[0]))
        return np.append(low + step * np.arange(_count(low, high, step)), high)
    passed = np.append(0.0, np.cumsum(0.5 * (1.0 / width[1:] + 1.0 / width[:-1]) * np.diff(fine)))
    return np.interp(np.linspace(0.0, passed[-1], 1 + int(np.ceil(passed[-1]))), passed, fine)


def round_width(widest: float) -> float:
    """The largest of 1, 2, 2.5, 4, 5 and 8 times a power of ten that is at most ``widest``."""
    power = 10.0 ** np.floor(np.log10(widest))
    return float(power * max(digit for digit in ROUND if digit * power <= widest * (1.0 + 1e-9)))


def _count(low: float, high: float, step: float) -> int:
    """How many intervals of ``step`` it takes from ``low`` to ``high``; the last one may reach beyond."""
    if (high - low) / step > MOST:
        raise ValueError(f"there must be at most {MOST} rows or channels, but would be {(high - low) / step:.3g}")
    return int(np.ceil((high - low) / step * (1.0 - 1e-12) - 1e-6))


def edges_between(elements: Sequence[Element], low: float, high: float) -> Float[np.ndarray, " D"]:
    """Absorption edges of ``elements`` between ``low`` and ``high`` eV, ascending, each once."""
    edges = np.unique(np.concatenate([element.binding for element in elements]))
    edges = edges[(edges > low * (1.0 + 4.0 * BESIDE)) & (edges < high * (1.0 - 4.0 * BESIDE))]
    return edges[np.append(True, np.diff(edges) > 4.0 * BESIDE * edges[1:])] if edges.size else edges


def adapt(
    boundaries: Float[np.ndarray, " B"], edges: Float[np.ndarray, " D"], keep: bool = False
) -> Float[np.ndarray, " R"]:
    """Row boundaries in eV with every absorption edge among them, so that no row spans one.

    A boundary next to an edge moves to it; where the boundaries ``keep`` their places, an edge so near is left out.
    Raises ValueError where they leave the atomic tables.
    """
    check_energies(boundaries[[0, -1]], "grid")
    if keep:
        row = np.searchsorted(boundaries, edges)
        away = np.minimum(edges - boundaries[row - 1], boundaries[row] - edges)
        return np.unique(np.append(boundaries, edges[away > SLIVER * (boundaries[row] - boundaries[row - 1])]))
    inner = boundaries[1:-1]
    if edges.size:
        nearest = edges[np.abs(inner[:, None] - edges).argmin(axis=1)]
        inner = inner[np.abs(inner - nearest) > SLIVER * np.diff(boundaries)[1:]]
    return np.unique(np.concatenate([boundaries[[0, -1]], inner, edges]))


def nodes_between(
    low: float, high: float, edges: Float[np.ndarray, " D"]
) -> tuple[Float[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """Energies in eV to simulate from ``low`` to ``high``, and the number of the stretch between edges of each."""
    ends = np.concatenate([[low], edges, [high]])
    stretches = []
    for a, b in pairwise(ends):
        count = max(3, 1 + int(np.ceil(np.log(b / a) / SPACING)))
        stretches.append(np.geomspace(a * (1.0 + BESIDE), b * (1.0 - BESIDE), count))
    return np.concatenate(stretches), np.repeat(np.arange(len(stretches)), [s.size for s in stretches])


def node_weights(
    energy: Float[np.ndarray, " R"],
    nodes: Float[np.ndarray, " N"],
    stretch: Int[np.ndarray, " N"],
    edges: Float[np.ndarray, " D"],
) -> csr_array:
    """Weights (R, N) whose product with what was counted at ``nodes`` (eV) is its smooth value at ``energy`` (eV).

    stretch: that of each node, from `nodes_between`; edges: eV, ascending.
    """
    rows, columns, weights = [], [], []
    at, of = np.log(nodes), np.searchsorted(edges, energy)
    for r, x in enumerate(np.log(energy)):
        near = np.flatnonzero(stretch == of[r])
        away = at[near] - x
        width = max(WINDOW, 1.01 * np.sort(np.abs(away))[2])
        kernel = np.maximum(0.0, 1.0 - np.abs(away / width) ** 3) ** 3
        zeroth, first, second = (float(np.sum(kernel * away**k)) for k in range(3))
        weight = kernel * (second - first * away) / (zeroth * second - first**2)
        used = kernel > 0.0
        rows += [r] * int(used.sum())
        columns += near[used].tolist()
        weights += weight[used].tolist()
    return csr_array((weights, (rows, columns)), shape=(energy.size, nodes.size))


def leverage(
    nodes: Float[np.ndarray, " N"], stretch: Int[np.ndarray, " N"], edges: Float[np.ndarray, " D"]
) -> Float[np.ndarray, " N"]:
    """The largest variance, in units of a node's own, of any smooth value that draws on the node."""
    weights = node_weights(nodes, nodes, stretch, edges)
    variance = weights.multiply(weights).sum(axis=1)
    drawn_on = (weights != 0).astype(float)
    return np.asarray(drawn_on.multiply(variance[:, None]).max(axis=0).todense()).ravel()
