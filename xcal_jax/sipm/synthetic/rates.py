"""Expected rates of a synthetic mission: what each part of a spectrum contributes, cnt/s per channel."""

import numpy as np

from xcal_jax.sipm.mission import Mission


def background(mission: Mission) -> np.ndarray:
    """Quiet background, cnt/s: (C,); logarithmic between the middles of the bands, constant below the
    first.
    """
    table = mission.synthetic["background"]
    channel, rate = np.array(table["channel"], float), np.array(table["rate"], float)
    floor = 1e-4
    x = np.arange(1, mission.channels + 1)
    out = np.exp(np.interp(x, channel, np.log(np.maximum(rate, floor))))
    return np.where(x >= channel[-1], 0.0, out)


def noise_shape(x: np.ndarray, width: np.ndarray, piled: np.ndarray, table: dict) -> np.ndarray:
    """Noise peak of unit area. x: (..., C) or (...,) channels; width: core sigma, ADU; piled: fraction."""
    core = np.exp(-0.5 * ((x - table["centre"]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    wide = width * np.sqrt(2)
    centre = table["centre"] + table["pile_up_shift"]
    second = np.exp(-0.5 * ((x - centre) / wide) ** 2) / (wide * np.sqrt(2 * np.pi))
    return (1 - piled) * core + piled * second


def noise_rates(mission: Mission, threshold: np.ndarray, dcr: np.ndarray) -> np.ndarray:
    """Noise peaks, cnt/s: (n, C), that cross 10 cnt/s at ``threshold`` (n,) and sum to ``dcr`` (n,) by Eq. 5,
    quiet background included. Width by bisection, rate by fixed point.
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


def mean_decay(half_life: np.ndarray, delay: np.ndarray, exposure: float) -> np.ndarray:
    """Mean of 2^(-t/half_life) over an exposure that starts ``delay`` after t = 0, all in s: (n,)."""
    constant = np.log(2) / half_life
    return np.exp(-constant * delay) * -np.expm1(-constant * exposure) / (constant * exposure)


def line_rate(mission: Mission, energy, gain: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """A Gaussian line, cnt/s per channel: (n, C). energy: () or (n,) keV; gain: (n,) keV/ADU; rate: (n,)
    cnt/s in all.
    """
    _, b = calibration(mission)
    fwhm = mission.synthetic["resolution_260"] * np.sqrt(260.0 * energy)
    sigma = (fwhm / 2.3548 / gain)[:, None]
    x = np.arange(1.0, mission.channels + 1)
    return (
        rate[:, None]
        * np.exp(-0.5 * ((x - ((energy - b) / gain)[:, None]) / sigma) ** 2)
        / (sigma * np.sqrt(2 * np.pi))
    )
