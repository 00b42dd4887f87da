"""The TOML file of a satellite, table by table: keys, types, units and limits.

The shipped files are `missions/*.toml` beside this one. `data/missions/README.md` states where their values come from.
"""

import datetime
from itertools import pairwise
from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from xcal_jax.io.schema import NotNegative, Number, Pair, Positive, Some, listed, quantity, rule, whole
from xcal_jax.units import shown

MOST_CHANNELS = 2**16
CAMPAIGN_DAYS = 2.0  # the longest that a synthetic campaign takes
FIRST_LAUNCH, LAST_LAUNCH = datetime.date(1957, 10, 4), datetime.date(2199, 12, 31)


def _ascending(values: list[float]) -> list[float]:
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError(f"must ascend, but is {shown(values)}")
    return values


def _in_the_space_age(launch: datetime.date) -> datetime.date:
    if not FIRST_LAUNCH <= launch <= LAST_LAUNCH:
        raise ValueError(f"must be from {FIRST_LAUNCH} to {LAST_LAUNCH}, but is {launch}")
    return launch


Count = Annotated[int, whole(least=1, most=10**6)]
Seconds = Annotated[float, quantity("s", above=0.0)]
Day = Annotated[float, quantity("d", least=0.0)]


class Bias(TypedDict):
    """The table [bias]: settings of the bias voltage."""

    nominal: Number
    lower: NotRequired[list[Number]]
    ground: NotRequired[Number]


class Template(TypedDict):
    """The table [template]: when the early spectra were taken (day: since launch), and what was done to them."""

    day: Day
    date: NotRequired[datetime.date]
    rule: NotRequired[str]


class Calibration(TypedDict):
    """The table [calibration]: Eq. 2 of settings that have none of their own. k, gain_april_2023: keV/ADU; b: keV."""

    k: NotRequired[Positive]
    b: NotRequired[Number]
    gain_april_2023: NotRequired[Positive]


class StatedCalibration(TypedDict):
    """A table [[calibrations]]: Eq. 2 of a readout at a bias. k: keV/ADU; b: keV; their errors and correlation."""

    readout: str
    bias: NotRequired[Number]
    k: Positive
    b: Number
    k_error: NotRequired[NotNegative]
    b_error: NotRequired[NotNegative]
    correlation: NotRequired[Annotated[float, quantity("", least=-1.0, most=1.0)]]


class LineWindow(TypedDict):
    """A table [[activation]]: a line after exits of the South Atlantic Anomaly.

    energy: keV; window: first and last channel of the fit; fwhm: channels. nuclide and half_life, s: for the report.
    """

    energy: Positive
    window: Annotated[Pair[Count], rule(_ascending)]
    bias: NotRequired[Number]
    fwhm: NotRequired[Positive]
    nuclide: NotRequired[str]
    half_life: NotRequired[Seconds]


class Orbit(TypedDict):
    """The table [orbit], for the report. altitude_km: km; inclination_deg: degrees."""

    altitude_km: NotRequired[Positive]
    inclination_deg: NotRequired[Annotated[float, quantity("deg", least=0.0, most=180.0)]]


class NotLegible(TypedDict):
    """The table [not_legible]: values of the paper that cannot be read."""

    names: list[str]


class Noise(TypedDict):
    """The table [synthetic.noise]. centre, pile_up_shift: ADU."""

    centre: Positive
    resolving_time: Annotated[float, quantity("s", least=0.0)]
    pile_up_shift: Number


class Background(TypedDict):
    """The table [synthetic.background]: cnt/s per channel, at ascending channels."""

    channel: Annotated[Some[Positive], rule(_ascending)]
    rate: Some[NotNegative]


class Trend(TypedDict):
    """start + (end - start) sqrt(t / last_day) + slope (T - 10 degC), and one standard deviation around it."""

    start: Positive
    end: Positive
    slope: Number
    scatter: NotNegative


class Readout(TypedDict):
    """A table [synthetic.readout.X]. dcr: cnt/s; threshold: ADU."""

    dcr: Trend
    threshold: Trend


class Temperature(TypedDict):
    """The table [synthetic.temperature], degC."""

    mean: Number
    orbital: Number
    yearly: Number
    drift: Number


class Gain(TypedDict):
    """The table [synthetic.gain]: a polynomial in days, keV/ADU."""

    coefficients: Some[Number]


class ActivationLine(TypedDict):
    """A table [[synthetic.activation.line]]. energy: keV; rate: cnt/s at the exit of the SAA."""

    energy: Positive
    rate: NotNegative
    half_life: Seconds
    bias: Number
    gain_ratio: Positive


