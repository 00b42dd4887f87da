import numpy as np
import pytest

from xcal_jax.spectra import build_spectra, select, stack


def test_stacks_weight_as_they_say():
    counts, exposure = np.array([[100.0] * 8, [300.0] * 8]), np.array([10.0, 20.0])
    both = build_spectra(counts, exposure)
    np.testing.assert_allclose(stack(both)["rate"], 400 / 30)
    np.testing.assert_allclose(stack(both)["rate_error"], 20 / 30)
    inverse = np.array([100 / 100, 400 / 300])
    mean = np.array([10, 15]) @ inverse / inverse.sum()
    weighted = stack(both, "variance")
    np.testing.assert_allclose(weighted["rate"], mean)
    np.testing.assert_allclose(weighted["rate_error"], inverse.sum() ** -0.5)
    with pytest.raises(ValueError, match="weights"):
        stack(both, "equal")


def test_select(archive):
    chosen = select(archive, "ch0")
    assert chosen.sizes == {**archive.sizes, "spectrum": 4}
    np.testing.assert_array_equal(chosen["counts"], archive["counts"][::2])
    with pytest.raises(ValueError, match="one of ch0, ch1, but is 'ch7'"):
        select(archive, "ch7")


def test_every_variable_has_units_and_a_name(archive):
    for name, variable in archive.variables.items():
        assert "long_name" in variable.attrs, name
        assert "units" in variable.attrs or name == "time", name
