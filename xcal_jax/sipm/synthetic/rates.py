"""Expected rates of a synthetic mission: background, noise peak and lines, cnt/s per channel."""

import numpy as np
from jaxtyping import Float

from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.sipm.mission import Mission


def background(mission: Mission) -> Float[np.ndarray, " C"]:
    """Quiet background, cnt/s: logarithmic between the middles of the bands, constant below the first."""
    table = mission.synthetic["background"]
    channel, rate = np.array(table["channel"], float), np.array(table["rate"], float)
    floor = 1e-4
    x = np.arange(1, mission.channels + 1)
    out = np.exp(np.interp(x, channel, np.log(np.maximum(rate, floor))))
    return np.where(x >= channel[-1], 0.0, out)


def noise_shape(
    x: Float[np.ndarray, "..."], width: Float[np.ndarray, "..."], piled: Float[np.ndarray, "..."], table: dict
) -> Float[np.ndarray, "..."]:
    """Noise peak of unit area at channels ``x``. width: sigma of the core, ADU. piled: fraction that is piled up."""
    core = np.exp(-0.5 * ((x - table["centre"]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    wide = width * np.sqrt(2)
    centre = table["centre"] + table["pile_up_shift"]
    second = np.exp(-0.5 * ((x - centre) / wide) ** 2) / (wide * np.sqrt(2 * np.pi))
    return (1 - piled) * core + piled * second


def noise_rates(
    mission: Mission, threshold: Float[np.ndarray, " n"], dcr: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n C"]:
    """Noise peaks, cnt/s, that cross 10 cnt/s at ``threshold`` and with the quiet background have ``dcr`` by Eq. 5.

    The width is found by bisection, the rate by a fixed point.
    """
    table = mission.synthetic["noise"]
    x = np.arange(1.0, mission.channels + 1)
    weight = np.clip(threshold[:, None] - (x - 1), 0.0, 1.0)
    quiet = weight @ background(mission)
    total = dcr - quiet
    for _ in range(6):
        piled = 1 - np.exp(-dcr * table["resolving_time"])
        low, high = np.full(threshold.size, 0.5), np.full(threshold.size, 12.0)
        for _ in range(50):
            width = 0.5 * (low + high)
            above = total * noise_shape(threshold, width, piled, table) > mission.crossing_level
            low, high = np.where(above, low, width), np.where(above, width, high)
        shape = noise_shape(x, width[:, None], piled[:, None], table)
        total = (dcr - quiet) / np.sum(weight * shape, 1)
    return total[:, None] * shape


def calibration(mission: Mission) -> tuple[float, float]:
    """k keV/ADU and b keV of the synthetic mission: the satellite's own, or those of its synthetic table."""
    table = mission.synthetic.get("calibration", mission.calibration)
    return table["k"], table["b"]


def mean_decay(
    half_life: Float[np.ndarray, " n"], delay: Float[np.ndarray, " n"], exposure: float
) -> Float[np.ndarray, " n"]:
    """Mean of 2^(-t/half_life) over an exposure that starts ``delay`` after t = 0, all in s."""
    constant = np.log(2) / half_life
    return np.exp(-constant * delay) * -np.expm1(-constant * exposure) / (constant * exposure)


def line_rate(
    mission: Mission,
    energy: Float[np.ndarray, " n"] | float,
    gain: Float[np.ndarray, " n"],
    rate: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n C"]:
    """A Gaussian line, cnt/s per channel. energy: keV. gain: keV/ADU. rate: cnt/s in the whole line."""
    _, b = calibration(mission)
    fwhm = mission.synthetic["resolution_260"] * np.sqrt(260.0 * energy)
    sigma = (fwhm / FWHM_PER_SIGMA / gain)[:, None]
    x = np.arange(1.0, mission.channels + 1)
    offset = (x - ((energy - b) / gain)[:, None]) / sigma
    return rate[:, None] * np.exp(-0.5 * offset**2) / (sigma * np.sqrt(2 * np.pi))
