"""A design problem as its TOML file states it: layers to choose, an observable to optimise, constraints."""

import os
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import Material
from xcal_jax.design.heat import KNOWN, SpecificHeat
from xcal_jax.io.toml import check_keys, read, table_list
from xcal_jax.simulation.vocabulary import VOCABULARY
from xcal_jax.units import parse_quantity

WITHOUT_ENERGY = ("heat_capacity", "thickness")
OBSERVABLES = "interaction_probability", "partial", "photon_escape", "electron_escape", "mean_loss", *WITHOUT_ENERGY
KEYS = tuple("name width length temperature layers minimise maximise constraints specific_heat front".split())


@dataclass(frozen=True)
class Objective:
    """An observable, the mean over its energies (eV, empty where it has none); sign: +1 if low is good, -1 if high."""

    observable: str
    energies: tuple[float, ...]
    sign: float

    @property
    def label(self) -> str:
        """In words."""
        at = ", ".join(f"{e:g}" for e in self.energies)
        return self.observable + (f" at {at} eV" if at else "")

    @property
    def unit(self) -> str:
        """The unit of the observable, "1" for a probability."""
        return VOCABULARY[self.observable].unit


@dataclass(frozen=True)
class Constraint:
    """A limit on ``of``: at most (sign +1) or at least (sign -1) ``limit``, which is positive, in its unit."""

    of: Objective
    limit: float

    def excess(self, value: Any) -> Any:
        """How far ``value`` is beyond the limit, as a fraction of it; negative within."""
        return self.of.sign * (value / self.limit - 1.0)


@dataclass(frozen=True)
class Problem:
    """low, high: (L,) um, equal where a thickness is given; density: (L,) g/cm3, None for that of the material.

    temperature: K; materials: choices of (formula per layer); front: limits of the constraint ``varied`` along the
    trade-off.
    """

    name: str
    width: float
    length: float
    temperature: float
    low: np.ndarray
    high: np.ndarray
    materials: tuple[tuple[str, ...], ...]
    density: tuple[float | None, ...]
    specific_heat: dict[str, SpecificHeat]
    objective: Objective
    constraints: tuple[Constraint, ...]
    varied: int
    front: tuple[float, ...]

    @property
    def free(self) -> Int[np.ndarray, " K"]:
        """Layers whose thickness is to be chosen."""
        return np.flatnonzero(self.high > self.low)

    def absorber(self, formulas: tuple[str, ...], thickness: Float[np.ndarray, " L"]) -> Absorber:
        """The absorber made of ``formulas`` with ``thickness`` um, from the top."""
        layers = zip(formulas, map(float, thickness), self.density, strict=True)
        return Absorber.build(list(layers), self.width, self.length, self.name)


def load(path: str | os.PathLike) -> Problem:
    """Read a design file. Raises ValueError for what is missing, unknown or impossible, in one sentence."""
    where = f"design {str(path)!r}"
    table = read(path, "design")
    check_keys(table, KEYS, ("width", "length", "layers"), where)
    if ("minimise" in table) == ("maximise" in table):
        raise ValueError(f"{where} must have one of [minimise] and [maximise]")
    try:
        return _problem(table, where)
    except ValueError as problem:
        raise ValueError(f"{where}: {problem}") from problem


