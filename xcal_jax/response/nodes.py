"""The Monte Carlo at the nodes of a response: monochromatic photons over the whole top, at one energy after another.

Every node is a `Run` of its own. One compiled program serves all of them: the energy is data, and spectra are binned in
units of it. A node keeps counts: partial depositions, escape peaks line by line, and the rest, the loss continuum, in
cells of the deposited fraction of the energy. The cells are fine next to both ends, 3 % of the way to the nearer one.
"""

import os
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.compute.devices import Executor, in_parallel
from xcal_jax.compute.progress import Bar
from xcal_jax.io.checkpoint import Checkpoint
from xcal_jax.montecarlo.batch import lanes_for
from xcal_jax.montecarlo.tally import Tally
from xcal_jax.simulation.counting import Run, Task, count, matter_of, sum_of

BLOCK = 2**17  # photons, on all devices
BINS = 2**14  # of a node's spectrum
SCALE = BINS - 0.5  # bins to the photon energy: the last one begins half a bin below it
GROWTH = 1.03
IDS = 2**36  # photon ids set apart for one node
MOST_PHOTONS = 10**10  # at one node

_half = np.unique(np.round(np.geomspace(1.0, BINS // 2, 1 + int(np.log(BINS // 2) / np.log(GROWTH)))).astype(int))
CELLS = np.unique(np.concatenate([[0], _half, BINS - 1 - _half[_half < BINS // 2 - 1], [BINS - 1]]))
"""First bin of each cell, and the last bin, which holds what lost nothing."""
CELL_EDGES = np.append(CELLS[:-1] / SCALE, 1.0)
"""(K + 1,) boundaries of the cells as fractions of the photon energy."""


@dataclass(frozen=True)
class Settings:
    """Settings on which the counts at the nodes depend, besides the absorber and the node.

    tolerance: standard error of the partial fraction that every row is to have; photons: at every node instead,
    if not None; yields: fluorescence yields; electron_range: factor on all electron ranges.
    """

    tolerance: float = 1e-4
    photons: int | None = None
    seed: int = 1
    yields: str = "eadl"
    electron_range: float = 1.0


@dataclass(frozen=True)
class Node:
    """Counts at one energy.

    drawn: photons sent; photons: those that interacted; line, count: transitions seen as escape peaks, and how often;
    cells: (K,).
    """

    drawn: int
    photons: int
    partial: int
    photon_escape: int
    electron_escape: int
    line: np.ndarray
    count: np.ndarray
    cells: np.ndarray

    @classmethod
    def build(cls, tally: Tally, drawn: int, energy: float, line_energy: Float[np.ndarray, " T"]) -> "Node":
        """The node at ``energy`` eV of a ``tally`` of ``drawn`` photons: its escape peaks leave its spectrum.

        line_energy: eV, of all transitions. Raises RuntimeError where a peak is not in the spectrum.
        """
        line = np.flatnonzero(tally.peaks[0])
        count = np.asarray(tally.peaks)[0, line]
        spectrum = tally.spectrum.copy()
        for at, left in zip(((energy - line_energy[line]) / energy * SCALE).astype(int), count, strict=True):
            for bin_ in (at, at - 1, at + 1):  # single precision may put a peak one bin off
                taken = min(left, spectrum[bin_])
                spectrum[bin_] -= taken
                left -= taken
            if left:
                raise RuntimeError(
                    f"an escape peak at {energy:g} eV is not in the spectrum: this is a fault of the program"
                )
        partial = int(tally.partial)
        cells = np.add.reduceat(spectrum[: BINS - 1], CELLS[:-1])
        cells[-1] += partial - int(count.sum()) - int(cells.sum())  # losses below half a bin
        escapes = int(tally.photon_escape), int(tally.electron_escape)
        return cls(drawn, int(tally.interacting), partial, *escapes, line, count, cells)

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Node":
        """The node whose fields were kept as ``arrays``."""
        return cls(**{name: array if array.ndim else int(array) for name, array in arrays.items()})  # type: ignore[arg-type]


def simulate_nodes(
    absorber: Absorber,
    energy: Float[np.ndarray, " N"],
    leverage: Float[np.ndarray, " N"],
    settings: Settings,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = True,
    progress: bool = False,
    executor: Executor = in_parallel,
) -> list[Node]:
    """Send photons of each ``energy`` (eV) onto ``absorber``: as many as its ``leverage`` (1) asks for.

    checkpoint: a folder that keeps each node when it is done, left to the caller to remove (`remove_checkpoint`).
    resume: go on from what is there; else it begins anew. progress: show a bar. executor: who does the work,
    `in_parallel` or what `cluster.connect` yields. Raises ValueError where a setting makes no sense, or the checkpoint
    is of another run.
    """
    if not 1e-6 <= settings.tolerance <= 0.1:
        raise ValueError(f"`tolerance` must be from 1e-6 to 0.1, but is {settings.tolerance:g}")
    if settings.photons is not None and not 1 <= settings.photons <= MOST_PHOTONS:
        raise ValueError(f"photons per energy must be from 1 to {MOST_PHOTONS:g}, but are {settings.photons}")
    runs = [_run(absorber, float(np.float32(at)), settings) for at in energy]
    wanted = {
        "tolerance": repr(settings.tolerance),
        "number of photons": repr(settings.photons),
        "cells": f"{CELLS.size} of {BINS} bins, first block {BLOCK}",
    }
    facts = [{**run.facts(), **wanted, "leverage": f"{of:.9g}"} for run, of in zip(runs, leverage, strict=True)]
    line_energy = np.asarray(matter_of(absorber, settings.yields).relaxation.energy, dtype=np.float64).reshape(-1)
    work = partial(count_node, settings=settings)
    with closing(Checkpoint.open(checkpoint, resume)) as kept:
        done = {n: Node.from_arrays(arrays) for n in range(energy.size) if (arrays := kept.load(facts[n], n))}
        left = [n for n in range(energy.size) if n not in done]
        with (
            closing(executor(work, ((runs[n], n * IDS, float(leverage[n])) for n in left))) as tallies,
            Bar(energy.size, " energies", progress, len(done)) as bar,
        ):
            for n, (tally, drawn) in zip(left, tallies, strict=True):
                done[n] = Node.build(tally, drawn, runs[n].source.highest_energy, line_energy)
                kept.save(facts[n], vars(done[n]), n)
                bar.update()
    return [done[n] for n in range(energy.size)]


def count_node(node: tuple[Run, int, float], settings: Settings) -> tuple[Tally, int]:
    """The photons of a ``node``, its run, first photon and leverage: a block, and then what the tolerance asks for.

    Also how many were drawn.
    """
    run, first, leverage = node
    needed = settings.photons or BLOCK
    total = count(Task(run, first, first + min(BLOCK, needed)))
    if settings.photons is None:
        fraction = (int(total.partial) + 1) / (BLOCK + 2)
        needed = min(MOST_PHOTONS, max(BLOCK, round(leverage * fraction * (1.0 - fraction) / settings.tolerance**2)))
    if needed > BLOCK:
        total = sum_of([total, count(Task(run, first + BLOCK, first + needed))])
    return total, needed


def _run(absorber: Absorber, energy: float, settings: Settings) -> Run:
    """The run of the node at ``energy`` eV: a block on all devices takes BLOCK photons."""
    return Run.build(
        absorber,
        Source.build(energy),
        settings.seed,
        energy / SCALE,
        settings.yields,
        lanes_for(BLOCK),
        loss_above=(),
        electron_range=settings.electron_range,
    )
