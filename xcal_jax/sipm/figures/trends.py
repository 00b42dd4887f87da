"""Figures of threshold and dark counts against time and temperature (steps 6 to 10)."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from xcal_jax.sipm.figures.frame import DAYS, LABEL, panels
from xcal_jax.sipm.grouping import board_mean
from xcal_jax.sipm.pipeline import Ageing, Setting
from xcal_jax.sipm.trends import FORMS, best_form, evaluate, forecast

NO_STEPS = xr.Dataset({name: ("step", np.zeros(0)) for name in ("day", "size", "size_error")})


def draw_trends(axis, setting: Setting, name: str, future: float = 0.0) -> None:
    """Draw the groups of one quantity, the four trends, and a forecast band to ``future`` days past the last group."""
    groups, trends = setting.groups, setting.trends.get(name)
    if trends is None:
        reasons = (setting.reasons.get(f"trends of {name}"), setting.reasons.get("energy"))
        axis.text(0.5, 0.5, next((r for r in reasons if r), "no data"), wrap=True, ha="center", fontsize=8)
        return
    axis.errorbar(
        groups["days"],
        groups[name],
        np.nan_to_num(groups[f"{name}_deviation"]),
        fmt=".",
        ms=4,
        lw=0.6,
        color="grey",
        label=f"{groups.attrs['group_days']:g} d groups, deviation",
    )
    first, last = float(groups["days"].min()), float(groups["days"].max())
    fine = np.linspace(first, last + future, 200)
    for form, text in FORMS.items():
        weight = float(trends["weight"].sel(form=form))
        axis.plot(
            fine,
            evaluate(trends, fine, form)["value"],
            lw=1.8 if form == best_form(trends) else 0.9,
            label=f"{text} (weight {weight:.2f})",
        )
    if future:
        ahead = forecast(trends, np.linspace(last, last + future, 50))
        axis.fill_between(ahead["days"], ahead["lower"], ahead["upper"], color="C1", alpha=0.25, label="forecast, 68 %")
    axis.set(xlabel=DAYS, ylabel=LABEL[name])
    axis.legend(fontsize=7)


def threshold_figure(ageing: Ageing) -> Figure | None:
    """Threshold in ADC channels, and in keV where there is a gain, with trends."""
    settings = list(ageing.settings.values())
    names = [n for n in ("threshold_adu", "threshold_kev") if any(n in setting.trends for setting in settings)]
    if not names:
        return None
    figure, axes = panels(ageing, len(names))
    for row, name in zip(axes, names, strict=True):
        for axis, setting in zip(row, settings, strict=True):
            draw_trends(axis, setting, name)
    return figure


def dark_counts_figure(ageing: Ageing) -> Figure:
    """Dark count rate with trends and a forecast of half a year."""
    figure, axes = panels(ageing)
    for axis, setting in zip(axes[0], ageing.settings.values(), strict=True):
        draw_trends(axis, setting, "dcr", 180.0)
    return figure


def temperature_figure(ageing: Ageing) -> Figure:
    """Mean board temperature of each spectrum and group."""
    figure, axes = panels(ageing, height=3.2)
    for axis, setting in zip(axes[0], ageing.settings.values(), strict=True):
        axis.plot(
            setting.values["days"],
            board_mean(setting.values),
            ".",
            ms=2,
            color="silver",
            label="spectra",
        )
        axis.plot(setting.groups["days"], setting.groups["temperature"], ".", label="groups")
        axis.set(xlabel=DAYS, ylabel="mean board temperature (°C)")
        axis.legend(fontsize=8)
    return figure


def residuals_figure(ageing: Ageing, name: str) -> Figure | None:
    """Residuals from the trend against temperature: the line of step 9, and the joint fit's slope."""
    if not any(name in setting.residuals for setting in ageing.settings.values()):
        return None
    figure, axes = panels(ageing)
    for axis, setting in zip(axes[0], ageing.settings.values(), strict=True):
        if name not in setting.residuals or name not in setting.joint:
            continue
        data, joint = setting.residuals[name], setting.joint[name]
        x = data["temperature"].values
        axis.plot(x, data["residual"], ".", color="grey")
        fine = np.array([x.min(), x.max()])
        slope, error, r2 = (float(data[key]) for key in ("slope", "slope_error", "r_squared"))
        axis.plot(
            fine,
            float(data["intercept"]) + slope * fine,
            "C0",
            label=f"subtract, then fit: {slope:.3g} ± {error:.2g} per °C, R² {r2:.2f}",
        )
        if "temperature" in joint["parameter"].values:
            slope, error = (float(joint[key].sel(parameter="temperature")) for key in ("parameters", "errors"))
            line = float(data["residual"].mean()) + slope * (fine - x.mean())
            axis.plot(fine, line, "C3", label=f"joint fit (quote this): {slope:.3g} ± {error:.2g} per °C")
        axis.set(xlabel="mean board temperature (°C)", ylabel=f"{LABEL[name]} minus trend")
        axis.legend(fontsize=8)
    return figure


def joint_figure(ageing: Ageing) -> Figure | None:
    """Residuals of the joint fits of trend, temperature and steps, and the days of the steps."""
    if not any(setting.joint for setting in ageing.settings.values()):
        return None
    figure, axes = panels(ageing, 2, 3.0)
    for row, name in zip(axes, ("threshold_adu", "dcr"), strict=True):
        for axis, setting in zip(row, ageing.settings.values(), strict=True):
            if name not in setting.joint:
                continue
            joint = setting.joint[name]
            axis.axhline(0, color="grey", lw=0.8)
            axis.plot(
                joint["days"], joint["residual"], ".", label=f"{FORMS[joint.attrs['chosen_form']]} + temperature, steps"
            )
            steps = setting.steps.get(name, NO_STEPS)
            for day, size, error in zip(
                steps["day"].values, steps["size"].values, steps["size_error"].values, strict=True
            ):
                axis.axvline(day, color="C3", lw=1, label=f"step, day {day:.0f}: {size:.3g} ± {error:.1g}")
            axis.set(xlabel=DAYS, ylabel=f"{LABEL[name]}\nminus joint fit")
            axis.legend(fontsize=7)
    return figure
