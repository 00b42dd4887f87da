"""Padded tables: the same laws, and the same shapes for absorbers of other elements."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter
from xcal_jax.absorber.padding import lines_of, padded
from xcal_jax.simulation.counting import medium_of

STACK = Absorber.build([("SiO2", 1.0), ("Au", 0.5)], 60.0, 60.0)
DRAWS = 2000


def slab(*formulas, **models):
    return replace(Absorber.build([(formula, 1.0) for formula in formulas], 60.0, 60.0), **models)


@pytest.fixture(scope="module", params=["paper", "full"])
def pair(request):
    """Tables as they are, and padded."""
    models = {} if request.param == "paper" else {"compton": "impulse", "rayleigh": True}
    matter = Matter.build(replace(STACK, **models))
    return matter, jax.tree.map(jnp.asarray, padded(matter))


def test_photons_hit_the_same(pair):
    """Subshell, kind and angle of collisions, for the same random numbers, at energies from 100 eV to 200 keV."""
    rng = np.random.default_rng(1)
    energy, u = 10 ** rng.uniform(2.0, 5.3, DRAWS), rng.random((3, DRAWS))

    @jax.vmap
    def collided(energy, u_row, u_channel, u_angle):
        found = []
        for matter in pair:
            row, fraction = matter.attenuation.place(energy)
            for material in range(2):
                code = matter.attenuation.pick_channel(jnp.int32(material), row, fraction, u_row, u_channel)
                hit = matter.hit(code)
                cosine = matter.angles.sample_cosine(hit.law, energy, u_angle)
                subshell = matter.relaxation.binding[hit.subshell]
                aimed = jnp.where(hit.ejects, subshell, 0.0)
                found.append((hit.ejects, hit.scatters, hit.coherent, aimed, cosine, row, fraction))
        return found[:2], found[2:]

    own, larger = collided(*(jnp.asarray(a, jnp.float32) for a in (energy, *u)))
    assert all(0 < np.mean(kind) < 1 for kind in (own[0][0], own[1][1]))
    jax.tree.map(np.testing.assert_array_equal, own, larger)


def test_vacancies_relax_the_same(pair):
    """Transitions by both laws, line by line as `lines_of` tells them apart."""
    own, larger = (matter.relaxation for matter in pair)
    subshell = jnp.arange(own.subshells)
    for u in np.random.default_rng(2).random(6):
        for law in ("analog", "biased"):
            picked = [jax.vmap(getattr(t, law).pick, (0, None))(subshell, jnp.float32(u)) for t in (own, larger)]
            np.testing.assert_array_equal(*picked)
            one, other = (jax.vmap(t.transition)(subshell, t_) for t, t_ in zip((own, larger), picked, strict=True))
            jax.tree.map(np.testing.assert_array_equal, one._replace(line=0), other._replace(line=0))
            counts = np.zeros((1, larger.energy.size), int)
            counts[0, np.asarray(other.line)] += 1
            (found,) = lines_of(own.energy.shape, counts)
            np.testing.assert_array_equal(np.flatnonzero(found), np.sort(one.line))


def test_other_elements_share_a_program():
    """All arguments have the same shapes and the same static parts, so that nothing is compiled anew."""

    def kind(absorber):
        leaves, tree = jax.tree.flatten(medium_of(absorber))
        return tree, [(leaf.shape, leaf.dtype) for leaf in leaves]

    bismuth = kind(slab("Bi"))
    assert all(kind(slab(element)) == bismuth for element in ("Au", "Pb", "Ta", "Hg"))
    assert kind(slab("Au", "Bi")) == kind(slab("Ta", "Pb")) != bismuth
