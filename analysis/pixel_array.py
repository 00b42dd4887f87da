"""What the neighbours of an X-IFU pixel add to its spectrum: emission features at fluorescence energies.

    python analysis/pixel_array.py [--energy 7keV] [--pitch 317um] [-n 1e8] [--electrons range scattering] [--out out]

Lorenz et al. 2022 name these as missing from their model beside Geant4 (their Fig. 4). 3 x 3 absorbers of the X-IFU,
with gaps of 47.5 um between them, are illuminated uniformly. A fluorescence photon that leaves one of them through a
side, within 8 degrees of the horizontal (6.41 um over 47.5 um), may be absorbed in the next.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from xcal_jax import Absorber, simulate, summary
from xcal_jax.constants import ELECTRONS
from xcal_jax.io.figures import save_figure
from xcal_jax.plot.labels import name_peaks
from xcal_jax.units import parse_quantity, parse_whole

BIN = 1.0  # eV
BESIDE = 75.0  # eV, shown around the lines
COLOURS = {"range": "tab:orange", "scattering": "tab:blue"}
CENTRE = 1, 1  # of 3 x 3


def array_of(pitch: float, electrons: str) -> Absorber:
    """3 x 3 X-IFU absorbers at a ``pitch`` in um."""
    alone = Absorber.load("xifu", electrons)
    return Absorber.from_toml(f"{alone.to_toml()}[array]\nrows = 3\ncolumns = 3\npitch = {pitch}\n")


def table(result: xr.Dataset) -> list[str]:
    """Lines that neighbours catch, beside the escape peaks that they leave in the pixel hit."""
    facts = summary(result)
    escaping = {peak["line"]: peak["intensity"] for peak in facts["peaks"]}
    lines = [
        f"{facts['electrons']} electrons: {1e6 * facts['array']['shared']:.1f} +- "
        f"{1e6 * facts['array']['shared_err']:.1f} of 1e6 photons leave deposits in several pixels; those of a line:",
        f"  {'line':10s}{'deposit':>12s}{'leave a pixel':>16s}{'caught by another':>24s}{'caught':>12s}",
    ]
    for line in facts["array"]["caught_lines"]:
        found = escaping[line["line"]], line["intensity"], line["intensity_err"]
        left, caught, error = (1e6 * value for value in found)
        lines.append(
            f"  {line['line']:10s}{line['energy']:9.1f} eV{left:16.1f}{caught:15.2f} +- {error:4.2f}"
            f"{100 * caught / left:10.2f} %"
        )
    return lines


def figure(results: dict[str, xr.Dataset], energy: float) -> Figure:
    """The central pixel around the lines, beside a pixel without neighbours; deposits in pixels that were not hit."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    above, below = figure.subplots(2)
    first = next(iter(results.values()))
    n, hits = int(first.interacting), int(first.pixel_hits[CENTRE])
    edges = np.append(first.energy.values, first.energy.values[-1] + BIN)
    above.stairs(first.central_spectrum.values / hits / BIN, edges, color="tab:red", label="in the array")
    above.stairs(first.spectrum.values / n / BIN, edges, color="black", label="without neighbours (mean of all pixels)")
    for model, result in results.items():
        below.stairs(result.caught_spectrum.values / n / BIN, edges, color=COLOURS[model], lw=0.8, label=model)
    lines = summary(first)["array"]["caught_lines"]
    places = [line["energy"] for line in lines] or [0.5 * energy]
    shown = max(0.0, min(places) - BESIDE), min(energy - BESIDE, max(places) + BESIDE)
    inside = (edges[:-1] > shown[0]) & (edges[:-1] < shown[1])
    above.set(xlim=shown, ylim=(0.0, 1.3 * float(first.central_spectrum.values[inside].max()) / hits / BIN))
    pitch = float(Absorber.from_toml(first.attrs["absorber"]).array.pitch_x)
    above.set_title(
        f"Central pixel of 3 x 3 X-IFU absorbers, {pitch:g} µm pitch, {energy / 1e3:g} keV, "
        f"electrons: {first.attrs['electrons']}"
    )
    above.set(xlabel="deposited energy (eV)", ylabel="per photon on the pixel and eV")
    below.set_title("Deposits in pixels that were not hit")
    top = float(first.caught_spectrum.max()) / n / BIN
    below.set(xlim=(0, energy), yscale="log", ylim=(0.5 / n / BIN, 100 * top))
    below.set(xlabel="deposited energy (eV)", ylabel="per photon and eV")
    name_peaks(below, ((line["line"], line["energy"], line["intensity"] / BIN) for line in lines))
    above.legend(loc="upper right")
    below.legend(title="electrons", loc="upper right")
    return figure


def main() -> None:
    """Print the tables and draw the spectra."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--energy", default="7keV", help="of the photons")
    parser.add_argument("--pitch", default="317um", help="from centre to centre")
    parser.add_argument("-n", default="1e8", help="photons")
    parser.add_argument("--electrons", nargs="+", choices=ELECTRONS, default=ELECTRONS, help="models")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the figure")
    arguments = parser.parse_args()
    energy, pitch = parse_quantity(arguments.energy, "eV", "--energy"), parse_quantity(arguments.pitch, "um", "--pitch")
    n = parse_whole(arguments.n, "-n")
    results = {
        model: simulate(array_of(pitch, model), energy, n=n, bin_width=BIN, progress=True)
        for model in arguments.electrons
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    for result in results.values():
        print("\n".join(table(result)))
    save_figure(figure(results, energy), arguments.out / "pixel_array.png")


if __name__ == "__main__":
    main()
