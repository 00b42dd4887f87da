"""Tables of the report: every fit with its errors, and every flag, as text."""

import numpy as np

from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.sipm.pipeline import Ageing
from xcal_jax.sipm.threshold import FLAGS
from xcal_jax.sipm.trends import FORMS

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, error: float | None = None) -> str:
    """A value, with its error to two digits where it has one."""
    if not np.isfinite(value):
        return "-"
    if error is None:
        return f"{value:.4g}"
    if not (np.isfinite(error) and error > 0):
        return f"{value:.5g}"
    exponent = int(np.floor(np.log10(abs(value)))) if value else 0
    if exponent < -3 or exponent > 6:
        unit = 10.0**exponent
        return f"({number(value / unit, error / unit)}) × 10{str(exponent).translate(RAISED)}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def trend_rows(ageing: Ageing):
    """Every trend: channel, quantity, form, a, b, reduced chi-square, AICc difference, weight."""
    for name, channel in ageing.channels.items():
        for quantity, trends in channel.trends.items():
            for form in trends["form"].values:
                one = trends.sel(form=form)
                (a, b), (da, db) = one["parameters"].values, one["errors"].values
                reduced = float(one["chi_square"]) / max(int(one["degrees"]), 1)
                delta, weight = float(one["delta_aicc"]), float(one["weight"])
                fit = (number(a, da), number(b, db), f"{reduced:.2f}", f"{delta:.1f}", f"{weight:.2f}")
                yield name, quantity, FORMS[str(form)], *fit


def temperature_rows(ageing: Ageing):
    """Subtract-then-fit and joint slopes side by side."""
    for name, channel in ageing.channels.items():
        for quantity, line in channel.residuals.items():
            joint = channel.joint[quantity]
            pair = [number(float(line[k]), float(line[f"{k}_error"])) for k in ("slope", "intercept")]
            rest = [f"{float(line[k]):.3g}" for k in ("r_squared", "pearson_r", "p_value")]
            slope = number(float(joint["parameters"][2]), float(joint["errors"][2]))
            yield name, quantity, *pair, *rest, slope, FORMS[joint.attrs["chosen_form"]]


def joint_rows(ageing: Ageing):
    """Every parameter of the joint fits, and of the damage kernel where there is one."""
    for name, channel in ageing.channels.items():
        fits = [(quantity, joint.attrs["chosen_form"], joint) for quantity, joint in channel.joint.items()]
        if channel.damage is not None:
            fits.append(("dcr", "damage", channel.damage))
        for quantity, form, fitted in fits:
            what = "damage kernel" if form == "damage" else f"{FORMS[form]} + temperature, steps"
            for parameter, value, error in zip(
                fitted["parameter"].values, fitted["parameters"].values, fitted["errors"].values, strict=True
            ):
                yield name, quantity, what, str(parameter), number(value, error)


def gain_rows(ageing: Ageing):
    """Eq. 2 and Eq. 3 parameters, and the half-lives."""
    gain = ageing.gain
    for title, fitted, unit in (("Eq. 2", gain.linear, "keV/ADU, keV"), ("Eq. 3", gain.drift, "keV/ADU/day^n")):
        if fitted is not None:
            errors = fitted["errors"].values
            for name, value, error in zip(fitted["parameter"].values, fitted["parameters"].values, errors, strict=True):
                yield title, str(name), number(value, error), unit
    for bias, decay in (gain.decays or {}).items():
        value = number(float(decay["half_life"]), float(decay["half_life_error"]))
        yield f"decay, bias {bias:g}", "half-life", value, "s"


def line_rows(ageing: Ageing):
    """Every fitted line: ground, after SAA exits, and each epoch of the drift."""
    gain = ageing.gain
    sets = []
    if gain.ground is not None:
        sets += [(f"ground, {e:g} keV", gain.ground.isel(line=k)) for k, e in enumerate(gain.ground["energy"].values)]
    sets += [(f"after SAA exits, bias {b:g}", pair[1].isel(line=0)) for b, pair in (gain.stacks or {}).items()]
    if gain.lines is not None and gain.epochs is not None:
        sets += [(f"epoch of day {d:.0f}", gain.lines.isel(epoch=k)) for k, d in enumerate(gain.epochs["days"].values)]
    for title, line in sets:
        position = number(float(line["position"]), float(line["position_error"]))
        width = number(FWHM_PER_SIGMA * float(line["sigma"]), FWHM_PER_SIGMA * float(line["sigma_error"]))
        chi, veto = f"{float(line['reduced_chi_square']):.2f}", int(line["veto"])
        yield title, position, width, str(line["background"].item()), chi, str(veto or "passed")


def step_rows(ageing: Ageing):
    """Every step found."""
    for name, channel in ageing.channels.items():
        for quantity, steps in channel.steps.items():
            columns = ("day", "size", "size_error", "p_value")
            for day, size, error, p in zip(*(steps[c].values for c in columns), strict=True):
                yield name, quantity, f"{day:.0f}", number(size, error), f"{p:.3f}"


def correlation_rows(ageing: Ageing):
    """Every rank correlation."""
    for name, channel in ageing.channels.items():
        for quantity, found in channel.correlations.items():
            for series in found["quantity"].values:
                for lag in found["lag"].values:
                    one = found.sel(quantity=series, lag=lag)
                    values = [f"{float(one[k]):.3g}" for k in ("correlation", "p_value", "q_value")]
                    yield (name, quantity, str(series), f"{lag:g}", *values, str(bool(one["significant"])))


def flag_rows(ageing: Ageing):
    """Every flagged spectrum, and every group of one."""
    for name, channel in ageing.channels.items():
        flags = channel.values["threshold_flag"].values
        for k in np.flatnonzero(flags):
            meaning = ", ".join(text for bit, text in FLAGS.items() if flags[k] & bit)
            yield name, "spectrum", str(channel.values["time"].values[k])[:19], meaning
        for day in channel.groups["days"].values[channel.groups["single"].values]:
            yield name, "group", f"day {day:.1f}", "a group of one: no deviation"


TABLES = (
    (
        "Trends; errors from the scatter, and from what all points share",
        ("channel", "quantity", "form", "a", "b", "chi2/nu", "delta AICc", "weight"),
        trend_rows,
    ),
    (
        "Temperature",
        (
            "channel",
            "quantity",
            "slope per °C",
            "intercept",
            "R²",
            "Pearson r",
            "p",
            "joint slope per °C",
            "joint form",
        ),
        temperature_rows,
    ),
    ("Joint fits, a and b at 10 °C", ("channel", "quantity", "model", "parameter", "value"), joint_rows),
    ("Gain", ("fit", "parameter", "value", "unit"), gain_rows),
    ("Lines, ADC channels", ("line", "position", "FWHM", "background", "chi2/nu", "vetoes"), line_rows),
    ("Steps", ("channel", "quantity", "day", "size", "p"), step_rows),
    (
        "Correlations of the joint fits' residuals",
        ("channel", "quantity", "series", "lag (d)", "rank correlation", "p", "q", "significant"),
        correlation_rows,
    ),
    ("Flags", ("channel", "what", "when", "why"), flag_rows),
)
