"""The yardstick: the same physics as a straightforward compiled program, one photon after another, on all cores.

What a good engineer writes first: numba, scalars, loops, a stack of vacancies and one of photons. It reads the tables
that `Matter` holds and draws from them as cheaply as we do (alias tables, inverted laws, Eq. 3 in closed form).
Every cascade is walked vacancy by vacancy, and every electron along its track; with ``rejecting``, the first
improvement that one would make, electrons that cannot reach any face are left out.
Range electrons, a line uniform over the top, normal incidence, forced interactions.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter
from xcal_jax.constants import ELECTRON_REST_ENERGY, ENERGY_RANGE

CHUNK = 2**14  # photons to a loop of one core
DEEPEST = 256  # vacancies, or photons, that may wait
A, B, C, UNIT = -4.5467, 0.31104, 0.07773, 1e-2  # Eq. 3 with the plus
PARTIAL = 1e-3  # eV
LOG_LOW, LOG_HIGH = math.log(ENERGY_RANGE[0]), math.log(ENERGY_RANGE[1])


class Tables(NamedTuple):
    """`Matter` and the absorber as plain arrays; see there for what they hold."""

    thickness: np.ndarray
    sides: np.ndarray
    density: np.ndarray
    material: np.ndarray
    electron_cost: np.ndarray
    energy: np.ndarray
    log_attenuation: np.ndarray
    cell_row: np.ndarray
    cell_edge: np.ndarray
    threshold: np.ndarray
    alias: np.ndarray
    code: np.ndarray
    cosine: np.ndarray
    binding: np.ndarray
    decays: np.ndarray
    transition_energy: np.ndarray
    radiative: np.ndarray
    first: np.ndarray
    second: np.ndarray
    free_threshold: np.ndarray
    free_alias: np.ndarray
    elements: int
    rejecting: bool


def tables_of(absorber: Absorber, rejecting: bool = False) -> Tables:
    """The tables of ``absorber``; rejecting: leave out tracks of electrons that cannot reach a face."""
    matter = Matter.build(absorber)
    attenuation, relaxation = matter.attenuation, matter.relaxation
    material = np.array(matter.layer_material)
    channels = np.asarray(attenuation.code).shape[1]
    rows = np.asarray(attenuation.energy).size
    double = lambda array: np.asarray(array, dtype=np.float64)  # noqa: E731
    return Tables(
        double(absorber.thickness),
        double([absorber.width, absorber.length]),
        double(absorber.density),
        material,
        double(absorber.density) * double(matter.electrons.z_over_a),
        double(attenuation.energy),
        double(attenuation.log_mass_attenuation),
        np.asarray(attenuation.cell_row),
        double(attenuation.cell_edge),
        double(attenuation.channels.threshold).reshape(-1, rows, channels),
        np.asarray(attenuation.channels.alias).reshape(-1, rows, channels),
        np.asarray(attenuation.code),
        double(matter.angles.cosine),
        double(relaxation.binding),
        np.asarray(relaxation.decays),
        double(relaxation.energy),
        np.asarray(relaxation.radiative),
        np.asarray(relaxation.first),
        np.asarray(relaxation.second),
        double(relaxation.analog.threshold),
        np.asarray(relaxation.analog.alias),
        np.asarray(relaxation.offset).size,
        rejecting,
    )


@njit(inline="always")
def uniform(state):
    """A number in (0, 1) from SplitMix64 (Steele et al. 2014, doi 10.1145/2660193.2660195); state: (1,) uint64."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (float(z >> np.uint64(11)) + 0.5) * 2.0**-53


@njit(inline="always")
def pick(threshold, alias, u):
    """An outcome of one alias row."""
    scaled = u * threshold.size
    column = int(scaled)
    return column if scaled - column < threshold[column] else alias[column]


@njit
def place(t, energy):
    """The row below ``energy`` and the share of the way to the next."""
    cells = t.cell_row.size
    low, high = math.log(t.energy[0]), math.log(t.energy[-1])
    cell = min(max(int((math.log(energy) - low) * cells / (high - low)), 0), cells - 1)
    row = t.cell_row[cell]
    for k in range(t.cell_edge.shape[1]):
        if energy >= t.cell_edge[cell, k]:
            row += 2
    return row, math.log(energy / t.energy[row]) / math.log(t.energy[row + 1] / t.energy[row])


@njit
def attenuate(t, row, share, attenuation):
    """1/um of each layer, into ``attenuation``."""
    for layer in range(t.thickness.size):
        log_ = t.log_attenuation[t.material[layer]]
        attenuation[layer] = 1e-4 * t.density[layer] * math.exp((1.0 - share) * log_[row] + share * log_[row + 1])


