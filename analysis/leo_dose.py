"""Figures 12 and 13 of Ripa et al. 2025 (arXiv:2411.00607): dose, damage, altitude of both satellites.

    python analysis/leo_dose.py [--output out] [--step 60]

Prints the tables and writes leo_dose_time.png, leo_dose_altitude.png and leo_dose_thickness.png. The paper's
numbers stand beside ours, also where they differ. The altitudes are interpolated between three TLEs and one
assumption (xcal_jax/orbit/data): the paper had monthly TLEs. The shield is 1 mm Al and 2.5 mm Pb for the
paper's PbSb.
"""

import argparse
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

from xcal_jax.io.files import replacing
from xcal_jax.orbit import (
    Altitudes,
    Shield,
    dose_behind,
    dose_of_spectrum,
    mission_fluence,
    parse_sectors,
    shipped_altitudes,
)
from xcal_jax.orbit.plot import dose_figure

FLIGHT = "Al:1mm,Pb:2.5mm"
GEOMETRIES = ((FLIGHT, "slab"), (FLIGHT + ",CsI:5mm", "slab"), (FLIGHT, "sphere"))
HEIGHTS = np.arange(450.0, 601.0, 25.0)
FIRST_DAYS = {"GRBAlpha": (21, "about 2 %"), "VZLUSAT-2": (22, "about 4 %")}


def missions(step):
    """Both satellites, their fluences."""
    return {name: mission_fluence(shipped_altitudes(name), step=step, progress=True) for name in FIRST_DAYS}


def fraction_of_first(result, days):
    """Share of the dose that the first ``days`` give."""
    edges = np.append(0, result.days.values)
    accumulated = np.append(0, result.tid_accumulated.values)
    return float(np.interp(days, edges, accumulated) / accumulated[-1])


def mission_table(fluences):
    """Accumulated dose and damage of both satellites in three geometries."""
    heads = ("satellite", "shield", "geometry", "days", "rad", "protons", "electrons", "n_eq/cm2")
    print("\n{:10s} {:24s} {:8s} {:>6s} {:>7s} {:>8s} {:>9s} {:>9s}  first days".format(*heads))
    for name, fluence in fluences.items():
        days, paper = FIRST_DAYS[name]
        for shield, geometry in GEOMETRIES:
            one = dose_behind(fluence, parse_sectors(shield), geometry)
            parts = ("tid", "tid_proton", "tid_electron", "neq")
            total, protons, electrons, damage = (float(one[part].sum()) for part in parts)
            print(f"{name:10s} {shield:24s} {geometry:8s} {float(one.days[-1]):6.0f}", end=" ")
            print(f"{total:7.1f} {protons:8.1f} {electrons:9.2f} {damage:9.2e}", end="  ")
            print(f"{days} d: {fraction_of_first(one, days):.2%} (paper: {paper})")
    print("the paper, GRBAlpha, 3.45 years, by GRAS/Geant4 in the satellite: 160 rad")


def time_figure(flight, output):
    """Altitude, dose and damage against time, with the TLEs that are known and the paper's dose."""
    figure = dose_figure(flight)
    altitude, ionising, _ = figure.axes
    known = np.array([("2021-05-16", 549.5), ("2022-02-07", 531.7), ("2025-02-01", 435.6)], "M8[D], f8")
    altitude.plot(known["f0"], known["f1"], "ko", ms=4, label="TLEs; else interpolated or assumed")
    altitude.legend(fontsize="small")
    ionising.plot(np.datetime64("2024-09-03"), 160, "k*", ms=9, label="the paper, GRBAlpha (GRAS): 160 rad")
    ionising.legend(fontsize="small")
    with replacing(output / "leo_dose_time.png") as temporary:
        figure.savefig(temporary, dpi=120)


def circular(altitude):
    """Ten days at one altitude."""
    dates = np.array(["2021-01-01", "2021-01-11"], "M8[s]")
    return Altitudes(dates, np.array([altitude, altitude]), np.array([97.5, 97.5]))


