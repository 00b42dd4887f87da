"""A satellite's SiPM ageing from end to end: `python analysis/sipm_ageing.py grbalpha [DIR] [-o OUT]`.

The satellite is grbalpha, vzlusat2, or a TOML file. DIR holds spectra and templates (see `xcal-jax sipm report`).
Without one a SYNTHETIC mission is drawn, and every result stands beside the truth it was drawn from. VZLUSAT-2's step
of September 2023 is put on day 610 with a size that is chosen, for the paper's is not legible in the copy at hand.
"""

import argparse
from pathlib import Path

import numpy as np

from xcal_jax.sipm import forecast, load_mission
from xcal_jax.sipm.mission import Mission
from xcal_jax.sipm.pipeline import Ageing, Files, analyse, read_folder
from xcal_jax.sipm.report import write_report
from xcal_jax.sipm.synthetic import synthesize
from xcal_jax.sipm.synthetic.rates import calibration


def compare(name: str, value: float, error: float, truth: float | None) -> None:
    """One line of the table: value, error, and for synthetic data the truth and the pull."""
    known = "" if truth is None else f"   truth {truth:12.6g}   pull {(value - truth) / error:+.2f}"
    print(f"  {name:34s} {value:12.6g} ± {error:<10.3g}{known}")


def truth_of(known: dict[str, float], parameter: str, mission: Mission) -> float | None:
    """The truth of one parameter; a step found far from the mission's own has none to find: 0."""
    name, *rest = parameter.split()
    if name == "step" and known:
        day = mission.synthetic.get("step", {}).get("day", np.inf)
        return known["step"] if abs(float(rest[-1]) - day) < 15 else 0.0
    return known.get(name)


def truths(mission: Mission, channel: str, quantity: str) -> dict[str, float]:
    """What the joint fit should find on the synthetic mission."""
    table, last = mission.synthetic, mission.synthetic["last_day"]
    key = {"threshold_adu": "threshold", "dcr": "dcr"}[quantity]
    of = table["readout"][channel][key]
    step = table.get("step", {}).get(key)
    out = {"a": of["start"], "b": (of["end"] - of["start"]) / np.sqrt(last), "temperature": of["slope"]}
    return out if step is None else {**out, "step": step}


def true_gain(mission: Mission, bias: float) -> np.ndarray:
    """Coefficients of the synthetic gain at a bias, keV/ADU/d^n."""
    lines = mission.synthetic["activation"]["line"]
    ratio = next((line["gain_ratio"] for line in lines if line["bias"] == bias), 1.0)
    return np.array(mission.synthetic["gain"]["coefficients"]) / ratio


def show(ageing: Ageing, synthetic: bool) -> None:
    """Print every main result of the settings, each a readout channel at a bias."""
    mission = ageing.mission
    print(f"{mission.name}: {'SYNTHETIC data' if synthetic else 'data'}, {len(ageing.settings)} settings")
    for setting, gain in ageing.gains.items():
        for title, fitted in (("Eq. 2", gain.calibration), ("Eq. 3", gain.drift)):
            if fitted is None or not (fitted["errors"].values > 0).all():
                continue
            truth = calibration(mission) if title == "Eq. 2" else true_gain(mission, gain.bias)
            for k, name in enumerate(fitted["parameter"].values):
                one = float(fitted["parameters"][k]), float(fitted["errors"][k])
                compare(f"{setting} {title} {name}", *one, truth[k] if synthetic else None)
    for name, setting in ageing.settings.items():
        for quantity, joint in setting.joint.items():
            truth = truths(mission, name, quantity) if synthetic else {}
            print(f"  {name} {quantity}: {joint.attrs['chosen_form']} + temperature")
            for k, parameter in enumerate(joint["parameter"].values):
                value, error = float(joint["parameters"][k]), float(joint["errors"][k])
                compare(str(parameter), value, error, truth_of(truth, str(parameter), mission))
        ahead = forecast(setting.trends["dcr"], setting.trends["dcr"].attrs["days_last"] + 365.0)
        low, value, high = (float(ahead[k][0]) for k in ("lower", "value", "upper"))
        print(f"  {name} dcr a year on: {value:.0f} cnt/s, 68 % band {low:.0f} to {high:.0f}")


def main() -> None:
    """Read or draw, analyse, print, and write the report."""
    parser = argparse.ArgumentParser(description="SiPM ageing of a satellite")
    parser.add_argument("satellite", help="grbalpha, vzlusat2, or a TOML file")
    parser.add_argument("folder", nargs="?", type=Path, help="spectra and templates; synthetic if not given")
    parser.add_argument("-o", "--output", type=Path, help="page to write; default: out/SATELLITE_ageing.html")
    arguments = parser.parse_args()
    mission = load_mission(arguments.satellite)
    output = arguments.output or Path(f"out/{Path(arguments.satellite).stem}_ageing.html")
    if arguments.folder is None:
        drawn = synthesize(mission)
        files = Files(drawn.spectra, drawn.template, drawn.activation, drawn.ground)
    else:
        files = read_folder(arguments.folder)
    ageing = analyse(mission, files)
    show(ageing, synthetic=bool(int(files.spectra.attrs.get("synthetic", 0))))
    output.parent.mkdir(parents=True, exist_ok=True)
    print(f"report: {write_report(ageing, output)}")


if __name__ == "__main__":
    main()
