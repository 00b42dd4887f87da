"""Breakdown and dark current of real irradiated SiPMs (Hamamatsu HDR2-015, 1e13 n_eq/cm2)."""

from pathlib import Path

import numpy as np
import pytest

from xcal_jax.sipm.iv_curves import activation_energy, breakdown, current_at
from xcal_jax.sipm.iv_file import read_iv

CURVES = Path(__file__).parents[3] / "shared" / "data" / "sipm_irradiated_mtd" / "20200915_HDR2-1e13-2"
FOLDERS = {-30.0: "n30C", -20.0: "n20C", -10.0: "n10C", 0.0: "zeroC", 10.0: "p10C", 20.0: "p20C"}


def test_a_sensor_with_displacement_damage():
    """Two curves a temperature: V_bd agrees within 0.05 V and rises by 40 mV/K; the current doubles every 11 K."""
    if not CURVES.exists():
        pytest.skip("the real curves are not on this machine")
    temperature, volts, amperes = np.array(list(FOLDERS)), [], []
    for name in FOLDERS.values():
        paths = sorted(p for p in (CURVES / name).rglob("HDR2*.csv") if "temps" not in p.name)
        curves = [read_iv(path, compliance=3e-3) for path in paths]
        found = [float(breakdown(curve)["breakdown"]) for curve in curves]
        assert len(found) == 2 and np.ptp(found) < 0.05
        volts.append(np.mean(found))
        amperes.append(np.mean([current_at(curve, volts[-1] + 1.0) for curve in curves]))
    assert np.polyfit(temperature, volts, 1)[0] == pytest.approx(0.0415, abs=0.004)
    doubling, error = activation_energy(temperature, np.array(amperes))["doubling"]
    assert error < 1.0 and abs(doubling - 11.6) < 2 * error
