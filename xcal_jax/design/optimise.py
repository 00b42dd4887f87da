"""Absorbers designed on true gradients: thicknesses and materials that make a figure least within constraints.

An augmented Lagrangian (Nocedal & Wright 2006, chapter 17.3) around Adam (optax), from several starts, for every
choice of materials. Bounds are kept by a logistic map. The points of the sequence stay the same throughout, so that
the figures are functions; their final values come from new points, with errors.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import numpy as np
import optax
import xarray as xr
from scipy.stats import qmc
from tqdm import tqdm

from xcal_jax.absorber.absorber import Absorber, double
from xcal_jax.design.objectives import FIELD, Evaluation
from xcal_jax.design.specification import FIGURES, Goal, Problem
from xcal_jax.expected.estimate import estimate

OUTER, INNER = 8, 25  # rounds of multipliers, steps of Adam in each
RATE, SLOWER = 0.2, 0.5  # of Adam in the first round, and from round to round
PENALTY = 200.0
VIOLATION, SLOPE = 2e-3, 2e-2  # what counts as converged: of a constraint, and of the Lagrangian, both relative


@dataclass(frozen=True)
class Design:
    """One optimum: absorber; objective: value of the figure; constraints: values; converged; rounds done."""

    absorber: Absorber
    objective: float
    constraints: tuple[float, ...]
    violation: float
    converged: bool


def optimise(
    evaluation: Evaluation, start: np.ndarray, constraints: tuple[Goal, ...], step: Callable[[], object]
) -> Design:
    """From ``start`` (L,) um to an optimum; step: called after every step."""
    problem = evaluation.problem
    low, high, free = problem.low, problem.high, problem.free
    share = np.clip((start[free] - low[free]) / (high - low)[free], 0.02, 0.98)
    v = np.log(share / (1.0 - share))
    multipliers = np.zeros(len(constraints))
    scale = max(abs(evaluation.goal(problem.objective, start)[0]), 1e-12)

    def lagrangian(v: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """(its gradient in v (K,), violations)."""
        thickness, inside = _thickness(v, low, high, free)
        total = problem.objective.sign * evaluation.goal(problem.objective, thickness)[1] / scale
        violations = np.zeros(len(constraints))
        for n, goal in enumerate(constraints):
            violations[n], of = _violation(goal, *evaluation.goal(goal, thickness))
            total = total + max(0.0, multipliers[n] + penalty * violations[n]) * of
        return total[free] * inside, violations

    for n in range(OUTER):
        adam = optax.adam(optax.cosine_decay_schedule(RATE * SLOWER**n, INNER, SLOWER))
        state = adam.init(v)
        for _ in range(INNER):
            update, state = adam.update(lagrangian(v, PENALTY)[0], state, v)
            v = np.clip(np.asarray(optax.apply_updates(v, update)), -8.0, 8.0)
            step()
        multipliers = np.maximum(0.0, multipliers + PENALTY * lagrangian(v, PENALTY)[1])
    slope, violations = lagrangian(v, 0.0)
    thickness, _ = _thickness(v, low, high, free)
    values = tuple(evaluation.goal(goal, thickness)[0] for goal in constraints)
    worst = max([0.0, *violations])
    return Design(
        replace(evaluation.absorber, thickness=double(thickness)),
        evaluation.goal(problem.objective, thickness)[0],
        values,
        worst,
        bool(worst < VIOLATION and np.max(np.abs(slope)) < SLOPE),
    )


def design(problem: Problem, starts: int = 3, seed: int = 1, progress: bool = False) -> xr.Dataset:
    """The best absorber of ``problem``, every start's end, and the trade-off front if one is asked for.

    Raises RuntimeError when no start keeps the constraints: then they contradict each other or the bounds.
    """
    cube = qmc.Sobol(len(problem.free), rng=np.random.default_rng(seed)).random(max(starts - 1, 0))
    shares = np.vstack([np.full((1, len(problem.free)), 0.5), cube])[:starts]
    total = INNER * OUTER * (len(problem.materials) * len(shares) + len(problem.front))
    evaluations = {formulas: Evaluation(problem, formulas, seed) for formulas in problem.materials}
    ends = []
    with (
        jax.numpy_dtype_promotion("standard"),  # optax's schedules divide integers
        tqdm(total=total, unit=" steps", disable=None if progress else True) as bar,
    ):
        for evaluation in evaluations.values():
            for share in shares:
                start = problem.low.copy()
                start[problem.free] += share * (problem.high - problem.low)[problem.free]
                ends.append(optimise(evaluation, start, problem.constraints, bar.update))
        best = _best(problem, ends)
        front = []
        for limit in problem.front:
            constraints = list(problem.constraints)
            constraints[problem.varied] = replace(constraints[problem.varied], limit=limit)
            evaluation = evaluations[best.absorber.formulas]
            front.append(optimise(evaluation, np.asarray(best.absorber.thickness), tuple(constraints), bar.update))
    return _dataset(problem, ends, best, front, seed)


def _thickness(v, low, high, free) -> tuple[np.ndarray, np.ndarray]:
    share = 1.0 / (1.0 + np.exp(-v))
    thickness = low.copy()
    thickness[free] += share * (high - low)[free]
    return thickness, share * (1.0 - share) * (high - low)[free]


def _violation(goal: Goal, value: float, slope: np.ndarray) -> tuple[float, np.ndarray]:
    limit = goal.limit or 1.0
    return goal.sign * (value - limit) / limit, goal.sign * slope / limit


def _best(problem: Problem, ends: list[Design]) -> Design:
    kept = [end for end in ends if end.violation < VIOLATION]
    if not kept:
        least = min(ends, key=lambda end: end.violation)
        raise RuntimeError(
            f"no design keeps the constraints within its bounds: the nearest is {100 * least.violation:.2g} % off "
            f"({', '.join(f'{t:.4g} um {f}' for f, t in _layers(least.absorber))})"
        )
    return min(kept, key=lambda end: problem.objective.sign * end.objective)


def _layers(absorber: Absorber):
    return [(f, float(t)) for f, t in zip(absorber.formulas, absorber.thickness, strict=True)]


def check(problem: Problem, best: Absorber, seed: int) -> tuple[float, float]:
    """(value, standard error) of the objective, with more and other points than it was optimised on."""
    goal = problem.objective
    if goal.figure in ("heat_capacity", "thickness"):
        return Evaluation(problem, best.formulas, seed).goal(goal, np.asarray(best.thickness))[0], 0.0
    field = FIELD.get(goal.figure, goal.figure)
    found = [estimate(best, energy, (), n=2**15, seed=seed + 1, loss_above=()).value(field) for energy in goal.energies]
    values, errors = np.array(found).T
    return float(values.mean()), float(np.sqrt(np.sum(errors**2)) / len(errors))


def _dataset(problem: Problem, ends: list[Design], best: Design, front: list[Design], seed: int) -> xr.Dataset:
    value, error = check(problem, best.absorber, seed)
    goal = problem.objective

    def stacked(designs: list[Design], dim: str, prefix: str) -> dict:
        thickness = np.array([np.asarray(d.absorber.thickness) for d in designs]).reshape(-1, len(problem.low))
        limits = np.array([d.constraints for d in designs]).reshape(-1, len(problem.constraints))
        return {
            f"{prefix}thickness": ((dim, "layer"), thickness, {"units": "um", "long_name": "thickness"}),
            f"{prefix}objective": (dim, [d.objective for d in designs], {"units": "1", "long_name": goal.label}),
            f"{prefix}constraint_value": (
                (dim, "constraint"),
                limits,
                {"units": "1", "long_name": "constrained figures"},
            ),
            f"{prefix}converged": (dim, [int(d.converged) for d in designs], {"units": "1", "long_name": "converged"}),
        }

    variables = stacked(ends, "start", "") | stacked(front, "front", "front_")
    variables["material"] = (
        ("start", "layer"),
        np.array([d.absorber.formulas for d in ends]),
        {"units": "", "long_name": "material"},
    )
    variables["limit"] = (
        "front",
        np.array(problem.front),
        {"units": "1", "long_name": "limit of the constraint varied"},
    )
    return xr.Dataset(
        variables,
        coords={
            "constraint": ("constraint", [c.label for c in problem.constraints], {"units": "", "long_name": "figure"})
        },
        attrs={
            "kind": "xcal_jax absorber design",
            "title": f"Design of absorber {problem.name!r}",
            "absorber": best.absorber.to_toml(),
            "objective": goal.label,
            "objective_unit": FIGURES[goal.figure],
            "varied_unit": FIGURES[problem.constraints[problem.varied].figure] if problem.front else "",
            "objective_value": value,
            "objective_err": error,
            "best": next(n for n, end in enumerate(ends) if end is best),
            "converged": int(best.converged),
            "varied": problem.constraints[problem.varied].label if problem.front else "",
            "seed": str(seed),
        },
    )
