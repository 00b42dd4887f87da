"""Build `xcal_jax/atomic/radioactive.csv`: X-ray lines and gammas of calibration sources, photons per decay.

    python data/atomic/build_radioactive.py [--check]    (needs `pip install ".[atomic]"`)

The numbers are xraylib's (Schoonjans et al. 2011, doi 10.1016/j.sab.2011.09.011). Where K lines of the daughter have
a published shape, their parts are added up to Ka and Kb. What is weaker than 1e-4 of the strongest is left out, and so
are transitions that the atomic tables do not have.
"""

from pathlib import Path

import xraylib
from shipped import ship

from xcal_jax.atomic.lines import load_line, published_lines

NUCLIDES = ("Fe55", "Co57", "Cd109", "Ba133", "Am241")
WEAKEST = 1e-4
SIEGBAHN = {
    number: name[:-5] for name, number in vars(xraylib).items() if name.endswith("_LINE") and name[1] in "ABLHG"
}


def rows() -> list[tuple[str, str, str, float]]:
    """(nuclide, line, energy in eV of a gamma, photons per decay), the strongest first."""
    found = []
    for nuclide in NUCLIDES:
        table = xraylib.GetRadioNuclideDataByName(nuclide[2:] + nuclide[:2])
        symbol = xraylib.AtomicNumberToSymbol(table["Z_xray"])
        photons: dict[tuple[str, str], float] = {}
        for number, intensity in zip(table["XrayLines"], table["XrayIntensities"], strict=True):
            name = symbol + _name(SIEGBAHN[number])
            whole = name[:-1]
            key = (whole if whole in published_lines() else name, "")
            photons[key] = photons.get(key, 0.0) + intensity
        for energy, intensity in zip(table["GammaEnergies"], table["GammaIntensities"], strict=True):
            photons["", f"{1e3 * energy:.1f}"] = intensity
        strongest = max(photons.values())
        ordered = sorted(photons.items(), key=lambda item: -item[1])
        found += [(nuclide, *key, n) for key, n in ordered if n >= WEAKEST * strongest and _known(key[0])]
    return found


def _name(siegbahn: str) -> str:
    """KA1 -> Ka1, LH -> Ln."""
    return siegbahn[0] + {"H": "n"}.get(siegbahn[1:], siegbahn[1:].lower())


def _known(name: str) -> bool:
    try:
        return not name or bool(load_line(name))
    except ValueError:
        return False


def write(table, path: Path) -> None:
    """The rows as CSV."""
    lines = [f"{nuclide},{line},{energy},{photons:.4g}\n" for nuclide, line, energy, photons in table]
    about = (
        f"# X-ray lines and gammas, photons per decay: xraylib {xraylib.__version__}, built by {Path(__file__).name}\n"
    )
    path.write_text(about + "nuclide,line,energy_ev,photons_per_decay\n" + "".join(lines))


if __name__ == "__main__":
    ship("radioactive.csv", rows, write, __doc__, lambda table: f"{len(table)} lines")
