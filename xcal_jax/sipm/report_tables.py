"""Tables of the report: every fit with its errors, and every flag, as text."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.io.page import number
from xcal_jax.sipm.line_window import VETOES
from xcal_jax.sipm.pipeline import Ageing
from xcal_jax.sipm.thresholds import FLAGS
from xcal_jax.sipm.trends import FORMS

MOST_FLAGS = 50
ELSEWHERE = {"name", "launch", "not_legible", "synthetic"}


def trend_rows(ageing: Ageing):
    """Every trend: setting, quantity, form, a, b, reduced chi-square, AICc difference, weight."""
    for name, setting in ageing.settings.items():
        for quantity, trends in setting.trends.items():
            for form in trends["form"].values:
                one = trends.sel(form=form)
                (a, b), (da, db) = one["parameters"].values, one["errors"].values
                reduced = float(one["chi_square"]) / max(int(one["degrees"]), 1)
                delta, weight = float(one["delta_aicc"]), float(one["weight"])
                fit = (number(a, da), number(b, db), f"{reduced:.2f}", f"{delta:.1f}", f"{weight:.2f}")
                yield name, quantity, FORMS[str(form)], *fit


def temperature_rows(ageing: Ageing):
    """Subtract-then-fit and joint slopes side by side."""
    for name, setting in ageing.settings.items():
        for quantity, line in setting.residuals.items():
            joint = setting.joint.get(quantity)
            pair = [number(float(line[k]), float(line[f"{k}_error"])) for k in ("slope", "intercept")]
            rest = [f"{float(line[k]):.3g}" for k in ("r_squared", "pearson_r", "p_value")]
            slope, form, used = "-", "-", f"{line.sizes['point']} of {setting.groups.sizes['group']}"
            if joint is not None and "temperature" in joint["parameter"].values:
                one = joint.sel(parameter="temperature")
                slope, form = number(float(one["parameters"]), float(one["errors"])), FORMS[joint.attrs["chosen_form"]]
            yield name, quantity, slope, form, *pair, *rest, used


def parameters_of(fitted: xr.Dataset):
    """Name, value, error and unit of every parameter of a fit."""
    names, units = (map(str, fitted[one].values) for one in ("parameter", "unit"))
    return zip(names, fitted["parameters"].values, fitted["errors"].values, units, strict=True)


def joint_rows(ageing: Ageing):
    """Every parameter of the joint fits, and of the damage kernel where there is one."""
    for name, setting in ageing.settings.items():
        fits = [(quantity, joint.attrs["chosen_form"], joint) for quantity, joint in setting.joint.items()]
        if setting.damage is not None:
            fits.append(("dcr", "damage", setting.damage))
        for quantity, form, fitted in fits:
            what = "damage kernel" if form == "damage" else f"{FORMS[form]} + temperature, steps, curvature"
            for parameter, value, error, unit in parameters_of(fitted):
                yield name, quantity, what, parameter, number(value, error), unit


def readout_rows(ageing: Ageing):
    """What the readouts have in common, and whether they agree."""
    for name, joint in ageing.readouts.items():
        for parameter in joint.attrs["common"].split(", "):
            one = joint.sel(parameter=parameter)
            value = number(float(one["parameters"]), float(one["errors"]))
            yield name, joint.attrs["readouts"], parameter, value, f"{float(joint['p_value']):.2g}"


def gain_rows(ageing: Ageing):
    """Eq. 2 and Eq. 3 parameters with their source, and the half-lives."""
    for name, gain in ageing.gains.items():
        shapes = {f"{shape} calibration": one for shape, one in gain.compared.items()}
        for title, fitted in {"Eq. 2": gain.calibration, "Eq. 3": gain.drift, **shapes}.items():
            if fitted is None:
                continue
            source = gain.drift_source if title == "Eq. 3" else gain.source
            source = f"AICc {fitted.attrs['aicc']:.1f}" if title in shapes else source
            for parameter, value, error, unit in parameters_of(fitted):
                yield name, title, parameter, number(value, error), unit, source
        if gain.decay is not None:
            value = number(float(gain.decay["half_life"]), float(gain.decay["half_life_error"]))
            yield name, "decay", "half-life", value, "s", ""


def line_rows(ageing: Ageing):
    """Every fitted line: ground, after SAA exits, and each epoch of the drift."""
    for name, gain in ageing.gains.items():
        sets = []
        if gain.ground is not None:
            energies = zip(gain.ground["energy"].values, gain.ground["bias"].values, strict=True)
            sets += [(f"ground, {e:g} keV, bias {b:g}", gain.ground.isel(line=k)) for k, (e, b) in enumerate(energies)]
        if gain.line is not None:
            sets.append(("after SAA exits", gain.line))
        if gain.lines is not None and gain.epochs is not None:
            days = enumerate(gain.epochs["days"].values)
            sets += [(f"epoch of day {day:.0f}", gain.lines.isel(epoch=k)) for k, day in days]
        for title, line in sets:
            position = number(float(line["position"]), float(line["position_error"]))
            width = number(FWHM_PER_SIGMA * float(line["sigma"]), FWHM_PER_SIGMA * float(line["sigma_error"]))
            chi, veto = f"{float(line['reduced_chi_square']):.2f}", int(line["veto"])
            why = ", ".join(text for bit, text in VETOES.items() if veto & bit) or "passed"
            yield name, title, position, width, str(line["background"].item()), chi, why


def warning_rows(ageing: Ageing):
    """Every step whose result something speaks against."""
    for name, setting in ageing.settings.items():
        for step, warning in setting.warnings.items():
            yield name, step, warning


def reason_rows(ageing: Ageing):
    """Every setting and step without a result, and what was left out of the files."""
    for note in ageing.notes:
        yield "files", "", note
    for name, reason in ageing.left_out.items():
        yield name, "analysis", reason
    for results in (ageing.gains, ageing.settings):
        for name, one in results.items():
            for step, reason in one.reasons.items():
                yield name, step, reason


def flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every key of a table of a TOML file and its value as text, those of tables in it as table.key."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from flat(one, f"{name}.{key}")
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        for number, one in enumerate(value):
            yield from flat(one, f"{name}.{number}")
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def stated_rows(ageing: Ageing):
    """What the satellite's file states, but for what stands elsewhere in the report and for the synthetic mission."""
    for one in fields(ageing.mission):
        value = getattr(ageing.mission, one.name)
        if one.name not in ELSEWHERE and value is not None:
            yield from flat(value, one.name)


