"""Figures of the lines, the calibration and the gain (steps 4 and 5)."""

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.figure import Figure

from xcal_jax.sipm.figures.frame import DAYS, single
from xcal_jax.sipm.gain import gain_at
from xcal_jax.sipm.pipeline import Ageing


def line_curve(line: xr.Dataset, x: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """The model that was kept of one fitted line at channels ``x``, cnt/s."""
    low, high = line["window"].values
    u = (x - 0.5 * (low + high)) / (0.5 * (high - low))
    terms = np.nan_to_num(line["terms"].values)
    smooth = sum(term * u**k for k, term in enumerate(terms))
    shape = np.exp(-0.5 * ((x - float(line["position"])) / float(line["sigma"])) ** 2)
    return float(line["amplitude"]) * shape + smooth


def draw_line(axis, stacked: xr.Dataset, line: xr.Dataset, name: str) -> None:
    """Draw the points of a stack around one line, with the fit where there is one."""
    low, high = line["window"].values
    x = stacked["channel"].values
    near = (x > low - 15) & (x < high + 15)
    axis.errorbar(x[near], stacked["rate"].values[near], stacked["rate_error"].values[near], fmt=".", ms=3, lw=0.7)
    if int(line["veto"]) == 0:
        fine = np.linspace(low, high, 200)
        value, error = float(line["position"]), float(line["position_error"])
        axis.plot(fine, line_curve(line, fine), "C3", label=f"{value:.2f} ± {error:.2f}, {line['background'].item()}")
        axis.legend(fontsize=8)
    axis.set(title=name, xlabel="ADC channel", ylabel="cnt/s per channel")


def ground_spectra(ageing: Ageing) -> Figure | None:
    """Lines of the calibration sources on ground, with their fits."""
    ground, lines = ageing.files.ground, ageing.gain.ground
    if ground is None or lines is None:
        return None
    figure, axes = single(ageing, ground.sizes["spectrum"], 3.5)
    for k, axis in enumerate(axes):
        rate = ground["counts"].values[k] / ground["exposure"].values[k]
        error = np.sqrt(np.maximum(ground["counts"].values[k], 1)) / ground["exposure"].values[k]
        stacked = xr.Dataset(
            {"rate": ("channel", rate), "rate_error": ("channel", error)}, {"channel": ground["channel"]}
        )
        title = f"{ground['source'].values[k]} {ground['line_energy'].values[k]:g} keV"
        draw_line(axis, stacked, lines.isel(line=k), title)
        low, high = lines["window"].values[k]
        inside = rate[int(low) - 1 : int(high)]
        axis.set_ylim(0, 1.5 * inside.max())
    return figure


def linear_calibration_plot(ageing: Ageing) -> Figure | None:
    """Eq. 2 through the ground lines, and its residuals."""
    linear = ageing.gain.linear
    if linear is None:
        return None
    figure, axes = single(ageing, 2, 3.5)
    (k, b), (dk, db) = linear["parameters"].values, linear["errors"].values
    x, energy = linear["position"].values, linear["energy"].values
    fine = np.array([x.min() - 10, x.max() + 10])
    axes[0].plot(fine, k * fine + b, "C3", label=f"E = ({k:.3f} ± {dk:.3f}) x + ({b:.1f} ± {db:.1f}) keV")
    axes[0].plot(x, energy, "o")
    axes[0].legend(fontsize=8)
    axes[0].set(xlabel="line position (ADC channel)", ylabel="energy (keV)", title="Eq. 2")
    axes[1].axhline(0, color="grey", lw=0.8)
    axes[1].plot(energy, linear["residual"].values, "o")
    axes[1].set(xlabel="energy (keV)", ylabel="fit minus energy (keV)", title="residuals", xscale="log")
    return figure


def activation_lines(ageing: Ageing) -> Figure | None:
    """Stacks after SAA exits less the quiet stack, with the line at each bias, and its decay."""
    stacks, decays = ageing.gain.stacks, ageing.gain.decays
    if not stacks or not decays:
        return None
    figure, axes = single(ageing, 2 * len(stacks), 3.5)
    for k, (bias, (net, line)) in enumerate(stacks.items()):
        draw_line(axes[2 * k], net, line.isel(line=0), f"after SAA exits, bias {bias:g}")
        decay, axis = decays[bias], axes[2 * k + 1]
        delay = decay["since_exit"].values + 0.5 * decay["exposure"].values
        axis.errorbar(delay, decay["rate"].values, decay["rate_error"].values, fmt="o")
        half, error = float(decay["half_life"]), float(decay["half_life_error"])
        fine = np.linspace(0, delay.max() + 20, 100)
        axis.plot(
            fine,
            float(decay["rate_at_exit"]) * 0.5 ** (fine / half),
            "C3",
            label=f"half-life {half:.0f} ± {error:.0f} s",
        )
        axis.set(
            xlabel="time since SAA exit (s)",
            ylabel="rate in the line (cnt/s)",
            ylim=(0, None),
            title=f"decay, bias {bias:g}",
        )
        axis.legend(fontsize=8)
    return figure


def gain_with_time(ageing: Ageing) -> Figure | None:
    """Eq. 3: the gain from the activation line, and the cubic with its band."""
    drift = ageing.gain.drift
    if drift is None:
        return None
    figure, axes = single(ageing)
    fine = np.linspace(drift.attrs["days_first"], drift.attrs["days_last"], 200)
    value, error = gain_at(drift, fine)
    axes[0].fill_between(fine, value - error, value + error, color="C3", alpha=0.25, label="cubic, 1 sigma")
    axes[0].plot(fine, value, "C3")
    axes[0].errorbar(
        drift["days"], drift["gain"], drift["gain_error"], fmt="o", label=f"{drift.attrs['line_keV']:g} keV line"
    )
    axes[0].set(
        xlabel=DAYS, ylabel="gain g(t) (keV/ADU)", title=f"{ageing.mission.name}, b = {drift.attrs['b_keV']:.1f} keV"
    )
    axes[0].legend(fontsize=8)
    return figure