def _problem(table: dict, where: str) -> Problem:
    bounds: list[tuple[float, float]] = []
    choices: list[list[str]] = []
    density: list[float | None] = []
    for n, layer in enumerate(table_list(table["layers"], "layers", where)):
        check_keys(layer, ("material", "thickness", "density"), ("material", "thickness"), f"layer {n}")
        bounds.append(_bounds(layer["thickness"], n))
        formulas = _listed(layer["material"])
        choices.append(formulas)
        given = layer.get("density")
        density.append(None if given is None else parse_quantity(given, "g/cm^3", f"density of layer {n}"))
        for formula in formulas:
            if not isinstance(formula, str):
                raise ValueError(f"`material` of layer {n} must be a formula or a list of them, but has {formula!r}")
            Material.build(formula, density[-1])
    low, high = np.array(bounds, float).reshape(-1, 2).T
    if not np.any(high > low):
        raise ValueError("at least one layer must have two bounds for its `thickness`")
    used = sorted({formula for formulas in choices for formula in formulas})
    specific_heat = KNOWN | _specific_heats(table.get("specific_heat", {}), used)
    temperature = parse_quantity(table.get("temperature", "90 mK"), "K", "temperature")
    if not temperature > 0.0:
        raise ValueError(f"`temperature` must be positive, but is {temperature:g} K")
    kind = "minimise" if "minimise" in table else "maximise"
    check_keys(table[kind], ("observable", "energy"), ("observable",), f"[{kind}]")
    objective = _objective(table[kind], f"[{kind}]", 1.0 if kind == "minimise" else -1.0)
    limited = table_list(table.get("constraints", []), "constraints", where)
    constraints = tuple(_constraint(constraint, f"constraint {n}") for n, constraint in enumerate(limited))
    if "heat_capacity" in {each.observable for each in (objective, *(constraint.of for constraint in constraints))}:
        unknown = [formula for formula in used if formula not in specific_heat]
        if unknown:
            raise ValueError(f"the specific heat of {', '.join(unknown)} is not known: give [specific_heat.X]")
    varied, front = _front(table.get("front"), constraints)
    return Problem(
        str(table.get("name", "design")),
        parse_quantity(table["width"], "um", "width"),
        parse_quantity(table["length"], "um", "length"),
        temperature,
        low,
        high,
        tuple(product(*choices)),
        tuple(density),
        specific_heat,
        objective,
        constraints,
        varied,
        front,
    )


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _bounds(thickness: Any, n: int) -> tuple[float, float]:
    ends = [parse_quantity(bound, "um", f"thickness of layer {n}") for bound in _listed(thickness)]
    if len(ends) not in (1, 2):
        raise ValueError(f"`thickness` of layer {n} must be one length or two bounds, but has {len(ends)}")
    if not 0.0 < ends[0] <= ends[-1]:
        raise ValueError(f"`thickness` of layer {n} must ascend from above 0, but is {ends[0]:g} to {ends[-1]:g} um")
    return ends[0], ends[-1]


def _specific_heats(table: Any, used: list[str]) -> dict[str, SpecificHeat]:
    check_keys(table, used, (), "[specific_heat]")
    found = {}
    for formula, given in table.items():
        where = f"[specific_heat.{formula}]"
        check_keys(given, ("electron", "lattice"), (), where)
        electron = parse_quantity(given.get("electron", 0.0), "J/mol/K^2", f"electron of {where}")
        lattice = parse_quantity(given.get("lattice", 0.0), "J/mol/K^4", f"lattice of {where}")
        if min(electron, lattice) < 0.0 or max(electron, lattice) == 0.0:
            raise ValueError(f"{where} must have a positive `electron` or `lattice`, and neither negative")
        found[formula] = SpecificHeat(electron, lattice)
    return found


def _objective(table: dict, where: str, sign: float) -> Objective:
    observable = table["observable"]
    if not isinstance(observable, str) or observable not in OBSERVABLES:
        raise ValueError(f"`observable` of {where} must be one of {', '.join(OBSERVABLES)}, but is {observable!r}")
    energies = _listed(table.get("energy", []))
    if (not energies) != (observable in WITHOUT_ENERGY):
        rule = "must have no `energy`" if energies else "needs `energy`"
        raise ValueError(f"{observable} of {where} {rule}")
    values = tuple(parse_quantity(energy, "eV", f"energy of {where}") for energy in energies)
    if values:
        Source.build(values)
    return Objective(observable, values, sign)


def _constraint(table: dict, where: str) -> Constraint:
    check_keys(table, ("observable", "energy", "at_least", "at_most"), ("observable",), where)
    if ("at_least" in table) == ("at_most" in table):
        raise ValueError(f"{where} must have one of `at_least` and `at_most`")
    most = "at_most" in table
    objective = _objective(table, where, 1.0 if most else -1.0)
    return Constraint(objective, _limit(table["at_most" if most else "at_least"], objective, f"limit of {where}"))


def _limit(given: Any, of: Objective, where: str) -> float:
    """The positive limit ``given`` for an observable, which for a probability is at most 1."""
    limit = parse_quantity(given, "" if of.unit == "1" else of.unit, where)
    if not limit > 0.0:
        raise ValueError(f"{where} must be positive, but is {limit:g}")
    if of.unit == "1" and limit > 1.0:
        raise ValueError(f"{where} must be at most 1, since {of.observable} is a probability, but is {limit:g}")
    return limit


def _front(table: Any, constraints: tuple[Constraint, ...]) -> tuple[int, tuple[float, ...]]:
    if table is None:
        return 0, ()
    check_keys(table, ("constraint", "values"), ("constraint", "values"), "[front]")
    varied, values = table["constraint"], table["values"]
    if type(varied) is not int or not 0 <= varied < len(constraints):
        raise ValueError(f"`constraint` of [front] must be the number of a constraint, from 0, but is {varied!r}")
    if not isinstance(values, list) or not values:
        raise ValueError(f"`values` of [front] must be positive limits, but is {values!r}")
    return varied, tuple(_limit(value, constraints[varied].of, "`values` of [front]") for value in values)
