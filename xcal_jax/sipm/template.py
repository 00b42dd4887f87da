"""Templates (step 2): rates of early quiet spectra without their noise peak, one per readout channel and bias."""

import hashlib

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.spectra.dataset import check_spectra
from xcal_jax.units import parse_whole, shown

TEMPLATE_RULE = (
    "noise peak replaced by the rate of the first channel right of its maximum from which the mean of the "
    "next five channels is not lower by more than one sigma, or, below one per cent of the maximum, that is not more "
    "than half a sigma above the straight line through the next 4 % of the channels"
)
FOOT, ABOVE = 0.01, 0.5  # of the maximum; sigmas above the straight line, at most
REACH, LEAST = 25, 10  # the line goes through one part in 25 of the channels, 10 of them at least


def peak_end(counts: Float[np.ndarray, " C"]) -> int:
    """Index of the first channel right of the noise peak, by `TEMPLATE_RULE`.

    The first part of the rule finds a flat continuum, the second one that falls. This looks at the foot of the peak
    alone, since a straight line also meets the shoulders of a peak.
    Raises ValueError when the fall from the maximum never ends.
    """
    start = int(np.argmax(counts))
    place = np.arange(1.0, max(LEAST, counts.size // REACH) + 1)
    off = place - place.mean()
    weights = 1 / place.size - place.mean() * off / (off @ off)  # the line through values at ``place``, at zero
    for i in range(start + 1, counts.size - 5):
        after, ahead = counts[i + 1 : i + 6].mean(), counts[i + 1 : i + 1 + place.size]
        if counts[i] - after <= np.sqrt(counts[i] + after / 5.0):
            return i
        foot = counts[i] < FOOT * counts[start] and ahead.size == place.size
        if foot and counts[i] - weights @ ahead <= ABOVE * np.sqrt(counts[i] + weights**2 @ ahead):
            return i
    raise ValueError(f"`template` must fall to a background right of channel {start + 1}, but never does")


def settings_of(spectra: xr.Dataset) -> list[tuple[str, float]]:
    """Every pair of readout channel and bias setting in the spectra, in order; an unknown bias is NaN."""
    biases = spectra["bias"].values if "bias" in spectra else np.full(spectra.sizes["spectrum"], np.nan)
    both = zip(spectra["readout"].values, biases, strict=True)
    pairs = {(str(name), None if np.isnan(bias) else float(bias)) for name, bias in both}
    ordered = sorted(pairs, key=lambda pair: (pair[0], -np.inf if pair[1] is None else pair[1]))
    return [(name, np.nan if bias is None else bias) for name, bias in ordered]


def at_setting(spectra: xr.Dataset, readout: str, bias: float) -> xr.Dataset:
    """The spectra of one readout channel at one bias setting (NaN: of unknown bias), possibly none."""
    biases = spectra["bias"].values if "bias" in spectra else np.full(spectra.sizes["spectrum"], np.nan)
    of_bias = np.isnan(biases) if np.isnan(bias) else biases == bias
    return spectra.isel(spectrum=np.flatnonzero((spectra["readout"].values == readout) & of_bias))


def setting_name(readout: str, bias: float) -> str:
    """A readout channel and its bias in words, without the bias where it is unknown."""
    return readout if np.isnan(bias) else f"{readout} at bias {bias:g}"


@checked
def build_template(spectra: xr.Dataset, end: int | None = None) -> xr.Dataset:
    """Template rates, one per readout channel and bias (step 2), of early quiet spectra without their noise peak.

    Spectra of one readout and bias are summed. end: the first channel right of the peak, found by `TEMPLATE_RULE` if
    none. Returns over `template` its `readout` and `bias`, `rate`, `rate_error` (template, channel) cnt/s, `exposure`
    s, `time`, `peak_end` (first channel right of the peak) and `checksum` (of the counts).
    Raises ValueError for an ``end`` outside the channels, and for a peak that never ends.
    """
    check_spectra(spectra)
    channel = spectra["channel"].values
    if end is not None:
        end = parse_whole(end, "end", least=int(channel[0]), most=int(channel[-1]))
    rows = []
    for name, bias in settings_of(spectra):
        chosen = at_setting(spectra, name, bias)
        total, seconds = chosen["counts"].values.sum(0), float(chosen["exposure"].values.sum())
        first = peak_end(total) if end is None else end - int(channel[0])
        rate, error = total / seconds, np.sqrt(np.maximum(total, 1.0)) / seconds
        rate[:first], error[:first] = rate[first], error[first]
        digest = hashlib.sha256(np.ascontiguousarray(total, "<f8").tobytes()).hexdigest()
        rows.append((name, bias, rate, error, seconds, chosen["time"].values[0], first + int(channel[0]), digest))
    names, biases, rates, errors, exposures, times, ends, digests = map(list, zip(*rows, strict=True))
    return xr.Dataset(
        {
            "readout": variable("template", np.array(names, object), "1", "readout channel"),
            "bias": variable("template", biases, "1", "bias setting"),
            "rate": variable(("template", "channel"), rates, "count/s", "template count rate"),
            "rate_error": variable(("template", "channel"), errors, "count/s", "error of the template rate"),
            "exposure": variable("template", exposures, "s", "exposure"),
            "time": variable("template", np.array(times), None, "start of exposure, UTC"),
            "peak_end": variable("template", ends, "1", "first channel right of the noise peak"),
            "checksum": variable("template", np.array(digests, object), "1", "SHA-256 of the summed counts"),
        },
        {"channel": spectra["channel"]},
        {**spectra.attrs, "rule": TEMPLATE_RULE if end is None else f"noise peak below channel {end} replaced"},
    )


def template_row(template: xr.Dataset, readout: str, bias: float, others: int = 1) -> int:
    """Row of ``template`` that belongs to spectra of a readout channel at a bias.

    A bias that is unknown on either side is taken for the other's, where the readout has one template and ``others``,
    the number of biases of its spectra, is 1. Raises ValueError where there is no such template.
    """
    names, biases = list(map(str, template["readout"].values)), template["bias"].values
    of_name = [k for k, name in enumerate(names) if name == readout]
    if not of_name:
        raise ValueError(f"`template` must have the readout channel {shown(readout)}, but has {', '.join(names)}")
    exact = [k for k in of_name if biases[k] == bias]
    open_end = len(of_name) == 1 and others == 1 and (np.isnan(bias) or np.isnan(biases[of_name[0]]))
    if not exact and not open_end:
        known = ", ".join(setting_name(names[k], biases[k]) for k in of_name)
        raise ValueError(f"`template` must be of {setting_name(readout, bias)} as the spectra, but is of {known}")
    return (exact or of_name)[0]


def template_rows(spectra: xr.Dataset, template: xr.Dataset) -> Int[np.ndarray, " n"]:
    """Row of ``template`` that belongs to each spectrum.

    Raises ValueError for a template of another readout channel, bias, satellite or channel count.
    """
    if spectra.sizes["channel"] != template.sizes["channel"]:
        raise ValueError(
            f"`template` must have {spectra.sizes['channel']} channels as the spectra, "
            f"but has {template.sizes['channel']}"
        )
    ours, theirs = spectra["channel"].values[0], template["channel"].values[0]
    if ours != theirs:
        raise ValueError(f"`template` must begin at channel {ours} as the spectra, but begins at {theirs}")
    ours, theirs = spectra.attrs.get("satellite"), template.attrs.get("satellite")
    if ours and theirs and ours != theirs:
        raise ValueError(f"`template` must be of {ours} as the spectra, but is of {theirs}")
    rows = np.zeros(spectra.sizes["spectrum"], int)
    settings = settings_of(spectra)
    for readout, bias in settings:
        others = sum(name == readout for name, _ in settings)
        biases = spectra["bias"].values
        chosen = (spectra["readout"].values == readout) & (np.isnan(biases) if np.isnan(bias) else biases == bias)
        rows[chosen] = template_row(template, readout, bias, others)
    return rows
