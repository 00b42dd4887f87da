"""Figures of the spectra and of the threshold's construction (steps 1 to 3)."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from xcal_jax.sipm.figures.frame import panels
from xcal_jax.sipm.pipeline import Ageing, Setting
from xcal_jax.sipm.template import template_row


def template_rate(ageing: Ageing, setting: Setting) -> Float[np.ndarray, " C"]:
    """Template rate of a setting, cnt/s."""
    return ageing.template["rate"].values[template_row(ageing.template, setting.readout, setting.bias)]


def spectra_figure(ageing: Ageing) -> Figure:
    """Routine spectra from early to late, and the template."""
    figure, axes = panels(ageing)
    for axis, setting in zip(axes[0], ageing.settings.values(), strict=True):
        values = setting.values
        order = np.argsort(values["days"].values)
        for k, place in enumerate(order[np.linspace(0, order.size - 1, 6).astype(int)]):
            one = values.isel(spectrum=place)
            rate = one["counts"].values / float(one["exposure"])
            label = f"day {float(one['days']):.0f}"
            axis.step(
                values["channel"], np.where(rate > 0, rate, np.nan), where="mid", lw=1, color=f"C{k}", label=label
            )
        template = template_rate(ageing, setting)
        axis.step(
            values["channel"], np.where(template > 0, template, np.nan), "k--", where="mid", lw=1, label="template"
        )
        axis.set(xlabel="ADC channel", ylabel="cnt/s per channel", yscale="log")
        axis.legend(fontsize=8)
    return figure


def crossing_figure(ageing: Ageing) -> Figure:
    """Spectrum, template, their difference, and the crossing, for the last measured spectrum."""
    figure, axes = panels(ageing)
    for axis, setting in zip(axes[0], ageing.settings.values(), strict=True):
        good = np.flatnonzero(setting.values["threshold_flag"].values == 0)
        one = setting.values.isel(spectrum=good[-1])
        template = template_rate(ageing, setting)
        rate = one["counts"].values / float(one["exposure"])
        x, edge = one["channel"].values, float(one["threshold_adu"])
        near = (x > edge - 12) & (x < edge + 12)
        for data, label, style in (
            (rate, "spectrum", "C0"),
            (template, "template", "k--"),
            (rate - template, "difference", "C3"),
        ):
            shown = np.where(data > 0, data, np.nan)
            axis.step(x[near], shown[near], style, where="mid", label=label)
        axis.axhline(ageing.mission.crossing_level, color="grey", lw=0.8)
        error = float(one["threshold_adu_error"])
        axis.axvline(edge, color="C2", label=f"threshold {edge:.2f} ± {error:.2f}")
        axis.set(xlabel="ADC channel", ylabel="cnt/s per channel", yscale="log")
        axis.legend(fontsize=8)
    return figure
