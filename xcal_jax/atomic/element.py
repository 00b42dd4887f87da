"""One element of the atomic tables: subshells, their decays, their photoelectric curves, and scattering.

Probabilities are EADL's (UCRL-50400 vol. 30) and cross sections EPDL97's (vol. 6 rev. 5). Binding
energies are measured edges where xraylib has one, and every transition energy is a difference of that one
set, so that energy closes exactly. `data/atomic/build.py` says how the file was made.

Below about 10 eV edges are those of free atoms or of solids as it happens: a photon below all edges sees no
photoelectric effect at all, and `ENERGY_LIMITS` keeps users well above that.
"""

from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache

import numpy as np

from xcal_jax.atomic.tables import read_tables
from xcal_jax.constants import COSTER_KRONIG, YIELDS
from xcal_jax.units import shown

ELEMENTS = tuple(
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb "
    "Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm".split()
)
ENERGY_LIMITS = (100.0, 1.0e6)
"""eV: where the photon tables hold. EPDL97 is not recommended below 100 eV; above 1 MeV pairs are missing."""
AVOGADRO_BARN = 0.602214076
"""cm2/g of one barn an atom at 1 g/mol."""


@dataclass(frozen=True)
class Subshell:
    """One subshell: its edge, its photoelectric curve, and what a vacancy in it turns into.

    label: "K", "L1", ... "Q1"            binding, eadl_binding: eV, the edge used and EADL's own
    measured: the edge is xraylib's       occupancy: electrons of the free atom
    width: eV, natural, full              dropped: probability of EADL's transitions that had no energy left
    krause_yield: xraylib's fluorescence yield, NaN where it has none
    compton_profile: J(0) of one electron, 1 / (atomic unit of momentum)
    final1, final2: (T,) subshells that get a vacancy, as indices in `Element.subshells`; final2 is -1 where a
        photon leaves
    probability: (T,) sums to 1; T = 0 where nothing decays       transition_energy: (T,) eV, of what left
    photo_energy: (E,) eV, from `binding` to 1 MeV                photo_cross_section: (E,) barn/atom
    """

    label: str
    binding: float
    eadl_binding: float
    measured: bool
    occupancy: float
    width: float
    dropped: float
    krause_yield: float
    compton_profile: float
    final1: np.ndarray
    final2: np.ndarray
    probability: np.ndarray
    transition_energy: np.ndarray
    photo_energy: np.ndarray
    photo_cross_section: np.ndarray

    @property
    def fluorescence_yield(self) -> float:
        """Probability that a vacancy emits a photon."""
        return float(self.probability[self.final2 < 0].sum())

    def photoelectric(self, energy: np.ndarray | float) -> np.ndarray:
        """Cross section, barn/atom, at ``energy`` (any shape, eV): zero below the edge."""
        energy = np.asarray(energy, float)
        above = loglog(np.maximum(energy, self.binding), self.photo_energy, self.photo_cross_section)
        return np.where(energy < self.binding, 0.0, above)

    def with_yield(self, fluorescence_yield: float) -> "Subshell":
        """The subshell with its photons scaled to ``fluorescence_yield``, and its electrons to the rest.

        It comes back as it is where the yield is NaN or one of the two kinds of transition is missing.
        """
        photon, own = self.final2 < 0, self.fluorescence_yield
        if np.isnan(fluorescence_yield) or photon.all() or not photon.any():
            return self
        scale = np.where(photon, fluorescence_yield / own, (1 - fluorescence_yield) / (1 - own))
        return replace(self, probability=_frozen(self.probability * scale))

    def with_coster_kronig(self, probabilities: dict[int, float]) -> "Subshell":
        """The subshell whose vacancy moves to each of the subshells given, by electrons, with the probability given.

        Its other electrons are scaled to the rest, and its photons stay. A probability that is NaN, or of transitions
        that have no energy here, stays as well.
        """
        electron = self.final2 >= 0
        moves = {final: electron & ((self.final1 == final) | (self.final2 == final)) for final in probabilities}
        known = {final: p for final, p in probabilities.items() if moves[final].any() and not np.isnan(p)}
        probability, others = self.probability.copy(), electron.copy()
        for final, wanted in known.items():
            probability[moves[final]] *= wanted / probability[moves[final]].sum()
            others &= ~moves[final]
        rest = 1.0 - probability[~others].sum()
        if not known or not others.any() or rest < 0.0:
            return self
        probability[others] *= rest / probability[others].sum()
        return replace(self, probability=_frozen(probability))


