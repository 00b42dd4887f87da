"""Mass models of boxes: paths in closed form, derivatives, what is refused."""

import time
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xcal_jax.orbit import MassModel, areal_density, dose_of_spectrum, shielding_map
from xcal_jax.orbit.rays import directions, origins, rays_of
from xcal_jax.orbit.shielding import Shield, paths_through, proton_doses

POINT = {"centre": ["0 mm", "0 mm", "0 mm"]}


def box(centre, size, material="Al", **more):
    return {"centre": list(centre), "size": list(size), "material": material} | more


def plate(height, thickness, material="Al", width=4e6, **more):
    where = {"centre": [0, 0, height], "size": [width, width], "normal": "+z" if height >= 0 else "-z"}
    return where | {"thickness": thickness, "material": material} | more


def paths(model, count=10_000):
    return np.asarray(areal_density(model, origins(model, count), jnp.asarray(directions(count), jnp.float32)))


def test_directions_are_even():
    """Means over the lattice of powers of the cosines, against 1/3, 1/5 and 0."""
    towards = directions(10_000)
    np.testing.assert_allclose(np.linalg.norm(towards, axis=1), 1)
    np.testing.assert_allclose((towards**2).mean(0), 1 / 3, atol=1e-4)
    np.testing.assert_allclose((towards**4).mean(0), 1 / 5, atol=1e-4)
    np.testing.assert_allclose(towards.mean(0), 0, atol=1e-4)


def test_a_slab_has_the_distribution_of_its_slants():
    """P(areal < t / m) = 1 - m for the half sky, where m is the cosine; the other half sees nothing."""
    areal = paths(MassModel.build({"detector": POINT, "plates": [plate(5.0, "2 mm")]}))[:, 0]
    assert (areal == 0).mean() == pytest.approx(0.5, abs=1e-3)
    through = 0.2 * 2.69890 / np.sort(areal[areal > 0])[::-1]
    np.testing.assert_allclose(through, (np.arange(len(through)) + 0.5) / len(through), atol=0.01)


def test_a_ball_of_bars_has_its_radius_on_every_ray():
    """Bars along z fill a ball of 50 mm but for a cube of 10 mm around the point, whose path is known."""
    radius, edges, bars = 50.0, np.linspace(-50.0, 50.0, 21), []
    for x0, x1 in pairwise(edges):
        for y0, y1 in pairwise(edges):
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            if x**2 + y**2 < radius**2:
                high, hole = np.sqrt(radius**2 - x**2 - y**2), 5.0 * (max(abs(x), abs(y)) < 5)
                for low, top in ((hole, high), (-high, -hole)) if hole else ((-high, high),):
                    bars.append(box([x, y, (low + top) / 2], [x1 - x0, y1 - y0, top - low]))
    through = paths(MassModel.build({"detector": POINT, "boxes": bars}), 2000)[:, 0] / 0.26989
    through += 5.0 / np.abs(directions(2000)).max(1)
    assert through.mean() == pytest.approx(radius, rel=0.01)
    assert through.std() < 0.05 * radius


def hollow_cube(size, wall, material="Al"):
    return MassModel.build({"detector": POINT, "boxes": [box([0, 0, 0], [size] * 3, material, wall=f"{wall} mm")]})


def test_a_hollow_box_is_closed_and_nowhere_double():
    """Path in the walls: from the inner cube to the outer one, along every ray."""
    towards = np.abs(directions(10_000)).max(1)
    np.testing.assert_allclose(paths(hollow_cube(40, 2.0))[:, 0], 0.2 / towards * 2.69890, rtol=1e-4)


@pytest.mark.parametrize("particle", ["proton", "electron"])
def test_plates_on_both_sides_give_the_dose_of_a_slab(particle, shieldose2):
    energy, flux = (shieldose2[f"{particle}_{part}"].values for part in ("energy", "flux"))
    both = {"detector": POINT, "plates": [plate(5.0, "3 mm", name="up"), plate(-5.0, "3 mm", name="down")]}
    boxes = dose_of_spectrum(particle, MassModel.build(both), energy, flux * 86400, rays=1500)
    np.testing.assert_allclose(
        boxes, dose_of_spectrum(particle, Shield.build("Al:3mm"), energy, flux * 86400), rtol=0.02
    )


def test_a_derivative_in_lead_is_the_finite_difference(shieldose2):
    """GRBAlpha: the slope of the proton dose in each of its thicknesses."""
    with jax.enable_x64(True):
        model = MassModel.load("GRBAlpha")
        energy, fluence = (jnp.asarray(shieldose2[f"proton_{part}"].values) for part in ("energy", "flux"))

        @jax.jit
        def of_thickness(thickness):
            return proton_doses(rays_of(model.with_thickness(thickness), 300), energy, 86400.0 * fluence[None, :])[0, 0]

        slope = jax.grad(of_thickness)(model.thickness)
        for part in ("lead, edge", "casing"):
            step = jnp.zeros_like(model.thickness).at[model.part(part)].set(1e-4)
            difference = (of_thickness(model.thickness + step) - of_thickness(model.thickness - step)) / 2e-4
            assert float(slope[model.part(part)]) == pytest.approx(float(difference), rel=1e-2)
            assert difference < 0


