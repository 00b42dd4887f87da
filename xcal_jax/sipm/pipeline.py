"""The whole analysis of one satellite in the paper's ten steps; the report shows its results.

Every setting, a readout channel at a bias, is analysed by itself. Each step uses what there is, and says how much; what
cannot be done is a reason in words, and the other steps go on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from xcal_jax.sipm.change_points import change_points
from xcal_jax.sipm.correlations import correlate
from xcal_jax.sipm.counters import live_spectra
from xcal_jax.sipm.damage import fit_damage
from xcal_jax.sipm.darkcounts import dark_count_rate
from xcal_jax.sipm.gain import to_energy
from xcal_jax.sipm.goodness import warnings_of
from xcal_jax.sipm.grouping import group, warm_group
from xcal_jax.sipm.mission import Mission, with_days
from xcal_jax.sipm.readouts import joint_readouts
from xcal_jax.sipm.setting import Gain, gains_of
from xcal_jax.sipm.temperature import joint_fit, temperature_residuals
from xcal_jax.sipm.template import at_setting, build_template, setting_name, settings_of
from xcal_jax.sipm.thresholds import threshold
from xcal_jax.sipm.trends import fit_trends
from xcal_jax.spectra.readers import read_spectra

QUANTITIES = ("threshold_adu", "dcr")
LAGS = (0.0, 1.0, 3.0, 10.0, 30.0, 90.0)


@dataclass(frozen=True)
class Files:
    """Data of one satellite, of which only spectra and template must be there.

    spectra: routine archive. template: early spectra, or rates as `build_template` gives. activation: spectra after
    exits of the South Atlantic Anomaly (SAA), with quiet ones of the same bias, without `since_exit`, where the routine
    archive has none. ground: spectra of sources, with `line_energy` and `window`. fluence: as `damage.read_fluence`
    gives. series: as `time_series.read_series` gives.
    """

    spectra: xr.Dataset
    template: xr.Dataset
    activation: xr.Dataset | None = None
    ground: xr.Dataset | None = None
    fluence: xr.Dataset | None = None
    series: xr.Dataset | None = None


@dataclass(frozen=True)
class Setting:
    """Results of one setting; each dict is by quantity (`threshold_adu`, `dcr`).

    values: one row a spectrum. groups: five-day groups. trends, residuals, joint, steps: Datasets of `fit_trends`,
    `temperature_residuals`, `joint_fit`, `change_points`. correlations, damage: where series and fluence are given.
    warnings: what speaks against the result of a step. reasons: why a step has no result. Both are by "step" or "step
    of quantity".
    """

    readout: str
    bias: float
    gain: Gain
    values: xr.Dataset
    groups: xr.Dataset
    trends: dict[str, xr.Dataset] = field(default_factory=dict)
    residuals: dict[str, xr.Dataset] = field(default_factory=dict)
    joint: dict[str, xr.Dataset] = field(default_factory=dict)
    steps: dict[str, xr.Dataset] = field(default_factory=dict)
    correlations: dict[str, xr.Dataset] = field(default_factory=dict)
    damage: xr.Dataset | None = None
    warnings: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ageing:
    """All results of one satellite.

    settings: by name of the setting: the readout, and its bias where the readout has several. gains: of every setting,
    those with spectra after SAA exits alone among them. readouts: joint fits of the readouts at one bias, by quantity.
    left_out: why a setting has no results. notes: what was left out of the files.
    """

    mission: Mission
    files: Files
    template: xr.Dataset
    settings: dict[str, Setting]
    gains: dict[str, Gain]
    readouts: dict[str, xr.Dataset]
    left_out: dict[str, str]
    notes: list[str]


def read_folder(folder: Path, strict: bool = False) -> Files:
    """The files of a folder, by name: spectra, template, activation, ground, as .nc or .csv.

    strict: a bad spectrum is an error. Raises ValueError when spectra or template are missing.
    """
    found: dict[str, xr.Dataset | None] = {}
    for name in ("spectra", "template", "activation", "ground"):
        paths = [folder / f"{name}{suffix}" for suffix in (".nc", ".csv")]
        path = next((p for p in paths if p.is_file()), None)
        if path is None and name in ("spectra", "template"):
            raise ValueError(f"{folder} must hold {name}.nc or {name}.csv, but has neither")
        found[name] = read_spectra(path, strict) if path is not None else None
    return Files(**found)  # type: ignore[arg-type]


class Steps:
    """Runs steps; keeps the reason of each that raises ValueError."""

    def __init__(self) -> None:
        """No reasons yet."""
        self.reasons: dict[str, str] = {}

    def run(self, name: str, work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """The result of ``work``, or None, with the reason kept under ``name``."""
        try:
            return work(*arguments, **more)
        except ValueError as problem:
            self.reasons[name] = str(problem)
            return None


def usable_groups(joint: xr.Dataset, warm: xr.Dataset, groups: xr.Dataset) -> xr.Dataset:
    """The groups with temperatures where the joint fit has one, or else all."""
    return warm if "temperature" in joint["parameter"].values else groups


def setting_of(
    mission: Mission, files: Files, spectra: xr.Dataset, template: xr.Dataset, gain: Gain, rule: str
) -> Setting:
    """Results of steps 3 and 6 to 10 for the spectra of one setting. rule: interpolation of `threshold`.

    Raises ValueError where no spectrum has a threshold.
    """
    values = with_days(spectra, mission)
    values = threshold(values, template, mission.crossing_level, rule, mission.min_exposure).pipe(dark_count_rate)
    if gain.used is not None:
        values = to_energy(values, gain.used)
    groups, warm = group(values, mission.group_days), warm_group(values, mission.group_days)
    steps, warnings = Steps(), {}
    if gain.used is None:
        steps.reasons["energy"] = gain.reasons["calibration"]
    done: dict[str, dict] = {name: {} for name in ("trends", "residuals", "joint", "steps", "correlations")}
    for q in (q for q in (*QUANTITIES, "threshold_kev") if q in groups):
        done["trends"][q] = steps.run(f"trends of {q}", fit_trends, groups, q)
    for number, q in enumerate(QUANTITIES):
        if done["trends"][q] is None:
            continue
        done["residuals"][q] = steps.run(f"temperature of {q}", temperature_residuals, warm, done["trends"][q])
        plain = steps.run(f"joint fit of {q}", joint_fit, warm, q)
        if plain is None or "temperature" not in plain["parameter"].values:
            plain = steps.run(f"joint fit of {q}", joint_fit, groups, q)
        if plain is None:
            continue
        found = steps.run(f"steps of {q}", change_points, jax.random.key(number), plain)
        done["steps"][q] = found
        days = () if found is None else found["day"].values
        with_steps = (
            steps.run(f"joint fit of {q}", joint_fit, usable_groups(plain, warm, groups), q, steps=days)
            if len(days)
            else plain
        )
        done["joint"][q] = with_steps
        if with_steps is not None and (found := warnings_of(with_steps)):
            warnings[f"joint fit of {q}"] = "; ".join(found)
        if "temperature" not in plain["parameter"].values:
            steps.reasons[f"joint temperature of {q}"] = f"too few of {groups.sizes['group']} groups have temperatures"
        if files.series is None:
            steps.reasons[f"correlations of {q}"] = "no series given"
        elif with_steps is not None:
            arguments = (with_steps, "residual", files.series, LAGS)
            found = steps.run(f"correlations of {q}", correlate, *arguments, launch=mission.launch)
            done["correlations"][q] = found
    if files.fluence is None:
        damage, steps.reasons["damage"] = None, "no fluence given"
    else:
        damage = steps.run("damage", fit_damage, warm, "dcr", files.fluence)
    kept = {name: {q: one for q, one in results.items() if one is not None} for name, results in done.items()}
    return Setting(
        gain.readout, gain.bias, gain, values, groups, **kept, damage=damage, warnings=warnings, reasons=steps.reasons
    )


def readouts_of(settings: dict[str, Setting]) -> dict[str, xr.Dataset]:
    """Joint fits of the readouts at one bias, by quantity and bias: their common slope with temperature."""
    found = {}
    for bias in sorted({one.bias for one in settings.values() if np.isfinite(one.bias)}) or [np.nan]:
        here = [one for one in settings.values() if np.isnan(bias) or one.bias == bias]
        for q in QUANTITIES:
            fits = {one.readout: one.joint[q] for one in here if q in one.joint}
            warm = {name: one for name, one in fits.items() if "temperature" in one["parameter"].values}
            if len(warm) > 1:
                found[q if np.isnan(bias) else f"{q} at bias {bias:g}"] = joint_readouts(warm)
    return found


def in_time(spectra: xr.Dataset, mission: Mission, notes: list[str]) -> xr.Dataset:
    """The spectra whose time is known and not before launch; ``notes`` says how many are left out.

    Raises ValueError, as `with_days`, where none is left.
    """
    time = spectra["time"].values
    good = time >= mission.launch
    if good.all() or not good.any():
        return spectra
    first = int(np.argmin(good))
    notes.append(
        f"{(~good).sum()} of {good.size} spectra have no time or one before launch and are left out, the first of them "
        f"spectrum {first} with {time[first]}"
    )
    return spectra.isel(spectrum=np.flatnonzero(good))


def prepared(mission: Mission, files: Files, notes: list[str]) -> Files:
    """The files with live times as exposures, counter depths, and without spectra that have no time."""
    out = {}
    for name in ("spectra", "template", "activation", "ground"):
        data = getattr(files, name)
        if data is not None and "counts" in data:
            if "skipped" in data.attrs:
                notes.append(str(data.attrs["skipped"]))
            data = data if mission.dead_time is None else live_spectra(data, mission.dead_time)
            data = data if mission.counter_full is None else data.assign_attrs(counter_full=mission.counter_full)
            data = in_time(data, mission, notes) if name == "spectra" else data
        out[name] = data
    return Files(**out, fluence=files.fluence, series=files.series)


def analyse(mission: Mission, files: Files, interpolation: str = "flank", bias: float | None = None) -> Ageing:
    """Results of every step for every setting of the spectra.

    interpolation: of `threshold`. bias: analyse this setting alone. Raises ValueError where no setting can be analysed,
    or none has that bias.
    """
    notes: list[str] = []
    files = prepared(mission, files, notes)
    template = files.template if "rate" in files.template else build_template(files.template)
    with_days(files.spectra, mission)
    pairs = settings_of(files.spectra)
    chosen = [pair for pair in pairs if bias is None or pair[1] == bias]
    if not chosen:
        known = ", ".join(f"{b:g}" for b in sorted({b for _, b in pairs}))
        raise ValueError(f"`bias` must be one of {known}, but is {bias:g}")
    readouts = [name for name, _ in pairs]
    found = gains_of(mission, files.spectra, files.activation, files.ground)
    names, gains = {}, {}
    for pair, gain in found.items():
        own = (gain.readout, gain.bias) in pairs or np.isnan(gain.bias)
        names[pair] = (
            gain.readout if own and readouts.count(gain.readout) == 1 else setting_name(gain.readout, gain.bias)
        )
        gains[names[pair]] = gain
    settings, left_out = {}, {}
    for readout, at in chosen:
        pair = readout, None if np.isnan(at) else at
        spectra = at_setting(files.spectra, readout, at)
        try:
            settings[names[pair]] = setting_of(mission, files, spectra, template, found[pair], interpolation)
        except ValueError as problem:
            left_out[names[pair]] = str(problem)
    if not settings:
        raise ValueError(next(iter(left_out.values())))
    return Ageing(mission, files, template, settings, gains, readouts_of(settings), left_out, notes)