@dataclass(frozen=True)
class Element:
    """One element; cross sections in barn/atom against energies in eV.

    symbol, z: atomic number, weight: g/mol, density: g/cm3 (NaN where unknown)
    subshells: S of them, by descending binding energy: every decay leads to later ones
    incoherent_energy, incoherent_cross_section; coherent_energy, coherent_cross_section: (E,) eV, barn/atom
    scattering_x, scattering_function: (X,) 1/Angstrom, S(x) of bound Compton, x = sin(theta/2) / wavelength
    form_x, form_factor: (X,) 1/Angstrom, F(x) of Rayleigh. The coherent cross section of EPDL97 includes
        anomalous scattering, which F(x) alone does not: near edges it is less than half.
    coster_kronig: xraylib's probabilities by "12", "13", "23" of L subshells, NaN where it has none
    """

    symbol: str
    z: int
    weight: float
    density: float
    subshells: tuple[Subshell, ...]
    incoherent_energy: np.ndarray
    incoherent_cross_section: np.ndarray
    coherent_energy: np.ndarray
    coherent_cross_section: np.ndarray
    scattering_x: np.ndarray
    scattering_function: np.ndarray
    form_x: np.ndarray
    form_factor: np.ndarray
    coster_kronig: dict[str, float]

    @property
    def binding(self) -> np.ndarray:
        """(S,) eV, descending."""
        return np.array([subshell.binding for subshell in self.subshells])

    def photoelectric(self, energy: np.ndarray | float) -> np.ndarray:
        """Cross section of all subshells, barn/atom, at ``energy`` in eV."""
        return np.sum([subshell.photoelectric(energy) for subshell in self.subshells], axis=0)

    def incoherent(self, energy: np.ndarray | float) -> np.ndarray:
        """Bound Compton cross section, barn/atom, at ``energy`` in eV."""
        return loglog(energy, self.incoherent_energy, self.incoherent_cross_section)

    def coherent(self, energy: np.ndarray | float) -> np.ndarray:
        """Rayleigh cross section, barn/atom, at ``energy`` in eV."""
        return loglog(energy, self.coherent_energy, self.coherent_cross_section)

    def mass_attenuation(self, energy: np.ndarray | float, rayleigh: bool = True) -> np.ndarray:
        """Attenuation, cm2/g, at ``energy`` in eV: photoelectric, Compton and, unless refused, Rayleigh."""
        barn = self.photoelectric(energy) + self.incoherent(energy)
        return (barn + self.coherent(energy) if rayleigh else barn) * AVOGADRO_BARN / self.weight


def check_energies(energy: np.ndarray, name: str = "energy") -> np.ndarray:
    """Photon energies, eV, for which the tables hold.

    Raises ValueError, naming ``name``, with the first that is outside of `ENERGY_LIMITS`, and where there is none.
    """
    low, high = ENERGY_LIMITS
    bad = energy[~((energy >= low) & (energy <= high))]
    if energy.size == 0 or bad.size:
        value = f"{bad[0]:g} eV" if bad.size else "missing"
        if bad.size and low <= 1000.0 * bad[0] <= high:
            value += f": numbers without a unit are in eV, was '{bad[0]:g} keV' meant?"
        raise ValueError(f"`{name}` must be within the tables, {low:g} eV to {high:g} eV, but is {value}")
    return energy


