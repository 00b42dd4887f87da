"""Runs: the paper's numbers, the same histories whatever the blocks, event rows that add up to the tally.

Au / Bi / Au stacks of other thicknesses share one compiled program, and so do spectra of up to 8192 bins.
"""

import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import xarray as xr
from scipy.special import expn

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import load_element
from xcal_jax.montecarlo.batch import ELECTRON_ESCAPED, PASSED, PHOTON_ESCAPED, SCATTERED
from xcal_jax.simulation.loss_thresholds import LOW, loss_thresholds
from xcal_jax.simulation.results import ESCAPES, partial_count, summary
from xcal_jax.simulation.simulate import MOST_PHOTONS, simulate

XIFU = Absorber.preset("xifu")


@cache
def uniform(energy, n=10**7, seed=1):
    return simulate(XIFU, energy, n=n, seed=seed, bin_width=0.5 if energy == 3000 else 1.0)


@cache
def corner(place, n=2 * 10**6):
    return simulate(XIFU, Source.build(7000.0, at=(place, place)), n=n)


@pytest.mark.parametrize("n", [10**6, 10**7])
@pytest.mark.parametrize(
    ("energy", "percent", "error"), [(3000.0, 1.719, 0.004), (5000.0, 0.995, 0.003), (7000.0, 0.860, 0.003)]
)
def test_partial_deposition(energy, percent, error, n):
    """Lorenz et al. 2022, with the clean-room numbers of this project: 3 % + 3 standard errors."""
    s = summary(uniform(energy, n))
    assert s["n"] == n == s["interacting"]
    limit = 0.03 * percent + 3 * np.hypot(error, 100 * s["partial_err"])
    assert abs(100 * s["partial"] - percent) < limit
    assert s["partial"] == pytest.approx(s["photon_escape"] + s["electron_escape"] + s["both"])


@pytest.mark.parametrize(
    ("place", "percent", "error"), [(134.62, 7.57, 0.02), (134.7, 40.14, 0.04), (134.749, 91.92, 0.02)]
)
def test_partial_deposition_at_the_corner(place, percent, error):
    s = summary(corner(place))
    assert abs(100 * s["partial"] - percent) < 0.03 * percent + 3 * np.hypot(error, 100 * s["partial_err"])


def test_escape_by_kind():
    """At 7 keV photons escape in 0.210 %, electrons in 0.655 % of events."""
    s = summary(uniform(7000.0))
    assert 100 * (s["photon_escape"] + s["both"]) == pytest.approx(0.210, rel=0.04)
    assert 100 * (s["electron_escape"] + s["both"]) == pytest.approx(0.655, rel=0.04)


PEAKS = [
    ("Bi", "M5", "N7", 4582, 8.1e-4),
    ("Bi", "M4", "N6", 4476, 5.8e-4),
    ("Au", "M5", "N7", 4881, 2.0e-4),
    ("Au", "M4", "N6", 4797, 1.3e-4),
]


@pytest.mark.parametrize(("symbol", "upper", "lower", "energy", "intensity"), PEAKS)
def test_escape_peaks(symbol, upper, lower, energy, intensity):
    """The four main peaks at 7 keV. The published places are those of EADL's bindings; ours of measured edges."""
    edge = {s.label: s.binding for s in load_element(symbol).subshells}
    eadl = {s.label: s.eadl_binding for s in load_element(symbol).subshells}
    assert 7000 - (eadl[upper] - eadl[lower]) == pytest.approx(energy, abs=1)
    result = uniform(7000.0)
    peaks = {peak["line"]: peak for peak in summary(result)["peaks"]}
    peak = peaks[f"{symbol} {upper}-{lower}"]
    assert peak["energy"] == pytest.approx(7000 - (edge[upper] - edge[lower]), abs=1e-3)
    assert abs(peak["intensity"] - intensity) < 0.05 * intensity + 3 * peak["intensity_err"] + 0.05e-4
    assert peak["intensity_err"] == pytest.approx(np.sqrt(peak["intensity"] / 1e7), rel=1e-3)
    found = float(result.spectrum.sel(energy=np.floor(peak["energy"]))) / 1e7
    assert found == pytest.approx(peak["intensity"], rel=0.05)


