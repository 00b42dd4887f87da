"""A design problem as its TOML file states it: layers to choose, a figure to minimise, constraints."""

import os
from dataclasses import dataclass
from itertools import product

import numpy as np

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import Material
from xcal_jax.design.heat import KNOWN, SpecificHeat
from xcal_jax.io.files import read_toml
from xcal_jax.units import parse_quantity

FIGURES = {
    "interaction_probability": "",
    "partial": "",
    "photon_escape": "",
    "electron_escape": "",
    "mean_loss_ev": "eV",
    "heat_capacity": "pJ/K",
    "thickness": "um",
}
WITHOUT_ENERGY = ("heat_capacity", "thickness")
KEYS = tuple("name width length temperature layers minimise maximise constraints specific_heat front".split())


@dataclass(frozen=True)
class Goal:
    """A figure, the mean over its energies (eV, empty where it has none); limit in `FIGURES`' unit, None to optimise;
    sign: +1 to keep it low, -1 to keep it high.
    """

    figure: str
    energies: tuple[float, ...]
    sign: float
    limit: float | None = None

    @property
    def label(self) -> str:
        """In words."""
        at = ", ".join(f"{e:g}" for e in self.energies)
        return self.figure + (f" at {at} eV" if at else "")


@dataclass(frozen=True)
class Problem:
    """low, high: (L,) um, equal where a thickness is given; materials: choices of (formula per layer); front: limits of
    the constraint ``varied`` along the trade-off.
    """

    name: str
    width: float
    length: float
    temperature: float
    low: np.ndarray
    high: np.ndarray
    materials: tuple[tuple[str, ...], ...]
    density: dict[str, float]
    specific_heat: dict[str, SpecificHeat]
    objective: Goal
    constraints: tuple[Goal, ...]
    varied: int
    front: tuple[float, ...]

    @property
    def free(self) -> np.ndarray:
        """Layers (K,) whose thickness is to be chosen."""
        return np.flatnonzero(self.high > self.low)

    def absorber(self, formulas: tuple[str, ...], thickness: np.ndarray) -> Absorber:
        """Made of ``formulas`` with ``thickness`` (L,) um."""
        layers = [(f, float(t), self.density.get(f)) for f, t in zip(formulas, thickness, strict=True)]
        return Absorber.build(layers, self.width, self.length, self.name)


def load(path: str | os.PathLike) -> Problem:
    """Read a design file. Raises ValueError for what is missing, unknown or impossible, in one sentence."""
    where = f"design {str(path)!r}"
    table = read_toml(path, where)
    for key in table:
        if key not in KEYS:
            raise ValueError(f"unknown key `{key}` in {where}; keys are {', '.join(KEYS)}")
    for key in ("width", "length", "layers"):
        if key not in table:
            raise ValueError(f"`{key}` is missing in {where}")
    if ("minimise" in table) == ("maximise" in table):
        raise ValueError(f"{where} must have one of [minimise] and [maximise]")
    try:
        return _problem(table)
    except ValueError as problem:
        raise ValueError(f"{where}: {problem}") from problem


