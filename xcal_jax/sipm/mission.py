"""A satellite as its TOML file describes it: launch, channels, templates, calibrations, the synthetic mission."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.io import toml
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.mission_file import MissionTable, check_places, check_synthetic
from xcal_jax.spectra.dataset import reject
from xcal_jax.units import shown_path

SHIPPED = Path(__file__).parent / "missions"


@dataclass(frozen=True)
class Mission:
    """One satellite.

    launch: UTC midnight of the day. channels: ADC channels, counted from 1. readouts: names.
    crossing_level: cnt/s, of the threshold. group_days: days. counter_full: counts of a full channel. dead_time: s for
    every count, where exposures are real times. min_exposure: s. activation: lines after exits of the South Atlantic
    Anomaly, each `energy` keV, `window` (first and last channel), `fwhm` in channels, `bias`. calibrations: Eq. 2 of a
    readout at a bias, `k` keV/ADU and `b` keV with errors. The tables `bias`, `template`, `calibration` (keV/ADU,
    keV), `lines` (keV), `detector`, `orbit`, `recovered`, `not_legible` and `synthetic` are as in the file; absent
    means unknown. `cutoff_channel`, `lines`, `detector`, `orbit` and `recovered` are shown in the report.
    """

    name: str
    launch: np.datetime64
    channels: int
    readouts: tuple[str, ...]
    crossing_level: float = 10.0
    group_days: float = 5.0
    cutoff_channel: int | None = None
    counter_full: float | None = None
    dead_time: float | None = None
    min_exposure: float = 10.0
    activation: list = field(default_factory=list)
    calibrations: list = field(default_factory=list)
    detector: dict = field(default_factory=dict)
    orbit: dict = field(default_factory=dict)
    bias: dict = field(default_factory=dict)
    template: dict = field(default_factory=dict)
    calibration: dict = field(default_factory=dict)
    lines: dict = field(default_factory=dict)
    recovered: dict = field(default_factory=dict)
    not_legible: dict = field(default_factory=dict)
    synthetic: dict = field(default_factory=dict)


def mission_files() -> dict[str, Path]:
    """TOML files of the shipped satellites by their short names."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


@checked
def load_mission(name: str | Path) -> Mission:
    """The mission of a short name ("grbalpha", "GRBAlpha", "VZLUSAT-2") or of a TOML file.

    Raises ValueError for an unknown satellite, a key that is missing or unknown in any table, or a value out of range.
    """
    known = mission_files()
    path = known.get(short(str(name)), Path(name))
    if not os.path.isfile(path):
        raise ValueError(f"`mission` must be one of {', '.join(known)} or a TOML file, but is {shown_path(name)}")
    where = f"mission {shown_path(path)}"
    table = toml.read(path, "mission", MissionTable)
    if "synthetic" in table:
        check_synthetic(table, where)
    check_places(table, where)
    fields: dict[str, Any] = dict(table)
    fields["launch"] = np.datetime64(table["launch"].isoformat(), "ns")
    fields["readouts"] = tuple(table["readouts"])
    return Mission(**fields)


@checked
def new_mission(name: str) -> str:
    """A commented TOML for a satellite called ``name``, to be filled in; `load_mission` reads it as it is.

    Raises ValueError for an empty name.
    """
    if not name.strip():
        raise ValueError("`name` of a mission must not be empty, but is")
    text = (SHIPPED / "template.txt").read_text(encoding="utf-8")
    return text.replace('"@NAME@"', toml.quoted(name))


def short(name: str) -> str:
    """``name`` of a satellite in lower case and without hyphens."""
    return name.lower().replace("-", "")


@checked
def mission_of(spectra: xr.Dataset, name: str | None = None) -> Mission:
    """The mission called ``name``, or else the one that the attribute `satellite` of the spectra names.

    Raises ValueError where neither is known.
    """
    satellite = name or spectra.attrs.get("satellite")
    if satellite is None:
        raise ValueError("`spectra` do not say their satellite: name it with --mission")
    return load_mission(satellite)


@checked
def with_days(spectra: xr.Dataset, mission: Mission) -> xr.Dataset:
    """The spectra with their `days` since launch, d: (spectrum,), from the UTC `time`.

    Raises ValueError for spectra of another satellite, another channel count, or before launch.
    """
    satellite = spectra.attrs.get("satellite", mission.name)
    if short(satellite) != short(mission.name):
        raise ValueError(f"`spectra` must be of {mission.name}, but are of {satellite}")
    if spectra.sizes["channel"] != mission.channels:
        raise ValueError(
            f"`spectra` of {mission.name} must have {mission.channels} channels, but have {spectra.sizes['channel']}"
        )
    time = spectra["time"].values
    reject(np.isnat(time), "`time` must be given in UTC", time)
    days = (time - mission.launch) / np.timedelta64(1, "D")
    reject(days < 0, f"`time` must not precede the launch of {mission.name} on {str(mission.launch)[:10]}", time)
    return spectra.assign(days=variable("spectrum", days, "d", "time since launch"))
