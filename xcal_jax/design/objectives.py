"""Values and gradients of a design problem's goals, for one choice of materials."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from xcal_jax.design.heat import heat_per_um
from xcal_jax.design.specification import Goal, Problem
from xcal_jax.expected.estimate import run
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.photons import attenuation
from xcal_jax.expected.tables import Tables
from xcal_jax.physics.layers import absorbed_by_layer

POINTS, REPLICATES = 2048, 2
FIELD = {"mean_loss_ev": "mean_loss"}


class Evaluation:
    """Values and gradients, in the thicknesses (L,) um, of the goals of a problem, for one choice of materials."""

    def __init__(self, problem: Problem, formulas: tuple[str, ...], seed: int):
        """Tables of ``formulas``, one a layer; seed: of the points, the same throughout."""
        self.problem, self.seed = problem, seed
        self.absorber = problem.absorber(formulas, problem.high)
        with jax.enable_x64(True):
            self.tables = Tables.build(self.absorber)
        area = problem.width * problem.length
        self.heat = np.array(
            [
                heat_per_um(f, float(d), area, problem.temperature, problem.specific_heat[f])
                if f in problem.specific_heat
                else 0.0
                for f, d in zip(formulas, self.absorber.density, strict=True)
            ]
        )

    def goal(self, goal: Goal, thickness: np.ndarray) -> tuple[float, np.ndarray]:
        """(value (), gradient (L,)) of its figure at ``thickness``."""
        if goal.figure == "heat_capacity":
            return float(self.heat @ thickness), self.heat
        if goal.figure == "thickness":
            return float(thickness.sum()), np.ones_like(thickness)
        each = [self.figure(goal.figure, energy, thickness) for energy in goal.energies]
        return float(np.mean([value for value, _ in each])), np.mean([slope for _, slope in each], axis=0)

    def figure(self, name: str, energy: float, thickness: np.ndarray) -> tuple[float, np.ndarray]:
        """At one energy: the interaction probability in closed form, all else from `estimate.run`."""
        with jax.enable_x64(True):
            parameters = replace(Parameters.of(self.absorber, energy), thickness=jnp.asarray(thickness))
            if name == "interaction_probability":
                value, slopes = _probability(parameters, self.tables)
                return float(value), np.asarray(slopes.thickness)
        found = run(
            self.tables, parameters, ("thickness",), POINTS, self.seed, (0.0,), replicates=REPLICATES, progress=False
        )
        field = FIELD.get(name, name)
        return float(found.value(field)[0]), found.derivative(field)[0]


@jax.jit
@jax.value_and_grad
def _probability(parameters: Parameters, tables: Tables):
    mu = attenuation(tables.matter, parameters.density, parameters.energy)
    return jnp.sum(absorbed_by_layer(mu, parameters.thickness))
