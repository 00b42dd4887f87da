"""Inelastic collisions of electrons: PENELOPE's oscillators, and what each collision makes of an electron's energy.

The model is the Sternheimer-Liljequist generalised oscillator strength (F. Salvat, PENELOPE-2018,
NEA/MBDAV/R(2019)1, section 3.2). In a distant collision an oscillator takes its resonance energy, which in inner shells
is spread over a triangle above the ionisation energy. In a close collision it is hit like a free electron (Moller). The
model gives the stopping power of the tables to about 1 %, and is scaled to it.

A loss W sets an electron free with W less the ionisation energy and, in an inner shell, leaves a vacancy. The first
transition of the vacancy is sampled (EADL); its electron, if it emits one, may escape as well. Photons and the other
vacancies deposit their energy on the spot.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from xcal_jax.atomic import Element
from xcal_jax.atomic.electron import ElectronTables
from xcal_jax.constants import ELECTRON_REST_ENERGY as REST

RADIUS_SQUARED = 7.940787e-26  # cm2, of the classical electron radius
HARD = 100.0  # eV; larger losses are single collisions, smaller ones are spread along the path
GRID = 256  # points of the integrals over losses
LOSSES = 64  # equally probable outcomes of a hard collision
GOLDEN, PLASTIC = 0.6180339887, 0.7548776662  # steps of low-discrepancy sequences
Electrons = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Inelastic:
    """An element's inelastic collisions at R energies, per atom.

    density: (K, R, W) cm2/eV, cross section of each oscillator per loss, on a grid of losses; stopping: (R,) eV cm2,
    stopping power; transport_1, transport_2: (R,) cm2, transport cross sections.
    """

    density: np.ndarray
    stopping: np.ndarray
    transport_1: np.ndarray
    transport_2: np.ndarray

    @classmethod
    def build(
        cls, tables: ElectronTables, energy: Float[np.ndarray, " R"], window: Float[np.ndarray, " W"]
    ) -> "Inelastic":
        """The collisions at ``energy`` in eV; window: losses in eV, ascending."""
        e = energy[:, None]
        density = []
        stopping, first, second = np.zeros((3, energy.size))
        beta_squared = energy * (energy + 2 * REST) / (energy + REST) ** 2
        scale = 2 * np.pi * RADIUS_SQUARED * REST / beta_squared
        transverse = np.maximum(-np.log1p(-beta_squared) - beta_squared, 0.0)
        for electrons, ionisation, resonance in zip(tables.electrons, tables.ionisation, tables.resonance, strict=True):
            inner = ionisation > 0
            threshold = ionisation if inner else resonance
            hit = energy > threshold
            top = 3 * resonance - 2 * ionisation  # of an inner shell's triangle; near threshold it shrinks
            shrinks = inner & (energy < top)
            mean = np.where(shrinks, (energy + 2 * ionisation) / 3, resonance)
            cutoff = np.where(shrinks, ionisation * energy / top, threshold)
            top = np.where(shrinks, energy, top)
            mean = np.where(hit, mean, 0.5 * energy)
            # distant: recoil energies Q from the least that momentum allows up to the cutoff
            p, p_after = momentum(energy), momentum(energy - mean)
            least = np.hypot(p - p_after, REST) - REST
            least = np.where(least > 1e-9 * mean, least, mean**2 / (2 * beta_squared * REST))
            cutoff = np.maximum(cutoff, least)
            far = np.log(cutoff * (least + 2 * REST) / (least * (cutoff + 2 * REST))) + transverse
            far = np.where(hit, scale * electrons * far / mean, 0.0)
            q = np.exp(np.linspace(np.log(least), np.log(cutoff), 24))
            recoil = scale * electrons / mean / (1 + q / (2 * REST))  # cm2 per unit of ln Q
            mu = (q * (q + 2 * REST) - (p - p_after) ** 2) / (4 * p * p_after)
            first += np.where(hit, np.trapezoid(recoil * 2 * mu, np.log(q), axis=0), 0.0)
            second += np.where(hit, np.trapezoid(recoil * 6 * mu * (1 - mu), np.log(q), axis=0), 0.0)
            # close: losses from the threshold to half of the energy of the two electrons
            w = np.exp(np.linspace(np.log(threshold), np.log(np.maximum((energy + ionisation) / 2, threshold)), 64))
            close = moller(energy, energy + ionisation, w) * scale * electrons * w  # cm2 per unit of ln W
            left = np.maximum(energy - w, 1e-3)
            mu = 0.5 - 0.5 * np.sqrt(left * (energy + 2 * REST) / (energy * (left + 2 * REST)))
            stopping += far * mean + np.where(hit, np.trapezoid(close * w, np.log(w), axis=0), 0.0)
            first += np.where(hit, np.trapezoid(close * 2 * mu, np.log(w), axis=0), 0.0)
            second += np.where(hit, np.trapezoid(close * 6 * mu * (1 - mu), np.log(w), axis=0), 0.0)
            own = np.where(
                hit[:, None] & (window > threshold) & (window < (e + ionisation) / 2),
                scale[:, None] * electrons * moller(e, e + ionisation, window),
                0.0,
            )
            if inner:
                base = np.where(hit, top - ionisation, 1.0)[:, None]
                triangle = 2 * (top[:, None] - window) / base**2
                own += np.where(hit[:, None] & (window > ionisation), far[:, None] * np.maximum(triangle, 0.0), 0.0)
            density.append(own)
        return cls(np.array(density), np.maximum(stopping, 1e-40), first, second)


def momentum(energy: np.ndarray) -> np.ndarray:
    """Momentum in eV/c of an electron of ``energy`` eV."""
    return np.sqrt(np.maximum(energy * (energy + 2 * REST), 0.0))


def moller(energy: np.ndarray, shared: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Moller's cross section per loss ``w`` in eV, 1/eV2, but for a constant; shared: eV, of both electrons."""
    a = (energy / (energy + REST)) ** 2
    rest = np.maximum(shared - w, 0.5 * w)
    return 1 / w**2 + 1 / rest**2 - (1 - a) / (w * rest) + a / shared**2


