"""Counting: ledgers made by hand, each with a known place in the tally."""

import jax
import jax.numpy as jnp
import numpy as np

from xcal_jax.montecarlo.ledger import Ledger
from xcal_jax.montecarlo.tally import ENERGY_UNIT, Tally, book, book_absorbed, book_pixels
from xcal_jax.physics.geometry import Pixels

E = 7000.0
BIN = jnp.asarray(1.0)
THRESHOLDS = jnp.array([50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 3000.0, 5000.0])


def ledger(**columns):
    """Ledgers of equal length; what is not given is nothing."""
    n = len(next(iter(columns.values())))
    kinds = {"escapes": jnp.int32, "line": jnp.int32, "scattered": bool, "overflow": bool}
    default = {"line": -1}
    fields = {}
    for name in set(Ledger.__dataclass_fields__) - {"shares"}:
        fields[name] = jnp.asarray(columns.get(name, [default.get(name, 0)] * n), dtype=kinds.get(name, jnp.float32))
    return Ledger(**fields)


def booked(where=None, source_line=None, lines=2, **columns) -> Tally:
    photons = np.asarray(columns.get("by_photons", 0.0)) + np.asarray(columns.get("by_electrons", 0.0))
    columns.setdefault("deposited", list(np.atleast_1d(np.float32(E) - photons)))
    n = len(columns["deposited"])
    return book(
        Tally.empty(8192, lines, 5, thresholds=THRESHOLDS.size),
        ledger(**columns),
        jnp.full((n,), E),
        jnp.asarray(source_line or [0] * n, dtype=jnp.int32),
        jnp.asarray(where or [True] * n),
        BIN,
        THRESHOLDS,
    )


def test_kinds_of_loss():
    tally = booked(
        by_photons=[0, 2422.5, 0, 100.0, 1e-4],
        by_electrons=[0, 0, 300.25, 50.0, 0],
        escapes=[0, 1, 0, 1, 1],
        line=[-1, 3, -1, 2, 1],
    )
    names = ("interacting", "photon_escape", "electron_escape", "both", "scattered")
    assert [int(getattr(tally, name)) for name in names] == [5, 1, 1, 1, 0] and int(tally.partial) == 3
    assert np.flatnonzero(tally.peaks).tolist() == [3]
    assert {int(i): int(tally.spectrum[i]) for i in np.flatnonzero(tally.spectrum)} == {
        4577: 1,
        6699: 1,
        6850: 1,
        7000: 2,
    }
    assert np.asarray(tally.loss_above).tolist() == [3, 3, 2, 1, 1, 1, 0, 0]
    assert int(tally.overflow) == int(tally.unbalanced) == 0


def test_a_photon_that_is_only_deflected_has_not_interacted():
    """It leaves with all its energy: neither interacting nor partial, and balanced. Less than 1e-3 eV is nothing."""
    tally = booked(by_photons=[E, E - 2e-3, 0.0], escapes=[1, 1, 0], scattered=[True, True, False])
    assert (int(tally.interacting), int(tally.partial), int(tally.photon_escape)) == (2, 1, 1)
    assert int(tally.spectrum.sum()) == 2 and int(tally.spectrum[0]) == 1
    assert int(tally.unbalanced) == 0 and int(tally.loss_above[0]) == 1


def test_peaks_are_of_one_photon_and_nothing_else():
    """Two photons, an electron besides, a scattered photon, a scattering on the way, an electron that has come in from
    elsewhere: none is a peak.
    """
    tally = booked(
        by_photons=[2400.0] * 6,
        by_electrons=[0, 10.0, 0, 0, 0, -10.0],
        escapes=[2, 1, 1, 1, 1, 1],
        line=[3, 3, -1, 3, 4, 4],
        scattered=[False, False, True, True, False, False],
        source_line=[1] * 6,
    )
    assert int(tally.scattered) == 2
    assert np.argwhere(np.asarray(tally.peaks)).tolist() == [[1, 4]]


def test_only_where():
    tally = booked(where=[False, True, False], by_photons=[1000.0, 0.0, 10.0], escapes=[1, 0, 1], overflow=[1, 0, 0])
    assert int(tally.interacting) == 1 == int(tally.spectrum.sum()) and int(tally.photon_escape) == 0
    assert int(tally.overflow) == 0 and not np.any(tally.loss_above)


def test_faults_are_counted():
    tally = booked(deposited=[E, E - 1.0, E + 1.0, E * (1 + 1e-7)], overflow=[True, False, False, False])
    assert int(tally.overflow) == 1
    assert int(tally.unbalanced) == 2


def total(parts):
    return ENERGY_UNIT * sum(int(p) << (8 * byte) for byte, p in enumerate(np.asarray(parts)))


