"""The whole analysis of one satellite in the paper's ten steps; the report shows its results."""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import xarray as xr

from xcal_jax.sipm.activation import at_bias, by_epoch, line_decay
from xcal_jax.sipm.calibration import energy_calibration
from xcal_jax.sipm.change_points import change_points
from xcal_jax.sipm.correlations import correlate
from xcal_jax.sipm.damage import fit_damage
from xcal_jax.sipm.darkcounts import dark_count_rate
from xcal_jax.sipm.gain import gain_drift, to_energy
from xcal_jax.sipm.grouping import group
from xcal_jax.sipm.lines import fit_lines
from xcal_jax.sipm.mission import Mission, with_days
from xcal_jax.sipm.temperature import joint_fit, temperature_residuals
from xcal_jax.sipm.template import build_template
from xcal_jax.sipm.threshold import threshold
from xcal_jax.sipm.trends import BASIS, fit_trends
from xcal_jax.spectra import select, stack
from xcal_jax.spectra.readers import read_spectra

QUANTITIES = ("threshold_adu", "dcr")
LINE_WIDTH = 20.0
LOWEST_LINE = 75


@dataclass(frozen=True)
class Files:
    """Data of one satellite, of which only spectra and template must be there.

    spectra: routine archive. template: early spectra, or rates as `build_template` gives. activation: spectra after
    exits of the South Atlantic Anomaly (SAA). ground: spectra of sources, with `line_energy` and `window`. fluence: as
    `damage.read_fluence` gives. series: as `time_series.read_series` gives.
    """

    spectra: xr.Dataset
    template: xr.Dataset
    activation: xr.Dataset | None = None
    ground: xr.Dataset | None = None
    fluence: xr.Dataset | None = None
    series: xr.Dataset | None = None


@dataclass(frozen=True)
class Channel:
    """Results of one readout channel; each dict is by quantity (`threshold_adu`, `dcr`).

    values: one row a spectrum. groups: five-day groups. trends, residuals, joint, steps: Datasets of `fit_trends`,
    `temperature_residuals`, `joint_fit`, `change_points`. correlations, damage: where series and fluence are given.
    """

    values: xr.Dataset
    groups: xr.Dataset
    trends: dict[str, xr.Dataset]
    residuals: dict[str, xr.Dataset]
    joint: dict[str, xr.Dataset]
    steps: dict[str, xr.Dataset]
    correlations: dict[str, xr.Dataset]
    damage: xr.Dataset | None


@dataclass(frozen=True)
class Gain:
    """Energy calibration, each part None where there are no data.

    ground: lines on ground. linear: Eq. 2. epochs, lines: stacks after SAA exits and their 260 keV line. drift: Eq. 3.
    stacks, decays: stacks with their line, and its decay, by bias setting.
    """

    ground: xr.Dataset | None = None
    linear: xr.Dataset | None = None
    epochs: xr.Dataset | None = None
    lines: xr.Dataset | None = None
    drift: xr.Dataset | None = None
    stacks: dict[float, tuple[xr.Dataset, xr.Dataset]] | None = None
    decays: dict[float, xr.Dataset] | None = None


@dataclass(frozen=True)
class Ageing:
    """All results of one satellite: `channels` by readout name, the gain of the first readout, the template."""

    mission: Mission
    files: Files
    template: xr.Dataset
    channels: dict[str, Channel]
    gain: Gain


def read_folder(folder: Path) -> Files:
    """The files of a folder, by name: spectra, template, activation, ground, as .nc or .csv.

    Raises ValueError when spectra or template are missing.
    """
    found: dict[str, xr.Dataset | None] = {}
    for name in ("spectra", "template", "activation", "ground"):
        paths = [folder / f"{name}{suffix}" for suffix in (".nc", ".csv")]
        path = next((p for p in paths if p.is_file()), None)
        if path is None and name in ("spectra", "template"):
            raise ValueError(f"{folder} must hold {name}.nc or {name}.csv, but has neither")
        found[name] = read_spectra(path) if path is not None else None
    return Files(**found)  # type: ignore[arg-type]


def brightest(stacked: xr.Dataset) -> tuple[float, float]:
    """First and last channel of the window of +-1.45 FWHM around the brightest place of a stack above the noise."""
    smooth = np.convolve(stacked["rate"].values, np.ones(9) / 9, "same")
    peak = LOWEST_LINE + int(np.argmax(smooth[LOWEST_LINE - 1 : -9]))
    half = 1.45 * LINE_WIDTH
    return max(1.0, peak - half), min(float(smooth.size), peak + half)


