"""Objects that show themselves: the accessor of results, and the drawing of an absorber."""

from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import norm

import xcal_jax as xcal


@pytest.fixture(scope="module")
def result():
    return xcal.simulate("xifu", "7 keV", n=100_000)


def test_a_result_says_what_it_is(result):
    assert result.xcal.summary() == xcal.summary(result)
    assert "partial deposition" in repr(result.xcal)
    table = result.xcal.peaks()
    assert table.line[0] == "Bi M5-N7" and table.intensity.is_monotonic_decreasing


@pytest.mark.parametrize("width", ["5 eV", 64, "1 keV", 1.0])
def test_wider_bins_hold_the_same_counts(result, width):
    wide = result.xcal.rebin(width)
    many = wide.energy.attrs["bin_width"]
    counts = np.add.reduceat(result.spectrum.values, np.arange(0, result.sizes["energy"], int(many)))
    np.testing.assert_array_equal(wide.spectrum, counts)
    assert wide.spectrum.attrs == result.spectrum.attrs and wide.attrs == result.attrs
    assert xcal.summary(wide) == xcal.summary(result)


@pytest.mark.parametrize("width", ["0.5 eV", 1.5, 0.0])
def test_other_bins_are_refused(result, width):
    with pytest.raises(ValueError, match="`width` must be a multiple of the bins' 1 eV"):
        result.xcal.rebin(width)


def test_a_spectrum_through_a_detector_keeps_its_counts_and_has_its_width(result):
    seen = xcal.simulation.rebin.seen(result, "20 eV")
    assert float(seen.spectrum.sum()) == pytest.approx(int(result.spectrum.sum()), rel=1e-6)
    whole = int(result.spectrum.values[-1])  # a line without width, here at the end of its bin
    far = float(seen.spectrum.sel(energy=slice(7000 + 44, None)).sum())
    assert far == pytest.approx(whole * norm.sf(43.5, scale=20.0 / 2.3548), rel=0.1)  # 5.2 sigmas
    peak = seen.spectrum.sel(energy=slice(6900, None))
    half = peak.energy.values[peak.values > 0.5 * peak.values.max()]
    assert half.size == pytest.approx(20, abs=1)
    with pytest.raises(ValueError, match="`fwhm` must be positive"):
        result.xcal.plot(fwhm="0 eV")


def test_a_plot_has_the_spectrum(result):
    figure = result.xcal.plot(fwhm="20 eV")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log" and len(axes.patches) == 1


def test_an_absorber_draws_its_layers():
    absorber = xcal.Absorber.build([("Au", 0.04), ("Bi", "5.15 um")], 269.5, 269.5, name="<mine>")
    page = absorber._repr_html_()
    ElementTree.fromstring(page)  # well-formed
    assert page.count("<rect") == 2 and "&lt;mine&gt;" in page and "5.15 µm" in page
    areal = 1e3 * 5.15e-4 * float(absorber.density[1])
    assert f"{areal:.4g} mg/cm²" in page
    assert f"{100 * float(xcal.quantum_efficiency(absorber, '7 keV')):.2f} % at 7 keV" in page


def test_an_absorber_that_is_traced_has_a_repr():
    from jax import vmap

    shown = []
    vmap(lambda absorber: shown.append(repr(absorber)) or absorber.width, in_axes=(0,))(
        xcal.Absorber(*(np.ones((2, 1)),) * 2, np.ones(2), np.ones(2), ("Au",))
    )
    assert shown[0].startswith("<Absorber 'absorber': Au")
