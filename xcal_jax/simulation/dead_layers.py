"""Dead layers in a result: the energy that they keep, and how many photons leave some there.

A photon interacts if it leaves a deposit in a layer that counts. What it leaves in dead layers beside that is a part of
its loss. Photons that leave energy in dead layers alone have not interacted, and are counted apart.
"""

from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.io.datasets import variable
from xcal_jax.montecarlo.tally import DeadTally, summed_energy
from xcal_jax.simulation.vocabulary import count, fraction, fraction_error

ADDED = ("stopped", "dead_alone", "dead_energy")


def add_dead_layers(result: xr.Dataset, absorber: Absorber, tally: DeadTally) -> xr.Dataset:
    """``result`` with the variables of ADDED, by dead layer of ``absorber``."""
    found: dict[str, tuple[Any, ...]] = {
        "stopped": ((), tally.stopped),
        "dead_alone": ((), tally.alone),
        "dead_energy": ("dead_layer", summed_energy(tally.deposited)),
    }
    return result.assign({name: count(name, *of) for name, of in found.items()}).assign_coords(
        dead_layer=variable("dead_layer", np.array(absorber.dead), "1", "number of the dead layer, from the top")
    )


def dead_summary(result: xr.Dataset) -> dict[str, Any]:
    """What dead layers keep: `stopped`, the fraction of the interacting photons that leave energy there, its error;
    `mean_energy`, eV of an interacting photon, by layer; `alone`, the probability to leave energy only there.
    """
    n, stopped = int(result.interacting), int(result.stopped)
    mean = zip(result.dead_layer.values, result.dead_energy.values, strict=True)
    return {
        "stopped": fraction(stopped, n),
        "stopped_err": fraction_error(stopped, n),
        "mean_energy": {int(layer): fraction(energy, n) for layer, energy in mean},
        "alone": float(result.source_probability) * fraction(result.dead_alone, int(result.photons)),
    }
