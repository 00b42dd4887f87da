"""An event list of this program -> its spectrum, as a detector sees it, in a PHA file."""

import os
from dataclasses import dataclass

import numpy as np

from xcal_jax.montecarlo.batch import PASSED
from xcal_jax.response.measurement import Measurement
from xcal_jax.simulation.events import load_events
from xcal_jax.spectra.writers import write_pha


@dataclass(frozen=True)
class Binned:
    """counts: of the spectrum; outside: events in no channel; exposure: s."""

    counts: int
    outside: int
    exposure: float


def spectrum_of_events(
    events: str | os.PathLike,
    measurement: Measurement,
    output: str | os.PathLike,
    arf: str | os.PathLike | None = None,
    exposure: float | None = None,
    cards: dict | None = None,
) -> Binned:
    """Write the spectrum of the list ``events`` as ``measurement`` sees it to ``output``.

    A list that was measured for the same matrix keeps its channels. exposure: s; that of the list where it is None,
    one second a photon. Raises ValueError where the list is none, or the exposure is not positive.
    """
    found = load_events(events)
    met = (found.loss_type.values & PASSED) == 0
    seconds = float(found.attrs.get("exposure", found.sizes["photon"])) if exposure is None else exposure
    if not seconds > 0.0:
        raise ValueError(f"the exposure must be positive, but is {seconds:g} s")
    if found.attrs.get("rmf") == measurement.rmf:
        channel = found.channel.values[met]
    else:
        rows = found.sizes["photon"]
        photon = found.photon_id.values if "photon_id" in found else np.arange(rows)
        pixel = found.pixel.values if "pixel" in found else np.zeros(rows, int)
        channel = measurement.measure(found.deposited.values.astype(float), photon, pixel)[1][met]
    first, last = measurement.channels
    inside = (channel >= first) & (channel <= last)
    counts = np.bincount(channel[inside] - first, minlength=last - first + 1)
    history = (f"Events of {os.path.basename(events)}, {measurement.resolution}, seed {measurement.seed}.",)
    write_pha(output, counts, first, seconds, measurement.rmf, arf, measurement.cards | (cards or {}), history)
    return Binned(int(counts.sum()), int(np.sum(~inside)), seconds)
