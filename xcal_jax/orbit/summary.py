"""Doses of a mission in short."""

import xarray as xr

from xcal_jax.io.arguments import checked
from xcal_jax.orbit.fluence import NAMED
from xcal_jax.orbit.galactic import GALACTIC_FACTOR


@checked
def report(result: xr.Dataset) -> dict:
    """Doses and fluxes of a result of `dose_behind` as plain values, for JSON."""
    segments = []
    for i in range(result.sizes["segment"]):
        one = result.isel(segment=i)
        segments.append(
            {
                "start": str(one.start.values.astype("M8[s]")),
                "end": str(one.end.values.astype("M8[s]")),
                "altitude_km": float(one.altitude),
                "tid_rad": float(one.tid),
                "neq_cm2": float(one.neq),
                "flux": {name: float(one.named_flux.sel(named=name)) for name in NAMED},
            }
        )
    more: dict[str, float] = {}
    if "tid_solar" in result:
        more |= {"tid_rad_solar": float(result.tid_solar.sum()), "neq_cm2_solar": float(result.neq_solar.sum())}
    if "tid_galactic" in result:
        more["tid_rad_galactic"] = float(result.tid_galactic.sum())
    return more | {
        "tid_rad": float(result.tid.sum()),
        "tid_rad_proton": float(result.tid_proton.sum()),
        "tid_rad_electron": float(result.tid_electron.sum()),
        "tid_rad_band": [float(result.tid_lower[-1]), float(result.tid_upper[-1])],
        "neq_cm2": float(result.neq.sum()),
        "neq_cm2_proton": float(result.neq_proton.sum()),
        "neq_cm2_electron": float(result.neq_electron.sum()),
        "neq_cm2_band": [float(result.neq_lower[-1]), float(result.neq_upper[-1])],
        "days": float(result.length.sum()),
        "segments": segments,
    }


def band_in_words(mission: xr.Dataset) -> str:
    """The parts of the band around the dose of a result of `dose_behind`, in words; "" where there is none."""
    parts = []
    if (factor := mission.attrs["model_factor"]) > 1:
        parts.append(f"a factor {factor:g} of {mission.attrs['models'].partition(' (')[0]}")
    if "tid_solar" in mission:
        high = 100 * mission.attrs["solar_protons_confidence"]
        parts.append(f"solar protons of {100 - high:g} to {high:g} % confidence")
    if "tid_galactic" in mission:
        parts.append(f"a factor {GALACTIC_FACTOR:g} of galactic nuclei")
    return ", ".join(parts)
