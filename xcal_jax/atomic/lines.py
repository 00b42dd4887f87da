"""Natural shapes of X-ray lines: sums of Lorentzians, by name ("MnKa", "AuLa1", "Bi M5-N7").

Measured shapes stand in `line_shapes.csv`, with their sources. A user's table of the same columns adds to it, or takes
its place where it has a line of the same name. Every other fluorescence line is made of the transitions of the atomic
tables: each is one Lorentzian at the difference of two measured edges, as wide as both levels together, in proportion
to its probability (`published` is False; energies are good to a few eV, and satellites are missing).
Radioactive sources are lists of lines and gammas (`radioactive.csv`, photons per decay).
"""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax.atomic.element import ELEMENTS, ENERGY_LIMITS, load_element
from xcal_jax.io.arguments import checked
from xcal_jax.io.tables import read_table
from xcal_jax.units import parse_quantity, shown, shown_path

GROUPS = {  # Siegbahn's names: vacancy, and where it moves to (Jenkins et al. 1991, doi 10.1002/xrs.1300200308)
    "Ka": ("K", "L2 L3"), "Ka1": ("K", "L3"), "Ka2": ("K", "L2"),
    "Kb": ("K", "M2 M3 M4 M5 N2 N3 N4 N5"), "Kb1": ("K", "M3"), "Kb2": ("K", "N2 N3"), "Kb3": ("K", "M2"),
    "Kb4": ("K", "N4 N5"), "Kb5": ("K", "M4 M5"),
    "La": ("L3", "M4 M5"), "La1": ("L3", "M5"), "La2": ("L3", "M4"), "Ll": ("L3", "M1"), "Ln": ("L2", "M1"),
    "Lb1": ("L2", "M4"), "Lb2": ("L3", "N5"), "Lb3": ("L1", "M3"), "Lb4": ("L1", "M2"), "Lb5": ("L3", "O4 O5"),
    "Lb6": ("L3", "N1"), "Lg1": ("L2", "N4"), "Lg2": ("L1", "N2"), "Lg3": ("L1", "N3"), "Lg6": ("L2", "O4"),
    "Ma": ("M5", "N6 N7"), "Ma1": ("M5", "N7"), "Ma2": ("M5", "N6"), "Mb": ("M4", "N6"), "Mg": ("M3", "N5"),
}  # fmt: skip
WORDS = ("line", "material", "reference", "doi")
NUMBERS = ("energy_ev", "fwhm_ev", "integral_fraction")
ROUNDING = 1e-3  # by which the shares of a line may miss 1
SOURCE_OF_TABLES = "edges, level widths and probabilities of the atomic tables (xraylib, EADL)"


@dataclass(frozen=True)
class LineShape:
    """One line, or a complex of lines: J Lorentzians.

    energy, fwhm: (J,) eV; a gamma has no width. share: (J,) of the photons, sums to 1. source: where they come from;
    published: whether a measured shape is.
    """

    name: str
    energy: np.ndarray
    fwhm: np.ndarray
    share: np.ndarray
    source: str
    published: bool

    @property
    def mean_energy(self) -> float:
        """Mean of the components' energies, eV."""
        return float(self.share @ self.energy)

    def density(self, energy: ArrayLike) -> Float[np.ndarray, " E"]:
        """Photons per eV (E,) at each ``energy`` (E,) eV, of one photon in all."""
        from_centre = np.asarray(energy, dtype=float)[:, None] - self.energy
        half = 0.5 * self.fwhm
        return (half / np.pi / (from_centre**2 + half**2)) @ self.share


@checked
def load_line(name: str, table: str | os.PathLike[str] | None = None) -> LineShape:
    """The shape of line ``name``: of the user's ``table``, a CSV file, of published shapes, or of the atomic tables.

    Raises ValueError for an unknown line, naming the nearest, and for a table that makes no sense.

    >>> line = load_line("MnKa")
    >>> f"{line.mean_energy:.1f} eV, {line.energy.size} Lorentzians: {line.source}"
    '5894.4 eV, 8 Lorentzians: Hoelzer 1997, refitted by NIST, metal, doi 10.1103/PhysRevA.56.4554'
    """
    shapes = published_lines() | ({} if table is None else read_lines(table))
    found = shapes.get(name) or shapes.get("".join(name.split())) or _tabulated(name)
    if found is None:
        raise ValueError(f"there is no line {shown(name)}: did you mean {' or '.join(_nearest(name, list(shapes)))}?")
    return found


@cache
def published_lines() -> dict[str, LineShape]:
    """The published shapes of the package, by name."""
    with as_file(files("xcal_jax.atomic") / "line_shapes.csv") as path:
        return read_lines(path)


