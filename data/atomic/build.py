"""Build `xcal_jax/atomic/elements.nc`, the atomic tables of Z = 1..100, bit for bit the same each time.

    python data/atomic/build.py             (needs `pip install ".[atomic]"`; about 5 s)
    python data/atomic/build.py --check     (builds beside it and compares bytes)

EADL gives transition probabilities, widths, occupancies; EPDL97 cross sections, S(x), F(x). Both are read
from the original LLNL files that PyMca5 ships. EADL's energies are off by 1 to 50 eV, so binding energies
are xraylib's measured edges where it has one, and transition energies are differences of that one set.
Compton profiles are those of Biggs, Mendelsohn and Mann (1975), also of xraylib.
Transitions without energy, in that set or in EADL's own (204 stand there with 0 eV), are dropped and the rest
renormalised. EPDL97's subshell curves are moved to the new edges by cutting or extrapolating them.
"""

import hashlib
import re
from importlib.metadata import version
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

import netCDF4
import numpy as np
import xraylib
from shipped import Tables, ship

from xcal_jax.atomic.element import ELEMENTS

SHA256 = {
    "EADL.DAT": "2aec9318b661e84ca2831a6c1c6ed3b4f73b94643065db32a1568870a96b2358",
    "EPDL97.DAT": "9086a6a98662545c0645a2827fee06da6ffd366e59816570166e03b36f304b09",
}
SUBSHELL = {  # ENDL designator: name
    1: "K", 3: "L1", 5: "L2", 6: "L3", 8: "M1", 10: "M2", 11: "M3", 13: "M4", 14: "M5",
    16: "N1", 18: "N2", 19: "N3", 21: "N4", 22: "N5", 24: "N6", 25: "N7",
    27: "O1", 29: "O2", 30: "O3", 32: "O4", 33: "O5", 35: "O6", 36: "O7",
    41: "P1", 43: "P2", 44: "P3", 46: "P4", 47: "P5", 58: "Q1",
}  # fmt: skip
OCCUPANCY, BINDING, RADIATIVE_WIDTH, AUGER_WIDTH = ((91, i, 0) for i in (912, 913, 921, 922))  # EADL: C, I, Yo
RADIATIVE, AUGER = (92, 931, 7), (92, 932, 9)
COHERENT, INCOHERENT, PHOTOELECTRIC = (71, 0, 0), (72, 0, 0), (73, 0, 0)  # EPDL97
FORM_FACTOR, SCATTERING_FUNCTION = (93, 941, 0), (93, 942, 0)
HIGHEST_ENERGY, HIGHEST_X = 1.0e6, 1.0e2  # eV, 1/Angstrom: where the tables are cut
# yields that xraylib has wrong: Au M2 is .0423 for about .0045, and 77 to 82 are interpolated from it; the L
# yields of Re are two thirds of those of its neighbours W and Os
XRAYLIB_TYPOS = {(z, "M2") for z in range(77, 83)} | {(75, label) for label in ("L1", "L2", "L3")}

PARTNERS = str.maketrans("234567", "325476")  # subshells of one orbital: L2 and L3, M4 and M5, N6 and N7

