"""How spectra are drawn: bins with few counts together, peaks alone, nothing lost."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from xcal_jax.plot.results import merged


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_bins_are_drawn_together_until_they_hold_enough(counts):
    counts, least = np.array(counts), 16
    begins = merged(counts, least)
    ends = np.append(begins[1:], counts.size)
    held = np.add.reduceat(counts, begins)
    assert begins[0] == 0 and (np.diff(begins) > 0).all() and held.sum() == counts.sum()
    for begin, end, count in zip(begins, ends, held, strict=True):
        assert counts[begin : end - 1].sum() < least  # no run goes on when it has enough
        if count < least and end < counts.size:
            assert counts[end] >= least  # a run ends early only before a bin that has enough


def test_a_peak_is_drawn_alone():
    np.testing.assert_array_equal(merged(np.array([1, 2, 0, 90, 1, 3]), 16), [0, 3, 4])
