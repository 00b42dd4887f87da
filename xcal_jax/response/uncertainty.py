"""Relative errors of the components of a response, by cause: counts, relaxation, electron ranges and model.

Systematic errors are found by simulating again: with the other set of yields, with the other set of Coster-Kronig
probabilities, with all electron ranges 10 % longer (Eq. 3 against Tabata et al. 1996, in gold: 3 % short at 5 keV, 26 %
long at 10 keV), and with each other electron model. The same random numbers are used, so that part of the noise
cancels.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.compute.devices import Executor, in_parallel
from xcal_jax.constants import COSTER_KRONIG, ELECTRONS, YIELDS
from xcal_jax.io.datasets import variable
from xcal_jax.response.components import simulate_response
from xcal_jax.response.nodes import Settings

LONGER = 1.1  # ranges
COMPONENTS = ("partial", "peak_total", "continuum_total", "peaks")


def relative_errors(
    absorber: Absorber,
    response: xr.Dataset,
    boundaries: Float[np.ndarray, " B"],
    settings: Settings,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = True,
    progress: bool = False,
    executor: Executor = in_parallel,
) -> xr.Dataset:
    """Relative errors of the components of ``response``, by cause and energy; NaN where a component is zero.

    Errors by counts are standard errors; the others are changes, with their sign. boundaries, settings, resume,
    progress, executor: as for `simulate_response`; checkpoint: a folder with a folder for each cause.
    """
    causes = {f"yields: {other}": (absorber, replace(settings, yields=other)) for other in YIELDS}
    del causes[f"yields: {settings.yields}"]
    for table in COSTER_KRONIG:
        if table != absorber.coster_kronig:
            causes[f"Coster-Kronig: {table}"] = (replace(absorber, coster_kronig=table), settings)
    longer = settings.electron_range * LONGER
    causes[f"electron ranges x {LONGER}"] = (absorber, replace(settings, electron_range=longer))
    for model in ELECTRONS:
        if model != absorber.electrons:
            causes[f"electrons: {model}"] = (replace(absorber, electrons=model), settings)
    changes = [{name: response[f"{name}_err"] for name in COMPONENTS}]
    for n, (other, changed) in enumerate(causes.values()):
        part = Path(checkpoint) / str(n) if checkpoint else None
        varied = simulate_response(other, boundaries, changed, part, resume, progress, executor)
        varied = varied.reindex(line=response.line, fill_value=0.0)
        changes.append({name: varied[name] - response[name] for name in COMPONENTS})
    index = variable("cause", ["counts", *causes], "", "cause of the error")
    errors = {}
    for name in COMPONENTS:
        size = response[name].where(response[name] > 0.0)
        relative = xr.concat([(change[name] / size).drop_attrs() for change in changes], "cause")
        errors[name] = relative.assign_attrs(units="1", long_name=f"relative error of {name}")
    return xr.Dataset(errors, coords={"cause": index, "line_energy": response.line_energy}).assign_attrs(
        {**response.attrs, "kind": "xcal_jax response uncertainty", "title": "Relative errors of a response"}
    )
