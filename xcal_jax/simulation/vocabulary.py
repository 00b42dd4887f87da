"""The vocabulary of observables: name, unit, long name and short title of every quantity, once.

Datasets, `summary` and its JSON, sensitivities, designs, plots and the command line take names and words from here. A
kind of photon has two long names, that of its count and that of its fraction of the interacting photons.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xcal_jax.io import datasets


@dataclass(frozen=True)
class Quantity:
    """The meaning of a name. title: a few words for a plot or a table; counted: the long name of its count."""

    unit: str
    long_name: str
    title: str = ""
    counted: str = ""


def _fraction(photons: str, title: str = "") -> Quantity:
    return Quantity("1", f"fraction of interacting photons that {photons}", title, f"photons that {photons}")


VOCABULARY = {
    # how often photons interact
    "interaction_probability": Quantity("1", "probability of an interaction", "interaction probability"),
    "interaction_by_layer": Quantity("1", "probability of a first interaction in the layer", "first interaction"),
    # fractions of the interacting photons, and their counts
    "partial": _fraction("deposit less than their energy", "partial deposition"),
    "photon_escape": _fraction("lose energy by photons alone", "photon escape"),
    "electron_escape": _fraction("lose energy by electrons alone", "electron escape"),
    "both": _fraction("lose energy by photons and electrons", "both"),
    "scattered": _fraction("scatter and lose energy", "with a scattering"),
    "loss_above": _fraction("lose more than the threshold", "loss above"),
    "electron_loss_above": _fraction("lose more than the threshold by electrons alone", "electron loss above"),
    "peaks": _fraction("lose one fluorescence photon of the line and nothing else", "escape peaks"),
    "peak_total": _fraction("lose one fluorescence photon and nothing else", "all escape peaks"),
    "continuum": _fraction("fall into the cell of the loss continuum", "loss continuum"),
    "continuum_total": _fraction("lose energy otherwise", "loss continuum"),
    # means over the interacting photons
    "mean_loss": Quantity("eV", "mean energy lost by an interacting photon", "mean loss"),
    "mean_square_loss": Quantity("eV^2", "mean square of the energy lost by an interacting photon", "mean square loss"),
    "mean_deposit": Quantity("eV", "mean energy deposited by an interacting photon", "mean deposit"),
    # of a run
    "photons": Quantity("1", "photons simulated"),
    "interacting": Quantity("1", "photons that interact"),
    "source_probability": Quantity("1", "fraction of the source's photons from which photons were drawn"),
    "spectrum": Quantity("1", "photons by deposited energy"),
    "line_energy": Quantity("eV", "energy of the fluorescence line"),
    "incident": Quantity("eV", "summed energy of the photons that interact"),
    "summed_deposit": Quantity("eV", "summed energy that stayed in the absorber"),
    "summed_loss": Quantity("eV", "summed energy that left the absorber"),
    # of an array of pixels
    "pixel_hits": Quantity("1", "photons by the pixel hit"),
    "pixel_counts": Quantity("1", "photons with a deposit in the pixel"),
    "pixel_energy": Quantity("eV", "summed energy deposited in the pixel"),
    "central_spectrum": Quantity("1", "photons by the deposit in the central pixel", "central pixel"),
    "caught_spectrum": Quantity("1", "deposits in pixels that were not hit", "pixels that were not hit"),
    "summed_spectrum": Quantity("1", "photons by the deposits in all pixels together", "all pixels together"),
    "coincidences": Quantity("1", "photons with a deposit in the pixel hit and in the one so far from it"),
    "shared": _fraction("leave deposits in more than one pixel", "in several pixels"),
    "escaped": Quantity("eV", "summed energy that left the array"),
    # of dead layers
    "stopped": _fraction("leave energy in dead layers", "stopped in a dead layer"),
    "dead_alone": Quantity("1", "photons that leave energy in dead layers alone", "in dead layers alone"),
    "dead_energy": Quantity("eV", "summed energy that interacting photons leave in the dead layer", "in dead layers"),
    "dead_spectrum": Quantity("1", "interacting photons by what they leave in the dead layer", "in a dead layer"),
    # of photons beside the absorber
    "beside": Quantity("1", "photons that interact in the substrate beside the absorber first", "beside the absorber"),
    "background": Quantity("1", "photons beside the absorber that leave a deposit in it", "background"),
    "background_spectrum": Quantity("1", "deposits of photons beside the absorber", "background"),
    # of an absorber that is designed
    "heat_capacity": Quantity("pJ/K", "heat capacity of the absorber", "heat capacity"),
    "thickness": Quantity("um", "thickness of all layers together", "thickness"),
}


def title(name: str) -> str:
    """The few words that stand for the quantity ``name`` in a plot or a table."""
    return VOCABULARY[name].title


def variable(name: str, dims: Hashable, values: Any) -> xr.Variable:
    """The quantity ``name`` over ``dims``, with its unit and long name; a fraction where it is a kind of photon."""
    return datasets.variable(dims, values, VOCABULARY[name].unit, VOCABULARY[name].long_name)


def count(name: str, dims: Hashable, values: Any) -> xr.Variable:
    """The quantity ``name`` over ``dims``; how many photons where it is a kind of photon."""
    about = VOCABULARY[name]
    return datasets.variable(dims, values, about.unit, about.counted or about.long_name)


def error(name: str, dims: Hashable, values: Any) -> xr.Variable:
    """The standard error of the quantity ``name``, over ``dims``, with its unit."""
    return datasets.variable(dims, values, VOCABULARY[name].unit, f"standard error of {name}")


def fraction(counted: Any, n: int) -> float:
    """``counted`` of ``n``; NaN of none."""
    return float(counted) / n if n else float("nan")


def fraction_error(counted: Any, n: int) -> float:
    """Standard error of the binomial fraction ``counted`` of ``n``; NaN of none."""
    p = fraction(counted, n)
    return float(np.sqrt(p * (1.0 - p) / n)) if n else float("nan")
