"""Design: a case with a closed-form answer, heat capacities, and bad problems."""

import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.design.heat import KNOWN, heat_per_um
from xcal_jax.design.optimise import design
from xcal_jax.design.specification import load
from xcal_jax.plot.expected import front_figure

SLAB = """
width = "100 um"
length = "100 um"
temperature = "90 mK"
[[layers]]
material = ["Bi", "Au"]
thickness = ["0.5 um", "20 um"]
[minimise]
figure = "heat_capacity"
[[constraints]]
figure = "interaction_probability"
energy = "7 keV"
at_least = 0.9
[front]
constraint = 0
values = [0.8, 0.95]
"""


def written(tmp_path, text):
    path = tmp_path / "design.toml"
    path.write_text(text)
    return path


def test_closed_form(tmp_path):
    """The least heat that stops 90 % of 7 keV in one layer: Bi of thickness ln(10) / mu; the front likewise."""
    result = design(load(written(tmp_path, SLAB)), starts=2)
    one = Absorber.build([("Bi", 1.0)], 100.0, 100.0)
    mu = -np.log1p(-quantum_efficiency(one, [7000.0])[0])
    best = Absorber.from_toml(result.attrs["absorber"])
    assert best.formulas == ("Bi",)
    assert best.thickness[0] == pytest.approx(np.log(10.0) / mu, rel=2e-3)
    assert result.converged.values.all()
    assert result.front_thickness.values[:, 0] == pytest.approx(-np.log([0.2, 0.05]) / mu, rel=5e-3)
    volume = best.thickness[0] * 1e4 * 1e-12
    moles = volume * best.density[0] / 208.98
    c = 0.008e-3 * 0.09 + 12 * np.pi**4 * 8.314462618 / 5 / 119.0**3 * 0.09**3
    assert result.attrs["objective_value"] == pytest.approx(1e12 * moles * c, rel=1e-3)
    front_figure(result).canvas.draw()


def test_what_cannot_be(tmp_path):
    problem = load(written(tmp_path, SLAB.replace('"20 um"', '"2 um"').replace('["Bi", "Au"]', '"Bi"')))
    with pytest.raises(RuntimeError, match="no design keeps the constraints"):
        design(problem, starts=1)


def test_overridden_heat(tmp_path):
    text = SLAB + '[specific_heat.Bi]\nelectron = "1 mJ/mol/K^2"\n'
    problem = load(written(tmp_path, text))
    assert problem.specific_heat["Bi"].electron == pytest.approx(1e-3)
    assert problem.specific_heat["Au"] == KNOWN["Au"]
    assert heat_per_um("Au", 19.3, 1e4, 0.1, KNOWN["Au"]) == pytest.approx(0.0680, rel=0.01)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[minimise]", "[minimize]", "unknown key `minimize`"),
        ('figure = "heat_capacity"', 'figure = "heat"', "must be one of"),
        ("at_least = 0.9", "", "one of `at_least` and `at_most`"),
        ("at_least = 0.9", "at_least = -1", "must be positive"),
        ('energy = "7 keV"', "", "needs `energy`"),
        ('energy = "7 keV"', 'energy = "7 eV"', "within the tables"),
        ('["0.5 um", "20 um"]', '["20 um", "0.5 um"]', "must ascend"),
        ('["0.5 um", "20 um"]', '"2 um"', "at least one layer must have two bounds"),
        ('["0.5 um", "20 um"]', '["1 um", "2 um", "3 um"]', "two bounds, but has 3"),
        ('["Bi", "Au"]', '["Bx"]', "element 'Bx'"),
        ('["Bi", "Au"]', '["Pb"]', "specific heat of Pb is not known"),
        ("constraint = 0", "constraint = 1", "number of a constraint"),
        ("values = [0.8, 0.95]", "values = []", "must be positive limits"),
        ('width = "100 um"', "", "`width` is missing"),
        ("[front]", "[front", "valid TOML"),
    ],
)
def test_bad_problems(tmp_path, old, new, sentence):
    assert old in SLAB
    with pytest.raises(ValueError, match=sentence):
        load(written(tmp_path, SLAB.replace(old, new, 1)))
