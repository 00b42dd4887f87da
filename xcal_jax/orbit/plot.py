"""Figures of missions (altitude, dose and damage against time, the paper's Fig. 12), spectra, and shields of boxes."""

from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from xcal_jax.orbit.mass_model import MassModel
from xcal_jax.orbit.summary import band_in_words

TID, TNID = "TID (rad in Si)", "TNID (1 MeV n_eq/cm²)"
PARTICLES = {"proton": "protons", "electron": "electrons", "photon": "photons of electrons", "solar": "solar protons"}
SUN = {"min": "C0", "max": "C1"}
LINE = 85  # letters below a figure
LEAST_DRAWN = 1e-3  # g/cm2, of a ray that meets nothing
FACES = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]


def dose_figure(missions: dict[str, xr.Dataset]) -> Figure:
    """Altitude, accumulated dose and accumulated damage of ``missions``: results of `dose_behind` by name."""
    figure = Figure(figsize=(7, 8), layout="constrained")
    altitude, ionising, displacing = figure.subplots(3, 1, sharex=True)
    remarks = ["date (UTC)"]
    for number, (name, mission) in enumerate(missions.items()):
        color = f"C{number}"
        times = np.append(mission.start.values, mission.end.values[-1])
        altitude.stairs(mission.altitude.values, times, color=color, label=name, baseline=None)
        for axes, part in ((ionising, "tid"), (displacing, "neq")):
            total = np.append(0, np.cumsum(mission[part].values))
            protons = np.append(0, np.cumsum(mission[f"{part}_proton"].values))
            axes.plot(times, total, color=color, label=name)
            band = (np.append(0, mission[f"{part}_{edge}"].values) for edge in ("lower", "upper"))
            axes.fill_between(times, *band, color=color, alpha=0.1, lw=0)
            axes.plot(times, protons, color=color, ls="--", lw=1, label=f"{name}, protons alone")
        changes = mission.start.values[1:][mission.solar.values[1:] != mission.solar.values[:-1]]
        for axes in (altitude, ionising, displacing):
            for change in changes:
                axes.axvline(change, color="0.7", lw=1, zorder=0)
        if changes.size:
            remarks.append("grey line: solar activity changes")
        if words := band_in_words(mission):
            remarks.append(f"band: {words}")
    shields = sorted({f"{one.attrs['shield']} ({one.attrs['geometry']})" for one in missions.values()})
    figure.suptitle("Behind " + "; ".join(shields), fontsize="medium")
    altitude.set_ylabel("altitude (km)")
    ionising.set_ylabel(TID)
    displacing.set_ylabel(TNID)
    displacing.set_xlabel("\n".join(fill(one, LINE) for one in dict.fromkeys(remarks)))
    displacing.xaxis.set_major_formatter(ConciseDateFormatter(displacing.xaxis.get_major_locator()))
    altitude.legend()
    ionising.legend(fontsize="small")
    for axes in (ionising, displacing):
        axes.set_ylim(bottom=0)
    return figure


