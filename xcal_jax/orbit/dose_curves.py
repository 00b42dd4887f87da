"""Doses of a mission behind other shields, and behind its own at other altitudes: the curves of its report."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from xcal_jax.io.datasets import variable
from xcal_jax.orbit.bremsstrahlung import photon_doses
from xcal_jax.orbit.dose import dose_behind
from xcal_jax.orbit.electrons import electron_doses
from xcal_jax.orbit.elements import Altitudes
from xcal_jax.orbit.fluence import mission_fluence
from xcal_jax.orbit.mass_model import MassModel
from xcal_jax.orbit.shielding import Paths, Shield, proton_doses

DEPTHS = np.geomspace(0.1, 30.0, 20)  # mm of aluminium
DENSITY = 2.699  # g/cm3, of aluminium
HEIGHTS = 6  # altitudes of the curve
BESIDE = 50.0  # km below and above those of the mission
HIGHEST = 2000.0  # km: above it the curve is not drawn, since orbits there are not circles a few km apart
LENGTH, STEP = 5, 300.0  # d and s: orbit averages to about 2 %


@partial(jax.jit, static_argnames="reactions")
def _at_depths(areal, proton_energy, protons, solar, electron_energy, electrons, reactions: bool):
    """Doses at the centre of spheres of ``areal`` (D,) g/cm2 by kind of particle: TID in rad, and TNID, (D, 2)."""

    def behind(thickness):
        paths = Paths(thickness[None, None], jnp.ones(1, thickness.dtype), ("Al",))
        by_protons = proton_doses(paths, proton_energy, jnp.stack([protons, solar]), reactions)
        photons = photon_doses(paths, electron_energy, electrons[None, :])[0]
        return (
            by_protons[0],
            electron_doses(paths, electron_energy, electrons[None, :])[0],
            jnp.stack([photons, jnp.zeros_like(photons)]),
            by_protons[1],
        )

    return jax.lax.map(behind, areal)


def dose_against_depth(fluence: xr.Dataset, reactions: bool = False) -> xr.Dataset:
    """Dose and damage of a whole mission at the centre of solid spheres of aluminium, by `depth` (mm) and `particle`.

    fluence: as of `mission_fluence`. reactions: as of `dose_behind`. The particles are proton,
    electron, photon (of the electrons) and solar.
    """
    electrons = fluence.electron_fluence.sum("segment").values
    protons = fluence.proton_fluence.sum("segment").values
    solar = fluence.get("solar_proton_fluence", 0 * fluence.proton_fluence).sum("segment").values
    spectra = fluence.proton_energy.values, protons, solar, fluence.electron_energy.values, electrons
    found = _at_depths(jnp.asarray(DEPTHS * DENSITY / 10), *map(jnp.asarray, spectra), reactions)
    ionising, displacing = np.stack([np.asarray(one, float) for one in found], 1).transpose(2, 0, 1)
    of = ("depth", "particle")
    return xr.Dataset(
        {
            "tid": variable(of, ionising, "cGy", "total ionising dose in Si"),
            "neq": variable(of, displacing, "1/cm2", "1 MeV neutron equivalent fluence"),
        },
        {
            "depth": variable("depth", DEPTHS, "mm", "radius of the sphere of aluminium"),
            "particle": variable("particle", ["proton", "electron", "photon", "solar"], "1", "particle"),
        },
    )


def dose_against_altitude(
    fluence: xr.Dataset, shield: MassModel | Shield | Sequence[tuple[float, Shield]], **looks: Any
) -> xr.Dataset | None:
    """Dose and damage a day on circular orbits around those of a mission, by `solar` activity and `altitude` (km).

    fluence: as of `mission_fluence`. shield, looks: as of `dose_behind`. None for fluxes without an orbit, and above
    2000 km. The trapped particles alone.
    """
    if "inclination" not in fluence or float(fluence.altitude.max()) > HIGHEST:
        return None
    low, high = float(fluence.altitude.min()) - BESIDE, float(fluence.altitude.max()) + BESIDE
    heights = np.linspace(max(low, 250.0), high, HEIGHTS)
    dates = np.array(["2021-01-01", "2021-01-01"], "M8[s]") + np.array([0, LENGTH * 86400]).astype("m8[s]")
    inclination = np.full(2, float(fluence.inclination.mean()))
    activities = ("min", "max")
    flown = [
        mission_fluence(Altitudes(dates, np.full(2, height), inclination), activity=solar, step=STEP)
        for solar in activities
        for height in heights
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of electrons that dominate: the mission's own has been given
        found = dose_behind(xr.concat(flown, "segment", combine_attrs="override"), shield, **looks)
    return xr.Dataset(
        {
            name: variable(
                ("activity", "altitude"),
                found[f"{name}_per_day"].values.reshape(len(activities), HEIGHTS),
                found[f"{name}_per_day"].attrs["units"],
                found[f"{name}_per_day"].attrs["long_name"],
            )
            for name in ("tid", "neq")
        },
        {
            "activity": variable("activity", list(activities), "1", "solar activity of AP-8 and AE-8"),
            "altitude": variable("altitude", heights, "km", "altitude above the equatorial radius"),
        },
    )
