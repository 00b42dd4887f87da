"""Energy calibration of one setting, a readout channel at a bias: Eq. 2, activation lines, Eq. 3 (steps 4 and 5)."""

from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from xcal_jax.sipm.activation import by_epoch, line_decay
from xcal_jax.sipm.calibration import compare_calibrations, energy_calibration, over_bias, stated_calibration
from xcal_jax.sipm.counters import counter_flags
from xcal_jax.sipm.gain import carried_drift, gain_drift
from xcal_jax.sipm.lines import fit_lines
from xcal_jax.sipm.mission import Mission, with_days
from xcal_jax.sipm.template import at_setting, setting_name, settings_of
from xcal_jax.spectra import stack

LEAST_LINES = 2
LEAST_EPOCHS = 8  # for a gain with temperature, which has five parameters


@dataclass(frozen=True)
class Gain:
    """Energy calibration of one setting, each part None where there are no data for it.

    ground: its lines on ground. calibration: Eq. 2 (or curved), from where `source` says; `compared`: every shape by
    AICc. stack, line, decay: all spectra after SAA exits, their line and its decay. epochs, lines: the same by epoch.
    drift: Eq. 3, from the line or from another bias, as `drift_source` says. reasons: why a part is missing, by its
    name.
    """

    readout: str
    bias: float
    ground: xr.Dataset | None = None
    calibration: xr.Dataset | None = None
    source: str = ""
    compared: dict[str, xr.Dataset] = field(default_factory=dict)
    stack: xr.Dataset | None = None
    line: xr.Dataset | None = None
    decay: xr.Dataset | None = None
    epochs: xr.Dataset | None = None
    lines: xr.Dataset | None = None
    drift: xr.Dataset | None = None
    drift_source: str = ""
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def used(self) -> xr.Dataset | None:
        """What gives keV: the drift where there is one, or else the calibration."""
        return self.calibration if self.drift is None else self.drift


def ground_lines(ground: xr.Dataset) -> xr.Dataset:
    """The line of each ground spectrum in its own window, over `line`, with its `energy`, `readout` and `bias`.

    Raises ValueError where `line_energy` or `window` is missing.
    """
    for name in ("line_energy", "window"):
        if name not in ground:
            raise ValueError(f"`ground` spectra must have `{name}`, but it is missing")
    fits = []
    for k in range(ground.sizes["spectrum"]):
        one = stack(ground.isel(spectrum=[k]))
        fits.append(fit_lines(one, [ground["window"].values[k]]).drop_attrs(deep=False))
    lines = xr.concat(fits, "line")
    return lines.assign(
        energy=("line", ground["line_energy"].values, ground["line_energy"].attrs),
        readout=("line", ground["readout"].values, ground["readout"].attrs),
        bias=("line", ground["bias"].values, ground["bias"].attrs),
    )


def at_line_setting(lines: xr.Dataset, readout: str, bias: float) -> xr.Dataset:
    """The ground lines of one setting, possibly none."""
    of_bias = np.isnan(lines["bias"].values) if np.isnan(bias) else lines["bias"].values == bias
    return lines.isel(line=np.flatnonzero((lines["readout"].values == readout) & of_bias))


def known_calibrations(mission: Mission, lines: xr.Dataset | None, readout: str) -> dict[float, tuple[xr.Dataset, str]]:
    """Every Eq. 2 of a readout by bias, with its source: lines on ground, or else the mission's [[calibrations]]."""
    found = {}
    for one in mission.calibrations:
        if one["readout"] == readout:
            numbers = {name: one[name] for name in ("k", "b", "k_error", "b_error", "correlation") if name in one}
            found[float(one.get("bias", np.nan))] = stated_calibration(**numbers), "stated in the TOML"
    if lines is not None:
        for bias in np.unique(lines["bias"].values[lines["readout"].values == readout]):
            own = at_line_setting(lines, readout, bias)
            if np.unique(own["energy"].values[np.isfinite(own["position"].values)]).size >= LEAST_LINES:
                linear = energy_calibration(own["position"], own["position_error"], own["energy"])
                found[float(bias)] = linear, "lines on ground"
    return found