@checked
def read_lines(path: str | os.PathLike[str]) -> dict[str, LineShape]:
    """The lines of a CSV file with the columns of `line_shapes.csv`, by name.

    Raises ValueError, naming file and line, where columns are missing, numbers make no sense, or shares do not add up
    to 1.
    """
    where = f"table of lines {shown_path(path)}"
    rows = read_table(path, where, words=WORDS)
    missing = [column for column in ("line", *NUMBERS) if column not in rows]
    if missing or rows.empty:
        lack = f"lacks {', '.join(missing)}" if missing else "has no row"
        raise ValueError(f"{where} must have rows with the columns line,{','.join(NUMBERS)}, but {lack}")
    low, high = ENERGY_LIMITS
    limits = {"energy_ev": (low, high), "fwhm_ev": (0.0, high), "integral_fraction": (0.0, 1.0)}
    for column, (least, most) in limits.items():
        for number, value in rows[column].items():
            parse_quantity(value, "", f"{column} in line {number} of {where}", least=least, most=most)
    return {name: _of_rows(name, part, where) for name, part in rows.groupby("line", sort=False)}


def _of_rows(name: str, rows: pd.DataFrame, where: str) -> LineShape:
    energy, fwhm, share = rows[list(NUMBERS)].to_numpy(float).T
    if abs(share.sum() - 1.0) > ROUNDING:
        raise ValueError(f"integral_fraction of {name} in {where} must add up to 1, but makes {share.sum():g}")
    about = {word: rows.iloc[0].get(word, "") for word in WORDS}
    material = f", {about['material']}" if about["material"] else ""
    doi = f", doi {about['doi']}" if about["doi"] else ""
    source = (about["reference"] or where) + material + doi
    return LineShape(str(name), energy, fwhm, share / share.sum(), source, True)


@cache
def _tabulated(name: str) -> LineShape | None:
    """The line ``name`` of the atomic tables, or None."""
    parts = re.fullmatch(r"([A-Z][a-z]?)\s*(?:(K|[LMNO]\d)-([LMNOP]\d)|([KLM][a-z]\d?))", name)
    if not parts or parts[1] not in ELEMENTS or (parts[4] and parts[4] not in GROUPS):
        return None
    vacancy, finals = GROUPS[parts[4]] if parts[4] else (parts[2], parts[3])
    element = load_element(parts[1])
    levels = {subshell.label: n for n, subshell in enumerate(element.subshells)}
    if vacancy not in levels:
        return None
    start = element.subshells[levels[vacancy]]
    wanted = [levels[label] for label in finals.split() if label in levels]
    chosen = (start.final2 < 0) & np.isin(start.final1, wanted) & (start.transition_energy >= ENERGY_LIMITS[0])
    if not start.probability[chosen].sum() > 0.0:
        return None
    fwhm = start.width + np.array([element.subshells[n].width for n in start.final1[chosen]])
    share = start.probability[chosen] / start.probability[chosen].sum()
    return LineShape(name, start.transition_energy[chosen], fwhm, share, SOURCE_OF_TABLES, False)


def _nearest(name: str, known: list[str]) -> list[str]:
    """Up to three lines whose names look most like ``name``."""
    symbol = re.match(r"[A-Z][a-z]?", name)
    own = [f"{symbol[0]}{group}" for group in GROUPS] if symbol and symbol[0] in ELEMENTS else []
    candidates = [line for line in dict.fromkeys(known + own) if line in known or _tabulated(line)]
    small = {line.lower(): line for line in candidates}
    return [small[match] for match in get_close_matches(name.lower(), small, 3, cutoff=0.0)]


@checked
def parse_line_names(text: str, option: str = "line") -> dict[str, float]:
    """ "MnKa:2,MnKb:0.3" as names of lines and their weights, in photons; 1 where none is given.

    Raises ValueError for a weight that is no positive number, and for a line that is there twice.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight = part.partition(":")
        if name.strip() in found:
            raise ValueError(f"`{option}` must have each line once, but has {name.strip()} twice")
        found[name.strip()] = parse_quantity(weight, "", f"{option} weight", above=0.0) if colon else 1.0
    return found


@checked
def radioactive_lines(nuclide: str) -> list[tuple[LineShape, float]]:
    """Lines and gammas of a ``nuclide`` ("Fe55" or "55Fe") with photons per decay, as in `radioactive.csv`.

    Raises ValueError for another nuclide.
    """
    table = _radioactive()
    number, symbol = re.sub(r"\D", "", nuclide), re.sub(r"[^A-Za-z]", "", nuclide).capitalize()
    rows = table[table.nuclide == symbol + number]
    if rows.empty:
        raise ValueError(f"`radioactive` must be one of {', '.join(table.nuclide.unique())}, but is {shown(nuclide)}")
    return [
        (load_line(name) if name else gamma(energy), photons)
        for name, energy, photons in zip(rows.line, rows.energy_ev, rows.photons_per_decay, strict=True)
    ]


def gamma(energy: float) -> LineShape:
    """A line of no width at ``energy`` eV."""
    return LineShape(f"{energy:g} eV", np.array([energy]), np.zeros(1), np.ones(1), "no width", False)


@cache
def _radioactive() -> pd.DataFrame:
    with as_file(files("xcal_jax.atomic") / "radioactive.csv") as path:
        return read_table(path, "the radioactive sources", words=("nuclide", "line"))