def test_yields_are_a_choice(agrees):
    """M5 vacancies of Bi send out fewer photons by Krause's yields than by EADL's; nothing else of the peak changes."""
    share = {}
    for yields in ("eadl", "krause"):
        result = simulate(XIFU, 7000.0, n=4 * 10**6, yields=yields)
        assert summary(result)["yields"] == yields
        share[yields] = next(p for p in summary(result)["peaks"] if p["line"] == "Bi M5-N7")
    expected = [{s.label: s.fluorescence_yield for s in load_element("Bi", yields).subshells}["M5"] for yields in share]
    ratio = share["krause"]["intensity"] / share["eadl"]["intensity"]
    error = ratio * np.hypot(*(p["intensity_err"] / p["intensity"] for p in share.values()))
    agrees(ratio, expected[1] / expected[0], error)
    assert ratio < 1 - 3 * error


def test_peaks_come_by_intensity():
    names = [p["line"] for p in summary(uniform(7000.0))["peaks"]]
    assert names[:4] == ["Bi M5-N7", "Bi M4-N6", "Au M5-N7", "Au M4-N6"]


def test_sums_close():
    """Every count is in its place: bins, losses, energies."""
    result = uniform(7000.0)
    n = int(result.interacting)
    assert int(result.spectrum.sum()) == n
    lost = int(partial_count(result))
    assert int(result.spectrum[7000]) == n - int(result.spectrum[:7000].sum())
    assert abs(int(result.spectrum[:7000].sum()) - lost) <= 2  # losses below half a unit of float32 stay in the bin
    assert np.all(np.diff(result.loss_above) <= 0) and int(result.loss_above[0]) <= lost
    assert float(result.incident) == pytest.approx(7000.0 * n, rel=1e-7)
    middle = result.energy.values + 0.5
    assert float(result.summed_loss) == pytest.approx(float(np.sum((7000.5 - middle) * result.spectrum)), rel=2e-3)
    for least, count in zip(result.threshold.values, result.loss_above.values, strict=True):
        assert count == pytest.approx(int(result.spectrum[: int(7000 - least)].sum()), abs=300, rel=2e-3)


def test_interaction_probability():
    assert 0.902 < summary(uniform(7000.0))["interaction_probability"] < 0.903


@pytest.mark.slow
@pytest.mark.parametrize("beam", [{"angle": 45.0}, {"angle": 70.0}, {"isotropic": True}])
def test_quantum_efficiency_at_an_angle_is_the_closed_form(beam, agrees):
    """1 - exp(-tau / cos) of a wide slab; 1 - E2(tau) for light from the whole sky."""
    n, slab = 1_000_000, Absorber.build([("Bi", 5.15, 9.78)], 1e5, 1e5, physics="paper")
    depth = -np.log1p(-float(quantum_efficiency(slab, 12_000.0)))
    inclined = 1.0 - np.exp(-depth / np.cos(np.deg2rad(beam.get("angle", 0.0))))
    expected = 1.0 - expn(2, depth) if "isotropic" in beam else inclined
    result = simulate(slab, Source.build(12_000.0, forced=False, **beam), n=n)
    agrees(int(result.interacting) / n, expected, np.sqrt(expected * (1.0 - expected) / n))


@pytest.mark.slow
def test_free_photons_interact_as_often_as_forced_ones_say(agrees):
    free = summary(simulate(XIFU, Source.build(7000.0, forced=False), n=10**6))
    p = quantum_efficiency(XIFU, [7000.0])[0]
    assert free["n"] == 10**6
    agrees(free["interaction_probability"], p, np.sqrt(p * (1 - p) / 1e6))
    forced = summary(uniform(7000.0))
    agrees(free["partial"], forced["partial"], np.hypot(free["partial_err"], forced["partial_err"]))


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [2**12])
def test_blocks_do_not_matter(lanes):
    """Same seed, any batch size: identical Datasets, the last block filled in part."""
    n = 300_001
    xr.testing.assert_identical(simulate(XIFU, 7000.0, n=n), simulate(XIFU, 7000.0, n=n, lanes=lanes))


def test_seeds_matter(agrees):
    one, two = uniform(7000.0, 10**6), uniform(7000.0, 10**6, seed=2)
    assert not one.spectrum.equals(two.spectrum)
    assert not simulate(XIFU, 7000.0, n=10**6, seed=1 + 2**32).spectrum.equals(one.spectrum)
    a, b = summary(one), summary(two)
    agrees(a["partial"], b["partial"], np.hypot(a["partial_err"], b["partial_err"]))


