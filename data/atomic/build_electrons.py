"""Build `xcal_jax/atomic/electrons.nc`, how electrons lose energy and scatter in Z = 1..99, bit for bit the same.

    python data/atomic/build_electrons.py             (needs `pip install ".[atomic]"`; about 15 s)
    python data/atomic/build_electrons.py --check     (builds beside it and compares bytes)

The numbers are those of PENELOPE-2018, printed by pyPenred's material files: stopping powers (in Au and Bi up to 4 %
above ESTAR's), first and second transport cross sections of elastic scattering and its differential cross section
at wide angles (partial waves, ELSEPA), and the
oscillators of the Sternheimer-Liljequist model of inelastic collisions. Kept from 50 eV, PENELOPE's lowest energy, to
1 MeV.
"""

import tempfile
from contextlib import chdir
from importlib.metadata import version
from itertools import accumulate, count, pairwise
from pathlib import Path

import netCDF4
import numpy as np
from pyPenred.simulation import materials
from shipped import Tables, ship

from xcal_jax.atomic.element import ELEMENTS, load_element

HIGHEST_ENERGY = 1.0e6  # eV
HIGHEST_Z = 99
ANGLES = (  # degrees: PENELOPE's grid goes on from each of these in steps of the second
    (0.0, 1e-4), (1e-4, 2.5e-5), (1e-3, 2.5e-4), (1e-2, 2.5e-3), (0.1, 2.5e-2), (1.0, 0.1), (10.0, 0.25), (25.0, 0.5),
    (180.0, 0.0),
)  # fmt: skip
WIDE = np.linspace(0.5, 1.0, 51)  # (1 - cosine) / 2
DROPPED = 11  # of the 23 binary digits of the differential cross section: 12 remain, and the file is a third the size

VARIABLES = {  # name: dimensions, type, unit, meaning
    "stopping_energy": (("stopping",), "f8", "eV", "electron energy"),
    "collision": (("element", "stopping"), "f4", "MeV cm2/g", "collision stopping power"),
    "radiative": (("element", "stopping"), "f4", "MeV cm2/g", "radiative stopping power"),
    "elastic_energy": (("elastic",), "f8", "eV", "electron energy"),
    "transport_1": (("element", "elastic"), "f4", "cm2/atom", "first transport cross section of elastic scattering"),
    "transport_2": (("element", "elastic"), "f4", "cm2/atom", "second transport cross section of elastic scattering"),
    "wide": (("wide",), "f8", "1", "(1 - cosine) / 2 of the angle of elastic scattering"),
    "wide_energy": (("wide_row",), "f8", "eV", "electron energy"),
    "differential": (("element", "wide_row", "wide"), "f4", "cm2/atom", "elastic cross section per unit of `wide`"),
    "narrow": (
        ("element", "wide_row"),
        "f4",
        "cm2/atom",
        "elastic cross section times mean (1 - cosine) / 2, below `wide`",
    ),
    "narrow_square": (("element", "wide_row"), "f4", "cm2/atom", "the same with the mean square"),
    "oscillator_start": (("element_bound",), "i4", "1", "first oscillator of each element, and the end"),
    "electrons": (("oscillator",), "f8", "1", "electrons of the oscillator"),
    "ionisation": (("oscillator",), "f8", "eV", "ionisation energy, 0 for conduction electrons"),
    "resonance": (("oscillator",), "f8", "eV", "resonance energy"),
}


def block(lines: list[str], title: str) -> np.ndarray:
    """The numbers under the line of a material file that holds ``title``, as many rows as it says."""
    at = next(n for n, line in enumerate(lines) if title in line)
    rows = int(lines[at].split("=")[1].split("(")[0])
    return np.array([line.split() for line in lines[at + 1 : at + 1 + rows]], float)


def angles() -> np.ndarray:
    """PENELOPE's 606 angles of elastic scattering, rad."""
    pieces = [np.arange(low, high, step) for (low, step), (high, _) in pairwise(ANGLES)]
    return np.radians(np.append(np.concatenate(pieces), 180.0))