def test_ten_thousand_rays_through_fifty_boxes_are_quick():
    """The limit is that of the issue, in processor time; this machine needs a hundredth of it."""
    boxes = [box([20 * (i % 5) + 10, 20 * (i // 5 % 5) + 10, 20 * (i // 25) + 10], [19, 19, 19]) for i in range(50)]
    model = MassModel.build({"detector": POINT, "boxes": boxes})
    paths(model)
    start = time.process_time()
    paths(model)
    assert time.process_time() - start < 2.0


def test_rays_start_in_the_detectors_volume():
    entry = {"detector": {"centre": [0, 0, 0], "size": [1, 30, 3]}, "plates": [plate(5.0, "1 mm")]}
    start = np.asarray(origins(MassModel.build(entry), 5000))
    np.testing.assert_allclose(start.mean(0), 0, atol=0.3)
    np.testing.assert_allclose(start.std(0), np.array([1, 30, 3]) / 12**0.5, rtol=0.02)


def test_shipped_models_say_what_is_chosen():
    for name in ("GRBAlpha", "VZLUSAT-2"):
        model = MassModel.load(name)
        assert model.name == name
        assert float(model.thickness[model.part("lead, edge")]) == 2.5
        assert float(model.thickness[model.part("casing")]) == 1.0
    seen = shielding_map(MassModel.load("GRBAlpha"), 4000)
    lead = seen.areal_density.sel(material="PbSb")
    covered = lead > 2.49 * 1.1
    assert 0.7 < float(covered.mean()) < 0.85
    bus = seen.areal_density.sel(material="Al")
    assert float(bus[seen.elevation < -60].mean()) > 5 * float(bus[seen.elevation > 60].mean())


BAD = [
    (
        {"boxes": [box([0, 0, 9], [4, 4, 4]), box([0, 0, 12], [4, 4, 4])]},
        "must not overlap, but 'boxes.0' and 'boxes.1'",
    ),
    ({"boxes": [box([0, 0, 0], [4, 4, 4], "Pb")]}, "in free space, but in mass model it is in 'boxes.0', of Pb"),
    ({"boxes": [box([9, 0, 0], [4, -4, 4])]}, r"`boxes\.0\.size\.1` in mass model must be positive .*, but is -4 mm"),
    ({"boxes": [box([9, 0, 0], [4, 4, 4], wall="0 mm")]}, r"`boxes\.0\.wall` in mass model must be positive"),
    ({"boxes": [box([9, 0, 0], [4, 4])]}, r"`boxes\.0\.size` in mass model must be a list of 3, but is \[4.0, 4.0\]"),
    ({"boxes": [box([9, 0, "1 s"], [4, 4, 4])]}, r"`boxes\.0\.centre\.2` .* with a unit like mm, but is '1 s'"),
    (
        {"boxes": [box([9, 0, 0], [4, 4, 4], "Kryptonite")]},
        "'boxes.0' in mass model: material must be one of .*Kryptonite",
    ),
    ({"boxes": [box([9, 0, 0], [4, 4, 4], "Bi2Te3")]}, None),
    ({"boxes": [box([9, 0, 0], [4, 4, 4], "C2H6O")]}, "`density` must be given for 'boxes.0' .* C2H6O is not known"),
    ({"boxes": [box([9, 0, 0], [4, 4, 4], density=-1)]}, r"`boxes\.0\.density` in mass model must be positive"),
    ({"boxes": [box([9, 0, 0], [4, 4, 4], colour="red")]}, r"unknown key `boxes\.0\.colour` in mass model"),
    ({"boxes": [box([9, 0, 0], [1, 1, 1], name="a"), box([0, 9, 0], [1, 1, 1], name="a")]}, "names must differ"),
    (
        {"boxes": [box([9, 0, 0], [1, 1, 1], name="a", wall=1), box([0, 9, 0], [1, 1, 1], name="a", wall=1)]},
        "names must differ, but mass model has two 'a'",
    ),
    ({"plates": [plate(5, "-1 mm")]}, r"`plates\.0\.thickness` in mass model must be positive .*, but is -1 mm"),
    ({"plates": [plate(5, "1 mm") | {"normal": "up"}]}, r"`plates\.0\.normal` .* must be one of .*, but is 'up'"),
    ({}, r"must have \[\[boxes\]\] or \[\[plates\]\], but has none"),
    ({"boxes": {}}, r"`boxes` in mass model must be \[\[boxes\]\] tables"),
]


@pytest.mark.parametrize(("table", "sentence"), BAD)
def test_bad_boxes_are_one_sentence(table, sentence):
    if sentence is None:  # a formula whose density is known
        assert float(MassModel.build({"detector": POINT} | table).density[0]) == pytest.approx(7.7, abs=0.4)
        return
    with pytest.raises(ValueError, match=sentence) as caught:
        MassModel.build({"detector": POINT} | table)
    assert "\n" not in str(caught.value)


def test_a_slab_is_its_paths():
    """32 cosines, each with its slant and weight; one side closes half of the sky."""
    one = paths_through(Shield.build("Al:1mm"), "slab", 1)
    assert float(one.weight.sum()) == pytest.approx(0.5)
    assert float((one.weight / one.areal[:, 0]).sum()) == pytest.approx(0.25 / 0.26989, rel=1e-5)