def _problem(table: dict) -> Problem:
    low: list[float] = []
    high: list[float] = []
    choices: list[list[str]] = []
    density: dict[str, float] = {}
    for n, layer in enumerate(_tables(table["layers"], "layers")):
        for key in layer:
            if key not in ("material", "thickness", "density"):
                raise ValueError(f"unknown key `{key}` in layer {n}; keys are material, thickness, density")
        if not {"material", "thickness"} <= set(layer):
            raise ValueError(f"layer {n} must have `material` and `thickness`")
        bounds = layer["thickness"]
        bounds = [bounds, bounds] if not isinstance(bounds, list) else bounds
        if len(bounds) != 2:
            raise ValueError(f"`thickness` of layer {n} must be one length or two bounds, but has {len(bounds)}")
        a, b = (parse_quantity(bound, "um", f"thickness of layer {n}") for bound in bounds)
        if not 0.0 < a <= b:
            raise ValueError(f"`thickness` of layer {n} must ascend from above 0, but is {a:g} to {b:g} um")
        low.append(a)
        high.append(b)
        formulas = layer["material"] if isinstance(layer["material"], list) else [layer["material"]]
        choices.append(formulas)
        if "density" in layer:
            density |= {f: parse_quantity(layer["density"], "g/cm^3", f"density of layer {n}") for f in formulas}
        for formula in formulas:
            Material.build(formula, density.get(formula))
    specific = dict(KNOWN)
    for formula, given in table.get("specific_heat", {}).items():
        specific[formula] = SpecificHeat(
            parse_quantity(given.get("electron", 0.0), "J/mol/K^2", f"electron of specific_heat.{formula}"),
            parse_quantity(given.get("lattice", 0.0), "J/mol/K^4", f"lattice of specific_heat.{formula}"),
        )
    kind = "minimise" if "minimise" in table else "maximise"
    objective = _goal(table[kind], kind, 1.0 if kind == "minimise" else -1.0)
    constraints = tuple(_constraint(c, n) for n, c in enumerate(_tables(table.get("constraints", []), "constraints")))
    if any(goal.figure == "heat_capacity" for goal in (objective, *constraints)):
        unknown = {f for choice in choices for f in choice} - set(specific)
        if unknown:
            raise ValueError(f"the specific heat of {', '.join(sorted(unknown))} is not known: give [specific_heat.X]")
    varied, front = _front(table.get("front"), constraints)
    if not np.any(np.array(high) > np.array(low)):
        raise ValueError("at least one layer must have two bounds for its `thickness`")
    return Problem(
        str(table.get("name", "design")),
        parse_quantity(table["width"], "um", "width"),
        parse_quantity(table["length"], "um", "length"),
        parse_quantity(table.get("temperature", "90 mK"), "K", "temperature"),
        np.array(low),
        np.array(high),
        tuple(product(*choices)),
        density,
        specific,
        objective,
        constraints,
        varied,
        front,
    )


def _tables(value, name: str) -> list[dict]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ValueError(f"`{name}` must be [[{name}]] tables")
    return value


def _goal(table: dict, where: str, sign: float, limit=None) -> Goal:
    figure = table.get("figure")
    if figure not in FIGURES:
        raise ValueError(f"`figure` of {where} must be one of {', '.join(FIGURES)}, but is {figure!r}")
    energies = table.get("energy", [])
    energies = energies if isinstance(energies, list) else [energies]
    if (not energies) != (figure in WITHOUT_ENERGY):
        rule = "must have no `energy`" if energies else "needs `energy`"
        raise ValueError(f"{figure} of {where} {rule}")
    values = tuple(parse_quantity(energy, "eV", f"energy of {where}") for energy in energies)
    if values:
        Source.build(values)
    if limit is not None:
        limit = parse_quantity(limit, FIGURES[figure], f"limit of {where}")
        if not limit > 0.0:
            raise ValueError(f"limit of {where} must be positive, but is {limit:g}")
    return Goal(figure, values, sign, limit)


def _constraint(table: dict, n: int) -> Goal:
    where = f"constraint {n}"
    if ("at_least" in table) == ("at_most" in table):
        raise ValueError(f"{where} must have one of `at_least` and `at_most`")
    most = "at_most" in table
    return _goal(table, where, 1.0 if most else -1.0, table["at_most" if most else "at_least"])


def _front(table: dict | None, constraints: tuple[Goal, ...]) -> tuple[int, tuple[float, ...]]:
    if table is None:
        return 0, ()
    varied = table.get("constraint")
    if not isinstance(varied, int) or not 0 <= varied < len(constraints):
        raise ValueError(f"`constraint` of [front] must be the number of a constraint, from 0, but is {varied!r}")
    unit = FIGURES[constraints[varied].figure]
    values = tuple(parse_quantity(value, unit, "values of [front]") for value in table.get("values", []))
    if not values or min(values) <= 0.0:
        raise ValueError("`values` of [front] must be positive limits")
    return varied, values