VARIABLES = {  # name: dimension, type, unit, meaning
    "z": ("element", "i2", "1", "atomic number"),
    "symbol": ("element", "S2", "1", "symbol of the element"),
    "weight": ("element", "f8", "g/mol", "atomic weight (EADL)"),
    "coster_kronig_12": ("element", "f8", "1", "Coster-Kronig probability L1-L2, NaN where unknown (xraylib)"),
    "coster_kronig_13": ("element", "f8", "1", "Coster-Kronig probability L1-L3, NaN where unknown (xraylib)"),
    "coster_kronig_23": ("element", "f8", "1", "Coster-Kronig probability L2-L3, NaN where unknown (xraylib)"),
    "density": ("element", "f8", "g/cm3", "density of the element, NaN where unknown (xraylib)"),
    "subshell_start": ("element_bound", "i4", "1", "first subshell of each element, and the end"),
    "subshell_label": ("subshell", "S2", "1", "name of the subshell"),
    "binding": ("subshell", "f8", "eV", "binding energy, descending within an element"),
    "binding_source": ("subshell", "i1", "1", "source of binding: 0 xraylib (measured edge), 1 EADL"),
    "eadl_binding": ("subshell", "f8", "eV", "binding energy of EADL"),
    "occupancy": ("subshell", "f8", "1", "electrons of the free atom in the subshell (EADL)"),
    "width": ("subshell", "f4", "eV", "natural width, radiative and non-radiative together (EADL)"),
    "dropped": ("subshell", "f8", "1", "probability of EADL's transitions dropped for want of energy"),
    "fluorescence_yield_krause": ("subshell", "f8", "1", "fluorescence yield, NaN where unknown (xraylib)"),
    "compton_profile": ("subshell", "f8", "1", "J(0) of an electron, 1 / (atomic unit of momentum) (Biggs, xraylib)"),
    "transition_start": ("subshell_bound", "i4", "1", "first transition of each subshell, and the end"),
    "final1": ("transition", "i2", "1", "subshell that gets a vacancy, counted within the element"),
    "final2": ("transition", "i2", "1", "subshell that gets the other vacancy, or -1: a photon was emitted"),
    "probability": ("transition", "f8", "1", "probability per vacancy, those of a subshell sum to 1 (EADL)"),
    "transition_energy": ("transition", "f8", "eV", "energy of the photon or electron"),
    "photo_start": ("subshell_bound", "i4", "1", "first point of each subshell's curve, and the end"),
    "photo_energy": ("photo", "f8", "eV", "photon energy, from the binding energy up"),
    "photo_cross_section": ("photo", "f4", "barn/atom", "photoelectric cross section (EPDL97)"),
    "incoherent_start": ("element_bound", "i4", "1", "first point of each element's curve, and the end"),
    "incoherent_energy": ("incoherent", "f8", "eV", "photon energy"),
    "incoherent_cross_section": ("incoherent", "f4", "barn/atom", "incoherent cross section (EPDL97)"),
    "coherent_start": ("element_bound", "i4", "1", "first point of each element's curve, and the end"),
    "coherent_energy": ("coherent", "f8", "eV", "photon energy"),
    "coherent_cross_section": ("coherent", "f4", "barn/atom", "coherent cross section (EPDL97)"),
    "scattering_start": ("element_bound", "i4", "1", "first point of each element's S(x), and the end"),
    "scattering_x": ("scattering", "f8", "1/Angstrom", "sin(theta/2) / wavelength"),
    "scattering_function": ("scattering", "f4", "1", "incoherent scattering function, S(0) = 0 (EPDL97)"),
    "form_start": ("element_bound", "i4", "1", "first point of each element's F(x), and the end"),
    "form_x": ("form", "f8", "1/Angstrom", "sin(theta/2) / wavelength"),
    "form_factor": ("form", "f4", "1", "coherent form factor, F(0) = Z (EPDL97)"),
}  # fmt: skip