def loglog(x: np.ndarray | float, grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate positive ``values`` on a positive, ascending ``grid``, linear in the logarithms of both.

    Raises ValueError for an ``x`` off the grid.
    """
    x = np.asarray(x, float)
    inside = (x >= grid[0]) & (x <= grid[-1])
    if not inside.all():
        raise ValueError(f"the table runs from {grid[0]:g} to {grid[-1]:g}, but was asked at {x[~inside].flat[0]:g}")
    return np.exp(np.interp(np.log(x), np.log(grid), np.log(values)))


def nearest_element(symbol: str) -> str:
    """The element whose symbol looks most like ``symbol``."""
    return get_close_matches(symbol.capitalize(), ELEMENTS, n=1, cutoff=0.0)[0]


@cache
def load_element(symbol: str, yields: str = "eadl", coster_kronig: str = "eadl") -> Element:
    """Return the element of ``symbol``, H to Fm, read once.

    ``yields`` "krause" scales the photons of K, L and M vacancies to the yields that xraylib tabulates
    (Krause 1979 and successors), the largest data systematic of the escape peaks of M lines. ``coster_kronig`` "krause"
    does the same for the probabilities that an L vacancy moves to another L subshell; EADL's L1-L3 of heavy elements
    are nearly twice as large (Ta: .61 for .33).
    Raises ValueError for an unknown symbol, naming the nearest, or unknown ``yields`` or ``coster_kronig``.
    """
    if symbol not in ELEMENTS:
        raise ValueError(
            f"element {shown(symbol)} is not in the tables (H to Fm): did you mean {nearest_element(symbol)!r}?"
        )
    if yields not in YIELDS:
        raise ValueError(f"`yields` must be one of {', '.join(YIELDS)}, but is {shown(yields)}")
    if coster_kronig not in COSTER_KRONIG:
        raise ValueError(f"`coster_kronig` must be one of {', '.join(COSTER_KRONIG)}, but is {shown(coster_kronig)}")
    if coster_kronig == "krause":
        element = load_element(symbol, yields)
        return replace(element, subshells=tuple(_moving(element, subshell) for subshell in element.subshells))
    if yields == "krause":
        element = load_element(symbol)
        return replace(element, subshells=tuple(s.with_yield(s.krause_yield) for s in element.subshells))

    table, i = read_tables("elements.nc"), ELEMENTS.index(symbol)

    def curve(name: str, x: str, y: str) -> dict[str, np.ndarray]:
        rows = _rows(table, name, i)
        return {x: table[x][rows], y: table[y][rows]}

    return Element(
        symbol=symbol,
        z=i + 1,
        weight=float(table["weight"][i]),
        density=float(table["density"][i]),
        subshells=tuple(_subshell(table, s) for s in range(*table["subshell_start"][i : i + 2])),
        **curve("incoherent", "incoherent_energy", "incoherent_cross_section"),
        **curve("coherent", "coherent_energy", "coherent_cross_section"),
        **curve("scattering", "scattering_x", "scattering_function"),
        **curve("form", "form_x", "form_factor"),
        coster_kronig={pair: float(table[f"coster_kronig_{pair}"][i]) for pair in ("12", "13", "23")},
    )


def _moving(element: Element, subshell: Subshell) -> Subshell:
    """The ``subshell`` of ``element`` with xraylib's Coster-Kronig probabilities, if it is of the L shell."""
    place = {found.label: n for n, found in enumerate(element.subshells)}
    pairs = {f"L{pair[1]}": p for pair, p in element.coster_kronig.items() if subshell.label == f"L{pair[0]}"}
    return subshell.with_coster_kronig({place[label]: p for label, p in pairs.items() if label in place})


def _subshell(table: dict[str, np.ndarray], s: int) -> Subshell:
    transition, photo = _rows(table, "transition", s), _rows(table, "photo", s)
    return Subshell(
        label=str(table["subshell_label"][s]),
        binding=float(table["binding"][s]),
        eadl_binding=float(table["eadl_binding"][s]),
        measured=bool(table["binding_source"][s] == 0),
        occupancy=float(table["occupancy"][s]),
        width=float(table["width"][s]),
        dropped=float(table["dropped"][s]),
        krause_yield=float(table["fluorescence_yield_krause"][s]),
        compton_profile=float(table["compton_profile"][s]),
        final1=table["final1"][transition],
        final2=table["final2"][transition],
        probability=table["probability"][transition],
        transition_energy=table["transition_energy"][transition],
        photo_energy=table["photo_energy"][photo],
        photo_cross_section=table["photo_cross_section"][photo],
    )


def _rows(table: dict[str, np.ndarray], name: str, i: int) -> slice:
    return slice(*table[f"{name}_start"][i : i + 2])


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
