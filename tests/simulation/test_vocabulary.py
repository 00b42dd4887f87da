"""The vocabulary: one name, unit and text for each quantity, in results, tallies, summaries and sensitivities."""

from dataclasses import fields

import pytest

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.expected.observables import Observables
from xcal_jax.expected.sensitivity import SCALARS
from xcal_jax.montecarlo.tally import PixelTally, Tally
from xcal_jax.plot.expected import SHOWN
from xcal_jax.plot.response import COLOURS
from xcal_jax.response.components import NEEDED
from xcal_jax.simulation.results import ESCAPES, summary
from xcal_jax.simulation.simulate import simulate
from xcal_jax.simulation.vocabulary import VOCABULARY, count, error, fraction, fraction_error, title, variable

ARRAY = {"rows": 1, "columns": 2, "pitch": 30.0}


@pytest.fixture(scope="module")
def result():
    return simulate(Absorber.build([("Bi", 1.0)], 20.0, 20.0, array=ARRAY), 7000.0, n=1024, lanes=1024)


def test_variables_of_a_result_are_of_the_vocabulary(result):
    assert set(result.data_vars) <= set(VOCABULARY)
    for name, found in result.data_vars.items():
        about = VOCABULARY[name]
        assert found.attrs == {"units": about.unit, "long_name": about.counted or about.long_name}


def test_tallies_and_expected_observables_have_its_words():
    booked = {field.name for field in fields(Tally)} - {"overflow", "unbalanced", "pixels", "dead"}
    assert booked <= set(VOCABULARY)
    assert {field.name for field in fields(Observables)} <= set(VOCABULARY)
    assert {f"pixel_{name}" for name in ("hits", "counts")} <= set(VOCABULARY)
    assert {"coincidences", "shared", "escaped"} <= set(VOCABULARY) & {field.name for field in fields(PixelTally)}


def test_summaries_and_sensitivities_have_its_words(result):
    told = {
        "absorber",
        "models",
        "compared",
        "outside",
        "electrons",
        "compton",
        "rayleigh",
        "yields",
        "trapping",
        "energy",
        "n",
        "seed",
        "version",
        "atomic_tables",
        "complete",
    }
    measured = {name.removesuffix("_err") for name in summary(result)} - told - {"array"}
    assert measured <= set(VOCABULARY) and {*ESCAPES, "partial", "loss_above", "mean_deposit"} <= measured
    assert {*SCALARS, *SHOWN, *COLOURS} | set(NEEDED) - {"deposited_fraction"} <= set(VOCABULARY)


def test_every_name_has_its_own_words():
    assert len({about.long_name for about in VOCABULARY.values()}) == len(VOCABULARY)
    for about in VOCABULARY.values():
        assert about.unit in ("1", "eV", "eV^2", "pJ/K", "um")
    assert all(title(name) for name in (*SCALARS, *ESCAPES, "scattered", "loss_above", "peaks"))


def test_a_count_a_fraction_and_an_error_say_what_they_are():
    assert count("both", (), 3).attrs["long_name"] == "photons that lose energy by photons and electrons"
    assert (
        variable("both", (), 0.3).attrs["long_name"].startswith("fraction of interacting photons that lose energy by")
    )
    assert error("mean_loss", (), 0.1).attrs == {"units": "eV", "long_name": "standard error of mean_loss"}
    assert (fraction(1, 4), fraction_error(1, 4)) == (0.25, (0.25 * 0.75 / 4) ** 0.5)
    assert fraction(0, 0) != fraction(0, 0)