def calibration_of(
    mission: Mission, known: dict[float, tuple[xr.Dataset, str]], readout: str, bias: float
) -> tuple[xr.Dataset, str]:
    """Eq. 2 of a setting and its source in words.

    Its own calibration; that of all biases; one extrapolated over bias from two or more; the mission's [calibration];
    that of the only other bias. Raises ValueError where there is none.
    """
    own = [of for setting, of in known.items() if setting == bias or (np.isnan(setting) and np.isnan(bias))]
    own = own or [of for setting, of in known.items() if np.isnan(setting)]
    if own:
        return own[0]
    others = {setting: of for setting, (of, _) in known.items() if np.isfinite(setting)}
    if len(others) > 1 and np.isfinite(bias):
        names = ", ".join(f"{setting:g}" for setting in sorted(others))
        return over_bias(others, bias), f"extrapolated over bias from {names}"
    if "k" in mission.calibration and "b" in mission.calibration:
        return stated_calibration(mission.calibration["k"], mission.calibration["b"]), "stated in the TOML for all"
    if known:
        setting, (of, source) = next(iter(known.items()))
        return of, f"{source} at bias {setting:g}, which is not this one"
    raise ValueError(f"{setting_name(readout, bias)} has no energy calibration: no lines on ground, none stated")


def activation_line(mission: Mission, bias: float) -> dict:
    """The mission's activation line at a bias. Raises ValueError where it states none."""
    for line in mission.activation:
        if line.get("bias") in (None, bias) or np.isnan(bias):
            return line
    raise ValueError(f"no window of an activation line at bias {bias:g}: the TOML states none under [[activation]]")


def quiet_stack(spectra: xr.Dataset, activation: xr.Dataset, readout: str, bias: float) -> xr.Dataset | None:
    """Stack of what a setting sees without a recent exit of the SAA; None where there is none.

    It is that of the routine spectra, or else of those of ``activation`` that have no `since_exit`. Spectra with a full
    counter or a wrong live time are left out, where there are others.
    """
    routine = at_setting(spectra, readout, bias)
    late = at_setting(activation, readout, bias)
    late = late.isel(spectrum=np.flatnonzero(np.isnan(late["since_exit"].values)))
    chosen = routine if routine.sizes["spectrum"] else late
    if not chosen.sizes["spectrum"]:
        return None
    good = counter_flags(chosen) == 0
    return stack(chosen.isel(spectrum=np.flatnonzero(good)) if good.any() else chosen)


def drift_of(epochs: xr.Dataset, lines: xr.Dataset, b: float, energy: float, b_error: float) -> xr.Dataset:
    """Eq. 3, with temperature where every epoch with a line has one and the AICc is lower. Raises as `gain_drift`."""
    points = epochs["days"], lines["position"], lines["position_error"], b, energy, b_error
    plain = gain_drift(*points)
    warm = epochs["temperature"].values[np.isfinite(lines["position"].values)]
    if not np.isfinite(warm).all() or warm.size < LEAST_EPOCHS or np.ptp(warm) == 0:
        return plain
    return min(plain, gain_drift(*points, epochs["temperature"]), key=lambda one: one.attrs["aicc"])