def read_endl(name: str) -> tuple[dict[tuple, np.ndarray], dict[int, float]]:
    """Tables and atomic weights (g/mol by z) of an ENDL 80-column file that PyMca5 ships.

    A table stands under (z, (reaction C, property I, outgoing particle Yo), subshell designator or 0), its
    rows as in the file: energies in MeV, cross sections in barn, x in 1/cm. Layout: two header lines, data in
    columns of 11 (exponents without an E), an end line with a 1 in column 72 (D.E. Cullen,
    https://www-nds.iaea.org/epdl97). Raises ValueError for another version of the file.
    """
    spec = find_spec("PyMca5")
    content = (Path(spec.submodule_search_locations[0]) / "PyMcaData" / "EPDL97" / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ValueError(f"{name} is not the file of PyMca5 5.9.7 that this script was written for")
    tables, weights = {}, {}
    for block in re.split(r"^ {71}1\s*\n", content.decode("ascii"), flags=re.MULTILINE)[:-1]:
        first, second, *rows = block.splitlines()
        z = int(first[:3])
        weights[z] = _numbers(first[12:24])[0]
        kind = (int(second[:2]), int(second[2:5]), int(first[9:12]))
        subshell = int(_numbers(second[21:32])[0])
        if kind != (93, 944, 0):  # anomalous scattering, whose columns run into each other
            tables[z, kind, subshell] = np.array(_numbers("\n".join(rows))).reshape(len(rows), -1)
    return tables, weights


def _numbers(text: str) -> list[float]:
    return [float(word) for word in re.sub(r"([\d.])([+-]) ?(\d)", r"\1e\2\3", text).split()]


def edge(z: int, label: str) -> float | None:
    """Measured binding energy, eV, or None where xraylib has none."""
    return _known(lambda: round(1e3 * xraylib.EdgeEnergy(z, shell(label)), 4))


def krause_yield(z: int, label: str) -> float:
    """Fluorescence yield that xraylib tabulates for K, L and M, or NaN."""
    if (z, label) in XRAYLIB_TYPOS or label[0] not in "KLM":
        return np.nan
    found = _known(lambda: xraylib.FluorYield(z, shell(label)))
    return np.nan if found is None else found


def coster_kronig(z: int, pair: str) -> float:
    """Probability that a vacancy moves from L1 to L2 ("12"), L1 to L3 or L2 to L3, or NaN."""
    found = _known(lambda: xraylib.CosKronTransProb(z, getattr(xraylib, f"FL{pair}_TRANS")))
    return np.nan if found is None else round(found, 6)


def compton_profile(z: int, label: str) -> float:
    """Compton profile at zero momentum, J(0), of one electron of a subshell, in 1 / (atomic unit of momentum).

    Biggs, Mendelsohn and Mann give every electron of an open shell to one of its two subshells (C: L2, not L3); EADL
    shares them out. A subshell without a profile takes that of its partner, and one of an orbital that is empty there
    (Bk, P4 and P5) that of the element before.
    """
    partner = label[0] + label[1:].translate(PARTNERS)
    for name in (label, partner):
        found = _known(lambda name=name: round(xraylib.ComptonProfile_Partial(z, shell(name), 0.0), 6))
        if found:
            return found
    return compton_profile(z - 1, label)


def shell(label: str) -> int:
    """xraylib's number of a subshell."""
    return getattr(xraylib, f"{label}_SHELL")


def _known(ask):
    try:
        return ask()
    except ValueError:
        return None


def photo_curve(energy: np.ndarray, sigma: np.ndarray, binding: float) -> tuple[np.ndarray, np.ndarray]:
    """EPDL97's curve (eV, barn) of a subshell moved to the edge ``binding`` and cut at the highest energy.

    Up to a higher edge the curve is cut. Down to a lower one it goes on, in log-log, along the chord from its
    first point to the point as far above the old edge as the new one lies below: the spacing of the first two
    points (down to 4e-5) would magnify threshold structure beyond reason.
    """
    mirror = max(energy[0] ** 2 / binding, binding)
    at_mirror = _loglog(mirror, energy, sigma)
    at_edge = at_mirror if binding >= energy[0] else sigma[0] ** 2 / at_mirror
    above = energy > binding
    return cut(np.append(binding, energy[above]), np.append(at_edge, sigma[above]), HIGHEST_ENERGY)


def cut(x: np.ndarray, y: np.ndarray, highest: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of a curve at 0 < x <= ``highest``, its last point at ``highest``."""
    keep = (x > 0) & (x < highest)
    return np.append(x[keep], highest), np.append(y[keep], _loglog(highest, x[x > 0], y[x > 0]))


def _loglog(at: float, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.exp(np.interp(np.log(at), np.log(x), np.log(y))))


def decays(eadl: dict, z: int, designator: int, index: dict[int, int], binding: np.ndarray) -> tuple[Tables, float]:
    """Transitions of one subshell's vacancy that have energy, renormalised, and the probability dropped.

    ``index`` takes a designator to the row of ``binding`` (eV, descending).
    """
    photons = eadl.get((z, RADIATIVE, designator), np.empty((0, 3)))  # final, probability, energy
    electrons = eadl.get((z, AUGER, designator), np.empty((0, 4)))  # final, final, probability, energy
    final1 = np.array([index[int(f)] for f in np.append(photons[:, 0], electrons[:, 0])], int)
    final2 = np.array([-1] * len(photons) + [index[int(f)] for f in electrons[:, 1]], int)
    probability = np.append(photons[:, 1], electrons[:, 2])
    energy = binding[index[designator]] - binding[final1] - np.where(final2 < 0, 0.0, binding[final2])
    energy = np.round(energy, 6)
    keep = (energy > 0) & (np.append(photons[:, 2], electrons[:, 3]) > 0)
    total = probability.sum()
    columns = {
        "final1": final1[keep],
        "final2": final2[keep],
        "probability": probability[keep] / probability[keep].sum() if keep.any() else probability[keep],
        "transition_energy": energy[keep],
    }
    return columns, float(probability[~keep].sum() / total) if total else 0.0


def build() -> Tables:
    """Every variable of the file. Raises ValueError where EADL and EPDL97 do not have the same subshells."""
    eadl, weights = read_endl("EADL.DAT")
    epdl, _ = read_endl("EPDL97.DAT")
    out: dict[str, list] = {name: [] for name in VARIABLES}
    count: dict[str, list[int]] = {name.removesuffix("_start"): [] for name in VARIABLES if name.endswith("_start")}

    def append(curve: str, columns: dict) -> None:
        count[curve].append(len(next(iter(columns.values()))))
        for name, column in columns.items():
            out[name].extend(column)

    for z, symbol in enumerate(ELEMENTS, start=1):
        own = {int(d): 1e6 * mev for d, mev in eadl[z, BINDING, 0]}
        curves = {d for at, kind, d in epdl if at == z and kind == PHOTOELECTRIC and d}
        if curves != set(own):
            raise ValueError(f"{symbol}: EADL and EPDL97 differ in subshells {curves ^ set(own)}")
        measured = {d: edge(z, SUBSHELL[d]) for d in own}
        used = {d: round(own[d], 4) if measured[d] is None else measured[d] for d in own}
        order = sorted(own, key=lambda d: -used[d])
        index = {d: i for i, d in enumerate(order)}
        binding = np.array([used[d] for d in order])
        occupancy = dict(eadl[z, OCCUPANCY, 0])
        widths = [dict(eadl.get((z, kind, 0), ())) for kind in (RADIATIVE_WIDTH, AUGER_WIDTH)]
        for d in order:
            columns, dropped = decays(eadl, z, d, index, binding)
            append("transition", columns)
            energy, sigma = epdl[z, PHOTOELECTRIC, d].T
            append(
                "photo",
                dict(
                    zip(
                        ("photo_energy", "photo_cross_section"),
                        photo_curve(1e6 * energy, sigma, used[d]),
                        strict=True,
                    )
                ),
            )
            out["dropped"].append(dropped)
        append(
            "subshell",
            {
                "subshell_label": [SUBSHELL[d] for d in order],
                "binding": binding,
                "binding_source": [int(measured[d] is None) for d in order],
                "eadl_binding": [round(own[d], 4) for d in order],
                "occupancy": [occupancy[d] for d in order],
                "width": [1e6 * sum(width.get(d, 0.0) for width in widths) for d in order],
                "fluorescence_yield_krause": [krause_yield(z, SUBSHELL[d]) for d in order],
                "compton_profile": [compton_profile(z, SUBSHELL[d]) for d in order],
            },
        )
        density = _known(lambda z=z: xraylib.ElementDensity(z))
        out["z"].append(z)
        out["symbol"].append(symbol)
        out["weight"].append(weights[z])
        for pair in ("12", "13", "23"):
            out[f"coster_kronig_{pair}"].append(coster_kronig(z, pair))
        out["density"].append(density if density else np.nan)
        for curve, kind, x, y, unit, highest in (
            ("incoherent", INCOHERENT, "energy", "cross_section", 1e6, HIGHEST_ENERGY),
            ("coherent", COHERENT, "energy", "cross_section", 1e6, HIGHEST_ENERGY),
            ("scattering", SCATTERING_FUNCTION, "x", "function", 1e-8, HIGHEST_X),
            ("form", FORM_FACTOR, "x", "factor", 1e-8, HIGHEST_X),
        ):
            points, values = cut(unit * epdl[z, kind, 0][:, 0], epdl[z, kind, 0][:, 1], highest)
            append(curve, {f"{curve}_{x}": points, f"{curve}_{y}": values})

    for name, counts in count.items():
        out[f"{name}_start"] = list(accumulate(counts, initial=0))
    return {name: np.array(values, VARIABLES[name][1]) for name, values in out.items()}


def write(tables: Tables, path: Path) -> None:
    """Write ``tables`` as compressed netCDF-4, in whose bytes library versions stand, but no clock."""
    with netCDF4.Dataset(path, "w") as data:
        data.title = "Subshells, decays and photon cross sections of the elements 1 to 100"
        data.sources = "; ".join(
            [f"{name} (PyMca5 {version('PyMca5')}, sha256 {digest})" for name, digest in SHA256.items()]
            + [f"xraylib {version('xraylib')} (edges, densities, Krause yields, Coster-Kronig, Compton profiles)"]
        )
        data.credits = (
            "EADL: S.T. Perkins et al., UCRL-50400 vol. 30 (1991); EPDL97: D.E. Cullen, J.H. Hubbell, "
            "L. Kissel, UCRL-50400 vol. 6 rev. 5 (1997); both of LLNL. In full: CREDITS.md"
        )
        data.builder = f"data/atomic/build.py, netCDF4 {netCDF4.__version__}, HDF5 {netCDF4.__hdf5libversion__}"
        for name, (dimension, _, unit, meaning) in VARIABLES.items():
            values = tables[name]
            if dimension not in data.dimensions:
                data.createDimension(dimension, len(values))
            text = values.dtype.kind == "S"
            if text and "letter" not in data.dimensions:
                data.createDimension("letter", values.dtype.itemsize)
            variable = data.createVariable(
                name, "S1" if text else values.dtype, (dimension, "letter") if text else dimension,
                compression="zlib", complevel=9, shuffle=True,
            )  # fmt: skip
            if text:
                variable._Encoding = "ascii"
            variable.units, variable.long_name = unit, meaning
            variable[:] = values


def sizes(tables: Tables) -> str:
    """What the file holds, in a line."""
    counts = [len(tables[name]) for name in ("binding", "probability", "photo_energy")]
    return f"subshells, transitions, points of photoelectric curves: {counts}"


if __name__ == "__main__":
    ship("elements.nc", build, write, __doc__, sizes)
