"""X-ray microcalorimeter absorbers and SiPM ageing in orbit, simulated and fitted in JAX.

Public names are imported when they are first used, so that no part of the package waits for another.

>>> import xcal_jax as xcal
>>> result = xcal.simulate("xifu", "7 keV", n=100_000)
>>> f"{100 * xcal.summary(result)['partial']:.1f} % of the photons lose energy"
'0.9 % of the photons lose energy'
"""

from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import lazy_loader

from xcal_jax.constants import VERSION as __version__

if TYPE_CHECKING:
    from xcal_jax import design, orbit, plot, response, sipm
    from xcal_jax.absorber.absorber import Absorber, presets
    from xcal_jax.absorber.matter import quantum_efficiency
    from xcal_jax.absorber.source import Source
    from xcal_jax.datasheet.sheet import report
    from xcal_jax.design.heat import heat_capacity
    from xcal_jax.expected.function import observables
    from xcal_jax.expected.sensitivity import sensitivity
    from xcal_jax.io.datasets import load, save
    from xcal_jax.orbit.flight import dose
    from xcal_jax.response.fit_lines import fit_lines
    from xcal_jax.response.fitted_line import fit_line
    from xcal_jax.simulation.results import merge, summary
    from xcal_jax.simulation.simulate import events, simulate
    from xcal_jax.simulation.sweep import sweep

__all__ = [
    "Absorber",
    "Source",
    "__version__",
    "design",
    "dose",
    "events",
    "fit_line",
    "fit_lines",
    "heat_capacity",
    "load",
    "merge",
    "observables",
    "orbit",
    "plot",
    "presets",
    "quantum_efficiency",
    "report",
    "response",
    "save",
    "sensitivity",
    "simulate",
    "sipm",
    "summary",
    "sweep",
]

ROOMS = [module.name for module in iter_modules(__path__)]
HOMES = {
    "absorber.absorber": ["Absorber", "presets"],
    "absorber.matter": ["quantum_efficiency"],
    "absorber.source": ["Source"],
    "datasheet.sheet": ["report"],
    "design.heat": ["heat_capacity"],
    "expected.function": ["observables"],
    "expected.sensitivity": ["sensitivity"],
    "io.datasets": ["load", "save"],
    "orbit.flight": ["dose"],
    "response.fit_lines": ["fit_lines"],
    "response.fitted_line": ["fit_line"],
    "simulation.results": ["merge", "summary"],
    "simulation.simulate": ["events", "simulate"],
    "simulation.sweep": ["sweep"],
}
lazily, _, _ = lazy_loader.attach(__name__, ROOMS, HOMES)


def __getattr__(name: str) -> Any:
    if name in __all__ and name not in ROOMS:
        import_module("xcal_jax.plot.notebook")  # how objects show themselves
    if name == "fit_lines":
        import_module("xcal_jax.plot.fits")
    try:
        return lazily(name)
    except AttributeError as problem:
        near = get_close_matches(name, __all__, 1)
        hint = f": did you mean {near[0]!r}?" if near else f": it has {', '.join(__all__)}"
        raise AttributeError(f"xcal_jax has no {name!r}{'' if name.startswith('_') else hint}") from problem


def __dir__() -> list[str]:
    return __all__
