"""SiPM ageing in orbit: spectra, threshold, gain, dark counts, trends; Dataset in, Dataset out."""

from pkgutil import iter_modules

import lazy_loader

from xcal_jax.sipm.calibration import blend_shift, energy_at, energy_calibration
from xcal_jax.sipm.darkcounts import correct_pile_up, dark_count_rate
from xcal_jax.sipm.gain import gain_at, gain_drift, to_energy
from xcal_jax.sipm.grouping import group
from xcal_jax.sipm.lines import fit_lines
from xcal_jax.sipm.mission import Mission, load_mission, with_days
from xcal_jax.sipm.readouts import joint_readouts
from xcal_jax.sipm.synthetic import synthesize
from xcal_jax.sipm.temperature import joint_fit, temperature_residuals
from xcal_jax.sipm.template import build_template
from xcal_jax.sipm.thresholds import threshold
from xcal_jax.sipm.time_series import read_event
from xcal_jax.sipm.trends import evaluate, fit_trends, forecast
from xcal_jax.spectra import build_spectra, check_spectra, select, stack

__all__ = [
    "Mission",
    "blend_shift",
    "build_spectra",
    "build_template",
    "check_spectra",
    "correct_pile_up",
    "dark_count_rate",
    "energy_at",
    "energy_calibration",
    "evaluate",
    "fit_lines",
    "fit_trends",
    "forecast",
    "gain_at",
    "gain_drift",
    "group",
    "joint_fit",
    "joint_readouts",
    "load_mission",
    "read_event",
    "select",
    "stack",
    "synthesize",
    "temperature_residuals",
    "threshold",
    "to_energy",
    "with_days",
]

MODULES = [module.name for module in iter_modules(__path__)]
__getattr__, _, _ = lazy_loader.attach(__name__, MODULES)


def __dir__() -> list[str]:
    """The public names, and the modules."""
    return sorted({*__all__, *MODULES})
