"""A design problem as its TOML file states it: layers to choose, an observable to optimise, constraints."""

import os
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, NotRequired

import numpy as np
from jaxtyping import Float, Int
from typing_extensions import TypedDict

from xcal_jax.absorber.absorber import VACUUM, Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import Material
from xcal_jax.design.heat import KNOWN, TEMPERATURE, SpecificHeat
from xcal_jax.io.arguments import checked
from xcal_jax.io.schema import Density, Energy, Length, OneOrMore, Some, listed, one_of, quantity, rule, whole
from xcal_jax.io.toml import check, read
from xcal_jax.simulation.vocabulary import VOCABULARY
from xcal_jax.units import parse_quantity, shown_path

WITHOUT_ENERGY = ("heat_capacity", "thickness")
OBSERVABLES = "interaction_probability", "partial", "photon_escape", "electron_escape", "mean_loss", *WITHOUT_ENERGY


def _ascending(bounds: list[float]) -> list[float]:
    if not bounds[0] <= bounds[-1]:
        raise ValueError(f"must ascend, but is {bounds[0]:g} to {bounds[-1]:g} um")
    return bounds


class LayerTable(TypedDict):
    """A table [[layers]] of a design file: one thickness or two bounds, one material or several to choose from.

    counts: as in an absorber's file.
    """

    material: OneOrMore[str]
    thickness: Annotated[OneOrMore[Length], listed(1, 2), rule(_ascending)]
    density: NotRequired[Density]
    counts: NotRequired[bool]


class ObjectiveTable(TypedDict):
    """The table [minimise] or [maximise] of a design file."""

    observable: Annotated[str, one_of(*OBSERVABLES)]
    energy: NotRequired[OneOrMore[Energy]]


class ConstraintTable(ObjectiveTable):
    """A table [[constraints]] of a design file, with one limit in the unit of its observable."""

    at_least: NotRequired[Any]
    at_most: NotRequired[Any]


class SpecificHeatTable(TypedDict):
    """A table [specific_heat.X] of a design file."""

    electron: NotRequired[Annotated[float, quantity("J/mol/K^2", least=0.0)]]
    lattice: NotRequired[Annotated[float, quantity("J/mol/K^4", least=0.0)]]


class FrontTable(TypedDict):
    """The table [front] of a design file: the number of a constraint, and its limits along the trade-off."""

    constraint: Annotated[int, whole(least=0)]
    values: Some[Any]


