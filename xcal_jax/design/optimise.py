"""Absorbers designed on true gradients: thicknesses and materials that make an observable least within constraints.

Sequential quadratic programming (SLSQP: Kraft 1988, DFVLR-FB 88-28; scipy) from several starts, for every choice of
materials. Thicknesses are scaled to their bounds, constraints to their limits, the objective to its value at the start.
An end counts as converged by a test of our own, not by SLSQP's word: the constraints hold, and the gradient of the
Lagrangian vanishes, for the best multipliers that are not negative (Karush, Kuhn and Tucker; Nocedal & Wright 2006,
chapter 12.3). SLSQP alone also ends where a jump of the sampled observable stops its line search.

The points of the sequence stay the same throughout (`objectives`); the final value comes from new points, with its
error. Where each step may have new points and there is nothing but bounds, a stochastic first-order method does it with
fewer histories, since gradients are unbiased and values are not needed: Adam (optax) in `notebooks/03_thickness.ipynb`.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.optimize import minimize, nnls
from scipy.stats import qmc

from xcal_jax.absorber.absorber import Absorber, double
from xcal_jax.compute.progress import Bar
from xcal_jax.compute.random import SEEDS
from xcal_jax.design.objectives import HISTORIES, Evaluation
from xcal_jax.design.specification import Constraint, Problem, load
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.units import parse_whole

MOST_STARTS = 64
STEPS, GAIN = 50, 1e-6  # most steps of SLSQP, and the relative gain below which it stops
CAUTION = 16.0  # divides the first step of SLSQP, which is as long as the gradient: across all bounds without it
VIOLATION = 1e-3  # of a constraint that counts as kept, relative to its limit
ACTIVE = 1e-4  # within which a constraint, relative to its limit, or a bound, of its range, is active
SLOPE = 1e-2  # of the Lagrangian when converged: relative change of the objective over the range of a thickness
CHECKED = 2**15  # histories of the final value
TINY = 1e-12


@dataclass(frozen=True)
class Design:
    """Where one start ended: value of the objective; values of the constraints; violation: the worst, relative, 0 if
    all are kept; slope: norm of the gradient of the Lagrangian (`projected_gradient`); evaluations: points looked at.
    """

    absorber: Absorber
    objective: float
    constraints: tuple[float, ...]
    violation: float
    slope: float
    evaluations: int

    @property
    def converged(self) -> bool:
        """Whether this is an optimum on the points of the evaluation."""
        return self.violation < VIOLATION and self.slope < SLOPE


def optimise(evaluation: Evaluation, start: Float[np.ndarray, " L"], constraints: tuple[Constraint, ...]) -> Design:
    """The optimum that SLSQP finds from ``start`` um."""
    problem = evaluation.problem
    free = problem.free
    low, high = problem.low[free], problem.high[free]
    factor = problem.objective.sign / max(abs(evaluation.value(problem.objective, start)[0]), TINY)

    def thickness(x: np.ndarray) -> np.ndarray:
        found = problem.low.copy()
        found[free] = (1.0 - x) * low + x * high
        return found

    def scaled(slope: np.ndarray) -> np.ndarray:
        return slope[free] * (high - low)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = evaluation.value(problem.objective, thickness(x))
        return factor / CAUTION * value, factor / CAUTION * scaled(slope)

    def margins(x: np.ndarray) -> np.ndarray:
        return np.array([-c.excess(evaluation.value(c.of, thickness(x))[0]) for c in constraints])

    def margin_slopes(x: np.ndarray) -> np.ndarray:
        slopes = [-c.of.sign / c.limit * scaled(evaluation.value(c.of, thickness(x))[1]) for c in constraints]
        return np.array(slopes).reshape(-1, len(free))

    found = minimize(
        objective,
        (start[free] - low) / (high - low),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(free),
        constraints={"type": "ineq", "fun": margins, "jac": margin_slopes} if constraints else (),
        options={"maxiter": STEPS, "ftol": GAIN / CAUTION},
    )
    x = np.clip(found.x, 0.0, 1.0)
    end = thickness(x)
    return Design(
        replace(evaluation.absorber, thickness=double(end)),
        evaluation.value(problem.objective, end)[0],
        tuple(evaluation.value(c.of, end)[0] for c in constraints),
        float(np.max(-margins(x), initial=0.0)),
        projected_gradient(CAUTION * objective(x)[1], margins(x), margin_slopes(x), x),
        found.nfev,
    )


def projected_gradient(
    slope: Float[np.ndarray, " K"],
    margins: Float[np.ndarray, " J"],
    margin_slopes: Float[np.ndarray, "J K"],
    x: Float[np.ndarray, " K"],
) -> float:
    """Norm of the gradient of the Lagrangian, for the multipliers that make it least:

        min |slope - sum_j m_j n_j| over all m_j >= 0,

    where n_j are the inward normals of what is active: constraints without ``margins``, whose slopes these are, and
    the bounds 0 and 1 of ``x``. It vanishes where no step that is allowed makes the objective less, to first order.
    """
    at_bound = np.concatenate([np.eye(len(x))[x < ACTIVE], -np.eye(len(x))[x > 1.0 - ACTIVE]])
    inward = np.concatenate([margin_slopes[margins < ACTIVE], at_bound])
    return float(nnls(inward.T, slope)[1] if len(inward) else np.linalg.norm(slope))


@checked
def design(
    problem: Problem | str | os.PathLike[str] | dict[str, Any],
    starts: int = 3,
    seed: int = 1,
    n: int = HISTORIES,
    progress: bool = False,
) -> xr.Dataset:
    """The best absorber of ``problem``, every start's end, and the trade-off front if one is asked for.

    problem: a `Problem`, the design file that states it, or the tables of such a file; n: histories of every Monte
    Carlo run. The absorber is ``attrs["absorber"]`` of the result, as TOML.
    Raises ValueError for a problem that makes no sense, and RuntimeError when no start keeps the constraints: then they
    contradict each other or the bounds.

    >>> layer = {"material": "Bi", "thickness": ["1 um", "10 um"]}
    >>> stops = {"observable": "interaction_probability", "energy": "7 keV", "at_least": 0.9}
    >>> problem = {"width": 270, "length": 270, "layers": [layer], "constraints": [stops]}
    >>> best = design(problem | {"minimise": {"observable": "heat_capacity"}}, starts=1)
    >>> f"{best.thickness.values[0, 0]:.2f} um"
    '7.27 um'
    """
    problem = problem if isinstance(problem, Problem) else load(problem)
    seed = parse_whole(seed, "seed", least=0, below=SEEDS)
    starts = parse_whole(starts, "starts", least=1, most=MOST_STARTS)
    cube = qmc.Sobol(len(problem.free), rng=np.random.default_rng(seed)).random_base2((starts - 1).bit_length())
    places = np.vstack([np.full((1, len(problem.free)), 0.5), cube])[:starts]
    evaluations = {formulas: Evaluation(problem, formulas, seed, n) for formulas in problem.materials}
    total = len(evaluations) * len(places) + len(problem.front)
    with Bar(total, " optima", progress) as bar:
        ends, front = [], []
        for evaluation in evaluations.values():
            for place in places:
                start = problem.low.copy()
                start[problem.free] += place * (problem.high - problem.low)[problem.free]
                ends.append(optimise(evaluation, start, problem.constraints))
                bar.update()
        best = _best(problem, ends)
        evaluation = evaluations[best.absorber.formulas]
        for limit in problem.front:
            constraints = list(problem.constraints)
            constraints[problem.varied] = replace(constraints[problem.varied], limit=limit)
            front.append(optimise(evaluation, np.asarray(best.absorber.thickness), tuple(constraints)))
            bar.update()
    checked = evaluation.estimate(problem.objective, np.asarray(best.absorber.thickness), CHECKED)
    return _dataset(problem, ends, best, front, checked, seed)


def _best(problem: Problem, ends: list[Design]) -> Design:
    kept = [end for end in ends if end.violation < VIOLATION]
    if not kept:
        least = min(ends, key=lambda end: end.violation)
        layers = zip(least.absorber.thickness, least.absorber.formulas, strict=True)
        raise RuntimeError(
            f"no design keeps the constraints within its bounds: the nearest is {100 * least.violation:.2g} % off "
            f"({', '.join(f'{float(t):.4g} um {formula}' for t, formula in layers)})"
        )
    return min(kept, key=lambda end: problem.objective.sign * end.objective)


def _dataset(
    problem: Problem, ends: list[Design], best: Design, front: list[Design], checked: tuple[float, float], seed: int
) -> xr.Dataset:
    goal = problem.objective

    def stacked(designs: list[Design], dim: str, prefix: str) -> dict[str, xr.Variable]:
        thickness = np.array([np.asarray(d.absorber.thickness) for d in designs]).reshape(-1, len(problem.low))
        limited = np.array([d.constraints for d in designs]).reshape(-1, len(problem.constraints))
        found = {
            "thickness": variable((dim, "layer"), thickness, "um", "thickness"),
            "objective": variable(dim, [d.objective for d in designs], goal.unit, goal.label),
            "constraint_value": variable((dim, "constraint"), limited, "", "constrained observables"),
            "converged": variable(dim, [int(d.converged) for d in designs], "1", "converged"),
            "slope": variable(dim, [d.slope for d in designs], "1", "norm of the gradient of the Lagrangian, scaled"),
            "evaluations": variable(dim, [d.evaluations for d in designs], "1", "points looked at"),
        }
        return {prefix + name: values for name, values in found.items()}

    variables = stacked(ends, "start", "") | stacked(front, "front", "front_")
    variables["material"] = variable(("start", "layer"), np.array([d.absorber.formulas for d in ends]), "", "material")
    limited = [constraint.of for constraint in problem.constraints]
    varied = limited[problem.varied] if problem.front else None
    unit = varied.unit if varied else ""
    variables["limit"] = variable("front", np.array(problem.front), unit, "limit of the constraint varied")
    return xr.Dataset(
        variables,
        coords={
            "constraint": variable("constraint", [of.label for of in limited], "", "observable"),
            "unit": variable("constraint", [of.unit for of in limited], "", "unit of the observable"),
        },
        attrs={
            "kind": "xcal_jax absorber design",
            "title": f"Design of absorber {problem.name!r}",
            "absorber": best.absorber.to_toml(),
            "objective": goal.label,
            "objective_unit": goal.unit,
            "varied_unit": unit,
            "objective_value": checked[0],
            "objective_err": checked[1],
            "best": next(n for n, end in enumerate(ends) if end is best),
            "converged": int(best.converged),
            "varied": varied.label if varied else "",
            "seed": str(seed),
        },
    )