def outcomes(
    window: Float[np.ndarray, " W"],
    density: Float[np.ndarray, "K R W"],
    ionisation: Float[np.ndarray, " K"],
    auger: list[Electrons],
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"], Float[np.ndarray, "2 R LOSSES"]]:
    """Cross section and stopping power of hard losses, and LOSSES equally probable outcomes (loss, electron) in eV.

    The electron of an outcome is the harder one of the electron that is knocked on and of that which the vacancy emits;
    the latter's energy has a minus sign. The softer one stays where it is.

    window: losses in eV, ascending from `HARD`; density: cross section per eV of K oscillators; ionisation: eV; auger:
    `first_electrons` of each oscillator. The stopping power is in eV times the unit of the cross section.

    Each row starts at another place in the sequence of oscillators. An oscillator that is hit less often than once in
    LOSSES collisions is in some rows only, in the right number of them: only the mean over rows has the right stopping
    power.
    """
    steps, middle = np.diff(window), 0.5 * (window[1:] + window[:-1])
    cells = np.moveaxis(0.5 * (density[..., 1:] + density[..., :-1]) * steps, 0, 1)  # (R, K, W - 1)
    total, stopping = cells.sum(axis=(1, 2)), (cells * middle).sum(axis=(1, 2))
    result = np.zeros((2, density.shape[1], LOSSES))
    result[0] = HARD
    for row in np.flatnonzero(total > 0.0):
        count = np.concatenate([[0.0], np.cumsum(cells[row])]) / total[row]
        lost = np.concatenate([[0.0], np.cumsum(cells[row] * middle)]) / total[row]
        ends = count[:: window.size - 1]
        place = (np.arange(LOSSES) + (GOLDEN * row) % 1.0) / LOSSES
        hit = np.minimum(np.searchsorted(ends, place, side="right") - 1, ionisation.size - 1)
        bins = np.floor(place * LOSSES) / LOSSES
        low, high = np.maximum(bins, ends[hit]), np.minimum(bins + 1.0 / LOSSES, ends[hit + 1])
        result[0, row] = np.diff(np.interp([low, high], count, lost), axis=0)[0] / (high - low)
        result[1, row] = np.maximum(result[0, row] - ionisation[hit], 0.0)
        uniform = (PLASTIC * (row * LOSSES + np.arange(LOSSES))) % 1.0
        for k in np.unique(hit):
            probability, energy = auger[k]
            if probability.size:
                chosen = np.searchsorted(np.cumsum(probability), uniform[hit == k])
                emitted = energy[np.minimum(chosen, energy.size - 1)]
                knocked = result[1, row, hit == k]
                result[1, row, hit == k] = np.where(emitted > knocked, -emitted, knocked)
    return total, stopping, result


def first_electrons(element: Element, ionisation: Float[np.ndarray, " K"]) -> list[Electrons]:
    """Probabilities of the transitions of each oscillator's vacancy, and the energies of their electrons in eV.

    A transition that emits a photon has energy 0. An oscillator with ``ionisation`` in eV is the subshell nearest in
    energy; conduction electrons leave no vacancy and have no transitions.
    """
    decays = []
    for energy in ionisation:
        nearest = np.argmin(np.abs(np.log(element.binding / energy))) if energy > 0 else None
        subshell = None if nearest is None else element.subshells[nearest]
        if subshell is None:
            decays.append((np.zeros(0), np.zeros(0)))
        else:
            electron = np.where(subshell.final2 < 0, 0.0, subshell.transition_energy)
            decays.append((subshell.probability, np.minimum(electron, energy)))
    return decays
