"""Names, units, uncertainties; the commands, and that bad input leaves one sentence and no file."""

import json
import os

import numpy as np
import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.sensitivity import facts_of, propagate, read_uncertainties, relative, scalars

NEEDED = {"interaction_probability", "partial", "photon_escape", "electron_escape", "mean_loss"}


def test_json(found, stack):
    facts = json.loads(json.dumps(facts_of(scalars(found, stack), found.parameters)))
    assert set(facts) == {"observables", "derivatives"}
    assert NEEDED <= set(facts["observables"]) == set(facts["derivatives"])
    assert set(facts["observables"]["partial"]) == {"value", "err"}
    slopes = facts["derivatives"]["mean_loss"]
    assert list(slopes)[:2] == ["thickness[0]", "thickness[1]"]
    units = {name: slope["unit"] for name, slope in slopes.items()}
    assert units["thickness[1]"] == "eV/um" and units["range"] == "eV" and units["density[0]"] == "eV/(g/cm3)"
    assert facts["derivatives"]["partial"]["yield"]["unit"] == "1"
    assert facts["derivatives"]["partial"]["energy"]["unit"] == "1/eV"
    assert facts["observables"]["mean_deposit"]["value"] == pytest.approx(
        7000 - facts["observables"]["mean_loss"]["value"]
    )
    assert any(name.startswith("peaks[Au M5") for name in facts["observables"])
    assert {f"interaction_by_layer[{n}]" for n in range(2)} <= set(facts["observables"])
    assert {f"loss_above[{threshold}]" for threshold in (1000, 3000)} <= set(facts["observables"])


def test_relative_sensitivities(found, stack):
    shares = relative(scalars(found, stack), found.parameters, Parameters.of(stack, 7000.0))
    value, _ = shares["photon_escape"]
    assert value[found.parameters.index("yield")] == pytest.approx(1.0, abs=0.03)
    value, error = shares["interaction_probability"]
    assert np.allclose(value[:2], value[2:4], rtol=1e-6) and np.allclose(error[:4], 0.0)


def test_uncertainties(found, stack, tmp_path):
    path = tmp_path / "u.toml"
    path.write_text('"thickness[1]" = "100 nm"\ndensity = "2 %"\nyield = 0.1\n')
    sigma = read_uncertainties(path, Parameters.of(stack, 7000.0))
    assert sigma["thickness[1]"] == pytest.approx(0.1) and sigma["yield"] == 0.1
    assert [sigma[f"density[{n}]"] for n in range(2)] == pytest.approx(list(0.02 * stack.density))
    observables = scalars(found, stack)
    total = propagate(observables, found.parameters, sigma)["interaction_probability"]
    slopes = found.derivative("interaction_probability")[0]
    parts = [abs(slopes[found.parameters.index(name)]) * s for name, s in sigma.items()]
    assert total["total"] == pytest.approx(np.sqrt(np.sum(np.square(parts))))
    assert total["by_parameter"]["yield"] == 0.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "at least one parameter"),
        ("thicknes = 1", "unknown key `thicknes` in .* is `thickness`"),
        ('"thickness[9]" = 1', "unknown key .thickness.9..*"),
        ('range = "-1 %"', "must be at least 0 %, but is -1 %"),
        ('range = "x %"', "must be a number"),
        ('density = "1 um"', "unit like"),
        ("range = nan", "finite"),
        ("range = [", "valid TOML"),
    ],
)
def test_bad_uncertainties(stack, tmp_path, text, sentence):
    path = tmp_path / "u.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_uncertainties(path, Parameters.of(stack, 7000.0))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("sensitivity xifu", "--energy"),
        ("sensitivity xifuu --energy 7keV", "nearest preset"),
        ("sensitivity xifu --energy 7um", "unit like eV"),
        ("sensitivity xifu --energy 1eV", "within the tables"),
        ("sensitivity xifu --energy 7keV --wrt thick", "'thick' is asked"),
        ("sensitivity xifu --energy 7keV --at 200um,0um", "impact x must be within"),
        ("sensitivity xifu --energy 7keV --at 0", "2 numbers"),
        ("sensitivity xifu --energy 7keV -n 0", "`n` must be at least 1"),
        ("sensitivity xifu --energy 7keV --electrons scattering", "thickness[0], density[0], range would be wrong"),
        ("sensitivity xifu --energy 7keV --electrons straight", "'straight' is not one of 'range', 'scattering'"),
        ("sensitivity xifu --energy 7keV --seed -1", "`seed` must be at least 0"),
        ("sensitivity xifu --energy 7keV --loss-above 50eV,x", "`--loss-above` must be a number with a unit like eV"),
        ("sensitivity xifu --energy 7keV --loss-above 50eV,50eV", "each threshold once"),
        ("sensitivity xifu --energy 7keV --uncertainties none.toml", "does not exist"),
        ("sensitivity xifu --energy 7keV --plot p.gif", "must end in one of"),
        ("design none.toml -o out.nc", "does not exist"),
        ("design none.toml -o none/out.nc", "folder must exist"),
        ("design none.toml -o out.toml", "output must end in one of .nc"),
        ("design out.toml -o out.nc", "must be another file than the input"),
        ("design none.toml -o out.nc --starts 0.5", "`--starts` must be a whole number"),
    ],
)
def test_bad_input(call, tmp_path, words, sentence):
    code, out, err = call(*words.split())
    assert code == 2 and out == "" and err.startswith("error: ") and len(err.strip().splitlines()) == 1
    assert sentence in err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("wrt", "model", "said"),
    [
        ("yield", "scattering", []),
        ("thickness[1]", "range", ["electrons go straight, as in the paper"]),
    ],
)
def test_full_physics_says_what_falls_back(monkeypatch, wrt, model, said):
    """Photons scatter as in the paper; electrons go straight where a derivative would be wrong: 0.05 um of gold."""
    from xcal_jax.expected import estimate as module
    from xcal_jax.expected.electrons import MODELS

    full = Absorber.build([("Bi", 2.0), ("Au", 0.05)], 60.0, 60.0, physics="full")
    used = []
    nothing = module.Estimate(None, None, (), ())
    monkeypatch.setattr(module, "run", lambda tables, *others: used.append(tables) or nothing)
    found = module.estimate(full, 7000.0, (wrt,))
    assert used[0].electrons is MODELS[model] and not used[0].matter.compton.ionises
    sentences = ["Compton scattering is the paper's", "Rayleigh scattering is left out", *said]
    assert len(found.notes) == len(sentences)
    assert all(sentence in text for sentence, text in zip(sentences, found.notes, strict=True))
