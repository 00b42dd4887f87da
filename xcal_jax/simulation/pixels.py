"""Arrays of pixels in a result: deposits by pixel, spectra, and who shares a photon with whom.

A pixel has a deposit if it has more than `tally.PARTIAL` of a photon. The pixel hit is that of the first interaction.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xcal_jax.io.datasets import variable
from xcal_jax.montecarlo.batch import Event
from xcal_jax.montecarlo.tally import PARTIAL, PixelTally, summed_energy
from xcal_jax.physics.geometry import Pixels
from xcal_jax.simulation.vocabulary import count, fraction, fraction_error

ADDED = (
    "pixel_hits",
    "pixel_counts",
    "pixel_energy",
    "central_spectrum",
    "caught_spectrum",
    "summed_spectrum",
    "coincidences",
    "shared",
    "escaped",
)
STRONGEST = 12  # lines that neighbours catch, of a summary
LEAST_COUNTS = 10  # of such a line
SIGNIFICANT = 4.0  # standard errors above the continuum
AROUND = 25  # bins on each side, whose median is the continuum


def add_pixels(result: xr.Dataset, pixels: Pixels, tally: PixelTally) -> xr.Dataset:
    """``result`` with the variables of ADDED, over rows (along y), columns (along x) and deposited energy."""
    rows, columns = pixels.shape
    bins = result.sizes["energy"]
    by_pixel, offsets = ("row", "column"), (2 * rows - 1, 2 * columns - 1)
    found: dict[str, tuple[Any, ...]] = {
        "pixel_hits": (by_pixel, np.reshape(tally.hits, pixels.shape)),
        "pixel_counts": (by_pixel, np.reshape(tally.counts, pixels.shape)),
        "pixel_energy": (by_pixel, summed_energy(tally.deposited).reshape(pixels.shape)),
        "central_spectrum": ("energy", tally.central[:bins]),
        "caught_spectrum": ("energy", tally.caught[:bins]),
        "summed_spectrum": ("energy", tally.summed[:bins]),
        "coincidences": (("row_offset", "column_offset"), np.reshape(tally.coincidences, offsets)),
        "shared": ((), tally.shared),
        "escaped": ((), summed_energy(tally.escaped)),
    }
    return result.assign({name: count(name, *of) for name, of in found.items()}).assign_coords(
        row=variable("row", np.arange(rows), "1", "row, along y"),
        column=variable("column", np.arange(columns), "1", "column, along x"),
        row_offset=variable("row_offset", np.arange(1 - rows, rows), "1", "rows from the pixel hit"),
        column_offset=variable("column_offset", np.arange(1 - columns, columns), "1", "columns from the pixel hit"),
    )


class Caught(NamedTuple):
    """Deposits of a block of events in pixels that were not hit, (m,) each, ordered by event.

    event: its row; pixel: who caught; energy: eV; x, y: um, the first interaction seen from that pixel's centre.
    """

    event: np.ndarray
    pixel: np.ndarray
    energy: np.ndarray
    x: np.ndarray
    y: np.ndarray


def caught(events: Event, pixels: Pixels | None) -> Caught:
    """The deposits of ``events`` in neighbours, on the host; nothing without an array."""
    if pixels is None or events.caught is None:
        return Caught(*(np.zeros(0, kind) for kind in (int, int, float, float, float)))
    energy, pixel = np.asarray(events.caught), np.asarray(events.catching)
    event, slot = np.nonzero(energy > PARTIAL)
    home, pixel = np.asarray(events.pixel)[event], pixel[event, slot]
    columns = pixel % pixels.columns - home % pixels.columns
    rows = pixel // pixels.columns - home // pixels.columns
    x = np.asarray(events.x)[event] - float(pixels.pitch_x) * columns
    y = np.asarray(events.y)[event] - float(pixels.pitch_y) * rows
    return Caught(event, pixel, energy[event, slot], x, y)


def has_pixels(result: xr.Dataset) -> bool:
    """Whether ``result`` is of an array."""
    return "pixel_hits" in result


def pixel_summary(result: xr.Dataset) -> dict[str, Any]:
    """Fractions that the pixels of an array share and catch, per interacting photon; the lines that neighbours catch.

    Energies are in eV: `mean_escaped` left the array, of an interacting photon; `mean_deposit` is by pixel, of the
    photons that left one there.
    """
    n = int(result.interacting)
    counts = result.pixel_counts
    return {
        "rows": result.sizes["row"],
        "columns": result.sizes["column"],
        "shared": fraction(result.shared, n),
        "shared_err": fraction_error(result.shared, n),
        "mean_escaped": fraction(result.escaped, n),
        "hits": result.pixel_hits.values.tolist(),
        "counts": counts.values.tolist(),
        "mean_deposit": (result.pixel_energy / counts.where(counts > 0)).values.tolist(),
        "caught_lines": caught_lines(result),
    }


def caught_lines(result: xr.Dataset) -> list[dict[str, Any]]:
    """Lines whole in a neighbour, the most frequent first: deposits within a bin of the line's energy (eV).

    A line that shares a bin with a stronger one is counted with it. The continuum of electrons, which is the median of
    the bins around, is subtracted. intensity, intensity_err: per interacting photon.
    """
    width = result.energy.attrs["bin_width"]
    spectrum = result.caught_spectrum.values
    n = max(1, int(result.interacting))
    at = (result.line_energy.values / width).astype(int)
    found: list[dict[str, Any]] = []
    taken = np.zeros(spectrum.size + 2, bool)
    for line in np.argsort(-result.peaks.sum("source_energy").values, kind="stable"):
        near = slice(max(0, at[line] - 1), at[line] + 2)
        deposits = int(spectrum[near].sum())
        around = np.median(spectrum[max(0, at[line] - AROUND) : at[line] + AROUND + 1])
        excess = deposits - 3 * float(around)
        if taken[near].any() or excess < max(LEAST_COUNTS, SIGNIFICANT * np.sqrt(deposits)):
            continue
        taken[near] = True
        found.append(
            {
                "line": str(result.line.values[line]),
                "energy": float(result.line_energy.values[line]),
                "intensity": excess / n,
                "intensity_err": float(np.sqrt(deposits)) / n,
            }
        )
    return sorted(found, key=lambda line: -line["intensity"])[:STRONGEST]
