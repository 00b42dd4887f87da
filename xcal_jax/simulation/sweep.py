"""Sweeps: one absorber after another over a grid, with common random numbers, to one Dataset.

Photon k draws the same numbers at every point of the grid, so what two points have in common cancels in their
difference (`paired_difference`). Thicknesses, energies and positions are data: such points share one compiled program.
"""

import os
from contextlib import closing
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xcal_jax.compute.devices import Executor, in_parallel
from xcal_jax.compute.fingerprint import provenance
from xcal_jax.compute.progress import Bar
from xcal_jax.io.arguments import checked
from xcal_jax.io.checkpoint import Checkpoint
from xcal_jax.montecarlo.batch import LEAST_LANES
from xcal_jax.montecarlo.tally import Tally
from xcal_jax.simulation import vocabulary
from xcal_jax.simulation.counting import Prepared, Run, Task, count, sum_of
from xcal_jax.simulation.results import ESCAPES, partial_count, to_dataset
from xcal_jax.simulation.sweep_grid import Grid
from xcal_jax.units import shown

KIND = "xcal_jax absorber sweep"
BATCHES = 16  # of every point's photons, whose scatter gives the errors of differences


@checked
def sweep(
    grid: Grid | str | os.PathLike[str] | dict[str, Any],
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = True,
    progress: bool = False,
    executor: Executor = in_parallel,
) -> xr.Dataset:
    """Simulate every point of ``grid``: the counts of `simulate`, with the grid's dimensions in front.

    grid: a `Grid`, the TOML file that describes one, or the tables of such a file (`Grid.load`).
    checkpoint: a folder that keeps each point when it is done, left to the caller to remove (`remove_checkpoint`).
    resume: go on from what is there; else it begins anew. progress: show a bar. executor: who does the work,
    `in_parallel` or what `cluster.connect` yields. Raises ValueError where a point makes no sense, before any is
    begun, or the checkpoint is of another sweep.

    >>> found = sweep({"absorber": "xifu", "n": 1000, "energy": "7 keV", "grid": {"layers.1.thickness": [3, 4, 5]}})
    >>> found.partial.dims, found.thickness_1.values.tolist()
    (('thickness_1',), [3.0, 4.0, 5.0])
    """
    grid = grid if isinstance(grid, Grid) else Grid.load(grid)
    ends = np.linspace(0, grid.n, min(BATCHES, grid.n) + 1).astype(int).tolist()
    lanes = min(Run.build(*grid.point(0)).block, max(LEAST_LANES, 1 << (ends[1] - 1).bit_length()))
    runs = [
        Run.build(*grid.point(k), grid.seed, grid.bin_width, grid.yields, lanes, grid.highest_energy)
        for k in range(grid.size)
    ]
    facts = [{**run.facts(), "number of photons": str(grid.n)} for run in runs]
    with closing(Checkpoint.open(checkpoint, resume)) as kept:
        done = {k: arrays for k in range(grid.size) if (arrays := kept.load(facts[k], k))}
        tasks = [(k, *batch) for k in range(grid.size) if k not in done for batch in pairwise(ends)]
        batches: list[Tally] = []
        with (
            closing(executor(count, (Task(runs[k], first, stop) for k, first, stop in tasks))) as tallies,
            Bar(grid.size * grid.n, " photons", progress, len(done) * grid.n) as bar,
        ):
            for (k, first, stop), tally in zip(tasks, tallies, strict=True):
                batches.append(tally)
                bar.update(stop - first)
                if stop == grid.n:
                    done[k] = _point(batches)
                    kept.save(facts[k], done[k], k)
                    batches = []
    points = [_dataset(run, done[k], grid.n) for k, run in enumerate(runs)]
    return _joined(points, grid)


