import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.orbit import Shield
from xcal_jax.orbit.material_tables import matter
from xcal_jax.orbit.reactions import cross_section, per_length, reactions_on_the_way
from xcal_jax.orbit.shielding import incident, paths_through, proton_doses

DAY = 86400


def test_fast_protons_react_as_the_particle_data_group_says():
    """Inelastic cross sections of the review's table of materials, barn, within 10 %."""
    for mass, barn in ((12.011, 0.231), (26.982, 0.421), (63.546, 0.782), (207.2, 1.77)):
        assert cross_section(np.array([1000.0]), mass)[0] == pytest.approx(barn, rel=0.1)


def test_slow_protons_and_hydrogen_do_not_react():
    assert cross_section(np.array([1.0, 9.9]), 27.0).tolist() == [0.0, 0.0]
    energy = matter("Al").proton_energy.values
    at = np.searchsorted(energy, 100.0)
    assert per_length("polyethylene")[at] == pytest.approx(0.8563 * per_length("C")[at], rel=1e-3)


def test_those_that_react_are_lost_on_the_way():
    """Protons of 64.9 MeV behind 20 mm of Al had 100 MeV: the integral of reactions over their path of 5.4 g/cm2."""
    shield = Shield.build("Al:20mm")
    at = jnp.log(jnp.asarray([64.9]))
    with_, without = (incident(shield.materials, shield.areal, at, reactions)[1] for reactions in (True, False))
    energy, row = np.linspace(64.9, 100.0, 2000), matter("Al")
    stopping = np.interp(energy, row.proton_energy, row.proton_stopping)
    expected = np.trapezoid(0.602214 / 26.98 * cross_section(energy, 26.98) / stopping, energy)
    assert float((without - with_)[0]) == pytest.approx(expected, rel=0.02)
    assert (np.diff(reactions_on_the_way("Al")) >= 0).all()


def test_dose_with_reactions_over_without_is_that_of_shieldose2(shieldose2):
    irbem = pytest.importorskip("spacepy.irbempy", reason="spacepy is not installed")
    energy, flux = shieldose2.proton_energy.values, shieldose2.proton_flux.values
    doses = []
    for method in (1, 2):
        model = irbem.Shieldose2()
        model.set_shielding(depths=shieldose2.depth.values, units="mm")
        model.set_flux(flux, energy, "p_tr", tau=DAY)
        model.set_flux(np.full_like(flux, 1e-30), energy, "p_un", tau=DAY)
        model.set_flux(shieldose2.electron_flux.values, shieldose2.electron_energy.values, "e", tau=DAY)
        model.get_dose(detector=3, nucmeth=method)
        doses.append(np.array(model.results["dose_proton_trapped"])[:, 0])
    spectrum = jnp.asarray(energy), jnp.asarray(flux)[None, :]
    of = jax.jit(lambda paths, reactions: proton_doses(paths, *spectrum, reactions)[0], static_argnums=1)
    for depth, theirs in zip(shieldose2.depth.values, doses[1] / doses[0], strict=True):
        paths = paths_through(Shield.build(f"Al:{depth}mm"), "slab", 1)
        ratio = np.asarray(of(paths, True)) / np.asarray(of(paths, False))
        assert ratio[0] == pytest.approx(theirs, abs=0.006), depth
        assert ratio[1] < 1
