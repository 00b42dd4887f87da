"""Builds data/reference/shieldose2.nc: SHIELDOSE-2 doses behind aluminium, the oracle of tests/orbit.

    python data/orbit/build_shieldose2.py

The spectra are AP-8 and AE-8 at solar minimum averaged over 5 days at 550 km, 97.5 degrees; SHIELDOSE-2
(Seltzer 1994) is the one inside spacepy, without nuclear reactions (nucmeth=1), in rad(Si) a day. It prints
half of a sphere's dose, and finds it by differentiating its slab from depth to depth: with many depths the
sphere is ragged by 15 %.
"""

from pathlib import Path

import numpy as np
from spacepy.irbempy import Shieldose2

from xcal_jax.orbit.elements import Altitudes
from xcal_jax.orbit.fluence import mission_fluence

OUTPUT = Path(__file__).parents[1] / "reference/shieldose2.nc"
DEPTHS = np.array([0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0])


def main():
    """Write spectra and doses."""
    dates = np.array(["2021-01-01", "2021-01-06"], "M8[s]")
    orbit = Altitudes(dates, np.array([550.0, 550.0]), np.array([97.5, 97.5]))
    flux = mission_fluence(orbit, activity="min", step=30.0).isel(segment=0)
    model = Shieldose2()
    model.set_shielding(depths=DEPTHS, units="mm")
    proton, electron = flux.proton_flux.values, flux.electron_flux.values
    model.set_flux(proton, flux.proton_energy.values, "p_tr", tau=86400)
    model.set_flux(electron, flux.electron_energy.values, "e", tau=86400)
    model.set_flux(np.full_like(proton, 1e-30), flux.proton_energy.values, "p_un", tau=86400)
    model.get_dose(detector=3, nucmeth=1)
    parts = {"proton": "proton_trapped", "electron": "electron", "bremsstrahlung": "bremsstrahlung"}
    table = flux[["proton_flux", "electron_flux"]].drop_vars("start")
    for name, key in parts.items():
        dose = np.array(model.results[f"dose_{key}"])
        for geometry, value in (("slab", dose[:, 0]), ("sphere", 2 * dose[:, 2])):
            long = f"{name} dose in Si behind Al, {geometry}, one side" if geometry == "slab" else f"{name} dose in Si"
            table[f"{name}_{geometry}"] = ("depth", value, {"units": "rad/d", "long_name": long})
    table = table.assign_coords(depth=("depth", DEPTHS, {"units": "mm", "long_name": "thickness of Al"}))
    table.attrs = {
        "source": "SHIELDOSE-2 in spacepy 0.7 (nucmeth=1, semi-infinite slab; sphere doubled)",
        "orbit": "550 km, 97.5 degrees, AP-8 and AE-8 minimum, 5 days",
        "made_by": "data/orbit/build_shieldose2.py",
    }
    table.to_netcdf(OUTPUT)
    print(table)


if __name__ == "__main__":
    main()