@njit
def scaled_range(energy):
    """Eq. 3."""
    x = math.log(max(energy, 1.0))
    return UNIT * math.exp(A + x * (B + C * x))


@njit
def energy_of_range(scaled):
    """Eq. 3 inverted."""
    if scaled <= UNIT * math.exp(A):
        return 0.0
    return math.exp((math.sqrt(B * B - 4.0 * C * (A - math.log(scaled / UNIT))) - B) / (2.0 * C))


@njit
def walk(t, x, y, depth, layer, dx, dy, dz, cost, budget):
    """Straight on until ``budget`` is used up or a face is crossed: (escaped, left, x, y, depth, layer)."""
    side = np.inf
    if dx != 0.0:
        side = (0.5 * t.sides[0] - math.copysign(x, x * dx)) / abs(dx)
    if dy != 0.0:
        side = min(side, (0.5 * t.sides[1] - math.copysign(y, y * dy)) / abs(dy))
    while True:
        to_face = np.inf
        if dz < 0.0:
            to_face = (t.thickness[layer] - depth) / -dz
        elif dz > 0.0:
            to_face = depth / dz
        inside = min(to_face, side)
        if budget < cost[layer] * inside:
            track = budget / cost[layer]
            return False, 0.0, x + dx * track, y + dy * track, depth - dz * track, layer
        budget -= cost[layer] * inside
        if side <= to_face:
            return True, budget, x, y, depth, layer
        x, y, side = x + dx * inside, y + dy * inside, side - inside
        layer += 1 if dz < 0.0 else -1
        if layer < 0 or layer == t.thickness.size:
            return True, budget, x, y, depth, 0
        depth = 0.0 if dz < 0.0 else t.thickness[layer]


@njit
def margin_of(t, x, y, depth, layer):
    """A lower bound of what an electron needs to reach any face."""
    above, below = t.electron_cost[layer] * depth, t.electron_cost[layer] * (t.thickness[layer] - depth)
    cheapest = t.electron_cost[0]
    for n in range(t.thickness.size):
        cheapest = min(cheapest, t.electron_cost[n])
        if n < layer:
            above += t.electron_cost[n] * t.thickness[n]
        elif n > layer:
            below += t.electron_cost[n] * t.thickness[n]
    return min(above, below, cheapest * min(0.5 * t.sides[0] - abs(x), 0.5 * t.sides[1] - abs(y)))


@njit
def isotropic(state):
    """A direction."""
    cosine, azimuth = 2.0 * uniform(state) - 1.0, 2.0 * math.pi * uniform(state)
    sine = math.sqrt((1.0 - cosine) * (1.0 + cosine))
    return sine * math.cos(azimuth), sine * math.sin(azimuth), cosine


@njit
def deflect(dx, dy, dz, cosine, state):
    """A direction turned by ``cosine`` and a uniform azimuth."""
    sine, azimuth = math.sqrt(max((1.0 - cosine) * (1.0 + cosine), 0.0)), 2.0 * math.pi * uniform(state)
    along, across = sine * math.cos(azimuth), sine * math.sin(azimuth)
    sign = -1.0 if dz < 0.0 else 1.0
    a = -1.0 / (sign + dz)
    b = dx * dy * a
    return (
        along * (1.0 + sign * dx * dx * a) + across * b + cosine * dx,
        along * sign * b + across * (sign + dy * dy * a) + cosine * dy,
        -along * sign * dx - across * dy + cosine * dz,
    )


@njit
def sample_cosine(t, law, energy, state):
    """The polar angle's cosine of an angular law, by inverted tables."""
    rows, columns = t.cosine.shape[1], t.cosine.shape[2]
    at = min(max((math.log(energy) - LOG_LOW) * (rows - 1) / (LOG_HIGH - LOG_LOW), 0.0), rows - 1.0)
    row = min(int(at), rows - 2)
    a = at - row
    v = (0.5 - math.sin(math.asin(1.0 - 2.0 * uniform(state)) / 3.0)) * (columns - 1)
    column = min(int(v), columns - 2)
    b = v - column
    low, high = t.cosine[law, row], t.cosine[law, row + 1]
    below = (1.0 - b) * low[column] + b * low[column + 1]
    return (1.0 - a) * below + a * ((1.0 - b) * high[column] + b * high[column + 1])


@njit
def escaping(t, x, y, depth, layer, dx, dy, dz, energy):
    """The energy with which an electron leaves; 0 if it stops inside."""
    escaped, left, _, _, _, _ = walk(t, x, y, depth, layer, dx, dy, dz, t.electron_cost, scaled_range(energy))
    return energy_of_range(left) if escaped else 0.0


