"""The Monte Carlo refuses to be differentiated, whichever way it is asked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter
from xcal_jax.absorber.source import Source
from xcal_jax.compute.devices import local_devices
from xcal_jax.compute.random import words
from xcal_jax.montecarlo.batch import deal, run_block
from xcal_jax.montecarlo.derivative import undifferentiable
from xcal_jax.montecarlo.state import Medium
from xcal_jax.simulation.simulate import simulate

SLAB = Absorber.build([("Bi", 1.0)], 100.0, 100.0)


def total(thickness):
    """Summed loss of a block, as a careless user would differentiate it."""
    matter = Matter.build(SLAB)
    medium = Medium(SLAB.stack, jnp.asarray(SLAB.density), matter)
    medium = medium._replace(stack=type(medium.stack)(thickness, medium.stack.width, medium.stack.length))
    source = jax.tree.map(jnp.asarray, Source.build(3000.0))
    mesh = local_devices()
    own = deal(0, 8, mesh, 1024)
    tally = run_block(
        medium, source, words(1), jnp.asarray(1.0), jnp.array([50.0]), own, mesh=mesh, lanes=1024, bins=16384
    )
    return tally.summed_loss[0, 0].astype(float)


ASKED = {
    "grad": jax.grad(total),
    "jit of grad": jax.jit(jax.grad(total)),
    "jacfwd": jax.jacfwd(total),
    "jvp": lambda t: jax.jvp(total, (t,), (t,)),
    "vmap of grad": lambda t: jax.vmap(jax.grad(total))(t[None, :]),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_block_has_no_derivative(asked):
    with pytest.raises(TypeError, match=r"no derivative .*`xcal_jax\.observables`"):
        asked(jnp.ones(1))


def test_a_block_is_a_program_of_its_own():
    """Inside another program its compiler options would be lost; JAX refuses that, whatever the derivative."""
    with pytest.raises(ValueError, match="top-level"):
        jax.grad(jax.jit(total))(jnp.ones(1))


@pytest.mark.parametrize("transform", [jax.grad, jax.jit, jax.jacfwd, lambda f: lambda t: jax.vmap(f)(t[None])])
def test_simulate_wants_numbers(transform):
    def partial(thickness):
        stack = Absorber(thickness, SLAB.density, SLAB.width, SLAB.length, SLAB.formulas)
        return simulate(stack, 3000.0, n=10).photon_escape

    with pytest.raises(TypeError, match="cannot run inside jit, grad or vmap"):
        transform(partial)(jnp.ones(1))
    with pytest.raises(TypeError, match="cannot run inside jit, grad or vmap"):
        transform(lambda energy: simulate(SLAB, energy[0], n=10).photon_escape)(jnp.full(1, 3000.0))


def test_values_pass_unharmed():
    tree = {"a": jnp.arange(3.0), "b": jnp.int32(2)}
    for run in (undifferentiable, jax.jit(undifferentiable)):
        out = run(tree)
        assert np.array_equal(out["a"], tree["a"]) and out["b"] == 2
    assert np.array_equal(jax.vmap(undifferentiable)(tree["a"]), tree["a"])
