"""Collisions of electrons in a material: PENELOPE's oscillators, and the elastic law with PENELOPE's moments.

Inelastic: the Sternheimer-Liljequist generalised oscillator strength (F. Salvat, PENELOPE-2018, NEA/MBDAV/R(2019)1,
section 3.2). An oscillator is hit from afar, which costs it its resonance energy (spread over a triangle above the
ionisation energy in inner shells), or closely, as a free electron is (Moller). It gives the stopping power of the
tables to about 1 %, to which it is scaled.

Elastic: mu = (1 - cos)/2 follows Wentzel's law, density proportional to (mu + A)^-2, with A and the cross section
such that the first *and second* transport cross sections are those of the partial waves. The total cross section is
not kept: no path notices it, and collisions are fewer. Inelastic collisions turn electrons, too (a share of 1/Z):
their transport cross sections are added to the elastic ones.
"""

from dataclasses import dataclass

import numpy as np

from xcal_jax.atomic import Material, load_element
from xcal_jax.atomic.electron import ElectronTables, load_electron_tables
from xcal_jax.atomic.element import loglog

REST = 510998.95  # eV
RADIUS_SQUARED = 7.940787e-26  # cm2, of the classical electron radius
AVOGADRO = 6.02214076e23
EV_PER_MEV = 1e6
HARD = 100.0  # eV; larger losses happen one by one, smaller ones all along the path
LOSSES = 64  # equal steps of probability in which hard losses are tabulated
GRID = 256  # points of the integrals over losses
STARTS, GOES_ON = 3.5, 4.0  # standard deviations of the displacement along an axis beyond which no electron gets
ISOTROPIC = 1e3  # screening A of a law that is isotropic to 1e-3


@dataclass(frozen=True)
class Collisions:
    """A material at R electron energies.

    elastic, hard: (R,) cm2/g, of turning and of losing more than `HARD`; screening: (R,) A of Wentzel's law
    soft: (R,) eV cm2/g, stopping power of the smaller losses; stopping: (R,) eV cm2/g, of all
    range: (R,) g/cm2, of slowing down to the first energy
    reach: (2, R) g/cm2, how far along an axis an electron gets from its start, and from any later place
    loss, ionisation: (R, LOSSES + 1) eV, a hard loss and the share of it that the shell keeps, by probability
    """

    elastic: np.ndarray
    hard: np.ndarray
    screening: np.ndarray
    soft: np.ndarray
    stopping: np.ndarray
    range: np.ndarray
    reach: np.ndarray
    loss: np.ndarray
    ionisation: np.ndarray

    @classmethod
    def build(cls, material: Material, energy: np.ndarray) -> "Collisions":
        """At ``energy`` (R,) eV, by Bragg's rule in compounds: elements contribute as they do alone."""
        window = np.geomspace(HARD, max(energy[-1], 2 * HARD), GRID)
        density, kept = np.zeros((2, len(energy), GRID))  # per eV of loss
        stopping, first, second = np.zeros((3, len(energy)))
        for symbol, fraction in zip(material.elements, material.mass_fraction, strict=True):
            tables = load_electron_tables(symbol)
            atoms = AVOGADRO * fraction / load_element(symbol).weight
            model = Inelastic.build(tables, energy, window)
            collision = loglog(energy, tables.stopping_energy, tables.collision)
            scale = collision * EV_PER_MEV * fraction / model.stopping
            transport_1, transport_2 = tables.transport(energy)
            stopping += tables.stopping_power(energy) * EV_PER_MEV * fraction
            first += atoms * transport_1 + scale * model.transport_1
            second += atoms * transport_2 + scale * model.transport_2
            density += scale[:, None] * model.density
            kept += scale[:, None] * model.kept
        steps = 0.5 * (density[:, 1:] + density[:, :-1]) * np.diff(window)
        count = np.concatenate([np.zeros((len(energy), 1)), np.cumsum(steps, axis=1)], axis=1)
        loss, ionisation = quantiles(window, count, kept / np.where(density > 0, density, 1.0))
        lost = count[:, -1] * mean_loss(loss)
        screening, elastic = wentzel(first, second)
        path = slowing_down(energy, stopping)
        reach = np.minimum(path, np.outer([STARTS, GOES_ON], displacement(path, first)) / np.sqrt(3))
        return cls(elastic, count[:, -1], screening, stopping - lost, stopping, path, reach, loss, ionisation)