@njit
def absorb(t, x, y, depth, layer, dx, dy, dz, energy, row, share, state, vacancies, waiting, photons):
    """What a photon does at an atom: scatters, or leaves an electron and a cascade. Returns (lost, photons)."""
    material = t.material[layer]
    if uniform(state) < share:
        row += 1
    code = t.code[material, pick(t.threshold[material, row], t.alias[material, row], uniform(state))]
    subshells = t.binding.size
    if code >= subshells:
        cosine = sample_cosine(t, 1 + code - subshells, energy, state)
        dx, dy, dz = deflect(dx, dy, dz, cosine, state)
        if code < subshells + t.elements:
            energy = energy / (1.0 + energy / ELECTRON_REST_ENERGY * (1.0 - cosine))
        waiting[photons] = (x, y, depth, layer, dx, dy, dz, energy)
        return 0.0, photons + 1
    lost = 0.0
    margin = margin_of(t, x, y, depth, layer) if t.rejecting else 0.0
    kinetic = energy - t.binding[code]
    if scaled_range(kinetic) > margin:
        ex, ey, ez = deflect(dx, dy, dz, sample_cosine(t, 0, kinetic, state), state)
        lost += escaping(t, x, y, depth, layer, ex, ey, ez, kinetic)
    vacancies[0] = code
    left = 1
    while left > 0:
        left -= 1
        s = vacancies[left]
        if not t.decays[s]:
            continue
        n = pick(t.free_threshold[s], t.free_alias[s], uniform(state))
        out = t.transition_energy[s, n]
        if t.radiative[s, n]:
            ex, ey, ez = isotropic(state)
            waiting[photons] = (x, y, depth, layer, ex, ey, ez, out)
            photons += 1
        elif t.second[s, n] >= 0 and scaled_range(out) > margin:
            ex, ey, ez = isotropic(state)
            lost += escaping(t, x, y, depth, layer, ex, ey, ez, out)
        vacancies[left] = t.first[s, n]
        left += 1
        if t.second[s, n] >= 0:
            vacancies[left] = t.second[s, n]
            left += 1
    return lost, photons


@njit
def history(t, energy, row, share, attenuation, through, state, vacancies, waiting, scratch):
    """The energy that one source photon, given that it interacts, does not deposit."""
    x, y = t.sides[0] * (uniform(state) - 0.5), t.sides[1] * (uniform(state) - 0.5)
    budget = -math.log1p(uniform(state) * math.expm1(-through))
    _, _, x, y, depth, layer = walk(t, x, y, 0.0, 0, 0.0, 0.0, -1.0, attenuation, min(budget, through * (1.0 - 1e-12)))
    lost, photons = absorb(t, x, y, depth, layer, 0.0, 0.0, -1.0, energy, row, share, state, vacancies, waiting, 0)
    while photons > 0:
        photons -= 1
        x, y, depth, layer, dx, dy, dz, energy = waiting[photons]
        row, share = place(t, energy)
        attenuate(t, row, share, scratch)
        escaped, _, x, y, depth, layer = walk(t, x, y, depth, layer, dx, dy, dz, scratch, -math.log(uniform(state)))
        if escaped:
            lost += energy
        else:
            more, photons = absorb(
                t, x, y, depth, layer, dx, dy, dz, energy, row, share, state, vacancies, waiting, photons
            )
            lost += more
    return lost


@njit(parallel=True)
def run(t, energy, n, seed, bins):
    """``n`` photons of ``energy`` eV: (spectrum (bins,) of 1 eV, photons that lost energy)."""
    chunks = (n + CHUNK - 1) // CHUNK
    spectrum = np.zeros((min(chunks, 64), bins), dtype=np.int64)
    partial = np.zeros(spectrum.shape[0], dtype=np.int64)
    row, share = place(t, energy)
    attenuation = np.empty(t.thickness.size)
    attenuate(t, row, share, attenuation)
    through = np.sum(attenuation * t.thickness)
    for core in prange(spectrum.shape[0]):
        state, scratch = np.zeros(1, dtype=np.uint64), np.empty(t.thickness.size)
        vacancies = np.empty(DEEPEST, dtype=np.int64)
        waiting = [(0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0) for _ in range(DEEPEST)]
        for chunk in range(core, chunks, spectrum.shape[0]):
            for photon in range(chunk * CHUNK, min((chunk + 1) * CHUNK, n)):
                state[0] = (np.uint64(seed) << np.uint64(44)) ^ np.uint64(photon)
                state[0] = np.uint64(uniform(state) * 2.0**63)
                lost = history(t, energy, row, share, attenuation, through, state, vacancies, waiting, scratch)
                spectrum[core, min(int(energy - lost), bins - 1)] += 1
                if lost > PARTIAL:
                    partial[core] += 1
    return spectrum.sum(axis=0), partial.sum()
