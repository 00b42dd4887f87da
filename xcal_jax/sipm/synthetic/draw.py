"""Draws of synthetic missions with known truth; every Dataset made here has `synthetic = 1` in its attributes.

A spectrum is the Poisson draw of the noise peak, the quiet background, and, after SAA exits, activation lines that
decay. The noise peak is a Gaussian, part of it piled up at a higher channel; its width and rate are such that it sinks
through 10 cnt/s exactly at the mission's threshold and Eq. 5 gives exactly its dark count rate. The background is that
of the public GRBAlpha events, constant below the on-board cut-off, where nothing is known. It stays fixed in ADU while
the gain drifts, and the gain does not depend on temperature: the paper's numbers for both are not legible in the copy
at hand.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.polynomial.polynomial import polyval

from xcal_jax.constants import VERSION
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.sipm.mission import Mission
from xcal_jax.sipm.mission_file import CAMPAIGN_DAYS
from xcal_jax.sipm.synthetic.rates import background, calibration, line_rate, mean_decay, noise_rates
from xcal_jax.sipm.temperature import REFERENCE
from xcal_jax.spectra import build_spectra
from xcal_jax.units import parse_whole, shown

DAY = np.timedelta64(86_400_000_000_000, "ns")
QUIET = 7  # sets the random numbers of the quiet spectra apart


class SyntheticMission(NamedTuple):
    """Spectra that a satellite would send down, and the truth.

    spectra: routine low-background spectra. activation: after SAA exits, and quiet ones of the lower biases, without
    `since_exit`. ground: with sources, before launch. template: the early spectra. truth: the quantities
    that the routine spectra were drawn from.
    """

    spectra: xr.Dataset
    activation: xr.Dataset
    ground: xr.Dataset
    template: xr.Dataset
    truth: xr.Dataset


def trend(
    table: dict, days: Float[np.ndarray, " n"], last: float, step: float, step_day: float
) -> Float[np.ndarray, " n"]:
    """start + (end - start) sqrt(t / last), plus ``step`` from its day on."""
    return table["start"] + (table["end"] - table["start"]) * np.sqrt(days / last) + step * (days >= step_day)


def sensor_temperature(
    rng: np.random.Generator, table: dict, days: Float[np.ndarray, " n"], last: float
) -> Float[np.ndarray, " n"]:
    """Sensor temperature, degC: mean, yearly swing, drift, and a uniform phase in the orbital cycle."""
    orbit = table["orbital"] * np.sin(rng.uniform(0, 2 * np.pi, days.size))
    year = table["yearly"] * np.sin(2 * np.pi * days / 365.25)
    return table["mean"] + orbit + year + table["drift"] * (days / last - 0.5)


def draw(rng, mission, rates, exposure, days, readout, boards, bias, since_exit=None, seed=0) -> xr.Dataset:
    """Poisson counts of ``rates`` (n, C) cnt/s as a spectra Dataset, marked synthetic."""
    exposure = np.broadcast_to(np.asarray(exposure, float), (len(days),))
    counts = rng.poisson(rates * exposure[:, None])
    time = mission.launch + (np.asarray(days) * DAY.astype(float)).astype("timedelta64[ns]")
    return build_spectra(
        counts,
        exposure,
        time,
        readout,
        boards,
        bias,
        since_exit,
        satellite=mission.name,
        synthetic=1,
        seed=seed,
        version=VERSION,
        source=f"synthetic {mission.name}-like mission, not data of the satellite",
    )


@checked
def synthesize(mission: Mission, seed: int | None = None, readouts: tuple[str, ...] | None = None) -> SyntheticMission:
    """A whole mission, drawn; the same seed gives the same mission. readouts: all of the satellite's if none.

    Raises ValueError for a mission without a synthetic table or a readout that it does not have.
    """
    if "readout" not in mission.synthetic:
        raise ValueError(f"`mission` {mission.name} has no [synthetic] table to draw from")
    table = mission.synthetic
    seed = table["seed"] if seed is None else parse_whole(seed, "seed", least=0)
    names = mission.readouts if readouts is None else tuple(readouts)
    if not names:
        raise ValueError("`readouts` must name at least one, but is empty")
    parts = []
    for name in names:
        if not isinstance(name, str) or name not in table["readout"]:
            raise ValueError(f"`readout` must be one of {', '.join(table['readout'])}, but is {shown(name)}")
        parts.append(synthesize_readout(mission, seed, name))
    grounds = [synthesize_ground(mission, seed, name) for name in names]
    ground = xr.concat(grounds, "spectrum", combine_attrs="override")
    merged = [xr.concat(p, "spectrum", combine_attrs="override") for p in zip(*parts, strict=True)]
    return SyntheticMission(merged[0], merged[1], ground, merged[2], merged[3])


def synthesize_readout(mission: Mission, seed: int, name: str) -> tuple[xr.Dataset, ...]:
    """Routine, activation and template spectra of one readout channel, and the truth of the routine ones."""
    table = mission.synthetic
    rng = np.random.default_rng([seed, mission.readouts.index(name)])
    last, dcr_table = table["last_day"], table["readout"][name]["dcr"]
    thr_table = table["readout"][name]["threshold"]
    step = table.get("step", {"day": np.inf, "dcr": 0.0, "threshold": 0.0})
    quiet = background(mission)

    def state(days):
        temperature = sensor_temperature(rng, table["temperature"], days, last)
        boards = temperature[:, None] + table["boards"] + rng.normal(0, table["board_noise"], (days.size, 3))
        values = []
        for t, key in ((thr_table, "threshold"), (dcr_table, "dcr")):
            mean = trend(t, days, last, step[key], step["day"]) + t["slope"] * (temperature - REFERENCE)
            values.append(mean + rng.normal(0, t["scatter"], days.size))
        return temperature, boards, *values

    def common(days):
        temperature, boards, threshold, dcr = state(days)
        return boards, noise_rates(mission, threshold, dcr) + quiet, temperature, threshold, dcr

    def observed(days, rates, exposure, boards, bias, since_exit=None):
        return draw(rng, mission, rates, exposure, days, name, boards, bias, since_exit, seed)

    nominal = mission.bias["nominal"]
    early = np.array([float(mission.template["day"])])
    boards, rates, *_ = common(early)
    template = observed(early, rates, table["template_exposure"], boards, nominal)

    start = np.linspace(table["first_day"], last - CAMPAIGN_DAYS, table["campaigns"])
    days = np.sort(
        (start[:, None] + rng.uniform(0, CAMPAIGN_DAYS, (start.size, table["spectra_per_campaign"]))).ravel()
    )
    boards, rates, temperature, threshold, dcr = common(days)
    spectra = observed(days, rates, table["exposure"], boards, nominal)

    setting = table["activation"]
    epochs = np.linspace(table["first_day"], last - CAMPAIGN_DAYS, setting["epochs"])
    delays = np.tile(setting["delays"], epochs.size * setting["exits"] * len(setting["line"]))
    orbits = np.repeat(np.arange(setting["exits"]) * 0.0658, len(setting["delays"]))
    line = np.tile(np.repeat(np.arange(len(setting["line"])), orbits.size), epochs.size)
    when = np.repeat(epochs, orbits.size * len(setting["line"])) + np.tile(orbits, delays.size // orbits.size)
    when = when + delays / 86400
    of = {key: np.array([each[key] for each in setting["line"]])[line] for key in setting["line"][0]}
    after_boards, after_rates, *_ = common(when)
    gain = polyval(when, table["gain"]["coefficients"]) / of["gain_ratio"]
    seen = mean_decay(of["half_life"], delays, setting["exposure"]) * of["rate"]
    after_rates = after_rates + line_rate(mission, of["energy"], gain, seen)
    after = observed(when, after_rates, setting["exposure"], after_boards, of["bias"], delays)
    lower = sorted({line["bias"] for line in setting["line"]} - {nominal})
    if lower:
        rng = np.random.default_rng([seed, mission.readouts.index(name), QUIET])
        calm = np.repeat(epochs, setting["exits"] * len(lower)) + 0.5
        biases = np.resize(np.repeat(lower, setting["exits"]), calm.size)
        boards, rates, *_ = common(calm)
        still = observed(calm, rates, 4 * setting["exposure"], boards, biases)
        after = xr.concat([after, still], "spectrum", combine_attrs="override")
    truth = xr.Dataset(
        {
            "days": variable("spectrum", days, "d", "time since launch"),
            "readout": variable("spectrum", np.full(days.size, name, object), "1", "readout channel"),
            "temperature": variable("spectrum", temperature, "degC", "sensor temperature"),
            "threshold_adu": variable("spectrum", threshold, "ADU", "true threshold, ADC channel"),
            "dcr": variable("spectrum", dcr, "count/s", "true dark count rate, Eq. 5"),
            "gain": variable("spectrum", polyval(days, table["gain"]["coefficients"]), "keV/ADU", "true gain"),
        },
        attrs={"satellite": mission.name, "synthetic": 1, "seed": seed},
    )
    return spectra, after, template, truth


def synthesize_ground(mission: Mission, seed: int, name: str) -> xr.Dataset:
    """One spectrum a source, taken on ground 100 days before launch at 20 degC: `source` names it."""
    table, (k, _) = mission.synthetic, calibration(mission)
    rng = np.random.default_rng([seed, 99 + mission.readouts.index(name)])
    setting, sources, lines = table["ground"], list(table["ground"]["line"]), list(table["ground"]["line"].values())
    n = len(sources)
    noise = noise_rates(mission, np.full(n, 41.0), np.full(n, table["readout"][name]["dcr"]["start"]))
    peaks = [line_rate(mission, line["energy"], np.array([k]), np.array([line["rate"]]))[0] for line in lines]
    days, boards = np.full(n, -100.0), np.full((n, 3), 20.0)
    exposure, bias = setting["exposure"], setting["bias"]
    ground = draw(rng, mission, noise + np.array(peaks), exposure, days, name, boards, bias, seed=seed)
    return ground.assign(
        source=variable("spectrum", np.array(sources, object), "1", "calibration source"),
        line_energy=variable("spectrum", [line["energy"] for line in lines], "keV", "energy of its line"),
        window=variable(("spectrum", "edge"), [line["window"] for line in lines], "1", "channels to fit in"),
    )