@checked
def paired_difference(result: xr.Dataset, dimension: str) -> xr.Dataset:
    """Partial fractions less that of the first point along ``dimension``, with errors: `difference`, `error`.

    The errors come from the batches, which share their random numbers: they are smaller than those of independent
    runs. Raises ValueError where the result has no such dimension.
    """
    if dimension not in result.partial.dims:
        raise ValueError(f"`dimension` must be one of {', '.join(result.partial.dims)}, but is {shown(dimension)}")
    by_batch = result.partial_in_batch / result.interacting_in_batch
    scatter = (by_batch - by_batch.isel({dimension: 0}, drop=True)).std("batch", ddof=1)
    difference = result.partial - result.partial.isel({dimension: 0}, drop=True)
    error = scatter / np.sqrt(result.sizes["batch"])
    found = xr.Dataset({"difference": difference, "error": error})
    found.difference.attrs = {"units": "1", "long_name": f"partial fraction less that of the first {dimension}"}
    found.error.attrs = {"units": "1", "long_name": "standard error of the difference"}
    return found


def table(result: xr.Dataset) -> pd.DataFrame:
    """The points of a sweep, one a row: what varies, how likely an interaction is, and fractions of those that did.

    Columns: the coordinates of the grid, `interaction_probability`, `partial` with `partial_err`, and the kinds of
    partial deposition.
    """
    fractions = {name: result[name] / result.interacting for name in ESCAPES}
    likely = result.source_probability * result.interacting / np.maximum(1, result.photons)
    points = likely.to_dataset(name="interaction_probability")
    points = points.assign({name: result[name] for name in ("partial", "partial_err")} | fractions)
    frame = points.to_dataframe().reset_index()
    return frame[[*(name for name in frame.columns if name not in points.data_vars), *points.data_vars]]


def _point(batches: list[Tally]) -> dict[str, Any]:
    """A point's sums, and its partial ones batch by batch."""
    return {
        **sum_of(batches).arrays(),
        "partial_in_batch": np.array([b.partial for b in batches]),
        "interacting_in_batch": np.array([b.interacting for b in batches]),
    }


def _dataset(run: Run, arrays: dict[str, Any], n: int) -> xr.Dataset:
    fields = dict(arrays)
    in_batch = {name: fields.pop(name) for name in ("partial_in_batch", "interacting_in_batch")}
    prepared = Prepared.build(run)
    point = to_dataset(prepared, Tally.from_arrays(fields), photons=n, asked=n)
    peaks = point.peaks.sum("source_energy").assign_attrs(point.peaks.attrs)
    point = point.drop_dims("source_energy").assign(peaks=peaks)
    for name, counts in in_batch.items():
        point[name] = vocabulary.count(name.removesuffix("_in_batch"), "batch", counts)
    return point


def _joined(points: list[xr.Dataset], grid: Grid) -> xr.Dataset:
    """One Dataset of all points, the grid's dimensions in front."""
    aligned = xr.align(*points, join="outer", fill_value=0)
    shape = tuple(grid.shape.values())
    joined = xr.Dataset(coords={**aligned[0].coords, **grid.coordinates()})
    for name, first in aligned[0].data_vars.items():
        if name == "line_energy":
            energy = np.max([point[name].values for point in aligned], axis=0)
            joined = joined.assign_coords(line_energy=("line", energy, first.attrs))
            continue
        values = np.stack([point[name].values for point in aligned])
        joined[name] = ((*grid.shape, *first.dims), values.reshape(*shape, *values.shape[1:]), first.attrs)
    fraction = partial_count(joined) / joined.interacting
    error = np.sqrt(fraction * (1.0 - fraction) / joined.interacting)
    joined["partial"] = vocabulary.variable("partial", fraction.dims, fraction.values)
    joined["partial_err"] = vocabulary.error("partial", error.dims, error.values)
    return joined.assign_attrs(
        kind=KIND,
        title=f"Sweep over {', '.join(grid.shape)}",
        **provenance(),
        sweep=grid.text,
        absorber=grid.absorber.to_toml(),
        yields=grid.yields,
        seed=str(grid.seed),
        **{name: "\n".join(_sentences(points, name)) for name in ("compared", "outside")},
    )


def _sentences(points: list[xr.Dataset], name: str) -> list[str]:
    """The sentences in the attribute ``name`` of any point, each once."""
    return list(dict.fromkeys(sentence for point in points for sentence in point.attrs[name].splitlines()))
