"""Dead layers in a result: the energy that they keep, how many photons leave some there, hits beside the absorber.

A photon interacts if it leaves a deposit in a layer that counts. What it leaves in dead layers beside that is a part of
its loss. Photons that leave energy in dead layers alone have not interacted, and are counted apart. So are those that
meet a wider substrate first, beside the absorber: what comes back from it is the background of the absorber.
"""

from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.io.datasets import variable
from xcal_jax.montecarlo.tally import BackgroundTally, DeadTally, summed_energy
from xcal_jax.simulation.vocabulary import count, fraction, fraction_error

ADDED = ("stopped", "dead_alone", "dead_energy", "dead_spectrum", "beside", "background", "background_spectrum")


def add_dead_layers(result: xr.Dataset, absorber: Absorber, tally: DeadTally) -> xr.Dataset:
    """``result`` with the variables of ADDED, by dead layer of ``absorber``."""
    found: dict[str, tuple[Any, ...]] = {
        "stopped": ((), tally.stopped),
        "dead_alone": ((), tally.alone),
        "dead_energy": ("dead_layer", summed_energy(tally.deposited)),
    }
    if tally.spectra.size:
        found["dead_spectrum"] = (("dead_layer", "energy"), tally.spectra[:, : result.sizes["energy"]])
    return result.assign({name: count(name, *of) for name, of in found.items()}).assign_coords(
        dead_layer=variable("dead_layer", np.array(absorber.dead), "1", "number of the dead layer, from the top")
    )


def add_background(result: xr.Dataset, tally: BackgroundTally) -> xr.Dataset:
    """``result`` with what photons beside the absorber leave in it."""
    found: dict[str, tuple[Any, ...]] = {
        "beside": ((), tally.beside),
        "background": ((), tally.caught),
        "background_spectrum": ("energy", tally.spectrum[: result.sizes["energy"]]),
    }
    return result.assign({name: count(name, *of) for name, of in found.items()})


def background_summary(result: xr.Dataset) -> dict[str, Any]:
    """Photons that interact in the substrate beside the absorber first: their number; `caught`, the fraction of these
    that leave a deposit in the absorber, or in a pixel, and its error; `mean_deposit`, the mean of such deposits in eV.
    """
    beside, caught = int(result.beside), int(result.background)
    spectrum, middle = result.background_spectrum, result.energy + 0.5 * result.energy.attrs["bin_width"]
    return {
        "beside": beside,
        "caught": fraction(caught, beside),
        "caught_err": fraction_error(caught, beside),
        "mean_deposit": fraction((spectrum * middle).sum(), int(spectrum.sum())),
    }


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
