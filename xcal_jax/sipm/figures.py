"""The figures of the report, one function each: results in, a matplotlib figure out. No display is needed."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from xcal_jax.sipm.chain import Ageing, Channel
from xcal_jax.sipm.gain import gain_at
from xcal_jax.sipm.trends import FORMS, best_form, evaluate, forecast

LABEL = {
    "threshold_adu": "threshold (ADC channel)",
    "threshold_kev": "threshold (keV)",
    "dcr": "dark count rate (cnt/s)",
}
DAYS = "days since launch"


def panels(ageing: Ageing, rows: int = 1, height: float = 4.0):
    """A figure with a column per readout channel: figure and axes (rows, channels); synthetic data are
    marked.
    """
    figure = Figure(figsize=(6.0 * len(ageing.channels), height * rows), layout="constrained")
    axes = figure.subplots(rows, len(ageing.channels), squeeze=False)
    for axis, name in zip(axes[0], ageing.channels, strict=True):
        axis.set_title(f"{ageing.mission.name} {name}")
    return mark(ageing, figure), axes


def single(ageing: Ageing, count: int = 1, height: float = 4.0):
    """A figure of ``count`` panels, two a row: figure and axes (count,)."""
    rows, columns = -(-count // 2), min(count, 2)
    figure = Figure(figsize=(6.0 * columns, height * rows), layout="constrained")
    return mark(ageing, figure), figure.subplots(rows, columns, squeeze=False).ravel()[:count]


def mark(ageing: Ageing, figure: Figure) -> Figure:
    """Write "synthetic data" on the figure where the data are that."""
    if int(ageing.files.spectra.attrs.get("synthetic", 0)):
        figure.suptitle("synthetic data", color="firebrick", fontsize=9, x=0.01, ha="left")
    return figure


def spectra_with_time(ageing: Ageing) -> Figure:
    """Routine spectra from early to late, and the template."""
    figure, axes = panels(ageing)
    for axis, (name, channel) in zip(axes[0], ageing.channels.items(), strict=True):
        values = channel.values
        order = np.argsort(values["days"].values)
        for k, place in enumerate(order[np.linspace(0, order.size - 1, 6).astype(int)]):
            one = values.isel(spectrum=place)
            rate = one["counts"].values / float(one["exposure"])
            label = f"day {float(one['days']):.0f}"
            axis.step(
                values["channel"],
                np.where(rate > 0, rate, np.nan),
                where="mid",
                lw=1,
                color=f"C{k}",
                label=label,
            )
        template = ageing.template.sel(readout=name)["rate"]
        axis.step(
            template["channel"],
            np.where(template > 0, template, np.nan),
            "k--",
            where="mid",
            lw=1,
            label="template",
        )
        axis.set(xlabel="ADC channel", ylabel="cnt/s per channel", yscale="log")
        axis.legend(fontsize=8)
    return figure


def threshold_construction(ageing: Ageing) -> Figure:
    """Spectrum, template, their difference, and the crossing of Eq. 1, for the last measured spectrum."""
    figure, axes = panels(ageing)
    for axis, (name, channel) in zip(axes[0], ageing.channels.items(), strict=True):
        good = np.flatnonzero(channel.values["threshold_flag"].values == 0)
        one = channel.values.isel(spectrum=good[-1])
        template = ageing.template.sel(readout=name)["rate"].values
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


def line_curve(line: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """The kept model of one fitted line at channels ``x``: (N,) cnt/s."""
    low, high = line["window"].values
    u = (x - 0.5 * (low + high)) / (0.5 * (high - low))
    terms = np.nan_to_num(line["terms"].values)
    smooth = sum(term * u**k for k, term in enumerate(terms))
    shape = np.exp(-0.5 * ((x - float(line["position"])) / float(line["sigma"])) ** 2)
    return float(line["amplitude"]) * shape + smooth


def draw_line(axis, stacked: xr.Dataset, line: xr.Dataset, name: str) -> None:
    """Points of a stack around one line, with the fit where there is one."""
    low, high = line["window"].values
    x = stacked["channel"].values
    near = (x > low - 15) & (x < high + 15)
    axis.errorbar(x[near], stacked["rate"].values[near], stacked["rate_error"].values[near], fmt=".", ms=3, lw=0.7)
    if int(line["veto"]) == 0:
        fine = np.linspace(low, high, 200)
        value, error = float(line["position"]), float(line["position_error"])
        axis.plot(
            fine,
            line_curve(line, fine),
            "C3",
            label=f"{value:.2f} ± {error:.2f}, {line['background'].item()}",
        )
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
    """Eq. 2 through the ground lines, and what is left."""
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
        drift["days"],
        drift["gain"],
        drift["gain_error"],
        fmt="o",
        label=f"{drift.attrs['line_keV']:g} keV line",
    )
    axes[0].set(
        xlabel=DAYS,
        ylabel="gain g(t) (keV/ADU)",
        title=f"{ageing.mission.name}, b = {drift.attrs['b_keV']:.1f} keV",
    )
    axes[0].legend(fontsize=8)
    return figure


def draw_trends(axis, channel: Channel, name: str, future: float = 0.0) -> None:
    """Groups of one quantity, the four trends, and a forecast band to ``future`` days past the last group."""
    groups, trends = channel.groups, channel.trends[name]
    axis.errorbar(
        groups["days"],
        groups[name],
        np.nan_to_num(groups[f"{name}_deviation"]),
        fmt=".",
        ms=4,
        lw=0.6,
        color="grey",
        label="5 d groups, deviation",
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


def threshold_with_time(ageing: Ageing) -> Figure:
    """Threshold in ADC channels, and in keV where there is a gain, with trends."""
    names = [n for n in ("threshold_adu", "threshold_kev") if n in next(iter(ageing.channels.values())).trends]
    figure, axes = panels(ageing, len(names))
    for row, name in zip(axes, names, strict=True):
        for axis, channel in zip(row, ageing.channels.values(), strict=True):
            draw_trends(axis, channel, name)
    return figure


def dark_counts_with_time(ageing: Ageing) -> Figure:
    """Dark count rate with trends and a forecast of half a year."""
    figure, axes = panels(ageing)
    for axis, channel in zip(axes[0], ageing.channels.values(), strict=True):
        draw_trends(axis, channel, "dcr", 180.0)
    return figure


def temperature_with_time(ageing: Ageing) -> Figure:
    """Mean board temperature of each spectrum and group."""
    figure, axes = panels(ageing, height=3.2)
    for axis, channel in zip(axes[0], ageing.channels.values(), strict=True):
        axis.plot(
            channel.values["days"],
            channel.values["temperature"].mean("board"),
            ".",
            ms=2,
            color="silver",
            label="spectra",
        )
        axis.plot(channel.groups["days"], channel.groups["temperature"], ".", label="groups")
        axis.set(xlabel=DAYS, ylabel="mean board temperature (°C)")
        axis.legend(fontsize=8)
    return figure


def residuals_with_temperature(ageing: Ageing, name: str) -> Figure | None:
    """Residuals from the trend against temperature: the line of step 9, and the joint fit's slope."""
    if not all(channel.residuals for channel in ageing.channels.values()):
        return None
    figure, axes = panels(ageing)
    for axis, channel in zip(axes[0], ageing.channels.values(), strict=True):
        data, joint = channel.residuals[name], channel.joint[name]
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
        slope, error = float(joint["parameters"][2]), float(joint["errors"][2])
        middle = float(data["residual"].mean())
        axis.plot(
            fine,
            middle + slope * (fine - x.mean()),
            "C3",
            label=f"joint fit: {slope:.3g} ± {error:.2g} per °C",
        )
        axis.set(xlabel="mean board temperature (°C)", ylabel=f"{LABEL[name]} minus trend")
        axis.legend(fontsize=8)
    return figure


def joint_fits(ageing: Ageing) -> Figure | None:
    """What the joint fits of trend, temperature and steps leave, and where the steps are."""
    if not all(channel.joint for channel in ageing.channels.values()):
        return None
    figure, axes = panels(ageing, 2, 3.0)
    for row, name in zip(axes, ("threshold_adu", "dcr"), strict=True):
        for axis, channel in zip(row, ageing.channels.values(), strict=True):
            joint = channel.joint[name]
            axis.axhline(0, color="grey", lw=0.8)
            axis.plot(
                joint["days"],
                joint["residual"],
                ".",
                label=f"{FORMS[joint.attrs['chosen_form']]} + temperature, steps",
            )
            steps = channel.steps[name]
            for day, size, error in zip(
                steps["day"].values, steps["size"].values, steps["size_error"].values, strict=True
            ):
                axis.axvline(day, color="C3", lw=1, label=f"step, day {day:.0f}: {size:.3g} ± {error:.1g}")
            axis.set(xlabel=DAYS, ylabel=f"{LABEL[name]}\nminus joint fit")
            axis.legend(fontsize=7)
    return figure
