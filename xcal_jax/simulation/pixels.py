"""What an array of pixels adds to a result: deposits by pixel, spectra, and who shares a photon with whom.

A pixel has a deposit if it has more than `tally.PARTIAL` of a photon. The pixel hit is that of the first interaction.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xcal_jax.montecarlo.batch import Event
from xcal_jax.montecarlo.tally import PARTIAL, PixelTally, summed_energy
from xcal_jax.physics.geometry import Pixels

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
    of_pixel, apart = ("row", "column"), ("row_offset", "column_offset")
    found: dict[str, Any] = {
        "pixel_hits": (of_pixel, np.reshape(tally.hits, pixels.shape), "photons by the pixel hit"),
        "pixel_counts": (of_pixel, np.reshape(tally.counts, pixels.shape), "photons with a deposit in the pixel"),
        "central_spectrum": ("energy", tally.central[:bins], "photons by the deposit in the central pixel"),
        "caught_spectrum": ("energy", tally.caught[:bins], "deposits in pixels that were not hit"),
        "summed_spectrum": ("energy", tally.summed[:bins], "photons by the deposits in all pixels together"),
        "coincidences": (
            apart,
            np.reshape(tally.coincidences, (2 * rows - 1, 2 * columns - 1)),
            "photons with a deposit in the pixel hit and in the one so far from it",
        ),
        "shared": ((), tally.shared, "photons with deposits in more than one pixel"),
    }
    variables: dict[str, Any] = {
        name: (dims, data, {"units": "1", "long_name": text}) for name, (dims, data, text) in found.items()
    }
    summed = {"units": "eV", "long_name": "summed energy deposited in the pixel"}
    return result.assign(
        **variables,
        pixel_energy=(of_pixel, summed_energy(tally.deposited).reshape(pixels.shape), summed),
        escaped=((), summed_energy(tally.escaped), {"units": "eV", "long_name": "summed energy that left the array"}),
    ).assign_coords(
        row=("row", np.arange(rows), {"units": "1", "long_name": "row, along y"}),
        column=("column", np.arange(columns), {"units": "1", "long_name": "column, along x"}),
        row_offset=("row_offset", np.arange(1 - rows, rows), {"units": "1", "long_name": "rows from the pixel hit"}),
        column_offset=(
            "column_offset",
            np.arange(1 - columns, columns),
            {"units": "1", "long_name": "columns from the pixel hit"},
        ),
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
    """What neighbours have of ``events``, on the host; nothing without an array."""
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


def pixel_summary(result: xr.Dataset) -> dict:
    """Of an array: what its pixels share and catch, per interacting photon, and the lines that neighbours catch."""
    n = int(result.interacting)
    counts = result.pixel_counts
    share = int(result.shared) / n if n else float("nan")
    return {
        "rows": result.sizes["row"],
        "columns": result.sizes["column"],
        "shared": share,
        "shared_err": float(np.sqrt(share * (1.0 - share) / n)) if n else float("nan"),
        "mean_escaped_ev": float(result.escaped) / n if n else float("nan"),
        "hits": result.pixel_hits.values.tolist(),
        "counts": counts.values.tolist(),
        "mean_deposit_ev": (result.pixel_energy / counts.where(counts > 0)).values.tolist(),
        "caught_lines": caught_lines(result),
    }


def caught_lines(result: xr.Dataset) -> list[dict]:
    """Lines whole in a neighbour, the most frequent first: deposits within a bin of the line's energy.

    Lines that share a bin with a stronger one are counted with it; the continuum of electrons, by the median of the
    bins around, is not. intensity, err: per interacting photon.
    """
    width = result.energy.attrs["bin_width"]
    spectrum = result.caught_spectrum.values
    n = max(1, int(result.interacting))
    at = (result.line_energy.values / width).astype(int)
    found: list[dict] = []
    taken = np.zeros(spectrum.size + 2, bool)
    for line in np.argsort(-result.peaks.sum("source_energy").values, kind="stable"):
        near = slice(max(0, at[line] - 1), at[line] + 2)
        count = int(spectrum[near].sum())
        around = np.median(spectrum[max(0, at[line] - AROUND) : at[line] + AROUND + 1])
        excess = count - 3 * float(around)
        if taken[near].any() or excess < max(LEAST_COUNTS, SIGNIFICANT * np.sqrt(count)):
            continue
        taken[near] = True
        found.append(
            {
                "line": str(result.line.values[line]),
                "energy_ev": float(result.line_energy.values[line]),
                "intensity": excess / n,
                "err": float(np.sqrt(count)) / n,
            }
        )
    return sorted(found, key=lambda line: -line["intensity"])[:STRONGEST]
