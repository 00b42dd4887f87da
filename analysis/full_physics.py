"""Both electron models beside PENELOPE-2018 and Geant4: fractions and bands of loss, as a table and as spectra.

    python analysis/full_physics.py [--out out] [-n 4e6]

The reference is PENELOPE-2018 (PenRed 1.14) with photoelectric cross sections like ours, run for this project
(data/reference/penelope_partial_deposition.csv); Geant4 11.4.1 (option4) stands in the figure. Bands hold the losses
of photons that lost energy by electrons alone. Printed: ours over the reference, its standard error in per cent, and
whether the fraction is within 5 %, each band within 10 % and the lowest within 15 %, plus 3 standard errors.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xcal_jax import Absorber, Source, simulate
from xcal_jax.constants import ELECTRONS
from xcal_jax.io.figures import save_figure
from xcal_jax.montecarlo.batch import ELECTRON_ESCAPED
from xcal_jax.simulation.results import partial_count

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
SLABS = {"au1": ("Au", 1.0), "bi5": ("Bi", 5.0)}  # um
FRACTION, BAND, LOWEST_BAND = 0.05, 0.10, 0.15
PROGRAMS = {
    "PENELOPE-2018": "PENELOPE_2018_PenRed_1_14__{}_epdl",
    "Geant4": "Geant4_11_4_1_G4EmStandardPhysics_option4__{}",
}
SHOWN = ("xifu_7000", "xifu_3000", "corner_134.7_7000")
BIN = 50  # eV, in the figure
COLOURS = {"range": "tab:orange", "scattering": "tab:blue", "PENELOPE-2018": "black", "Geant4": "tab:green"}


def case(name: str, electrons: str) -> tuple[Absorber, Source]:
    """The absorber and source of a row of the reference: corner_134.7_7000_epdl is at x = y = 134.7 um."""
    kind, *place, energy = name.removesuffix("_epdl").split("_")
    xifu = Absorber.preset("xifu")
    layers = [SLABS[kind]] if kind in SLABS else list(zip(xifu.formulas, xifu.thickness, xifu.density, strict=True))
    absorber = Absorber.build(layers, float(xifu.width), float(xifu.length), kind, electrons)
    return absorber, Source.build(float(energy), at=(float(place[0]),) * 2 if place else None)


def losses(name: str, electrons: str, n: int) -> tuple[int, int, np.ndarray, np.ndarray]:
    """(interacting, partial, losses by electrons alone (K,) eV, all deposits that are partial (P,) eV)."""
    absorber, source = case(name, electrons)
    own, deposits = [], []

    def collect(event):
        lost = event.energy - event.deposited
        own.append(lost[event.loss_type == ELECTRON_ESCAPED])
        deposits.append(event.deposited[(lost > 1e-3) & (event.deposited > 0)])

    result = simulate(absorber, source, n=n, on_events=collect)
    partial = int(partial_count(result))
    return int(result.interacting), partial, np.concatenate(own), np.concatenate(deposits)


def compare(count: float, n: int, reference: float, error: float, share: float) -> tuple[float, float, bool]:
    """(ratio to the reference, its standard error, whether it is within ``share`` plus 3 standard errors)."""
    ratio = count / n / reference
    spread = ratio * np.hypot(1 / np.sqrt(max(count, 1)), error / reference)
    return ratio, spread, abs(ratio - 1) <= share + 3 * spread


def table(rows: list[dict], n: int) -> tuple[list[str], dict, bool]:
    """(lines, deposits by case and model, whether `scattering` meets every limit)."""
    lines, deposits, good = [], {}, True
    for row in rows:
        name = row["case"]
        edges = np.array(row["band_edges_eV(loss, electron-only events)"].split(), float)
        bands, errors = (1e-4 * np.array(row[key].split(), float) for key in ("band_1e-4", "band_err_1e-4"))
        for electrons in ELECTRONS:
            total, partial, lost, kept = losses(name, electrons, n)
            deposits[name.removesuffix("_epdl"), electrons] = kept, total
            found = [compare(partial, total, float(row["partial"]), float(row["partial_err"]), FRACTION)]
            limits = [LOWEST_BAND] + [BAND] * (len(bands) - 1)
            counts = np.histogram(lost, edges)[0]
            found += [compare(*band) for band in zip(counts, [total] * len(bands), bands, errors, limits, strict=True)]
            good &= electrons != "scattering" or all(ok for *_, ok in found)
            cells = "".join(f"{r:9.3f} {100 * e:4.1f}{' ' if ok else '!'}" for r, e, ok in found)
            lines.append(f"{name.removesuffix('_epdl'):20s}{electrons:12s}{cells}")
    return lines, deposits, good


def title(name: str) -> str:
    """Of a case: corner_134.7_7000 is the X-IFU absorber at x = y = 134.7 um and 7000 eV."""
    _, *place, energy = name.split("_")
    return "X-IFU absorber, " + (f"x = y = {place[0]} um, " if place else "uniform, ") + f"{energy} eV"


def figure(deposits: dict) -> Figure:
    """Spectra of partial deposits, per interacting photon and keV."""
    figure = Figure(figsize=(11, 9), layout="constrained")
    for axes, name in zip(figure.subplots(len(SHOWN), 1), SHOWN, strict=True):
        energy = float(name.split("_")[-1])
        edges = np.arange(0.0, energy + BIN, BIN)
        spectra = {electrons: deposits[name, electrons] for electrons in ELECTRONS}
        for program, file in PROGRAMS.items():
            deposit, counts = np.loadtxt(
                REFERENCE / "full_physics" / f"{file.format(name)}.csv", delimiter=",", skiprows=2
            ).T
            counts = counts[(deposit > 0)]
            deposit = deposit[deposit > 0]
            spectra[program] = (np.repeat(deposit[:-1], counts[:-1].astype(int)), counts.sum())
        for label, (values, total) in spectra.items():
            density = np.histogram(values, edges)[0] / total / (BIN / 1e3)
            axes.stairs(density, edges / 1e3, label=label, color=COLOURS[label], linewidth=1.2)
        axes.set(yscale="log", xlim=(0, energy / 1e3), ylabel="per photon and keV", title=title(name))
        axes.grid(alpha=0.3)
    axes.set_xlabel("deposited energy (keV)")
    figure.axes[0].legend(ncols=4, loc="upper left")
    return figure


def main() -> None:
    """Print the table and draw the spectra."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the figure")
    parser.add_argument("-n", type=float, default=4_000_000, help="photons")
    arguments = parser.parse_args()
    with open(REFERENCE / "penelope_partial_deposition.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"{'case':20s}{'electrons':12s}  partial       bands of loss, from the lowest: ratio to PENELOPE, error in %")
    lines, deposits, good = table(rows, int(arguments.n))
    print("\n".join(lines))
    print("scattering meets every limit" if good else "scattering misses the limits marked !")
    save_figure(figure(deposits), arguments.out / "full_physics.png")


if __name__ == "__main__":
    main()
