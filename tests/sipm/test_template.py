import numpy as np
import pytest

from xcal_jax.sipm import build_spectra, build_template
from xcal_jax.sipm.template import peak_end, template_rows


def peaked(scale=1.0, background=1000.0):
    x = np.arange(1.0, 129)
    return np.round(scale * 1e5 * np.exp(-0.5 * ((x - 30) / 3) ** 2) + background)


def test_every_variable_has_units_and_a_name(small):
    for data in small:
        for name, variable in data.variables.items():
            if name != "time":
                assert "units" in variable.attrs, name
            assert "long_name" in variable.attrs, name


def test_template_replaces_the_noise_peak():
    template = build_template(build_spectra(peaked(), 100.0, readout="ch0", satellite="X"))
    end = int(template["peak_end"][0])
    assert 40 < end < 48
    rate = template["rate"].values[0]
    np.testing.assert_array_equal(rate[: end - 1], rate[end - 1])
    np.testing.assert_allclose(rate[end:], peaked()[end:] / 100)
    assert len(template["checksum"].item()) == 64
    by_hand = build_template(build_spectra(peaked(), 100.0, readout="ch0"), end=50)
    assert int(by_hand["peak_end"][0]) == 50


@pytest.mark.parametrize("scale", [1, 4])
def test_a_peak_ends_on_a_falling_continuum(scale):
    """Where the noise is 1 % of a continuum that falls on by a factor e every 25 channels, not where that ends."""
    x, rng = np.arange(1.0, 256 * scale + 1) / scale, np.random.default_rng(1)
    noise, quiet = 3e5 * np.exp(-0.5 * ((x - 22) / 3) ** 2) / scale, 1000 * np.exp(-(x - 40) / 25) / scale
    foot = int(np.argmax((x > 22) & (noise < 0.01 * quiet)))
    for _ in range(20):
        assert abs(peak_end(rng.poisson(noise + quiet).astype(float)) - foot) < 4 * scale


def test_the_end_of_a_peak_without_end():
    with pytest.raises(ValueError, match="never does"):
        peak_end(1e6 * 0.5 ** np.arange(20.0))


def test_templates_belong_to_a_bias():
    """A spectrum at another bias than its template's is refused, not measured against the wrong one."""
    early = build_spectra([peaked(), peaked(2.0)], 100.0, readout="ch0", bias=[178.0, 160.0])
    both = build_template(early)
    assert both["bias"].values.tolist() == [160, 178]
    late = build_spectra([peaked(3.0)] * 3, 100.0, readout="ch0", bias=[178.0, 160.0, 178.0])
    assert template_rows(late, both).tolist() == [1, 0, 1]
    one = both.isel(template=[1])
    with pytest.raises(ValueError, match="must be of ch0 at bias 160 as the spectra, but is of ch0 at bias 178"):
        template_rows(late, one)
    unknown = build_template(build_spectra(peaked(), 100.0, readout="ch0"))
    assert template_rows(late.isel(spectrum=[0]), unknown).tolist() == [0]
    with pytest.raises(ValueError, match=r"must be of ch0 at bias 160 as the spectra, but is of ch0$"):
        template_rows(late, unknown)


def test_templates_sum_the_spectra_of_a_readout():
    two = build_spectra([peaked(), peaked()], 100.0, readout="ch0")
    one = build_spectra(peaked() * 2, 200.0, readout="ch0")
    np.testing.assert_allclose(build_template(two)["rate"], build_template(one)["rate"])
