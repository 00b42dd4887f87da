from datetime import datetime

import numpy as np
import pytest

from xcal_jax.spectra import build_spectra, select, stack
from xcal_jax.spectra.times import utc


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


@pytest.mark.parametrize("time", ["1677-12-31T23:59:59", "2262-01-01", "9999-12-31"])
def test_times_that_64_bits_of_nanoseconds_do_not_reach(time):
    for given in (time, np.datetime64(time, "us"), datetime.fromisoformat(time)):
        with pytest.raises(ValueError, match=rf"`time` must be of the years 1678 to 2261, but spectrum 0 has {time}"):
            build_spectra([1.0, 2.0], 1.0, given)
    with pytest.raises(ValueError, match=f"a time must be of the years 1678 to 2261, but is '{time}'"):
        utc(time)


@pytest.mark.parametrize("time", ["1678-01-01T00:00:00.000000001", "2261-12-31T23:59:59.999999999"])
def test_times_at_the_ends_are_kept(time):
    assert build_spectra([1.0], 1.0, time)["time"].values[0] == np.datetime64(time) == utc(time)