class DesignTable(TypedDict):
    """A design file."""

    name: NotRequired[str]
    width: Length
    length: NotRequired[Length]
    temperature: NotRequired[Annotated[float, quantity("K", above=0.0)]]
    layers: Some[LayerTable]
    minimise: NotRequired[ObjectiveTable]
    maximise: NotRequired[ObjectiveTable]
    constraints: NotRequired[list[ConstraintTable]]
    specific_heat: NotRequired[dict[str, SpecificHeatTable]]
    front: NotRequired[FrontTable]


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
    """A problem of design: the layers that may vary, the objective and the constraints.

    low, high: (L,) um, equal where a thickness is given; density: (L,) g/cm3, None for that of the material; counts:
    (L,) as the file has it, None where it says nothing;
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
    counts: tuple[bool | None, ...]
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
        keys = "material", "thickness", "density", "counts"
        layers = zip(formulas, map(float, thickness), self.density, self.counts, strict=True)
        tables = [dict(zip(keys, layer, strict=True)) for layer in layers]
        given = [{key: value for key, value in table.items() if value is not None} for table in tables]
        return Absorber.build(given, self.width, self.length, self.name)


@checked
def load(path: str | os.PathLike | dict[str, Any]) -> Problem:
    """The problem of a design file, or of the tables of one.

    Raises ValueError for what is missing, unknown or impossible, in one sentence.
    """
    if isinstance(path, dict):
        where, table = "the design", check(path, "the design", DesignTable)
    else:
        where = f"design {shown_path(path)}"
        table = read(path, "design", DesignTable)
    if ("minimise" in table) == ("maximise" in table):
        raise ValueError(f"{where} must have one of [minimise] and [maximise]")
    try:
        return _problem(table)
    except ValueError as problem:
        raise ValueError(f"{where}: {problem}") from problem


def _problem(table: DesignTable) -> Problem:
    layers = table["layers"]
    density = tuple(layer.get("density") for layer in layers)
    for layer, given in zip(layers, density, strict=True):
        for formula in layer["material"]:
            if formula != VACUUM:
                Material.build(formula, given)
    low, high = np.array([(layer["thickness"][0], layer["thickness"][-1]) for layer in layers]).T
    if not np.any(high > low):
        raise ValueError("at least one layer must have two bounds for its `thickness`")
    used = sorted({formula for layer in layers for formula in layer["material"]} - {VACUUM})
    specific_heat = KNOWN | _specific_heats(table.get("specific_heat", {}), used)
    if "minimise" in table:
        objective = _objective(table["minimise"], "minimise", 1.0)
    else:
        objective = _objective(table["maximise"], "maximise", -1.0)
    constraints = tuple(_constraint(each, f"constraints.{n}") for n, each in enumerate(table.get("constraints", [])))
    if "heat_capacity" in {each.observable for each in (objective, *(constraint.of for constraint in constraints))}:
        unknown = [formula for formula in used if formula not in specific_heat]
        if unknown:
            raise ValueError(f"the specific heat of {', '.join(unknown)} is not known: give [specific_heat.X]")
    varied, front = _front(table["front"], constraints) if "front" in table else (0, ())
    return Problem(
        table.get("name", "design"),
        table["width"],
        table.get("length", table["width"]),
        table.get("temperature", TEMPERATURE),
        low,
        high,
        tuple(product(*(layer["material"] for layer in layers))),
        density,
        tuple(layer.get("counts") for layer in layers),
        specific_heat,
        objective,
        constraints,
        varied,
        front,
    )


def _specific_heats(table: dict[str, SpecificHeatTable], used: list[str]) -> dict[str, SpecificHeat]:
    found = {}
    for formula, given in table.items():
        if formula not in used:
            raise ValueError(f"`specific_heat.{formula}` must be of a material of the layers, {', '.join(used)}")
        found[formula] = SpecificHeat(given.get("electron", 0.0), given.get("lattice", 0.0))
        if found[formula] == SpecificHeat(0.0, 0.0):
            raise ValueError(f"`specific_heat.{formula}` must have a positive `electron` or `lattice`")
    return found


def _objective(table: ObjectiveTable, where: str, sign: float) -> Objective:
    observable, energies = table["observable"], tuple(table.get("energy", ()))
    if (not energies) != (observable in WITHOUT_ENERGY):
        rule = "must have no `energy`" if energies else "needs `energy`"
        raise ValueError(f"{observable} of `{where}` {rule}")
    if energies:
        Source.build(energies)
    return Objective(observable, energies, sign)


def _constraint(table: ConstraintTable, where: str) -> Constraint:
    if ("at_least" in table) == ("at_most" in table):
        raise ValueError(f"`{where}` must have one of `at_least` and `at_most`")
    if "at_most" in table:
        objective = _objective(table, where, 1.0)
        return Constraint(objective, _limit(table["at_most"], objective, f"{where}.at_most"))
    objective = _objective(table, where, -1.0)
    return Constraint(objective, _limit(table["at_least"], objective, f"{where}.at_least"))


def _limit(given: Any, of: Objective, name: str) -> float:
    """The positive limit ``given`` for an observable, which for a probability is at most 1."""
    limit = parse_quantity(given, of.unit, name, above=0.0)
    if of.unit == "1" and limit > 1.0:
        raise ValueError(f"`{name}` must be at most 1, since {of.observable} is a probability, but is {limit:g}")
    return limit


def _front(table: FrontTable, constraints: tuple[Constraint, ...]) -> tuple[int, tuple[float, ...]]:
    varied = table["constraint"]
    if varied >= len(constraints):
        raise ValueError(f"`front.constraint` must be the number of a constraint, from 0, but is {varied}")
    return varied, tuple(_limit(value, constraints[varied].of, "front.values") for value in table["values"])