def spectra_figure(result: xr.Dataset) -> Figure:
    """Mean spectra of a mission, of `dose_behind`: protons outside and behind the shield, electrons outside."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    seconds = 86400 * float(result.length.sum())
    drawn = (
        ("proton_energy", "proton_fluence", "C0-", "protons outside"),
        ("arriving_energy", "proton_fluence_behind", "C0--", "protons behind the shield"),
        ("electron_energy", "electron_fluence", "C1-", "electrons outside"),
    )
    highest = 0.0
    for energy, name, style, label in drawn:
        flux = result[name].sum("segment").values / seconds
        axes.loglog(result[energy], np.where(flux > 0, flux, np.nan), style, label=label)
        highest = max(highest, flux.max())
    axes.set(xlim=(0.05, 1000), ylim=(1e-11 * highest, 3 * highest))
    axes.set(xlabel="energy (MeV)", ylabel="omnidirectional flux (1/(cm² s MeV))")
    axes.set_title(f"Mean of the mission; {result.attrs['shield']} ({result.attrs['geometry']})", fontsize="medium")
    axes.grid(which="major", color="0.9")
    axes.legend()
    return figure


def depth_figure(found: xr.Dataset, factor: float) -> Figure:
    """Dose and damage of a mission behind aluminium, by particle, of `dose_against_depth`; factor: of the models."""
    figure = Figure(figsize=(7, 8), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    for axes, part, label in zip(panels, ("tid", "neq"), (TID, TNID), strict=True):
        total = found[part].sum("particle")
        solar = found[part].sel(particle="solar").values
        band = (total - solar) / factor, (total - solar) * factor + solar
        said = f"trapped: a factor {factor:g}" + ("; solar: none to all" if solar.max() > 0 else "")
        axes.fill_between(found.depth, *band, color="0.5", alpha=0.2, lw=0, label=said)
        axes.loglog(found.depth, total, "k", label="all")
        for number, (particle, name) in enumerate(PARTICLES.items()):
            values = found[part].sel(particle=particle).values
            if values.max() > 0:
                axes.loglog(found.depth, np.where(values > 0, values, np.nan), f"C{number}", lw=1, label=name)
        least, most = float(total.min()), float(total.max())
        axes.set(ylabel=label, ylim=(max(least / factor, 1e-6 * most) / 3, 3 * factor * most))
        axes.grid(which="major", color="0.9")
    panels[0].legend(fontsize="small")
    panels[1].set(xlabel="radius of a solid sphere of aluminium (mm)", xlim=(found.depth[0], found.depth[-1]))
    return figure


def altitude_figure(mission: xr.Dataset, circles: xr.Dataset | None = None) -> Figure:
    """Dose and damage a day against altitude: months of a result of `dose_behind`, and ``circles``.

    circles: of `dose_against_altitude`.
    """
    figure = Figure(figsize=(7, 7), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    for axes, part, label in zip(panels, ("tid", "neq"), (TID, TNID), strict=True):
        for solar in dict.fromkeys(mission.solar.values.tolist()):
            months = mission.isel(segment=mission.solar.values == solar)
            each = months[f"{part}_per_day"]
            axes.plot(months.altitude, each, "o", ms=4, color=SUN.get(solar), label=f"months, all particles: {solar}")
        if circles is not None:
            for activity in circles.activity.values.tolist():
                one = circles[part].sel(activity=activity)
                said = f"circles, trapped particles: {activity}"
                axes.plot(circles.altitude, one, color=SUN[activity], label=said)
        axes.set_ylabel(f"{label}, per day")
        axes.set_ylim(bottom=0)
        axes.grid(color="0.9")
    panels[0].legend(title="solar activity", fontsize="small")
    panels[1].set_xlabel("altitude (km)")
    return figure


def shielding_figure(model: MassModel, seen: xr.Dataset) -> Figure:
    """The boxes of ``model``, and the mass per area around its detector: ``seen``, of `shielding_map`."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    boxes = figure.add_subplot(1, 2, 1, projection="3d")
    low, high = (np.asarray(corner, float) for corner in model.corners())
    for start, end, material in zip(low, high, model.made_of, strict=True):
        corners = np.array([[(start, end)[bit >> axis & 1][axis] for axis in range(3)] for bit in range(8)])
        faces = Poly3DCollection(corners[FACES], facecolor=f"C{material}", alpha=0.12, edgecolor=f"C{material}", lw=0.5)
        boxes.add_collection3d(faces)
    boxes.scatter(*np.asarray(model.detector, float), color="k", s=12, depthshade=False)
    limits = np.array([low.min(0), high.max(0)])
    boxes.set(
        xlim=limits[:, 0], ylim=limits[:, 1], zlim=limits[:, 2], xlabel="x (mm)", ylabel="y (mm)", zlabel="z (mm)"
    )
    boxes.set_box_aspect(limits[1] - limits[0])
    boxes.locator_params(nbins=4)
    boxes.legend(handles=[Patch(color=f"C{n}", label=name) for n, name in enumerate(model.materials)], fontsize="small")
    boxes.set_title(f"{model.name}; black: the detector", fontsize="medium")
    draw_sky(figure.add_subplot(1, 2, 2, projection="mollweide"), seen)
    return figure


def sky_figure(seen: xr.Dataset) -> Figure:
    """The mass per area around the detector of a satellite of boxes: ``seen``, of `shielding_map`."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    draw_sky(figure.add_subplot(projection="mollweide"), seen)
    figure.suptitle(str(seen.attrs["title"]), fontsize="medium")
    return figure


def draw_sky(sky: Axes, seen: xr.Dataset) -> None:
    """Draw the mass per area over the sphere into a panel of Mollweide's projection."""
    total = np.maximum(seen.areal_density.sum("material").values, LEAST_DRAWN)
    order = np.argsort(total)
    azimuth, elevation = (np.radians(seen[part].values)[order] for part in ("azimuth", "elevation"))
    points = sky.scatter(azimuth, elevation, c=total[order], s=250_000 / len(total), norm=LogNorm(), linewidths=0)
    sky.grid(color="0.8", lw=0.5)
    sky.set_xticks(np.radians([-90, 0, 90]), ["-y", "+x", "+y"], color="w", fontweight="bold")
    sky.set_yticks(np.radians([-60, -30, 0, 30, 60]))
    sky.figure.colorbar(points, ax=sky, label="mass per area (g/cm²)", orientation="horizontal", shrink=0.8)
    sky.set_title("around the detector; +z up", fontsize="medium")
