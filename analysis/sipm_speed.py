"""Speed of the SiPM half on this machine: `python analysis/sipm_speed.py`. Synthetic spectra; best of three."""

import time

import numpy as np
import xarray as xr

from xcal_jax import sipm
from xcal_jax.sipm.synthetic.rates import background, line_rate, noise_rates

SPECTRA, LINES = 10_000, 1000

mission = sipm.load_mission("grbalpha")
rng = np.random.default_rng(1)
early = sipm.synthesize(mission, readouts=("ch0",)).template
threshold, dcr = np.linspace(44, 51, SPECTRA), np.linspace(40e3, 52e3, SPECTRA)
rates = noise_rates(mission, threshold, dcr) + background(mission)
days = np.sort(rng.uniform(138, 1300, SPECTRA))
archive = sipm.build_spectra(
    rng.poisson(60 * rates),
    60.0,
    mission.launch + (days * 86400e9).astype("timedelta64[ns]"),
    "ch0",
    rng.normal(10, 4, (SPECTRA, 3)),
)
gain = np.full(LINES, 4.2)
expected = 600 * (line_rate(mission, 260.0, gain, np.full(LINES, 20.0)) + background(mission))
counts = rng.poisson(expected)
stacks = xr.Dataset(
    {
        "rate": (("epoch", "channel"), counts / 600),
        "rate_error": (("epoch", "channel"), np.sqrt(counts + 1) / 600),
    }
)


def archive_to_groups() -> None:
    """Template, threshold, dark counts and grouping of the whole archive."""
    template = sipm.build_template(early)
    values = archive.pipe(sipm.with_days, mission).pipe(sipm.threshold, template)
    values.pipe(sipm.dark_count_rate).pipe(sipm.group)


def fit_all_lines() -> None:
    """One line, four backgrounds, in every stack."""
    sipm.fit_lines(stacks, [(72, 128)], 20.0)


for name, work in (
    (f"{SPECTRA} spectra: threshold, dark counts, groups", archive_to_groups),
    (f"{LINES} line fits, four backgrounds each", fit_all_lines),
):
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    print(f"{name}: {min(seconds[1:]):.2f} s (first call, with compilation: {seconds[0]:.1f} s)")