def altitude_table(step, output):
    """Dose a day against altitude at both solar activities; 550 against 500 km."""
    rates = {}
    for activity in ("min", "max"):
        fluences = [mission_fluence(circular(height), activity=activity, step=step) for height in HEIGHTS]
        rates[activity] = [dose_behind(one, parse_sectors(FLIGHT)).isel(segment=0) for one in fluences]
    print(f"\nbehind {FLIGHT}, slab, both sides, 97.5 degrees")
    print("  km   rad/d min  rad/d max  n_eq/d min  n_eq/d max")
    for row, height in enumerate(HEIGHTS):
        low, high = rates["min"][row], rates["max"][row]
        print(f"{height:4.0f}  {float(low.tid_per_day):10.4f} {float(high.tid_per_day):10.4f} ", end="")
        print(f"{float(low.neq_per_day):11.3e} {float(high.neq_per_day):11.3e}")
    at = {height: row for row, height in enumerate(HEIGHTS)}
    print("\n550 against 500 km    AP-8 minimum  AP-8 maximum   the paper (AP-8 minimum)")
    for name in ("p>10MeV", "p>50MeV", "p>100MeV"):
        ratios = [
            float(rates[a][at[550]].named_flux.sel(named=name) / rates[a][at[500]].named_flux.sel(named=name)) - 1
            for a in rates
        ]
        print(f"{name:20s} {ratios[0]:13.0%} {ratios[1]:13.0%} {'about 60 %' if name == 'p>10MeV' else '':>14s}")
    ratios = [float(rates[a][at[550]].tid_per_day / rates[a][at[500]].tid_per_day) - 1 for a in rates]
    print(f"{'dose':20s} {ratios[0]:13.0%} {ratios[1]:13.0%}")

    figure = Figure(figsize=(6.5, 6.5), layout="constrained")
    for axes, part, label in zip(
        figure.subplots(2, 1, sharex=True),
        ("tid", "neq"),
        ("TID (rad in Si per day)", r"TNID (1 MeV n$_\mathrm{eq}$ per cm$^2$ and day)"),
        strict=True,
    ):
        for activity, rows in rates.items():
            values = [float(one[f"{part}_per_day"]) for one in rows]
            axes.semilogy(HEIGHTS, values, marker="o", label=f"solar {activity}imum")
        axes.set_ylabel(label)
        axes.grid(which="both", color="0.9")
        axes.legend()
    axes.set_xlabel("altitude (km), circular orbit, 97.5 degrees")
    figure.suptitle(f"Behind {FLIGHT}, slab, both sides", fontsize="medium")
    with replacing(output / "leo_dose_altitude.png") as temporary:
        figure.savefig(temporary, dpi=120)


def thickness_scan(fluence, output):
    """Mission dose and damage by protons behind 1 mm Al and more or less lead, with derivatives by JAX."""
    energy, protons = fluence.proton_energy.values, fluence.proton_fluence.sum("segment").values
    lead = np.linspace(0.5, 10.0, 20)

    def of_lead(thickness, part):
        shield = Shield.build(FLIGHT)
        return dose_of_spectrum(
            "proton", shield.with_thickness(shield.thickness.at[1].set(thickness)), energy, protons
        )[part]

    scan = jax.jit(jax.vmap(jax.value_and_grad(of_lead), in_axes=(0, None)), static_argnums=1)
    figure = Figure(figsize=(6.5, 6.5), layout="constrained")
    units = ("TID by protons (rad in Si)", r"TNID by protons (1 MeV n$_\mathrm{eq}$/cm$^2$)")
    for part, axes in enumerate(figure.subplots(2, 1, sharex=True)):
        value, slope = (np.asarray(one, float) for one in scan(lead, part))
        axes.plot(lead, value, color="C0", label="dose")
        axes.set_ylabel(units[part], color="C0")
        axes.set_ylim(bottom=0)
        beside = axes.twinx()
        beside.plot(lead, 100 * slope / value, color="C1", ls="--")
        beside.set_ylabel("derivative (% per mm of Pb)", color="C1")
        axes.axvline(2.5, color="0.7", lw=1)
        if part == 0:
            print("\nlead (mm)  proton TID (rad)  derivative (rad/mm)")
            for row in (0, 4, 9, 14, 19):
                print(f"{lead[row]:9.1f} {value[row]:17.1f} {slope[row]:20.2f}")
    axes.set_xlabel("Pb (mm) behind 1 mm Al, slab, both sides; grey line: flight")
    figure.suptitle("GRBAlpha, 3.45 years", fontsize="medium")
    with replacing(output / "leo_dose_thickness.png") as temporary:
        figure.savefig(temporary, dpi=120)


def main():
    """All tables, all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("out"))
    parser.add_argument("--step", type=float, default=60.0, help="seconds between positions")
    arguments = parser.parse_args()
    arguments.output.mkdir(exist_ok=True)
    fluences = missions(arguments.step)
    mission_table(fluences)
    flight = {name: dose_behind(one, parse_sectors(FLIGHT)) for name, one in fluences.items()}
    time_figure(flight, arguments.output)
    altitude_table(arguments.step, arguments.output)
    thickness_scan(fluences["GRBAlpha"], arguments.output)


if __name__ == "__main__":
    main()
