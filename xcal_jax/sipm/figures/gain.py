"""Figures of the lines, the calibration and the gain (steps 4 and 5)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.figure import Figure

from xcal_jax.fit import double_precision
from xcal_jax.sipm.calibration import energy_at
from xcal_jax.sipm.figures.frame import DAYS, single, titled
from xcal_jax.sipm.gain import gain_at
from xcal_jax.sipm.line_window import BACKGROUNDS, Window, line_model
from xcal_jax.sipm.pipeline import Ageing
from xcal_jax.sipm.setting import Gain
from xcal_jax.spectra import stack


def line_curve(line: xr.Dataset, x: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """One fitted line at channels ``x``, cnt/s, on the background of the highest weight."""
    low, high = line["window"].values
    mask = np.ones_like(x)
    window = Window(x, mask, mask, mask, *map(np.asarray, (0.5 * (low + high), 0.5 * (high - low), 1.0, 1.0)))
    parameters = [float(line[name]) for name in ("amplitude", "position", "sigma")]
    place = BACKGROUNDS.index(line["background"].item())
    with double_precision():
        model = jnp.asarray(np.append(parameters, line["terms"].values))
        return np.asarray(line_model(model, window, jnp.asarray(place)))


def draw_line(axis, stacked: Any, line: xr.Dataset, name: str) -> None:
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


def with_part(ageing: Ageing, part: str) -> list[tuple[Gain, Any]]:
    """The settings that have ``part`` of the energy calibration, and it; ground lines of one readout only once."""
    found: list[tuple[Gain, Any]] = []
    for gain in ageing.gains.values():
        known = part == "ground" and any(other.readout == gain.readout for other, _ in found)
        if getattr(gain, part) is not None and not known:
            found.append((gain, getattr(gain, part)))
    return found


def ground_figure(ageing: Ageing) -> Figure | None:
    """Lines of the calibration sources on ground, with their fits."""
    ground = ageing.files.ground
    lines = [own.isel(line=n) for _, own in with_part(ageing, "ground") for n in range(own.sizes["line"])]
    if ground is None or not lines:
        return None
    figure, axes = single(ageing, len(lines), 3.5)
    for axis, line in zip(axes, lines, strict=True):
        readout, bias, energy = line["readout"].item(), float(line["bias"]), float(line["energy"])
        same = (ground["readout"].values == readout) & (ground["line_energy"].values == energy)
        row = int(np.argmax(same & ((ground["bias"].values == bias) | np.isnan(bias))))
        stacked = stack(ground.isel(spectrum=[row]))
        source = str(ground["source"].values[row]) if "source" in ground else ""
        draw_line(axis, stacked, line, f"{source} {energy:g} keV, {readout}, bias {bias:g}")
        low, high = line["window"].values
        inside = (stacked["channel"].values >= low) & (stacked["channel"].values <= high)
        axis.set_ylim(0, 1.5 * max(float(stacked["rate"].values[inside].max()), 1e-9))
    return figure


def calibration_figure(ageing: Ageing) -> Figure | None:
    """Eq. 2 through the ground lines of every readout, its residuals, and those of the curved shapes."""
    gains = [gain for gain, _ in with_part(ageing, "ground") if gain.compared]
    if not gains:
        return None
    figure, axes = single(ageing, 2 * len(gains), 3.5)
    for left, right, gain in zip(axes[::2], axes[1::2], gains, strict=True):
        for n, (shape, one) in enumerate(gain.compared.items()):
            x, energy = one["position"].values, one["energy"].values
            fine = np.linspace(x.min() - 10, x.max() + 10, 100)
            columns = (one["parameter"].values, one["parameters"].values, one["errors"].values)
            text = ", ".join(f"{p} = {v:.4g} ± {e:.2g}" for p, v, e in zip(*columns, strict=True))
            left.plot(fine, energy_at(one, fine)[0], f"C{n}", label=f"{shape}: {text}")
            right.plot(energy, one["residual"].values, f"oC{n}", label=f"{shape}, AICc {one.attrs['aicc']:.1f}")
            left.plot(x, energy, "ok")
        left.legend(fontsize=7)
        left.set(xlabel="line position (ADU)", ylabel="energy (keV)", title=f"Eq. 2, {titled(gain)}")
        right.axhline(0, color="grey", lw=0.8)
        right.legend(fontsize=7)
        right.set(xlabel="energy (keV)", ylabel="fit minus energy (keV)", title="residuals", xscale="log")
    return figure


def activation_figure(ageing: Ageing) -> Figure | None:
    """Stacks after SAA exits less the quiet stack, with the line of each setting, and its decay."""
    gains = with_part(ageing, "line")
    if not gains:
        return None
    figure, axes = single(ageing, 2 * len(gains), 3.5)
    for stacked, axis, (gain, line) in zip(axes[::2], axes[1::2], gains, strict=True):
        draw_line(stacked, gain.stack, line, f"after SAA exits, {titled(gain)}")
        if gain.decay is None:
            axis.set_title(f"no decay: {gain.reasons['decay']}", fontsize=7)
            continue
        decay = gain.decay
        delay = decay["since_exit"].values + 0.5 * decay["exposure"].values
        axis.errorbar(delay, decay["rate"].values, decay["rate_error"].values, fmt="o")
        half, error = float(decay["half_life"]), float(decay["half_life_error"])
        fine = np.linspace(0, delay.max() + 20, 100)
        curve = float(decay["rate_at_exit"]) * 0.5 ** (fine / half)
        axis.plot(fine, curve, "C3", label=f"half-life {half:.0f} ± {error:.0f} s")
        axis.set(xlabel="time since SAA exit (s)", ylabel="rate in the line (cnt/s)", ylim=(0, None))
        axis.set_title(f"decay, {titled(gain)}")
        axis.legend(fontsize=8)
    return figure


def gain_figure(ageing: Ageing) -> Figure | None:
    """Eq. 3 of every setting: the gain from its activation line, if it has one, and the cubic with its band."""
    gains = with_part(ageing, "drift")
    if not gains:
        return None
    figure, axes = single(ageing, len(gains))
    for axis, (gain, drift) in zip(axes, gains, strict=True):
        fine = np.linspace(drift.attrs["days_first"], drift.attrs["days_last"], 200)
        value, error = gain_at(drift, fine)
        axis.fill_between(fine, value - error, value + error, color="C3", alpha=0.25, label="cubic, 1 sigma")
        axis.plot(fine, value, "C3")
        if "epoch" in drift.dims:
            label = f"{drift.attrs['line_keV']:g} keV line"
            axis.errorbar(drift["days"], drift["gain"], drift["gain_error"], fmt="o", label=label)
        else:
            axis.plot([], [], " ", label=gain.drift_source)
        title = f"{ageing.mission.name} {titled(gain)}, b = {drift.attrs['b_keV']:.1f} keV"
        axis.set(xlabel=DAYS, ylabel="gain g(t) (keV/ADU)", title=title)
        axis.legend(fontsize=8)
    return figure