def with_activation(mission: Mission, gain: Gain, spectra: xr.Dataset, activation: xr.Dataset) -> Gain:
    """The ``gain`` of a setting with what its spectra after SAA exits tell: line, decay, and Eq. 3."""
    reasons, readout, bias = dict(gain.reasons), gain.readout, gain.bias
    after = at_setting(activation, readout, bias)
    after = after.isel(spectrum=np.flatnonzero(np.isfinite(after["since_exit"].values)))
    if not after.sizes["spectrum"]:
        return replace(
            gain, reasons=reasons | {"activation": f"no spectra after SAA exits of {setting_name(readout, bias)}"}
        )
    found: dict = {}
    try:
        after = with_days(after, mission)
        line = activation_line(mission, bias)
        quiet = quiet_stack(spectra, activation, readout, bias)
        found["stack"] = by_epoch(after, quiet, width=np.inf).isel(epoch=0)
        (low, high), fwhm = line["window"], line.get("fwhm")
        window = float(low), float(high)
        found["line"] = fit_lines(found["stack"], [window], fwhm).isel(line=0)
        found["epochs"] = by_epoch(after, quiet)
        found["lines"] = fit_lines(found["epochs"], [window], fwhm).isel(line=0)
    except ValueError as problem:
        return replace(gain, **found, reasons=reasons | {"activation": str(problem)})
    try:
        found["decay"] = line_decay(after, quiet, window, fwhm)
    except ValueError as problem:
        reasons["decay"] = str(problem)
    try:
        if gain.calibration is None:
            raise ValueError(f"no b of Eq. 2: {reasons['calibration']}")
        if gain.calibration.attrs["shape"] != "linear":
            raise ValueError("Eq. 3 is of a linear calibration")
        b, b_error = (float(gain.calibration[name].sel(parameter="b")) for name in ("parameters", "errors"))
        found["drift"] = drift_of(found["epochs"], found["lines"], b, line["energy"], b_error)
        found["drift_source"] = f"its own line at {line['energy']:g} keV"
    except ValueError as problem:
        reasons["gain_drift"] = str(problem)
    return replace(gain, **found, reasons=reasons)


def with_carried(gain: Gain, others: list[Gain]) -> Gain:
    """The ``gain`` with the drift of the nearest bias of its readout that has one, where it has none itself."""
    near = [
        (abs(one.bias - gain.bias), one.bias, one.drift, one.calibration)
        for one in others
        if one.readout == gain.readout and one.drift is not None and one.calibration is not None
    ]
    near = [one for one in near if np.isfinite(one[0])]
    if gain.drift is not None or gain.calibration is None or not near:
        return gain
    _, bias, drift, calibration = min(near, key=lambda one: one[:2])
    try:
        drift = carried_drift(drift, calibration, gain.calibration)
    except ValueError as problem:
        return replace(gain, reasons=gain.reasons | {"gain_drift": str(problem)})
    reasons = {name: reason for name, reason in gain.reasons.items() if name != "gain_drift"}
    return replace(gain, drift=drift, drift_source=f"carried from bias {bias:g}", reasons=reasons)


def gains_of(
    mission: Mission, spectra: xr.Dataset, activation: xr.Dataset | None, ground: xr.Dataset | None
) -> dict[tuple[str, float | None], Gain]:
    """The energy calibration of every setting of the spectra, and of those after SAA exits, by readout and bias."""
    lines = None if ground is None else ground_lines(ground)
    wanted = settings_of(spectra)
    wanted += [pair for pair in ([] if activation is None else settings_of(activation)) if pair not in wanted]
    gains = {}
    for readout, bias in wanted:
        known = known_calibrations(mission, lines, readout)
        gain = Gain(readout, bias)
        if lines is not None:
            own = at_line_setting(lines, readout, bias)
            own = own if own.sizes["line"] else lines.isel(line=np.flatnonzero(lines["readout"].values == readout))
            if own.sizes["line"]:
                gain = replace(gain, ground=own)
            if np.isfinite(own["position"].values).sum() > LEAST_LINES and np.unique(own["bias"].values).size == 1:
                compared = compare_calibrations(own["position"], own["position_error"], own["energy"])
                gain = replace(gain, compared=compared)
        try:
            calibration, source = calibration_of(mission, known, readout, bias)
            gain = replace(gain, calibration=calibration, source=source)
        except ValueError as problem:
            gain = replace(gain, reasons={"calibration": str(problem)})
        if activation is None:
            gain = replace(gain, reasons=gain.reasons | {"activation": "no spectra after SAA exits"})
        else:
            gain = with_activation(mission, gain, spectra, activation)
        gains[readout, None if np.isnan(bias) else bias] = gain
    return {pair: with_carried(gain, list(gains.values())) for pair, gain in gains.items()}
