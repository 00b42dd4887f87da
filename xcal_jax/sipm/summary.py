"""Results of an analysis in short: every step of every setting with its result or its reason."""

import numpy as np
import xarray as xr

from xcal_jax.sipm.pipeline import Ageing, Setting
from xcal_jax.sipm.setting import Gain
from xcal_jax.sipm.thresholds import FLAGS
from xcal_jax.sipm.trends import best_form


def fitted(data: xr.Dataset) -> dict:
    """Parameters of one fit by name: value, error, unit and, where it is known, half of the 95 % interval."""
    keys = {"value": "parameters", "error": "errors", "half_width": "half_width", "unit": "unit"}
    columns = {key: data[name].values.tolist() for key, name in keys.items() if name in data.variables}
    return {str(n): {key: c[i] for key, c in columns.items()} for i, n in enumerate(data["parameter"].values)}


def used(data: xr.Dataset) -> dict:
    """How many points a step had, and how many there were."""
    return {key: int(data.attrs[key]) for key in ("points_used", "points_total")}


def of_gain(gain: Gain) -> dict:
    """Energy calibration, activation line, decay and gain drift of a setting."""
    out: dict = {}
    if gain.calibration is not None:
        best = next(iter(gain.compared), None)
        out["calibration"] = fitted(gain.calibration) | {"from": gain.source, "best_shape": best}
    if gain.line is not None:
        out["activation"] = {key: float(gain.line[key]) for key in ("position", "position_error")}
        out["activation"]["vetoes"] = int(gain.line["veto"])
    if gain.decay is not None:
        out["decay"] = {key: float(gain.decay[key]) for key in ("half_life", "half_life_error")}
    if gain.drift is not None:
        out["gain_drift"] = fitted(gain.drift) | {"from": gain.drift_source}
    return out | {step: {"reason": reason} for step, reason in gain.reasons.items()}


def of_setting(setting: Setting) -> dict:
    """Every step of one setting."""
    flags, values = setting.values["threshold_flag"].values, setting.values
    groups = setting.groups.sizes["group"]
    out: dict = {
        "threshold": {
            "spectra": int(flags.size),
            "measured": int((flags == 0).sum()),
            "flags": {text: int((flags & bit > 0).sum()) for bit, text in FLAGS.items() if (flags & bit).any()},
            "mean_adu": float(np.nanmean(values["threshold_adu"])),
        },
        "dark_count_rate": {"mean": float(np.nanmean(values["dcr"]))},
        "groups": {"groups": int(groups), "days": float(setting.groups.attrs["group_days"])},
    }
    if "threshold_kev" in values:
        out["energy"] = {"mean_threshold_kev": float(np.nanmean(values["threshold_kev"]))}
    for q, trends in setting.trends.items():
        form = best_form(trends)
        out[f"trends of {q}"] = fitted(trends.sel(form=form)) | {"form": form}
    for q, line in setting.residuals.items():
        slope = {"value": float(line["slope"]), "error": float(line["slope_error"])}
        out[f"temperature of {q}"] = {"slope": slope, "points_used": line.sizes["point"], "points_total": int(groups)}
    for q, joint in setting.joint.items():
        reduced = float(joint["chi_square"]) / max(int(joint["degrees"]), 1)
        more = {"form": joint.attrs["chosen_form"], "reduced_chi_square": reduced}
        out[f"joint fit of {q}"] = fitted(joint) | more | used(joint)
    for q, steps in setting.steps.items():
        days = [round(float(day), 1) for day in steps["day"].values]
        out[f"steps of {q}"] = {"days": days, "temperature": bool(steps.attrs["temperature"])} | used(steps)
    for q, found in setting.correlations.items():
        names, lags = found["quantity"].values, found["lag"].values
        strong = [f"{names[i]} at lag {lags[j]:g} d" for i, j in np.argwhere(found["significant"].values)]
        out[f"correlations of {q}"] = {"significant": strong, "trials": int(found.attrs["trials"])}
    if setting.damage is not None:
        out["damage"] = fitted(setting.damage) | used(setting.damage)
    for step, warning in setting.warnings.items():
        out[step] |= {"warning": warning}
    return out | {step: {"reason": reason} for step, reason in setting.reasons.items()}


def summarise(ageing: Ageing) -> dict:
    """Every step of every setting, with its result or the reason why it has none; what the readouts have in common."""
    steps = {name: of_gain(gain) for name, gain in ageing.gains.items()}
    for name, setting in ageing.settings.items():
        steps[name] = steps.get(name, {}) | of_setting(setting)
    for name, reason in ageing.left_out.items():
        steps[name] = {"analysis": {"reason": reason}}
    readouts = {
        name: fitted(joint.sel(parameter=joint.attrs["common"].split(", "))) | {"p_value": float(joint["p_value"])}
        for name, joint in ageing.readouts.items()
    }
    return {"steps": steps, "readouts": readouts, "notes": ageing.notes}
