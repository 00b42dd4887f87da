"""The tail of trapped heat: closed forms, thrown dice, and nothing where it is off."""

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from scipy import integrate, stats

from xcal_jax import Absorber, load, merge, simulate
from xcal_jax.io.datasets import save
from xcal_jax.response.matrix import peaks_in_channels
from xcal_jax.simulation.results import summary
from xcal_jax.simulation.trapping import Trapping, trapped

TAIL = Trapping(0.2, 12.0)


@pytest.fixture(scope="module")
def result():
    return simulate(Absorber.preset("gold"), 3000.0, n=20_000)


def test_quantities_are_read():
    assert Trapping.build("0.05:12eV") == Trapping(0.05, 12.0)
    assert Trapping.build(" 1 : 0.5 keV") == Trapping(1.0, 500.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.05", "FRACTION:SCALE"),
        ("0.05:12:1", "FRACTION:SCALE"),
        ("x:12", "fraction"),
        ("1.1:12", "at least 0 and at most 1"),
        ("-0.1:12", "at least 0 and at most 1"),
        ("nan:12", "finite"),
        ("0.1:0", "positive"),
        ("0.1:-3eV", "positive"),
        ("0.1:3um", "scale"),
    ],
)
def test_nonsense_is_refused(call, text, words):
    for command in (("simulate", "gold", "--energy", "3keV"), ("rmf", "gold")):
        code, _, err = call(*command, "--trapping", text, "-o", "out.nc" if "simulate" in command else "out.rmf")
        assert code == 2 and words in err and err.count("\n") == 1


@pytest.mark.parametrize("width", [0.1, 1.0, 30.0])
def test_spread_is_the_exponential_averaged_over_a_bin(width):
    """One full bin, against the integral; its sum stays, and its mean moves by fraction x scale."""
    counts = np.zeros(4000)
    counts[3000] = 1.0
    after = TAIL.spread(counts, width)
    place = np.arange(counts.size) * width
    if 3000 * width > 30 * TAIL.scale:
        assert after.sum() == pytest.approx(1.0, abs=1e-12)
        assert (after - counts) @ place == pytest.approx(-TAIL.fraction * TAIL.scale, rel=1e-9)
    lost = stats.expon(scale=TAIL.scale).cdf
    for k in (0, 1, 2, 5):
        share = (
            integrate.quad(lambda x, k: lost(x + k * width) - lost(x + (k - 1) * width), 0.0, width, (k,))[0] / width
        )
        assert after[3000 - k] == pytest.approx(TAIL.fraction * share + (0.8 if k == 0 else 0.0), rel=1e-9)


def test_a_peak_with_a_tail_against_dice(chi_square):
    """Uniform in its row, Gaussian, and some of it trapped; without a tail it is the peak alone."""
    rng = np.random.default_rng(5)
    n, channels = 10**6, np.arange(900.0, 1040.0, 2.0)
    energy = rng.uniform(997.0, 1002.0, n) + rng.normal(0.0, 1.5, n)
    energy -= np.where(rng.random(n) < TAIL.fraction, rng.exponential(TAIL.scale, n), 0.0)
    args = [np.array([v]) for v in (997.0, 1002.0, 1.5, 1.0)]
    share = peaks_in_channels(*args, channels, TAIL)
    counts = np.histogram(energy, channels)[0]
    chi_square(np.append(counts, n - counts.sum()), np.append(np.maximum(share, 0.0), 1.0 - share.sum()))
    bare = peaks_in_channels(*args, channels)
    np.testing.assert_allclose(peaks_in_channels(*args, channels, Trapping(0.0, 12.0)), bare, atol=1e-15)
    np.testing.assert_allclose(peaks_in_channels(*args, channels, Trapping(0.2, 1e-4)), bare, atol=1e-4)


def test_only_the_spectrum_of_a_result_changes(result):
    after = trapped(result, TAIL)
    assert float(after.spectrum.sum()) == pytest.approx(float(result.spectrum.sum()))
    assert float(after.spectrum[-1]) < 0.85 * float(result.spectrum[-1])
    xr.testing.assert_identical(after.drop_vars("spectrum").drop_attrs(), result.drop_vars("spectrum").drop_attrs())
    assert summary(after)["trapping"] == "0.2 of the events lose 12 eV on average"
    assert summary(result)["trapping"] is None
    with pytest.raises(ValueError, match="before trapping"):
        trapped(after, TAIL)
    other = simulate(Absorber.preset("gold"), 3000.0, n=20_000, seed=2)
    with pytest.raises(ValueError, match="same trapping"):
        merge(after, other)
    both = merge(after, trapped(other, TAIL))
    np.testing.assert_allclose(both.spectrum, trapped(merge(result, other), TAIL).spectrum, rtol=1e-12, atol=1e-9)


def test_no_deposit_falls_below_zero(result):
    after = trapped(result, Trapping(1.0, 1e5))
    assert float(after.spectrum.sum()) == pytest.approx(float(result.spectrum.sum()))
    assert float(after.spectrum[0]) > 0.9 * float(after.spectrum.sum())


def test_simulate_and_show(call, result, tmp_path):
    words = ("simulate", "gold", "--energy", "3keV", "-n", "20000", "--trapping", "0.2:12eV", "-o", "out.nc")
    assert call(*words)[0] == 0
    np.testing.assert_array_equal(load(tmp_path / "out.nc").spectrum, trapped(result, TAIL).spectrum)
    code, out, _ = call("show", "out.nc")
    assert code == 0 and "spectrum only  0.2 of the events lose 12 eV on average" in out
    save(result, tmp_path / "bare.nc")
    assert "trapping" not in call("show", "bare.nc")[1]
    code, _, err = call(*words, "--events", "e.nc")
    assert code == 2 and "exclude each other" in err


def test_matrix(call, tmp_path):
    """Rows keep adding up to one; the mean measured energy falls by fraction x scale."""
    words = ("rmf", "gold", "--fwhm", "5eV", "--grid", "2.9:3.1:20eV", "--channels", "0.1:3.3:1eV", "-n", "20000")
    mean = []
    for name, more in (("bare.rmf", ()), ("tail.rmf", ("--trapping", "0.2:12eV"))):
        assert call(*words, *more, "-o", name)[0] == 0
        with fits.open(tmp_path / name) as file:
            row, bounds = file["MATRIX"].data[5], file["EBOUNDS"].data
            middle = 500.0 * (bounds["E_MIN"].astype(float) + bounds["E_MAX"])
            assert row["MATRIX"].sum(dtype=float) == pytest.approx(1.0, abs=1e-6)
            mean.append(row["MATRIX"].astype(float) @ middle[row["F_CHAN"] - 1 :][: row["N_CHAN"]])
            assert ("Trapping: 0.2 of the events" in str(file["MATRIX"].header["HISTORY"])) is bool(more)
    assert mean[1] - mean[0] == pytest.approx(-TAIL.fraction * TAIL.scale, abs=0.02)