@dataclass(frozen=True)
class Inelastic:
    """An element's inelastic collisions at R energies, per atom.

    density: (R, W) cm2/eV over a grid of losses; kept: (R, W) cm2, the same times the ionisation energy;
    stopping: (R,) eV cm2; transport_1, transport_2: (R,) cm2.
    """

    density: np.ndarray
    kept: np.ndarray
    stopping: np.ndarray
    transport_1: np.ndarray
    transport_2: np.ndarray

    @classmethod
    def build(cls, tables: ElectronTables, energy: np.ndarray, window: np.ndarray) -> "Inelastic":
        """At ``energy`` (R,) eV; ``window``: (W,) eV, losses, ascending."""
        e = energy[:, None]
        density, kept = np.zeros((2, energy.size, window.size))
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
            # from afar: recoil energies Q from the least that momentum allows up to the cutoff
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
            # closely: losses from the threshold to half of what the two electrons share
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
            density += own
            kept += own * ionisation
        return cls(density, kept, np.maximum(stopping, 1e-40), first, second)


def momentum(energy: np.ndarray) -> np.ndarray:
    """Of an electron, eV/c."""
    return np.sqrt(np.maximum(energy * (energy + 2 * REST), 0.0))


def moller(energy: np.ndarray, shared: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Moller's cross section per loss ``w`` eV, 1/eV2, but for a constant; ``shared``: eV, by the two electrons."""
    a = (energy / (energy + REST)) ** 2
    rest = np.maximum(shared - w, 0.5 * w)
    return 1 / w**2 + 1 / rest**2 - (1 - a) / (w * rest) + a / shared**2


def quantiles(window: np.ndarray, count: np.ndarray, ionisation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses (R, LOSSES + 1) eV at equal steps of probability, and the ionisation energy there.

    window: (W,) eV; count: (R, W), cumulated; ionisation: (R, W) eV.
    """
    loss, kept = np.full((2, len(count), LOSSES + 1), [[[HARD]], [[0.0]]])
    for row, (cumulated, own) in enumerate(zip(count, ionisation, strict=True)):
        if cumulated[-1] > 0:
            keep = np.flatnonzero(np.diff(cumulated, prepend=-1.0) > 0)
            share = np.linspace(0.0, 1.0, LOSSES + 1) * cumulated[-1]
            loss[row] = 1 / np.interp(share, cumulated[keep], 1 / window[keep])
            kept[row] = np.minimum(np.interp(loss[row], window, own), loss[row])
    return loss, kept


def mean_loss(loss: np.ndarray) -> np.ndarray:
    """Mean (R,) eV of losses drawn from ``loss`` (R, LOSSES + 1) eV, whose inverse is linear within a step."""
    high, low = 1 / loss[:, :-1], 1 / loss[:, 1:]
    wide = high - low > 1e-9 * high
    return np.mean(np.where(wide, np.log(high / low) / np.where(wide, high - low, 1.0), loss[:, :-1]), axis=1)


def slowing_down(energy: np.ndarray, stopping: np.ndarray) -> np.ndarray:
    """Range (R,) g/cm2 from each ``energy`` (R,) eV to the first; stopping: (R,) eV cm2/g."""
    steps = 0.5 * (1 / stopping[1:] + 1 / stopping[:-1]) * np.diff(energy)
    return np.concatenate([[0.0], np.cumsum(steps)])


def displacement(path: np.ndarray, transport: np.ndarray) -> np.ndarray:
    """Root mean square distance (R,) g/cm2 between the ends of tracks of ranges ``path`` (R,), by Lewis's theory.

    transport: (R,) cm2/g. The mean displacement z along the first direction obeys dz/dR = 1 - z transport, and the
    mean square distance is twice the integral of z over R (H.W. Lewis 1950, doi 10.1103/PhysRev.78.526).
    """
    forward, square = np.zeros((2, path.size))
    for row, step in enumerate(np.diff(path)):
        turn = 0.5 * (transport[row] + transport[row + 1])
        forward[row + 1] = forward[row] * np.exp(-step * turn) - np.expm1(-step * turn) / turn
        square[row + 1] = square[row] + step * (forward[row] + forward[row + 1])
    return np.sqrt(square)


def wentzel(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Screening A (R,) and cross section (R,) of Wentzel's law with these transport cross sections (R,).

    Where the second falls below the first, as in no such law, it is isotropic.
    """
    a = np.geomspace(1e-7, ISOTROPIC, 2000)
    log = np.log1p(1 / a)
    mean = a * ((1 + a) * log - 1)
    square = a * (1 + a) * (1 - 2 * a * log + a / (1 + a))
    mean[a > 100], square[a > 100] = 0.5, 1 / 3  # beyond, the difference of the logarithms has no digits left
    ratio = np.clip(second / first, 1.0, None)
    screening = np.exp(np.interp(-ratio, -3 * (1 - square / mean), np.log(a)))
    return screening, first / (2 * np.interp(np.log(screening), np.log(a), mean))
