"""Figures 12 and 13 of the paper: altitude, dose and displacement damage against time."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure


def draw_dose(missions: dict[str, xr.Dataset]) -> Figure:
    """Altitude, accumulated dose and accumulated damage of ``missions``: results of `dose_behind` by name."""
    figure = Figure(figsize=(7, 8), layout="constrained")
    altitude, ionising, displacing = figure.subplots(3, 1, sharex=True)
    for number, (name, mission) in enumerate(missions.items()):
        color = f"C{number}"
        times = np.append(mission.start.values, mission.end.values[-1])
        altitude.stairs(mission.altitude.values, times, color=color, label=name, baseline=None)
        for axes, part in ((ionising, "tid"), (displacing, "neq")):
            total = np.append(0, np.cumsum(mission[part].values))
            protons = np.append(0, np.cumsum(mission[f"{part}_proton"].values))
            axes.plot(times, total, color=color, label=name)
            axes.plot(times, protons, color=color, ls="--", lw=1, label=f"{name}, protons alone")
        switch = mission.solar.values == "max"
        if switch.any() and not switch.all():
            for axes in (altitude, ionising, displacing):
                axes.axvline(mission.start.values[np.argmax(switch)], color="0.7", lw=1, zorder=0)
    shields = sorted({f"{one.attrs['shield']} ({one.attrs['geometry']})" for one in missions.values()})
    figure.suptitle("Behind " + "; ".join(shields), fontsize="medium")
    altitude.set_ylabel("altitude (km)")
    ionising.set_ylabel("TID (rad in Si)")
    displacing.set_ylabel("TNID (1 MeV n_eq/cm²)")
    displacing.set_xlabel("date (UTC); grey line: solar minimum to maximum")
    altitude.legend()
    ionising.legend(fontsize="small")
    for axes in (ionising, displacing):
        axes.set_ylim(bottom=0)
    return figure
