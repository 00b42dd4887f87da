"""Every program of the hot paths lowers for CUDA, also where there is no GPU, and stays on the device.

No call back to Python, no transfer to the host, and no double precision where single was asked for.
"""

import re
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from xcal_jax import Absorber, Source
from xcal_jax.compute.devices import local_devices
from xcal_jax.compute.random import words
from xcal_jax.expected.estimate import scrambled
from xcal_jax.expected.observables import expected_observables
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.tables import Tables
from xcal_jax.montecarlo.batch import LEAST_LANES, deal, run_block, run_events
from xcal_jax.simulation.counting import Prepared, Run

OFF_DEVICE = ("callback", "infeed", "outfeed", "send", "recv", "annotate_device_placement")


def lowered(program, *args, **static) -> str:
    """The text of a program, lowered for CUDA."""
    return getattr(program, "jitted", program).trace(*args, **static).lower(lowering_platforms=("cuda",)).as_text()


def check(text: str, double: bool = False) -> None:
    """Assert that a lowered program stays on the device, and in its precision."""
    found = [name for name in OFF_DEVICE if re.search(rf"stablehlo\.{name}\b|custom_call @[^(]*{name}", text)]
    assert not found
    assert ("f64" in text) == double


def block(absorber: Absorber, program, **static) -> str:
    """The text of a program of `montecarlo.batch` for photons of 7 keV."""
    prepared = Prepared.build(Run.build(absorber, Source.build(7000.0), lanes=LEAST_LANES))
    mesh = local_devices()
    arguments = (prepared.medium, prepared.drawn, words(1))
    if program is run_block:
        arguments += (jnp.asarray(1.0), jnp.asarray(prepared.run.loss_above))
        static["bins"] = prepared.run.bins
    return lowered(program, *arguments, deal(0, LEAST_LANES, mesh, LEAST_LANES), mesh=mesh, lanes=LEAST_LANES, **static)


@pytest.mark.parametrize("electrons", ["range", pytest.param("scattering", marks=pytest.mark.slow)])
@pytest.mark.parametrize("program", [run_block, run_events], ids=["counts", "events"])
def test_photons_stay_on_the_device(electrons, program):
    check(block(Absorber.load("xifu", electrons), program))


def test_expected_observables_stay_on_the_device():
    with jax.enable_x64(True):
        absorber = Absorber.preset("xifu")
        parameters = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), Parameters.of(absorber, 7000.0))
        program = jax.jit(partial(expected_observables, Tables.build(absorber, "eadl"), in_energy=False))
        points = jnp.asarray(scrambled(LEAST_LANES, 1, 0))
        check(lowered(program, parameters, jnp.array([0.0, 50.0]), points, words(1)), double=True)


def test_a_program_that_leaves_the_device_is_found():
    """The check fails where it should."""
    called = jax.jit(lambda x: jax.pure_callback(lambda y: y, jax.ShapeDtypeStruct((), jnp.float32), x))
    with pytest.raises((AssertionError, ValueError)):  # without a GPU JAX refuses to lower it at all
        check(lowered(called, jnp.float32(1.0)))
    with jax.enable_x64(True), pytest.raises(AssertionError):
        check(lowered(jax.jit(jnp.sin), jnp.float64(1.0)))