def step_rows(ageing: Ageing):
    """Every step found."""
    for name, setting in ageing.settings.items():
        for quantity, steps in setting.steps.items():
            columns = ("day", "size", "size_error", "p_value")
            for day, size, error, p in zip(*(steps[c].values for c in columns), strict=True):
                yield name, quantity, f"{day:.0f}", number(size, error), f"{p:.3f}"


def correlation_rows(ageing: Ageing):
    """Every rank correlation."""
    for name, setting in ageing.settings.items():
        for quantity, found in setting.correlations.items():
            for series in found["quantity"].values:
                for lag in found["lag"].values:
                    one = found.sel(quantity=series, lag=lag)
                    values = [f"{float(one[k]):.3g}" for k in ("correlation", "p_value", "q_value")]
                    yield (name, quantity, str(series), f"{lag:g}", *values, str(bool(one["significant"])))


def flag_rows(ageing: Ageing):
    """How many spectra have each flag, the first 50 of each setting, and every group of one."""
    for name, setting in ageing.settings.items():
        flags = setting.values["threshold_flag"].values
        for bit, text in FLAGS.items():
            if (flags & bit).any():
                yield name, "all spectra", "", f"{(flags & bit > 0).sum()} of {flags.size}: {text}"
        for k in np.flatnonzero(flags)[:MOST_FLAGS]:
            meaning = ", ".join(text for bit, text in FLAGS.items() if flags[k] & bit)
            yield name, "spectrum", str(setting.values["time"].values[k])[:19], meaning
        for day in setting.groups["days"].values[setting.groups["single"].values]:
            yield name, "group", f"day {day:.1f}", "a group of one: no deviation"


TABLES = (
    ("What speaks against results", ("setting", "step", "warning"), warning_rows),
    (
        "Trends; errors from the scatter, and from what all points share",
        ("setting", "quantity", "form", "a", "b", "chi2/nu", "delta AICc", "weight"),
        trend_rows,
    ),
    (
        "Temperature",
        (
            "setting",
            "quantity",
            "slope per °C, joint fit: quote this",
            "its form",
            "slope per °C, subtract then fit",
            "intercept",
            "R²",
            "Pearson r",
            "p (two-sided)",
            "groups used",
        ),
        temperature_rows,
    ),
    ("Joint fits, a and b at 10 °C", ("setting", "quantity", "model", "parameter", "value", "unit"), joint_rows),
    (
        "All readouts at once: the slope per °C if they have the same one",
        ("quantity", "readouts", "parameter", "value", "p that they agree"),
        readout_rows,
    ),
    ("Gain", ("setting", "fit", "parameter", "value", "unit", "from"), gain_rows),
    ("Lines, ADC channels", ("setting", "line", "position", "FWHM", "background", "chi2/nu", "vetoes"), line_rows),
    ("Steps", ("setting", "quantity", "day", "size", "p (one-sided)"), step_rows),
    (
        "Correlations of the joint fits' residuals",
        ("setting", "quantity", "series", "lag (d)", "rank correlation", "p (two-sided)", "q", "significant"),
        correlation_rows,
    ),
    ("The satellite as its file states it", ("key", "value"), stated_rows),
    ("What was not done, and why", ("setting", "step", "reason"), reason_rows),
    ("Flags", ("setting", "what", "when", "why"), flag_rows),
)