def ground_lines(ground: xr.Dataset) -> xr.Dataset:
    """The line of each ground spectrum in its own window, over `line`, with its `energy`.

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
    return lines.assign(energy=("line", ground["line_energy"].values, ground["line_energy"].attrs))


def gain_of(mission: Mission, files: Files, quiet: xr.Dataset, readout: str) -> Gain:
    """Eq. 2 from the ground lines, Eq. 3 from the 260 keV line at the nominal bias, decays at every bias."""
    out: dict = {}
    b = mission.calibration.get("b")
    if files.ground is not None:
        out["ground"] = ground_lines(files.ground)
        out["linear"] = energy_calibration(
            out["ground"]["position"], out["ground"]["position_error"], out["ground"]["energy"]
        )
        b = float(out["linear"]["parameters"][1]) if b is None else b
    if files.activation is None:
        return Gain(**out)
    after = select(files.activation, readout).pipe(with_days, mission)
    out["stacks"], out["decays"] = {}, {}
    for bias in np.unique(after["bias"].values):
        chosen = at_bias(after, bias)
        net = by_epoch(chosen, quiet, width=np.inf).isel(epoch=0)
        window = brightest(net)
        out["stacks"][bias] = (net, fit_lines(net, [window], LINE_WIDTH))
        out["decays"][bias] = line_decay(chosen, quiet, window, LINE_WIDTH)
    nominal = mission.bias.get("nominal")
    if nominal is not None and nominal in out["stacks"] and b is not None:
        window = tuple(out["stacks"][nominal][1]["window"].values[0])
        out["epochs"] = at_bias(after, nominal).pipe(by_epoch, quiet)
        out["lines"] = out["epochs"].pipe(fit_lines, [window], LINE_WIDTH).isel(line=0)
        energy = mission.calibration.get("drift_energy", 260.0)
        positions = out["lines"]["position"], out["lines"]["position_error"]
        out["drift"] = gain_drift(out["epochs"]["days"], *positions, b=b, energy=energy)
    return Gain(**out)


def trend_under(joint: xr.Dataset) -> str:
    """The linear form of the trend in the search for steps: the joint fit's own, or the square root for a power law."""
    form = joint.attrs["chosen_form"]
    return form if form in BASIS else "sqrt"


def channel_of(
    mission: Mission, files: Files, template: xr.Dataset, gain: Gain, name: str, interpolation: str
) -> Channel:
    """Results of steps 3 and 6 to 10 for one readout channel."""
    values = select(files.spectra, name).pipe(with_days, mission)
    values = values.pipe(threshold, template, mission.crossing_level, interpolation).pipe(dark_count_rate)
    if gain.drift is not None:
        values = values.pipe(to_energy, gain.drift)
    groups = values.pipe(group, mission.group_days)
    measured = [q for q in (*QUANTITIES, "threshold_kev") if q in groups]
    trends = {q: fit_trends(groups, q) for q in measured}
    known = "temperature" in groups and bool(np.isfinite(groups["temperature"].values).all())
    residuals, joint, steps, correlations = {}, {}, {}, {}
    for number, q in enumerate(QUANTITIES):
        if not known:
            continue
        residuals[q] = groups.pipe(temperature_residuals, trends[q])
        plain = groups.pipe(joint_fit, q)
        steps[q] = change_points(jax.random.key(number), groups, q, trend_under(plain))
        joint[q] = groups.pipe(joint_fit, q, steps=steps[q]["day"].values) if steps[q]["day"].size else plain
        if files.series is not None:
            lags = (0.0, 10.0, 30.0)
            correlations[q] = correlate(joint[q], "residual", files.series, lags, launch=mission.launch)
    damage = None if files.fluence is None else fit_damage(groups, "dcr", files.fluence)
    return Channel(values, groups, trends, residuals, joint, steps, correlations, damage)


def analyse(mission: Mission, files: Files, interpolation: str = "linear") -> Ageing:
    """Results of every step for every readout channel of the spectra. interpolation: of `threshold`.

    Raises ValueError, as the steps do, for data that cannot be analysed.
    """
    template = files.template if "rate" in files.template else build_template(files.template)
    with_days(files.spectra, mission)
    names = sorted(set(map(str, files.spectra["readout"].values)))
    quiet = stack(select(files.spectra, names[0]))
    gain = gain_of(mission, files, quiet, names[0])
    channels = {name: channel_of(mission, files, template, gain, name, interpolation) for name in names}
    return Ageing(mission, files, template, channels, gain)
