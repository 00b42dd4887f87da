"""Design: closed forms, an optimum on a bound, a scan, what is no optimum, heat capacities, and bad problems."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.design import objectives, optimise
from xcal_jax.design.heat import KNOWN, heat_per_um
from xcal_jax.design.objectives import Evaluation
from xcal_jax.design.optimise import design, projected_gradient
from xcal_jax.design.specification import Constraint, load
from xcal_jax.io.datasets import load as load_dataset
from xcal_jax.plot.expected import front_figure

SLAB = """
width = "100 um"
length = "100 um"
temperature = "90 mK"
[[layers]]
material = ["Bi", "Au"]
thickness = ["0.5 um", "20 um"]
[minimise]
observable = "heat_capacity"
[[constraints]]
observable = "interaction_probability"
energy = "7 keV"
at_least = 0.9
[front]
constraint = 0
values = [0.8, 0.95]
"""

STACK = """
width = "269.5 um"
length = "269.5 um"
[[layers]]
material = "Au"
thickness = ["0.2 um", "5 um"]
[[layers]]
material = "Bi"
thickness = ["1 um", "10 um"]
[minimise]
observable = "photon_escape"
energy = "7 keV"
[[constraints]]
observable = "interaction_probability"
energy = "7 keV"
at_least = 0.8
[[constraints]]
observable = "heat_capacity"
at_most = 0.6
"""
SAMPLED = 2048  # histories: few, so that values jump


def written(tmp_path, text):
    path = tmp_path / "design.toml"
    path.write_text(text)
    return path


def test_closed_form(tmp_path):
    """The least heat that stops 90 % of 7 keV in one layer: Bi of thickness ln(10) / mu; the front likewise."""
    result = design(load(written(tmp_path, SLAB)), starts=4)
    one = Absorber.build([("Bi", 1.0)], 100.0, 100.0)
    mu = -np.log1p(-quantum_efficiency(one, [7000.0])[0])
    best = Absorber.from_toml(result.attrs["absorber"])
    assert best.formulas == ("Bi",)
    assert best.thickness[0] == pytest.approx(np.log(10.0) / mu, rel=2e-3)
    assert result.converged.values.all() and result.sizes["start"] == 8
    assert result.unit.values.tolist() == ["1"] and result.limit.attrs["units"] == "1"
    assert result.front_thickness.values[:, 0] == pytest.approx(-np.log([0.2, 0.05]) / mu, rel=5e-3)
    volume = best.thickness[0] * 1e4 * 1e-12
    moles = volume * best.density[0] / 208.98
    c = 0.008e-3 * 0.09 + 12 * np.pi**4 * 8.314462618 / 5 / 119.0**3 * 0.09**3
    assert result.attrs["objective_value"] == pytest.approx(1e12 * moles * c, rel=1e-3)
    front_figure(result).canvas.draw()


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """The problem of two layers, as few histories see it."""
    problem = load(written(tmp_path_factory.mktemp("stack"), STACK))
    return Evaluation(problem, ("Au", "Bi"), 1, SAMPLED)


@pytest.mark.slow
def test_an_optimum_on_a_bound(stack, monkeypatch):
    """What plain SLSQP finds with thicknesses in um on the same points, 1.26493e-3 at (0.806, 10) um, in 17 looks."""
    runs = []
    run = objectives.run
    monkeypatch.setattr(objectives, "run", lambda *args: runs.append(args) or run(*args))
    found = optimise.optimise(stack, np.array([2.6, 5.5]), stack.problem.constraints)
    assert found.objective < 1.26493e-3 * 1.005
    assert found.absorber.thickness[1] == 10.0
    assert found.violation < 1e-6
    assert len(runs) <= found.evaluations <= 2 * 17
    assert len(runs) == len(stack.runs)


def test_a_jump_is_no_optimum(stack):
    """There the line search stops, and SLSQP says success, between values and slopes that do not go together."""
    found = optimise.optimise(stack, np.array([2.6, 5.5]), stack.problem.constraints)
    slope = stack.value(stack.problem.objective, np.asarray(found.absorber.thickness))[1]
    in_gold = abs(slope[0]) * 4.8 / stack.value(stack.problem.objective, np.array([2.6, 5.5]))[0]
    assert in_gold > 0.1 and found.slope > 0.1
    assert not found.converged


def test_an_optimum_in_a_corner(stack):
    """All the heat and all the bismuth that are allowed: the gradient is that of their limits."""
    found = optimise.optimise(stack, np.array([2.99, 9.44]), stack.problem.constraints)
    thickness = np.asarray(found.absorber.thickness)
    assert thickness[1] == pytest.approx(10.0, rel=1e-12)
    assert found.constraints[1] == pytest.approx(0.6, rel=1e-6)
    gold, bismuth = stack.value(stack.problem.objective, thickness)[1]
    assert gold < 0.0 and bismuth - gold * stack.heat[1] / stack.heat[0] < 0.0
    assert found.slope < 1e-6 and found.converged


@pytest.mark.slow
def test_a_sampled_constraint_against_a_scan(stack):
    """The least bismuth under 1 um of gold whose partial depositions stay below a limit."""
    low, high = np.array([1.0, 1.0]), np.array([1.0, 10.0])
    scanned = np.linspace(1.0, 10.0, 37)
    partial = replace(stack.problem.objective, observable="partial")
    values = np.array([stack.value(partial, np.array([1.0, t]))[0] for t in scanned])
    limit = float(values[12:24].mean())
    first = int(np.flatnonzero(values <= limit)[0])
    assert np.all(values[:first] > limit) and np.all(values[first + 1 :] < limit)
    least = replace(stack.problem.objective, observable="thickness", energies=())
    problem = replace(stack.problem, low=low, high=high, objective=least)
    evaluation = Evaluation(problem, ("Au", "Bi"), 1, SAMPLED)
    found = optimise.optimise(evaluation, np.array([1.0, 8.0]), (Constraint(partial, limit),))
    assert found.converged
    assert scanned[first - 1] - 0.05 < found.absorber.thickness[1] < scanned[first] + 0.05
    assert found.constraints[0] == pytest.approx(limit, rel=1e-3)


def test_success_is_not_taken_on_trust(tmp_path, monkeypatch):
    """An optimiser that stays where it is and says success."""
    problem = load(written(tmp_path, SLAB.replace('["Bi", "Au"]', '"Bi"')))
    stays = OptimizeResult(x=np.array([0.9]), success=True, nfev=1)
    monkeypatch.setattr(optimise, "minimize", lambda *args, **options: stays)
    found = design(problem, starts=1)
    assert not found.converged.values.any() and not found.attrs["converged"]
    assert found.slope.values[0] > 0.1


@pytest.mark.parametrize(
    ("slope", "margins", "inward", "x", "norm"),
    [
        ((0.3, -0.4), (), (), (0.5, 0.5), 0.5),  # inside: all of it
        ((0.3, -0.4), (), (), (0.0, 1.0), 0.0),  # both bounds stop the descent
        ((0.3, -0.4), (), (), (1.0, 0.0), 0.5),  # neither does
        ((0.3, -0.4), (), (), (0.0, 0.5), 0.4),
        ((0.3, 0.4), (0.0,), ((0.6, 0.8),), (0.5, 0.5), 0.0),  # a constraint stops it
        ((-0.3, -0.4), (0.0,), ((0.6, 0.8),), (0.5, 0.5), 0.5),  # and is no rope: multipliers are not negative
        ((0.3, 0.4), (0.1,), ((0.6, 0.8),), (0.5, 0.5), 0.5),  # not when it is far
        ((0.3, 0.4), (-1e-5,), ((1.0, 0.0),), (0.5, 0.5), 0.4),
        ((0.3, 0.4), (0.0,), ((1.0, 0.0),), (0.5, 0.0), 0.0),  # with a bound
    ],
)
def test_projected_gradient(slope, margins, inward, x, norm):
    inward = np.reshape(inward, (-1, 2))
    assert projected_gradient(*map(np.array, (slope, margins, inward, x))) == pytest.approx(norm, abs=1e-12)


def test_what_cannot_be(tmp_path):
    problem = load(written(tmp_path, SLAB.replace('"20 um"', '"2 um"').replace('["Bi", "Au"]', '"Bi"')))
    with pytest.raises(RuntimeError, match="no design keeps the constraints"):
        design(problem, starts=1)


def test_command(call, tmp_path, monkeypatch):
    """Result, absorber and plot are written; and it says so where the best end is no optimum."""
    written(tmp_path, SLAB)
    words = "design design.toml -o best.nc --starts 1".split()
    code, out, err = call(*words)
    assert code == 0, err
    assert "converged: 2 of 2 starts" in out and "no optimum" not in out
    assert load_dataset(tmp_path / "best.nc").attrs["best"] == 0
    assert Absorber.load(str(tmp_path / "best.toml")).formulas == ("Bi",)
    assert (tmp_path / "best.png").stat().st_size > 5_000
    stays = OptimizeResult(x=np.array([0.9]), success=True, nfev=1)
    monkeypatch.setattr(optimise, "minimize", lambda *args, **options: stays)
    code, out, err = call(*words)
    assert code == 0 and "converged: 0 of 2 starts\nthe best of them is no optimum" in out
    code, out, err = call(*words, "-n", "0.5")
    assert code == 2 and "-n" in err


def test_layers_that_do_not_count(tmp_path):
    """They are in every absorber that is tried, a gap too."""
    around = (
        '[[layers]]\nmaterial = "vacuum"\nthickness = 3\n[[layers]]\nmaterial = "Au"\nthickness = 1\ncounts = false\n'
    )
    problem = load(written(tmp_path, SLAB.replace("[minimise]", around + "[minimise]")))
    assert problem.absorber(("Bi", "vacuum", "Au"), problem.high).dead == (1, 2)
    assert problem.materials == (("Bi", "vacuum", "Au"), ("Au", "vacuum", "Au"))


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
        ('observable = "heat_capacity"', 'observable = "heat"', "must be one of"),
        ('observable = "heat_capacity"', "observable = []", "`minimise.observable` in .* must be text"),
        ('observable = "heat_capacity"', 'figure = "heat_capacity"', "unknown key `minimise.figure`"),
        ('observable = "heat_capacity"', "", "`minimise.observable` is missing"),
        ('width = "100 um"', 'width = "100 um"\nminimise = 3', "valid TOML"),
        ("at_least = 0.9", "at_least = 0.9\natmost = 1", "unknown key `constraints.0.atmost` in .* `at_most`"),
        ("at_least = 0.9", "at_least = 1.1", "at most 1, since interaction_probability is a probability"),
        ("at_least = 0.9", "at_least = true", "must be a number"),
        ("values = [0.8, 0.95]", "values = [0.8, 1.5]", "at most 1, since"),
        ("values = [0.8, 0.95]", "values = [0.8]\nvalue = 1", "unknown key `front.value`"),
        ("values = [0.8, 0.95]", "", "`front.values` is missing"),
        ("constraint = 0", "constraint = true", "`front.constraint` in .* must be a number, but is True"),
        ('"90 mK"', '"-1 K"', "`temperature` in .* must be positive, but is -1 K"),
        ('"90 mK"', '"0 K"', "`temperature` in .* must be positive"),
        ('["Bi", "Au"]', "7", "`layers.0.material` in .* must be text, but is 7"),
        ("[front]", "[specific_heat.Bi]\ngamma = 1\n[front]", "unknown key `specific_heat.Bi.gamma`"),
        (
            "[front]",
            "[specific_heat.Cu]\nlattice = 1\n[front]",
            "`specific_heat.Cu` must be of a material of",
        ),
        ("[front]", "[specific_heat]\nBi = 1\n[front]", "`specific_heat.Bi` in .* must be a table, but is 1"),
        ("[front]", "[specific_heat.Bi]\nelectron = -1\n[front]", "must be at least 0 J/mol/K.2, but is -1"),
        ("at_least = 0.9", "", "one of `at_least` and `at_most`"),
        ("at_least = 0.9", "at_least = -1", "must be positive"),
        ('energy = "7 keV"', "", "needs `energy`"),
        ('energy = "7 keV"', 'energy = "7 eV"', "within the tables"),
        ('["0.5 um", "20 um"]', '["20 um", "0.5 um"]', "must ascend"),
        ('["0.5 um", "20 um"]', '"2 um"', "at least one layer must have two bounds"),
        ('["0.5 um", "20 um"]', '["1 um", "2 um", "3 um"]', "a list of 1 to 2, but is"),
        ('["Bi", "Au"]', '["Bx"]', "element 'Bx'"),
        ('["Bi", "Au"]', '["Pb"]', "specific heat of Pb is not known"),
        ("constraint = 0", "constraint = 1", "number of a constraint"),
        ("values = [0.8, 0.95]", "values = []", "must be a list of 1 or more"),
        ('width = "100 um"', "", "`width` is missing"),
        ("[front]", "[front", "valid TOML"),
    ],
)
def test_bad_problems(tmp_path, old, new, sentence):
    assert old in SLAB
    with pytest.raises(ValueError, match=sentence):
        load(written(tmp_path, SLAB.replace(old, new, 1)))