def test_loss_thresholds_are_the_users():
    """The same counts at the same thresholds, whatever others there are; in no order, as many as wanted."""
    source = Source.build(7000.0, at=(134.7, 0.0))
    usual, own, none = (simulate(XIFU, source, n=20_000, loss_above=of) for of in (None, (1000.0, 75.0, 50.0), ()))
    assert usual.threshold.values.tolist() == list(LOW) and own.threshold.values.tolist() == [50.0, 75.0, 1000.0]
    for threshold in (50.0, 1000.0):
        assert int(own.loss_above.sel(threshold=threshold)) == int(usual.loss_above.sel(threshold=threshold)) > 0
    assert list(summary(own)["loss_above"]) == ["50", "75", "1000"] and summary(none)["loss_above"] == {}
    xr.testing.assert_equal(own.spectrum, usual.spectrum)


@pytest.mark.parametrize(
    ("energy", "more"),
    [
        (100.0, []),
        (12_000.0, []),
        (14_000.0, []),
        (15_000.0, [10]),
        (30_000.0, [10, 20]),
        (1e6, [10, 20, 50, 100, 200, 500]),
    ],
)
def test_default_loss_thresholds_reach_as_far_as_the_energy(energy, more):
    assert loss_thresholds(None, energy) == (*LOW, *(1000.0 * kev for kev in more))


@pytest.mark.parametrize("given", [(0.0,), (-1.0,), (50.0, np.nan), (np.inf,), (50.0, 100.0, 50.0)])
def test_bad_loss_thresholds(given):
    with pytest.raises(ValueError, match="`loss_above` must"):
        simulate(XIFU, 7000.0, n=10, loss_above=given)


def test_events_are_the_tally():
    """Rows photon by photon give the counts, the spectrum and the losses of the same run."""
    n = 200_000
    rows = []
    source = Source.build(7000.0, at=(134.7, 0.0))
    result = simulate(XIFU, source, n=n, on_events=rows.append)
    alone = [name for name, column in vars(rows[0]).items() if column is not None]
    rows = {name: np.concatenate([getattr(r, name) for r in rows]) for name in alone}
    assert all(column.shape == (n,) for column in rows.values())
    lost = rows["energy"] - rows["deposited"]
    photon, electron = rows["loss_type"] & PHOTON_ESCAPED > 0, rows["loss_type"] & ELECTRON_ESCAPED > 0
    masks = photon & ~electron, electron & ~photon, photon & electron
    for name, mask in zip(ESCAPES, masks, strict=True):
        assert int(result[name]) == np.sum(mask & (lost > 1e-3)), name
    assert int(result.scattered) == np.sum((rows["loss_type"] & SCATTERED > 0) & (lost > 1e-3))
    counts = np.bincount(np.floor(rows["deposited"]).astype(int), minlength=result.energy.size)
    np.testing.assert_array_equal(counts, result.spectrum)
    assert np.all(rows["deposited"] >= 0) and np.all(lost >= 0)
    assert not np.any(rows["loss_type"] & PASSED)
    assert np.all(rows["x"] == np.float32(134.7)) and np.all(rows["y"] == 0)
    assert np.all((rows["z"] <= 0) & (rows["z"] >= -6.4101))
    np.testing.assert_array_equal((rows["loss_type"] & ~SCATTERED) > 0, lost > 0)


@pytest.mark.exhaustive
def test_events_of_free_photons():
    rows = []
    result = simulate(XIFU, Source.build(20_000.0, forced=False), n=100_000, bin_width=4.0, on_events=rows.append)
    passed = rows[0].loss_type == PASSED
    assert np.sum(~passed) == int(result.interacting)
    assert np.all(rows[0].deposited[passed] == 0)
    assert np.all(np.isnan(rows[0].x[passed])) and not np.any(np.isnan(rows[0].x[~passed]))


def bismuth(*thickness):
    return Absorber.build([("Bi", t) for t in thickness], 269.5, 269.5)


def test_one_layer_cut_in_two(agrees):
    """Wherever the cut is, and whether it is a layer or two: the same shares."""
    found = [summary(simulate(bismuth(*t), 7000.0, n=10**6)) for t in ((1e-3, 4.999), (2.5, 2.5), (5.0,))]
    for s in found[:2]:
        for name in ("partial", "photon_escape", "electron_escape", "mean_deposit"):
            share = found[2]["partial"]
            error = np.sqrt(2 * share * (1 - share) / 1e6) * (7000 if name == "mean_deposit" else 1)
            agrees(s[name], found[2][name], error)
        assert s["interaction_probability"] == pytest.approx(found[2]["interaction_probability"], rel=1e-9)