def angular(lines: list[str]) -> dict[str, np.ndarray]:
    """Elastic scattering at E energies: wide_energy (E,) eV; differential (E, M) cm2/atom per unit of `WIDE` (M,);
    narrow and narrow_square (E,) cm2/atom, integrals of mu and its square up to `WIDE`.

    Raises ValueError where the transport cross section is not the one that stands in the file.
    """
    first = next(n for n, line in enumerate(lines) if "Electron elastic differential" in line) + 1
    theta = angles()
    mu = 0.5 * (1.0 - np.cos(theta))
    rows = -(-theta.size // 10)
    found: dict[str, list] = {name: [] for name in ("wide_energy", "differential", "narrow", "narrow_square")}
    for n in count(first, rows + 1):
        kind, *numbers = lines[n].split()
        if kind != "-1" or float(numbers[0]) > HIGHEST_ENERGY:
            return {name: np.array(values) for name, values in found.items()}
        density = 4.0 * np.pi * np.array(" ".join(lines[n + 1 : n + 1 + rows]).split(), float)
        transport, stated = 2.0 * np.trapezoid(density * mu, mu), float(numbers[2])
        if abs(transport / stated - 1.0) > 0.01:
            raise ValueError(f"the transport cross section at {numbers[0]} eV is {transport}, not {stated}")
        below = np.minimum(mu, WIDE[0])
        found["wide_energy"].append(float(numbers[0]))
        found["differential"].append(shortened(np.interp(WIDE, mu, density)))
        found["narrow"].append(np.trapezoid(density * below, below))
        found["narrow_square"].append(np.trapezoid(density * below**2, below))
    raise AssertionError


def shortened(values: np.ndarray) -> np.ndarray:
    """Positive ``values`` without their last `DROPPED` binary digits."""
    bits = values.astype("<f4").view("<i4") + (1 << DROPPED >> 1)
    return (bits >> DROPPED << DROPPED).view("<f4")


def build() -> Tables:
    """Every variable of the file."""
    out: dict[str, list] = {name: [] for name in VARIABLES}
    counts = []
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for z, symbol in enumerate(ELEMENTS[:HIGHEST_Z], start=1):
            density = load_element(symbol).density
            materials.create(symbol, density if np.isfinite(density) else 1.0, [(z, 1.0)], "element.mat")
            lines = Path("element.mat").read_text(encoding="latin-1").splitlines()
            stopping = block(lines, "Stopping powers for electrons")
            elastic = block(lines, "Electron and positron elastic cross sections")
            oscillators = block(lines, "Number of oscillators")
            turned = angular(lines)
            out["wide_energy"] = turned.pop("wide_energy")
            for name, rows in turned.items():
                out[name].append(rows)
            slow, low = (table[table[:, 0] <= HIGHEST_ENERGY] for table in (stopping, elastic))
            out["stopping_energy"], out["elastic_energy"] = slow[:, 0], low[:, 0]
            out["collision"].append(slow[:, 1])
            out["radiative"].append(slow[:, 2])
            out["transport_1"].append(low[:, 2])
            out["transport_2"].append(low[:, 3])
            counts.append(len(oscillators))
            for name, column in zip(("electrons", "ionisation", "resonance"), (1, 2, 3), strict=True):
                out[name].extend(oscillators[:, column])
    out["wide"] = WIDE
    out["oscillator_start"] = list(accumulate(counts, initial=0))
    return {name: np.array(values, VARIABLES[name][1]) for name, values in out.items()}


def write(tables: Tables, path: Path) -> None:
    """Write ``tables`` as compressed netCDF-4."""
    with netCDF4.Dataset(path, "w") as data:
        data.title = "Stopping powers, elastic cross sections and oscillators of the elements 1 to 99"
        data.sources = f"PENELOPE-2018 tables as printed by pyPenred {version('pyPenred')} (PenRed)"
        data.credits = (
            "F. Salvat, PENELOPE-2018, NEA/MBDAV/R(2019)1; ELSEPA: F. Salvat, A. Jablonski, C.J. Powell, "
            "Comput. Phys. Commun. 165 (2005) 157. In full: CREDITS.md"
        )
        data.builder = f"data/atomic/build_electrons.py, netCDF4 {netCDF4.__version__}"
        for name, (dimensions, _, unit, meaning) in VARIABLES.items():
            values = tables[name]
            for dimension, size in zip(dimensions, values.shape, strict=True):
                if dimension not in data.dimensions:
                    data.createDimension(dimension, size)
            variable = data.createVariable(
                name, values.dtype, dimensions, compression="zlib", complevel=9, shuffle=True
            )
            variable.units, variable.long_name = unit, meaning
            variable[:] = values


def sizes(tables: Tables) -> str:
    """What the file holds, in a line."""
    return f"elements, oscillators: {tables['collision'].shape[0]}, {tables['electrons'].size}"


if __name__ == "__main__":
    ship("electrons.nc", build, write, __doc__, sizes)
