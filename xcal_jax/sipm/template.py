"""Templates (step 2): the rates of early quiet spectra without their noise peak, one per readout channel."""

import hashlib

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.spectra.dataset import check_spectra, select
from xcal_jax.units import parse_whole, shown

TEMPLATE_RULE = (
    "noise peak replaced by the rate of the first channel right of its maximum from which the mean of the "
    "next five channels is not lower by more than one sigma"
)


def peak_end(counts: Float[np.ndarray, " C"]) -> int:
    """Index of the first channel right of the noise peak, by `TEMPLATE_RULE`.

    Raises ValueError when the fall from the maximum never ends.
    """
    start = int(np.argmax(counts))
    for i in range(start + 1, counts.size - 5):
        after = counts[i + 1 : i + 6].mean()
        if counts[i] - after <= np.sqrt(counts[i] + after / 5.0):
            return i
    raise ValueError(f"`template` must fall to a background right of channel {start + 1}, but never does")


@checked
def build_template(spectra: xr.Dataset, end: int | None = None) -> xr.Dataset:
    """Template rates, one per readout channel (step 2), of early quiet spectra without their noise peak.

    Spectra of one readout are summed. end: the first channel right of the peak, found by `TEMPLATE_RULE` if none.
    Returns `rate`, `rate_error` (readout, channel) cnt/s, and by readout `exposure` s, `time`, `peak_end` (first
    channel right of the peak) and `checksum` (of the counts).
    Raises ValueError for an ``end`` outside the channels, and for a peak that never ends.
    """
    check_spectra(spectra)
    if end is not None:
        end = parse_whole(end, "end", least=1, most=spectra.sizes["channel"])
    rows = []
    for name in sorted(set(map(str, spectra["readout"].values))):
        chosen = select(spectra, name)
        total, seconds = chosen["counts"].values.sum(0), float(chosen["exposure"].values.sum())
        first = peak_end(total) if end is None else end - 1
        rate, error = total / seconds, np.sqrt(np.maximum(total, 1.0)) / seconds
        rate[:first], error[:first] = rate[first], error[first]
        digest = hashlib.sha256(np.ascontiguousarray(total, "<f8").tobytes()).hexdigest()
        rows.append((name, rate, error, seconds, chosen["time"].values[0], first + 1, digest))
    names, rates, errors, exposures, times, ends, digests = map(list, zip(*rows, strict=True))
    return xr.Dataset(
        {
            "rate": variable(("readout", "channel"), rates, "count/s", "template count rate"),
            "rate_error": variable(("readout", "channel"), errors, "count/s", "error of the template rate"),
            "exposure": variable("readout", exposures, "s", "exposure"),
            "time": variable("readout", np.array(times), None, "start of exposure, UTC"),
            "peak_end": variable("readout", ends, "1", "first channel right of the noise peak"),
            "checksum": variable("readout", np.array(digests, object), "1", "SHA-256 of the summed counts"),
        },
        {
            "readout": variable("readout", np.array(names, object), "1", "readout channel"),
            "channel": spectra["channel"],
        },
        {**spectra.attrs, "rule": TEMPLATE_RULE if end is None else f"noise peak below channel {end} replaced"},
    )


def template_rows(spectra: xr.Dataset, template: xr.Dataset) -> Int[np.ndarray, " n"]:
    """Row of ``template`` that belongs to each spectrum.

    Raises ValueError for a template of another readout channel, satellite or channel count.
    """
    if spectra.sizes["channel"] != template.sizes["channel"]:
        raise ValueError(
            f"`template` must have {spectra.sizes['channel']} channels as the spectra, "
            f"but has {template.sizes['channel']}"
        )
    ours, theirs = spectra.attrs.get("satellite"), template.attrs.get("satellite")
    if ours and theirs and ours != theirs:
        raise ValueError(f"`template` must be of {ours} as the spectra, but is of {theirs}")
    names = list(map(str, template["readout"].values))
    readouts = list(map(str, spectra["readout"].values))
    for name in readouts:
        if name not in names:
            raise ValueError(f"`template` must have the readout channel {shown(name)}, but has {', '.join(names)}")
    return np.array([names.index(name) for name in readouts])
