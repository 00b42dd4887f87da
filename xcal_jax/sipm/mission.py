"""A satellite as its TOML file describes it: launch, channels, templates, calibrations, the synthetic mission.

The shipped files are `missions/*.toml` beside this one. `data/missions/README.md` states where their values come from.
"""

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.io import toml
from xcal_jax.io.datasets import variable
from xcal_jax.spectra.dataset import reject

SHIPPED = Path(__file__).parent / "missions"


def keys(names: str = "", **tables: Any) -> dict[str, Any]:
    """Keys of a TOML table and what each holds: None for a value, the keys of a table, [keys] for a list of tables.

    A name that ends in "?" may be missing; "*" stands for every name the file chooses.
    """
    return dict.fromkeys(names.split()) | tables


TREND = keys("start end slope scatter")
SYNTHETIC = keys(
    "seed first_day last_day campaigns spectra_per_campaign exposure template_exposure boards board_noise "
    "resolution_260",
    noise=keys("centre resolving_time pile_up_shift"),
    background=keys("channel rate"),
    readout={"*": keys(dcr=TREND, threshold=TREND)},
    temperature=keys("mean orbital yearly drift"),
    gain=keys("coefficients"),
    activation=keys("epochs exits delays exposure", line=[keys("energy rate half_life bias gain_ratio")]),
    ground=keys("bias exposure", line={"*": keys("energy rate window")}),
) | {"calibration?": keys("k b"), "step?": keys("day dcr threshold")}
MISSION = keys(
    "name launch channels readouts crossing_level? group_days? cutoff_channel? counter_full? dead_time? min_exposure?"
) | {
    "activation?": [keys("energy window fwhm? bias? nuclide? half_life?")],
    "calibrations?": [keys("readout k b bias? k_error? b_error? correlation?")],
    "detector?": {"*": None},
    "orbit?": {"*": None},
    "bias?": keys("nominal lower? ground?"),
    "template?": keys("day date? rule?"),
    "calibration?": keys("k? b? drift_energy? gain_april_2023?"),
    "lines?": {"*": None},
    "recovered?": {"*": None},
    "not_legible?": keys("names"),
    "synthetic?": SYNTHETIC,
}


@dataclass(frozen=True)
class Mission:
    """One satellite.

    launch: UTC midnight of the day. channels: ADC channels, counted from 1. readouts: names.
    crossing_level: cnt/s, of the threshold. group_days: days. counter_full: counts of a full channel. dead_time: s for
    every count, where exposures are real times. min_exposure: s. activation: lines after exits of the South Atlantic
    Anomaly, each `energy` keV, `window` (first and last channel), `fwhm` in channels, `bias`. calibrations: Eq. 2 of a
    readout at a bias, `k` keV/ADU and `b` keV with errors. The tables `bias`, `template`, `calibration` (keV/ADU,
    keV), `lines` (keV), `detector`, `orbit`, `recovered`, `not_legible` and `synthetic` are as in the file; absent
    means unknown.
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


def load_mission(name: str | Path) -> Mission:
    """The mission of a short name ("grbalpha", "GRBAlpha", "VZLUSAT-2") or of a TOML file.

    Raises ValueError for an unknown satellite, a key that is missing or unknown in any table, or a value out of range.
    """
    known = mission_files()
    path = known.get(short(str(name)), Path(name))
    if not path.is_file():
        raise ValueError(f"`mission` must be one of {', '.join(known)} or a TOML file, but is {str(name)!r}")
    table = toml.read(path, "mission")
    check_table(table, MISSION, f"mission {path.name}")
    if "synthetic" in table:
        toml.check_keys(table, list(table), ["bias", "template"], f"mission {path.name} with a [synthetic] table")
    if not isinstance(table["launch"], datetime.date):
        raise ValueError(f"`launch` in {path.name} must be a date like 2021-03-22, but is {table['launch']!r}")
    if not isinstance(table["channels"], int) or table["channels"] < 2:
        raise ValueError(f"`channels` in {path.name} must be at least 2, but is {table['channels']!r}")
    check_values(table, path.name)
    table["launch"] = np.datetime64(table["launch"].isoformat(), "ns")
    table["readouts"] = tuple(table["readouts"])
    return Mission(**table)


def new_mission(name: str) -> str:
    """A commented TOML for a satellite called ``name``, to be filled in; `load_mission` reads it as it is.

    Raises ValueError for an empty name.
    """
    if not name.strip():
        raise ValueError("`name` of a mission must not be empty, but is")
    text = (SHIPPED / "template.txt").read_text(encoding="utf-8")
    return text.replace('"@NAME@"', toml.quoted(name))


def check_values(table: dict[str, Any], where: str) -> None:
    """Raise ValueError for numbers of a mission that are out of range, and lines or readouts that are none."""
    for name in ("crossing_level", "group_days", "counter_full", "dead_time", "min_exposure"):
        if name in table and not (isinstance(table[name], int | float) and table[name] > 0):
            raise ValueError(f"`{name}` in {where} must be a positive number, but is {table[name]!r}")
    for line in table.get("activation", []):
        low_high = line["window"]
        if not (isinstance(low_high, list) and len(low_high) == 2 and 1 <= low_high[0] < low_high[1]):
            raise ValueError(f"`window` in [[activation]] of {where} must be two channels, but is {low_high!r}")
        if low_high[1] > table["channels"]:
            raise ValueError(f"`window` in [[activation]] of {where} must end at a channel, but ends at {low_high[1]}")
    for one in table.get("calibrations", []):
        if one["readout"] not in table["readouts"]:
            known = ", ".join(table["readouts"])
            raise ValueError(
                f"`readout` in [[calibrations]] of {where} must be one of {known}, but is {one['readout']!r}"
            )


def check_table(table: Any, known: dict[str, Any], where: str) -> None:
    """Raise ValueError unless ``table`` and the tables in it have the keys of ``known`` (see `keys`) and no others."""
    if "*" in known:
        toml.check_keys(table, list(table), (), where)
        inner = {name: known["*"] for name in table}
    else:
        inner = {name.removesuffix("?"): of for name, of in known.items()}
        toml.check_keys(table, list(inner), [name for name in known if not name.endswith("?")], where)
    for name, of in inner.items():
        if of is None or name not in table:
            continue
        many = toml.table_list(table[name], name, where) if isinstance(of, list) else [table[name]]
        for one in many:
            check_table(one, of[0] if isinstance(of, list) else of, f"[{name}] of {where}")


def short(name: str) -> str:
    """``name`` of a satellite in lower case and without hyphens."""
    return name.lower().replace("-", "")


def mission_of(spectra: xr.Dataset, name: str | None = None) -> Mission:
    """The mission called ``name``, or else the one that the attribute `satellite` of the spectra names.

    Raises ValueError where neither is known.
    """
    satellite = name or spectra.attrs.get("satellite")
    if satellite is None:
        raise ValueError("`spectra` do not say their satellite: name it with --mission")
    return load_mission(satellite)


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
