"""Lines of real RadiaCode spectra: a calibration from two or three gives the energies of the others."""

from pathlib import Path

import numpy as np
import pytest

from tests.sipm.conftest import BARIUM
from xcal_jax.sipm import blend_shift, energy_at, energy_calibration, fit_lines, stack
from xcal_jax.sipm.calibration import compare_calibrations
from xcal_jax.spectra import read_spectra

RADIACODE = Path(__file__).parents[3] / "shared" / "data" / "radiacode_csi_sipm"


def real(path):
    if not path.exists():
        pytest.skip(f"the real file {path.name} is not on this machine")
    return path


PAPER, DEFAULT = ("chi2", "reduced"), (None, "aicc")
AMERICIUM_60 = ("data_am241.xml", (18, 38), 7)
BARIUM_81 = ("Ba133_a.xml", (26, 50), 8)
EUROPIUM_122 = ("Eu152_b.xml", (40, 69), 10)
EUROPIUM_344 = ("Eu152_b.xml", (121, 170), 16.5)
BARIUM_356 = ("Ba133_a.xml", (125, 175), 17)
CAESIUM_662 = ("Cs137_b.xml", (235, 304), 23)
COBALT_1332 = ("Co60_a.xml", (488, 560), 36)


def position(name, window, fwhm, rule=PAPER):
    """Channel and error of one line of a real RadiaCode spectrum, in raw channels counted from 1, the 356 keV line
    freed of its neighbours. rule: statistic and selection.
    """
    stacked = stack(read_spectra(real(RADIACODE / name)).isel(spectrum=[0]))
    found = fit_lines(stacked, [window], fwhm, *rule).isel(line=0)
    assert int(found["veto"]) == 0
    shift = blend_shift(found, 356.01, BARIUM) if (name, window, fwhm) == BARIUM_356 else 0.0
    return float(found["position"]) - shift, float(found["position_error"])


def test_real_lines_after_a_linear_calibration_from_two():
    """81 and 356 keV calibrate: 59.5, 121.8 and 344.3 keV lie within 1.5 %. The 59.5 keV line is of a second unit
    of the model. 662 keV is out of reach of a straight line: this sensor bends by 2 % up there.
    """
    x, error = np.transpose([position(*BARIUM_81), position(*BARIUM_356)])
    k, b = energy_calibration(x, error, [81.0, 356.01])["parameters"].values
    for energy, where in ((59.54, AMERICIUM_60), (121.78, EUROPIUM_122), (344.28, EUROPIUM_344)):
        assert k * position(*where)[0] + b == pytest.approx(energy, rel=0.015)
    high = k * position(*CAESIUM_662)[0] + b
    assert high / 661.66 - 1 == pytest.approx(-0.021, abs=0.004)


@pytest.mark.parametrize("rule", [PAPER, DEFAULT], ids=["paper", "default"])
@pytest.mark.parametrize("shape", ["quadratic", "saturation"])
def test_real_lines_after_a_curved_calibration_from_three(shape, rule):
    """59.5, 81 and 356 keV calibrate: all others up to 1332 keV lie within 1.5 %, 662 keV within 0.7 %.

    With a free step under each line, 1332 keV lay at 1442 and 1518 keV.
    """
    lines = {59.54: AMERICIUM_60, 81.0: BARIUM_81, 356.01: BARIUM_356}
    others = {121.78: EUROPIUM_122, 344.28: EUROPIUM_344, 661.66: CAESIUM_662, 1332.49: COBALT_1332}
    x, error = np.transpose([position(*where, rule) for where in lines.values()])
    found = energy_calibration(x, error, list(lines), shape)
    for energy, where in others.items():
        limit = 0.007 if energy == 661.66 else 0.015
        assert energy_at(found, position(*where, rule)[0])[0].item() == pytest.approx(energy, rel=limit)


def test_real_lines_with_the_curvature_of_the_device():
    """In the keV of the device's own quadratic, 81 and 356 keV calibrate: the others up to 1332 keV lie within 1 %."""
    device = read_spectra(real(RADIACODE / "Ba133_a.xml")).isel(spectrum=0)

    def linearised(where):
        return np.interp(position(*where)[0], device["channel"], device["device_energy"])

    low, high = linearised(BARIUM_81), linearised(BARIUM_356)
    k, b = energy_calibration([low, high], [0.1, 0.1], [81.0, 356.01])["parameters"].values
    others = ((121.78, EUROPIUM_122), (344.28, EUROPIUM_344), (661.66, CAESIUM_662), (1332.49, COBALT_1332))
    for energy, where in others:
        assert k * linearised(where) + b == pytest.approx(energy, rel=0.01)


def test_real_nonsense_is_vetoed():
    """A window of +-1.5 sigma (the bare rule's trap), and a smooth stretch without a line."""
    barium = stack(read_spectra(real(RADIACODE / "Ba133_a.xml")))
    found = fit_lines(barium, [(140, 161), (200, 250)], [17, 20])
    assert (found["veto"].values > 0).all()
    assert np.isnan(found["position"]).all()


@pytest.mark.parametrize("rule", [PAPER, DEFAULT], ids=["paper", "default"])
def test_the_shape_that_aicc_chooses_holds_every_line_within_one_per_cent(rule):
    """81 to 1332 keV of one unit. 59.5 keV is of another, and stands alone there."""
    lines = {
        81.0: BARIUM_81,
        121.78: EUROPIUM_122,
        344.28: EUROPIUM_344,
        356.01: BARIUM_356,
        661.66: CAESIUM_662,
        1332.49: COBALT_1332,
    }
    x, error = np.transpose([position(*where, rule) for where in lines.values()])
    energies = np.array(list(lines))
    found = compare_calibrations(x, error, energies)
    shape, best = next(iter(found.items()))
    assert shape in ("quadratic", "saturation") and list(found)[-1] == "linear"
    assert (np.abs(energy_at(best, x)[0] / energies - 1) < 0.01).all()
    assert np.abs(energy_at(found["linear"], x)[0] / energies - 1).max() > 0.02