class Activation(TypedDict):
    """The table [synthetic.activation]: spectra after exits of the SAA. delays: s after each."""

    epochs: Count
    exits: Count
    delays: Some[NotNegative]
    exposure: Seconds
    line: Some[ActivationLine]


class GroundLine(TypedDict):
    """A table [synthetic.ground.line.X]. energy: keV; rate: cnt/s; window: first and last channel of the fit."""

    energy: Positive
    rate: NotNegative
    window: Annotated[Pair[Count], rule(_ascending)]


class Ground(TypedDict):
    """The table [synthetic.ground]: calibration sources before launch."""

    bias: Number
    exposure: Seconds
    line: dict[str, GroundLine]


class Line(TypedDict):
    """The table [synthetic.calibration]. k: keV/ADU; b: keV."""

    k: Positive
    b: Number


class Step(TypedDict):
    """The table [synthetic.step]: a sudden rise. dcr: cnt/s; threshold: ADU."""

    day: Day
    dcr: Number
    threshold: Number


class Synthetic(TypedDict):
    """The table [synthetic]: what a made-up mission is drawn from."""

    seed: Annotated[int, whole(least=0)]
    first_day: Day
    last_day: Annotated[float, quantity("d", above=0.0)]
    campaigns: Count
    spectra_per_campaign: Count
    exposure: Seconds
    template_exposure: Seconds
    boards: Annotated[list[Number], listed(3, 3)]
    board_noise: NotNegative
    resolution_260: Positive
    noise: Noise
    background: Background
    readout: dict[str, Readout]
    temperature: Temperature
    gain: Gain
    activation: Activation
    ground: Ground
    calibration: NotRequired[Line]
    step: NotRequired[Step]


class MissionTable(TypedDict):
    """The TOML file of a satellite."""

    name: str
    launch: Annotated[datetime.date, rule(_in_the_space_age)]
    channels: Annotated[int, whole(least=2, most=MOST_CHANNELS)]
    readouts: list[str]
    crossing_level: NotRequired[Positive]
    group_days: NotRequired[Annotated[float, quantity("d", above=0.0)]]
    cutoff_channel: NotRequired[Count]
    counter_full: NotRequired[Positive]
    dead_time: NotRequired[Seconds]
    min_exposure: NotRequired[Annotated[float, quantity("s", least=0.0)]]
    detector: NotRequired[dict[str, str]]
    bias: NotRequired[Bias]
    template: NotRequired[Template]
    calibration: NotRequired[Calibration]
    calibrations: NotRequired[list[StatedCalibration]]
    activation: NotRequired[list[LineWindow]]
    orbit: NotRequired[Orbit]
    lines: NotRequired[dict[str, list[Positive]]]
    recovered: NotRequired[dict[str, Any]]
    not_legible: NotRequired[NotLegible]
    synthetic: NotRequired[Synthetic]


def check_places(table: MissionTable, where: str) -> None:
    """Raise ValueError where a line or a calibration is of a channel or a readout that the satellite does not have."""
    for number, line in enumerate(table.get("activation", [])):
        if line["window"][1] > table["channels"]:
            rule = f"must end at a channel, 1 to {table['channels']}"
            raise ValueError(f"`activation.{number}.window` in {where} {rule}, but is {shown(line['window'])}")
    for number, one in enumerate(table.get("calibrations", [])):
        if one["readout"] not in table["readouts"]:
            rule = f"must be one of {', '.join(table['readouts'])}"
            raise ValueError(f"`calibrations.{number}.readout` in {where} {rule}, but is {shown(one['readout'])}")


def check_synthetic(table: MissionTable, where: str) -> None:
    """Raise ValueError where the table [synthetic] asks for what the others lack."""
    drawn = table["synthetic"]
    for name in ("bias", "template"):
        if name not in table:
            raise ValueError(f"`{name}` is missing in {where}, which has a [synthetic] table")
    if not {"k", "b"} <= set(drawn.get("calibration", table.get("calibration", {}))):
        raise ValueError(f"`calibration` in {where} must have `k` and `b`, since there is a [synthetic] table")
    if missing := [name for name in table["readouts"] if name not in drawn["readout"]]:
        raise ValueError(f"`synthetic.readout` in {where} must have all readouts, but lacks {shown(missing[0])}")
    if len(drawn["background"]["channel"]) != len(drawn["background"]["rate"]):
        raise ValueError(f"`synthetic.background` in {where} must have as many rates as channels")
    if not drawn["first_day"] < drawn["last_day"] - CAMPAIGN_DAYS:
        rule = f"more than {CAMPAIGN_DAYS:g} days before `last_day`"
        raise ValueError(f"`synthetic.first_day` in {where} must be {rule}, but is {drawn['first_day']:g}")