def test_gold_above_its_l3_edge():
    """At 12 keV the partial fraction jumps."""
    below, above = (summary(simulate(XIFU, e, n=500_000, bin_width=2.0)) for e in (11_900.0, 11_950.0))
    assert above["partial"] > 1.2 * below["partial"]
    assert any(p["line"].startswith("Au L3") for p in above["peaks"][:3])
    assert not any(p["line"].startswith("Au L3") for p in below["peaks"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "energy", "rayleigh"),
    [
        pytest.param([("HgTe", 8.0, 8.1)], 32_500.0, False, id="Te K in HgTe", marks=pytest.mark.exhaustive),
        pytest.param([("Au", 20.0)], 90_000.0, True, id="Au K with Rayleigh"),
        pytest.param([("Au", 0.1), ("Bi", 0.4)] * 10, 7000.0, False, id="20 layers", marks=pytest.mark.exhaustive),
        pytest.param([("SiO2", 1.0), ("Be", 3.0), ("B", 1.0)], 1000.0, True, id="light", marks=pytest.mark.exhaustive),
    ],
)
def test_other_stacks_run_and_balance(layers, energy, rayleigh):
    """No overflow and no history out of balance: `simulate` raises otherwise."""
    absorber = Absorber.build(layers, 300, 300, rayleigh=rayleigh)
    result = simulate(absorber, energy, n=2**15, lanes=2**14, bin_width=energy / 8000)
    s = summary(result)
    assert s["interacting"] == int(result.spectrum.sum())
    assert 0 < s["partial"] < 1
    efficiency = quantum_efficiency(absorber, [energy])[0]
    if not rayleigh:
        assert s["interacting"] == 2**15
        assert s["interaction_probability"] == pytest.approx(efficiency, rel=1e-6)
        return
    assert 0.8 * 2**15 < s["interacting"] < 2**15  # those that are only deflected leave no deposit
    assert s["interaction_probability"] == pytest.approx(efficiency, rel=0.02)  # a deflected photon has a longer way


@pytest.mark.parametrize("energy", [6999.9999, 5898.7501, 4999.99999])
def test_no_photon_falls_off_the_spectrum(energy):
    """Energies that float32 rounds up into the next bin."""
    result = simulate(XIFU, energy, n=1000)
    assert int(result.spectrum.sum()) == 1000


def test_lines_keep_their_peaks_apart():
    """Two lines: each photon's peaks under its own line."""
    result = simulate(XIFU, Source.build([7000.0, 5000.0], [3.0, 1.0]), n=2 * 10**5)
    assert result.peaks.dims == ("source_energy", "line")
    places = {(p["line"], round(p["energy"])) for p in summary(result)["peaks"][:8]}
    assert ("Bi M5-N7", 4578) in places and ("Bi M5-N7", 2578) in places
    share = int(result.spectrum[5000]) / 2e5
    efficiency = quantum_efficiency(XIFU, [7000.0, 5000.0]) * [0.75, 0.25]
    assert share == pytest.approx(efficiency[1] / efficiency.sum(), abs=0.01)
    assert summary(result)["interaction_probability"] == pytest.approx(efficiency.sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n": 0}, "`n` must be at least 1"),
        ({"n": -5}, "`n` must be at least 1"),
        ({"n": 2.5}, "`n` must be a whole number"),
        ({"n": float("nan")}, "`n` must be finite"),
        ({"n": 1e30}, re.escape(f"at most {MOST_PHOTONS:.6g}")),
        ({"seed": -1}, "`seed` must be at least 0"),
        ({"seed": 2**64}, "`seed` must be at least 0"),
        ({"bin_width": 0.0}, "`bin_width` must be positive"),
        ({"bin_width": -1.0}, "`bin_width` must be positive"),
        ({"bin_width": float("nan")}, "`bin_width` must be finite"),
        ({"bin_width": 1e-9}, "must leave at most"),
    ],
)
def test_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        simulate(XIFU, 7000.0, **arguments)


def test_a_truth_value_is_no_number():
    with pytest.raises(TypeError, match="`n` must be a number or text, but is True"):
        simulate(XIFU, 7000.0, n=True)


MEMORY = """
import re
from xcal_jax import Absorber, simulate
for n in (2 * 10**5, 10**6, 4 * 10**6):
    simulate(Absorber.preset("xifu"), 7000.0, n=n)
    print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat():
    """The high-water mark of a process does not grow from 1e6 to 4e6 photons (ru_maxrss would be its parent's)."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    _, one, four = (int(line) / 1024 for line in done.stdout.split())
    assert four - one < 100
    assert four < 1500
