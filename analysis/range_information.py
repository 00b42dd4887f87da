"""How many counts of a line tell the range of electrons, the yields and the thickness to 10 %: Fisher's information.

    python analysis/range_information.py [--out out] [-n 262144]

A line without width of 1 to 7 keV in the X-IFU absorber (Au/Bi, FWHM 2.5 eV) and in Resolve's (HgTe, 5 eV), channels of
1 eV from 100 eV up. The expected spectrum and its derivatives give the information J^T diag(1 / expected) J of one
photon that interacts; a parameter of value p and variance V is known to 10 % from V / (0.1 p)^2 photons. Photons in
the line, its offset and FWHM are always fitted. Printed: a row an energy; drawn: photons for the range against energy.
Electrons leave by the paper's range (Eq. 3).
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.atomic.lines import gamma
from xcal_jax.io.figures import save_figure
from xcal_jax.response.complex_fit import FLOOR, first_values
from xcal_jax.response.linefit import linearise
from xcal_jax.response.natural_shape import NaturalShape

ABSORBERS = {"xifu": ("Au/Bi", "thickness[1]"), "resolve": ("HgTe", "thickness[0]")}  # material; its main layer
ENERGIES = np.arange(1000.0, 7001.0, 1000.0)
LOWEST, BESIDE = 100.0, 10.0  # eV: the first channel; FWHM above the line, of the last
KNOWN = 0.1
ALWAYS = ("offset", "fwhm")
TOLD = 1e7  # photons, beyond which a derivative is the noise of its Monte Carlo, and nothing is told
CASES = {  # the parameter that is wanted, and what is fitted beside it
    "range": ("range", ()),
    "range, with a background": ("range", ("background",)),
    "range, with yields, background": ("range", ("yield", "background")),
    "yields": ("yield", ("range", "background")),
    "thickness": ("thickness", ("range", "yield", "background")),
}


def derivatives(
    absorber: Absorber, layer: str, energy: float, n: int
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """(names and values of all parameters, expected counts (C,), derivatives (C, T)) of one photon of ``energy`` eV.

    layer: whose thickness is a parameter, by the name that this has.
    """
    fwhm = float(absorber.fwhm)
    linear = linearise(absorber, energy, ("range", "yield", layer), n=n)
    line = gamma(energy)
    shape = NaturalShape.build([line], np.arange(LOWEST, energy + BESIDE * fwhm, 1.0), 0.6 * fwhm, [linear])
    values = first_values(shape, np.ones(1), {"fwhm": fwhm})
    with jax.enable_x64(True):
        expected = np.maximum(np.asarray(shape.expected(jnp.asarray(values))), FLOOR)
        slope = np.asarray(jax.jit(jax.jacfwd(shape.expected))(jnp.asarray(values)))
    names = [name.split("[")[0] for name in shape.parameters]
    return names, values, expected, slope


def counts_needed(names: list[str], values: np.ndarray, expected: np.ndarray, slope: np.ndarray) -> dict[str, float]:
    """Photons that tell the wanted parameter of each of the `CASES` to 10 %."""
    found = {}
    for case, (wanted, beside) in CASES.items():
        free = [names.index(name) for name in (wanted, *beside, names[0], *ALWAYS)]
        information = slope[:, free].T @ (slope[:, free] / expected[:, None])
        size = np.sqrt(np.diag(information))
        covariance = np.linalg.inv(information / np.outer(size, size)) / np.outer(size, size)
        found[case] = float(covariance[0, 0] / (KNOWN * values[free[0]]) ** 2)
    return found


def figure(needed: dict[str, list[dict[str, float]]]) -> Figure:
    """Photons for 10 % on the range against the energy, a colour an absorber."""
    drawn = Figure(figsize=(7, 4.5), layout="constrained")
    axes = drawn.subplots()
    styles = dict(zip(list(CASES)[:3], ("-", "--", ":"), strict=True))
    for colour, (name, rows) in zip(("tab:red", "tab:blue"), needed.items(), strict=True):
        for case, style in styles.items():
            label = f"{ABSORBERS[name][0]}: {case}"
            axes.plot(ENERGIES / 1e3, [row[case] for row in rows], style, color=colour, marker="o", ms=3, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("photon energy (keV)")
    axes.set_ylabel("photons for 10 % on the range of electrons")
    axes.legend(frameon=False, fontsize=8)
    return drawn


def main() -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of range_information.png")
    parser.add_argument("-n", type=float, default=2**18, help="histories of each expectation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    needed: dict[str, list[dict[str, float]]] = {}
    for name, (material, layer) in ABSORBERS.items():
        absorber = Absorber.load(name, electrons="range", physics="paper")
        print(f"\n{material} ({name}, FWHM {float(absorber.fwhm):g} eV): photons that tell to 10 %")
        print(f"{'keV':>5}" + "".join(f"{case:>{max(12, len(case) + 3)}}" for case in CASES))
        needed[name] = []
        for energy in ENERGIES:
            row = counts_needed(*derivatives(absorber, layer, energy, int(arguments.n)))
            needed[name].append(row)
            cells = {case: f"{count:.2g}" if count < TOLD else f"> {TOLD:.0g}" for case, count in row.items()}
            line = "".join(f"{cell:>{max(12, len(case) + 3)}}" for case, cell in cells.items())
            print(f"{energy / 1e3:5g}{line}", flush=True)
    save_figure(figure(needed), arguments.out / "range_information.png")


if __name__ == "__main__":
    main()
