"""The Monte Carlo at the nodes of a response: monochromatic photons over the whole top, at one energy after another.

One compiled program serves all energies: the energy is data, and spectra are binned in units of it. What is kept of
a node are counts: partial depositions, escape peaks line by line, and the rest, the loss continuum, in cells of the
deposited share of the energy that are fine next to both ends (3 % of the way to the nearer one).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import YIELDS, table_hash
from xcal_jax.compute.devices import in_parallel
from xcal_jax.compute.process import check_like, shared_facts
from xcal_jax.constants import VERSION
from xcal_jax.io.checkpoint import SAVED_EVERY, load_checkpoint, save_checkpoint
from xcal_jax.montecarlo.batch import counted, lanes_for
from xcal_jax.montecarlo.state import Medium
from xcal_jax.simulation.results import line_names, partial_count

BLOCK = 2**17  # photons, on all devices
BINS = 2**14  # of a node's spectrum
SCALE = BINS - 0.5  # bins to the photon energy: the last one begins half a bin below it
GROWTH = 1.03
IDS = 2**36  # photon ids set apart for one node
MOST_PHOTONS = 10**10  # at one node

_half = np.unique(np.round(np.geomspace(1.0, BINS // 2, 1 + int(np.log(BINS // 2) / np.log(GROWTH)))).astype(int))
CELLS = np.unique(np.concatenate([[0], _half, BINS - 1 - _half[_half < BINS // 2 - 1], [BINS - 1]]))
"""First bin of each cell, and the last bin, which holds what lost nothing."""
CELL_SHARES = np.append(CELLS[:-1] / SCALE, 1.0)
"""(K + 1,) boundaries of the cells as shares of the photon energy."""


@dataclass(frozen=True)
class Settings:
    """What the counts at the nodes depend on, besides the absorber and the node.

    tolerance: standard error of the partial fraction that every row is to have; photons: at every node instead,
    if not None; electron_range: factor on all electron ranges.
    """

    tolerance: float = 1e-4
    photons: int | None = None
    seed: int = 1
    yields: str = "eadl"
    electron_range: float = 1.0

    def check(self) -> None:
        """Raise ValueError where a number makes no sense."""
        if not (isfinite(self.tolerance) and 1e-6 <= self.tolerance <= 0.1):
            raise ValueError(f"`tolerance` must be from 1e-6 to 0.1, but is {self.tolerance:g}")
        if self.photons is not None and not 1 <= self.photons <= MOST_PHOTONS:
            raise ValueError(f"photons per energy must be from 1 to {MOST_PHOTONS:g}, but are {self.photons}")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"`seed` must be at least 0 and below 2^64, but is {self.seed}")
        if self.yields not in YIELDS:
            raise ValueError(f"`yields` must be one of {', '.join(YIELDS)}, but is {self.yields!r}")


@dataclass(frozen=True)
class Node:
    """Counts at one energy. line, count: transitions seen as escape peaks, and how often; cells: (K,)."""

    photons: int
    partial: int
    photon_escape: int
    electron_escape: int
    line: np.ndarray
    count: np.ndarray
    cells: np.ndarray


def simulate_nodes(
    absorber: Absorber,
    energy: np.ndarray,
    leverage: np.ndarray,
    settings: Settings,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = False,
    spread: Callable = in_parallel,
) -> list[Node]:
    """Send photons of each ``energy`` (N,) eV onto ``absorber``: as many as its ``leverage`` (N,) asks for.

    checkpoint: a file that keeps the nodes done so far, taken up again if it is of the same run; it is left to the
    caller to remove. progress: show a bar. spread: who does the work, `in_parallel` or what `cluster.spreading`
    yields. An interruption saves what is done and goes on up.
    """
    settings.check()
    name = run_name(absorber, energy, settings)
    done = _kept(checkpoint, name) if checkpoint else {}
    left = [n for n in range(energy.size) if n not in done]

    toml, asked = absorber.to_toml(), shared_facts()
    tasks = (Task(toml, settings, asked, n, float(np.float32(energy[n])), float(leverage[n])) for n in left)

    def save() -> None:
        if checkpoint:
            save_checkpoint(checkpoint, {}, {"name": np.array(name), **_columns(done)})

    saved = time.monotonic()
    with (
        closing(spread(count_task, tasks)) as results,
        tqdm(total=energy.size, initial=len(done), unit=" energies", disable=None if progress else True) as bar,
    ):
        try:
            for n, node in zip(left, results, strict=True):
                done[n] = node
                bar.update()
                if time.monotonic() - saved > SAVED_EVERY:
                    save()
                    saved = time.monotonic()
        except KeyboardInterrupt:
            save()
            raise
    return [done[n] for n in range(energy.size)]


class Task(NamedTuple):
    """Node ``n`` of an absorber in TOML, to be counted in any process. asked: `shared_facts`."""

    absorber: str
    settings: Settings
    asked: tuple[str, ...]
    n: int
    energy: float
    leverage: float


def count_task(task: Task) -> Node:
    """The node of ``task``. Raises ValueError where this process would count it differently."""
    with jax.enable_x64("float64" in task.asked):
        medium, line_energy = _prepared(task.absorber, task.settings, task.asked)
        return run_node(medium, line_energy, task.energy, task.leverage, task.settings, task.n * IDS)


@lru_cache(maxsize=2)
def _prepared(toml: str, settings: Settings, asked: tuple[str, ...]) -> tuple[Medium, np.ndarray]:
    check_like(asked)
    absorber = Absorber.from_toml(toml)
    matter = Matter.build(absorber, settings.yields)
    _, line_energy = line_names(absorber, matter)
    matter = replace(matter, electrons=matter.electrons.stretched(settings.electron_range))
    return jax.tree.map(jnp.asarray, Medium(absorber.stack, absorber.density, matter)), line_energy


def run_node(medium: Medium, line_energy: np.ndarray, energy: float, leverage: float, settings: Settings, first: int):
    """One `Node`: a block of photons, and then what the tolerance asks for after that."""
    source = jax.tree.map(jnp.asarray, Source.build(energy))
    lanes = lanes_for(BLOCK)

    def run(start: int, count: int):
        begin = first + start
        return counted(medium, source, settings.seed, begin, begin + count, energy / SCALE, lanes=lanes, bins=BINS)

    needed = settings.photons or BLOCK
    total = run(0, min(BLOCK, needed))
    if settings.photons is None:
        share = (int(partial_count(total)) + 1) / (BLOCK + 2)
        needed = min(MOST_PHOTONS, max(BLOCK, round(leverage * share * (1.0 - share) / settings.tolerance**2)))
    for start in range(BLOCK, needed, BLOCK):
        total = jax.tree.map(np.add, total, run(start, min(BLOCK, needed - start)))
    if total.overflow or total.unbalanced:
        raise RuntimeError(f"histories at {energy:g} eV do not balance: this is a fault of the program")
    return count_node(total, line_energy, energy)


def count_node(tally, line_energy: np.ndarray, energy: float) -> Node:
    """A `Node` of a tally: its escape peaks taken out of its spectrum."""
    line = np.flatnonzero(tally.peaks[0])
    count = tally.peaks[0, line]
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
    lost = int(partial_count(tally))
    cells = np.add.reduceat(spectrum[: BINS - 1], CELLS[:-1])
    cells[-1] += lost - int(count.sum()) - int(cells.sum())  # losses below half a bin
    return Node(int(tally.interacting), lost, int(tally.photon_escape), int(tally.electron_escape), line, count, cells)


def run_name(absorber: Absorber, energy: np.ndarray, settings: Settings) -> str:
    """A hash of all that the counts depend on."""
    facts = [absorber.to_toml(), energy.tolist(), asdict(settings), VERSION, table_hash(), BLOCK, CELLS.tolist()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _kept(checkpoint: str | os.PathLike, name: str) -> dict[int, Node]:
    """The nodes of the run ``name`` that a checkpoint holds; none if it does not exist or is of another run."""
    columns = load_checkpoint(checkpoint, {})
    return dict(_nodes(columns)) if str(columns.get("name")) == name else {}


def _columns(done: dict[int, Node]) -> dict[str, np.ndarray]:
    nodes = list(done.values())
    return {
        "index": np.array(list(done), dtype=np.int64),
        "sums": np.array([(n.photons, n.partial, n.photon_escape, n.electron_escape) for n in nodes], dtype=np.int64),
        "lines": np.array([n.line.size for n in nodes], dtype=np.int64),
        "line": np.concatenate([np.empty(0, np.int64), *(n.line for n in nodes)]),
        "count": np.concatenate([np.empty(0, np.int64), *(n.count for n in nodes)]),
        "cells": np.array([n.cells for n in nodes], dtype=np.int64).reshape(-1, CELLS.size - 1),
    }


def _nodes(columns: dict[str, np.ndarray]) -> Iterator[tuple[int, Node]]:
    ends = np.cumsum(columns["lines"])
    for n, index in enumerate(columns["index"]):
        seen = slice(ends[n] - columns["lines"][n], ends[n])
        photons, lost, photon, electron = (int(value) for value in columns["sums"][n])
        line, count, cells = columns["line"][seen], columns["count"][seen], columns["cells"][n]
        yield int(index), Node(photons, lost, photon, electron, line, count, cells)
