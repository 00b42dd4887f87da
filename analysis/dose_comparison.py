"""Doses behind aluminium beside those of SHIELDOSE-2, through spacepy (`make compare-dose`).

    python analysis/dose_comparison.py [--step 120]                     (extra: test)

Seven orbits at solar minimum, half-space of Al on one side, 0.5 to 20 mm: protons (without nuclear reactions),
electrons and bremsstrahlung, ours over theirs. A dash: theirs is below a millionth of that orbit's total dose.

Through spacepy SHIELDOSE-2 integrates over as many energies as the spectrum has, by Simpson's rule, and splines the
logarithm of the flux between them, zeros included. Both programs therefore get the spectrum at 301 energies, its most,
evenly in the logarithm up to the last where there is a flux.
"""

import argparse

import numpy as np

from xcal_jax.orbit import Altitudes, Shield, bremsstrahlung_dose, dose_of_spectrum, mission_fluence

DEPTHS = np.array([0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0])
ORBITS = {  # km, degrees, days
    "SSO 500 km": (500.0, 97.5, 5),
    "SSO 550 km": (550.0, 97.5, 5),
    "SSO 600 km": (600.0, 97.5, 5),
    "ISS, 420 km": (420.0, 51.6, 5),
    "600 km, equator": (600.0, 0.5, 5),
    "2000 km, 63.4 deg": (2000.0, 63.4, 5),
    "GEO": (35786.0, 0.1, 5),
}
LIMITS = {"protons": 0.03, "electrons": 0.15, "photons": 0.25}
DAY = 86400
LEAST = 1e-6
NOTHING = 1e-30
NODES = 301

Spectra = dict[str, tuple[np.ndarray, np.ndarray]]


def spectra(flux) -> Spectra:
    """Energies, MeV, and fluxes, 1/(cm2 s MeV), of protons and electrons at ``NODES``, log-log between their own."""
    found = {}
    for particle in ("proton", "electron"):
        energy, values = flux[f"{particle}_energy"].values, flux[f"{particle}_flux"].values
        there = np.flatnonzero(values > NOTHING)
        ends = energy[[there[0], there[-1]]] if there.size else energy[[0, -1]]
        at = np.geomspace(*ends, NODES)
        logs = np.interp(np.log(at), np.log(energy), np.log(np.maximum(values, NOTHING)))
        found[particle] = (at, np.exp(logs))
    return found


def shieldose2(flux: Spectra) -> dict[str, np.ndarray]:
    """Doses of SHIELDOSE-2 behind ``DEPTHS``, rad/d."""
    from spacepy.irbempy import Shieldose2

    model = Shieldose2()
    model.set_shielding(depths=DEPTHS, units="mm")
    for particle, name in (("proton", "p_tr"), ("electron", "e")):
        energy, values = flux[particle]
        model.set_flux(values, energy, name, tau=DAY)
    model.set_flux(np.full(NODES, NOTHING), flux["proton"][0], "p_un", tau=DAY)
    model.get_dose(detector=3, nucmeth=1)
    keys = {"protons": "proton_trapped", "electrons": "electron", "photons": "bremsstrahlung"}
    return {name: np.array(model.results[f"dose_{key}"])[:, 0] for name, key in keys.items()}


def ours(flux: Spectra) -> dict[str, np.ndarray]:
    """Our doses behind ``DEPTHS``, rad/d."""
    protons, electrons = ((energy, values * DAY) for energy, values in (flux["proton"], flux["electron"]))
    found: dict[str, list[float]] = {name: [] for name in LIMITS}
    for depth in DEPTHS:
        shield = Shield.build(f"Al:{depth}mm")
        found["protons"].append(float(dose_of_spectrum("proton", shield, *protons, "slab", 1)[0]))
        found["electrons"].append(float(dose_of_spectrum("electron", shield, *electrons, "slab", 1)[0]))
        found["photons"].append(float(bremsstrahlung_dose(shield, *electrons, "slab", 1)))
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=float, default=120.0, help="seconds between positions")
    arguments = parser.parse_args()
    print("ours over SHIELDOSE-2;            " + "".join(f"{depth:7.1f}" for depth in DEPTHS) + " mm Al    within")
    for name, (altitude, inclination, days) in ORBITS.items():
        dates = np.array(["2021-01-01", "2021-01-01"], "M8[s]") + np.array([0, days * DAY]).astype("m8[s]")
        orbit = Altitudes(dates, np.full(2, altitude), np.full(2, inclination))
        flux = spectra(mission_fluence(orbit, activity="min", step=arguments.step).isel(segment=0))
        theirs, own = shieldose2(flux), ours(flux)
        total = sum(theirs.values())
        for part, limit in LIMITS.items():
            leads = theirs[part] > LEAST * total
            ratio = np.divide(own[part], theirs[part], out=np.full(len(DEPTHS), np.nan), where=leads)
            within = int((np.abs(ratio[leads] - 1) <= limit).sum())
            cells = "".join(f"{r:7.3f}" if np.isfinite(r) else "      -" for r in ratio)
            verdict = f"{within} of {leads.sum()} within {limit:.0%}"
            print(f"{name:20s}{part:14s}{cells}           {verdict}", flush=True)


if __name__ == "__main__":
    main()
