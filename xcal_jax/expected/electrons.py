"""The electron models of weighted histories, as functions of one interface."""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

from jax import Array

from xcal_jax.expected import scattering, straight
from xcal_jax.expected.parameters import Parameters
from xcal_jax.expected.score import Sums
from xcal_jax.expected.state import History
from xcal_jax.montecarlo.electron_tracks import Electron
from xcal_jax.physics.geometry import Direction, Site


class ElectronModel(NamedTuple):
    """The functions that the modules `straight` and `scattering` both have.

    `straight` integrates over directions and has derivatives by itself. `scattering` follows tracks, which have none.

    check: raises ValueError if a derivative asked for would be wrong; guard: the parameters, with derivatives that are
    NaN where they would be wrong; copies: the changes of the photoelectron's energy for which histories are repeated;
    first_site: (site, weight) of a first interaction; nobody: no electron that waits; absorbed: (site, direction,
    weight) of a photon at the end of its flight; emit: the history with one electron more, booked or waiting; follow:
    the histories after the electrons that wait have been followed; with_slope: the sums of histories, with the slope in
    energy that their copies give.
    """

    check: Callable[..., None]
    guard: Callable[..., Parameters]
    copies: Callable[[bool], tuple[float, ...]]
    first_site: Callable[..., tuple[Site, Array]]
    nobody: Callable[[Site], Electron | None]
    absorbed: Callable[..., tuple[Site, Direction, Array]]
    emit: Callable[..., History]
    follow: Callable[..., History]
    with_slope: Callable[[Sums, History], Sums]

    @classmethod
    def of(cls, module: ModuleType) -> "ElectronModel":
        """The functions of ``module``, by their names."""
        return cls(**{name: getattr(module, name) for name in cls._fields})


MODELS = {"range": ElectronModel.of(straight), "scattering": ElectronModel.of(scattering)}
