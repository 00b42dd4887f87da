"""A satellite as its TOML file tells it: launch, channels, templates, calibrations, the synthetic mission.

The tables are `data/missions/*.toml`; a wheel carries them beside this file.
"""

import datetime
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.datasets import variable
from xcal_jax.spectra.dataset import reject

INSTALLED = Path(__file__).parent / "missions"
SOURCE = Path(__file__).parents[2] / "data" / "missions"


@dataclass(frozen=True)
class Mission:
    """One satellite.

    launch: UTC midnight of the day. channels: ADC channels, counted from 1. readouts: names.
    crossing_level: cnt/s, of the threshold. group_days: days. The tables `bias`, `template`, `calibration` (keV/ADU,
    keV), `lines` (keV), `recovered`, `lost` and `synthetic` are as in the file; absent means unknown.
    """

    name: str
    launch: np.datetime64
    channels: int
    readouts: tuple[str, ...]
    crossing_level: float = 10.0
    group_days: float = 5.0
    cutoff_channel: int | None = None
    bias: dict = field(default_factory=dict)
    template: dict = field(default_factory=dict)
    calibration: dict = field(default_factory=dict)
    lines: dict = field(default_factory=dict)
    recovered: dict = field(default_factory=dict)
    lost: dict = field(default_factory=dict)
    synthetic: dict = field(default_factory=dict)


def mission_files() -> dict[str, Path]:
    """The known satellites: file name without suffix -> its TOML file."""
    folder = INSTALLED if INSTALLED.is_dir() else SOURCE
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_mission(name: str | Path) -> Mission:
    """Read a mission by its short name ("grbalpha", "GRBAlpha", "VZLUSAT-2") or from a TOML file of one's
    own.

    Raises ValueError for an unknown satellite, a key that is missing or unknown, or a value out of range.
    """
    known = mission_files()
    short = str(name).lower().replace("-", "")
    path = known.get(short, Path(name))
    if not path.is_file():
        raise ValueError(f"`mission` must be one of {', '.join(known)} or a TOML file, but is {str(name)!r}")
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"`mission` {path.name} must be TOML, but: {problem}") from problem
    unknown = set(table) - set(Mission.__dataclass_fields__)
    if unknown:
        raise ValueError(f"`mission` {path.name} has an unknown key {sorted(unknown)[0]!r}")
    missing = {"name", "launch", "channels", "readouts"} - set(table)
    if missing:
        raise ValueError(f"`mission` {path.name} lacks the key {sorted(missing)[0]!r}")
    if not isinstance(table["launch"], datetime.date):
        raise ValueError(f"`launch` in {path.name} must be a date like 2021-03-22, but is {table['launch']!r}")
    if not isinstance(table["channels"], int) or table["channels"] < 2:
        raise ValueError(f"`channels` in {path.name} must be at least 2, but is {table['channels']!r}")
    table["launch"] = np.datetime64(table["launch"].isoformat(), "ns")
    table["readouts"] = tuple(table["readouts"])
    return Mission(**table)


def mission_of(spectra: xr.Dataset, name: str | None = None) -> Mission:
    """The mission by ``name``, or that of the spectra's own `satellite`. Raises ValueError where neither is known."""
    satellite = name or spectra.attrs.get("satellite")
    if satellite is None:
        raise ValueError("`spectra` do not say their satellite: name it with --mission")
    return load_mission(satellite)


def with_days(spectra: xr.Dataset, mission: Mission) -> xr.Dataset:
    """Add `days` since launch, d: (spectrum,), from the UTC `time`, after checking satellite and channels.

    Raises ValueError for spectra of another satellite, another channel count, or before launch.
    """
    satellite = spectra.attrs.get("satellite", mission.name)
    if satellite.lower().replace("-", "") != mission.name.lower().replace("-", ""):
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