def test_energies_are_summed_exactly():
    """Sixty-fourths of an eV, byte by byte, without a float in the sum."""
    rng = np.random.default_rng(0)
    energy = np.concatenate([np.round(rng.uniform(0, 1e5, 5000) * 64) / 64, [1e6, 0.0, 1 / 64]]).astype(np.float32)
    tally = book_absorbed(Tally.empty(8, 1, 1), jnp.asarray(energy), jnp.ones(energy.shape, bool), jnp.asarray(1e6))
    assert total(tally.summed_deposit) + total(tally.summed_loss) == np.sum(energy.astype(np.float64))
    assert total(tally.summed_loss) == 0
    tally = booked(by_photons=[2422.5, 0, 0.25], by_electrons=[0, 100.0, 0], escapes=[1, 0, 1])
    assert total(tally.summed_loss) == 2522.75
    assert total(tally.summed_deposit) + total(tally.summed_loss) == 3 * E


def test_tallies_add():
    a, b = booked(by_photons=[100.0], escapes=[1], line=[1]), booked(by_electrons=[5000.5])
    both = booked(by_photons=[100.0, 0], by_electrons=[0, 5000.5], escapes=[1, 0], line=[1, -1])
    for x, y in zip(jax.tree.leaves(jax.tree.map(jnp.add, a, b)), jax.tree.leaves(both), strict=True):
        np.testing.assert_array_equal(x, y)


def test_bins():
    """A deposit on an edge belongs to the bin above it."""
    energy = jnp.asarray([0.0, 0.999, 1.0, 7.5])
    tally = book_absorbed(Tally.empty(4, 1, 1), energy, jnp.ones(4, bool), jnp.asarray(2.5))
    assert np.asarray(tally.spectrum).tolist() == [3, 0, 0, 1]


def test_pixels_have_what_is_theirs():
    """2 x 3 pixels, the central one is 4: three photons by hand, one more that does not count."""
    pixels = Pixels(BIN, BIN, 2, 3)
    tally = book_pixels(
        Tally.empty(8192, 1, 5, pixels),
        pixels,
        pixel=jnp.asarray([[4, 5, 1], [0, 4, -1], [2, -1, -1], [4, 3, 0]]),
        deposit=jnp.asarray([[4000.0, 2000.0, 500.0], [0.0, 7000.0, 0.0], [6999.5, 0.0, 0.0], [1.0, 1.0, 1.0]]),
        escaped=jnp.asarray([500.0, 0.0, 0.5, 0.0]),
        energy=jnp.full((4,), E),
        where=jnp.asarray([True, True, True, False]),
        bin_width=BIN,
    )
    found = tally.pixels
    assert int(tally.unbalanced) == 0
    assert found.hits.tolist() == [1, 0, 1, 0, 1, 0]
    assert found.counts.tolist() == [0, 1, 1, 0, 2, 1]
    energy = ENERGY_UNIT * sum(np.asarray(part, float) * 256.0**n for n, part in enumerate(found.deposited))
    assert energy.tolist() == [0.0, 500.0, 6999.5, 0.0, 11000.0, 2000.0]
    spectra = {
        name: {int(n): int(getattr(found, name)[n]) for n in np.flatnonzero(getattr(found, name))}
        for name in ("central", "caught", "summed")
    }
    assert spectra["central"] == {4000: 1, 7000: 1}
    assert spectra["caught"] == {500: 1, 2000: 1, 7000: 1}
    assert spectra["summed"] == {6500: 1, 6999: 1, 7000: 1}
    # with themselves two, with the pixel to the right, with the one below; the second leaves nothing where it hits
    assert found.coincidences.reshape(3, 5).tolist() == [[0, 0, 1, 0, 0], [0, 0, 2, 1, 0], [0, 0, 0, 0, 0]]
    assert int(found.shared) == 1
    assert ENERGY_UNIT * sum(int(part) << (8 * n) for n, part in enumerate(found.escaped)) == 500.5


def test_pixels_that_do_not_balance_are_told():
    pixels = Pixels(BIN, BIN, 2, 3)
    one = jnp.asarray([[4, 5]]), jnp.asarray([[4000.0, 2000.0]])
    for escaped, wrong in ((1000.0, 0), (1001.0, 1), (999.0, 1)):
        tally = book_pixels(
            Tally.empty(8192, 1, 5, pixels),
            pixels,
            *one,
            jnp.asarray([escaped]),
            jnp.asarray([E]),
            jnp.asarray([True]),
            BIN,
        )
        assert int(tally.unbalanced) == wrong


def test_arrays_by_name_come_back():
    for pixels in (None, Pixels(BIN, BIN, 2, 3)):
        tally = Tally.empty(16, 2, 5, pixels)
        arrays = tally.arrays()
        assert all(hasattr(array, "shape") for array in arrays.values())
        assert jax.tree.structure(Tally.from_arrays(arrays)) == jax.tree.structure(tally)
        assert ("pixels_hits" in arrays) == (pixels is not None)
