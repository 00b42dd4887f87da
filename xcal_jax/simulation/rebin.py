"""Spectra of a result in wider bins, or seen with a detector's resolution."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.units import Quantity, parse_quantity

SIGMAS = 6.0  # to which a peak is followed, also beyond the last bin
BEYOND: Any = {"mode": "constant", "truncate": SIGMAS}  # of `gaussian_filter1d`


def rebin(result: xr.Dataset, width: Quantity) -> xr.Dataset:
    """A result of `simulate` with spectra in bins of ``width``, eV or with a unit: a multiple of its own bins.

    Raises ValueError for any other width.
    """
    own = result.energy.attrs["bin_width"]
    wide = parse_quantity(width, "eV", "width")
    many = round(wide / own)
    if not (many >= 1 and np.isclose(many * own, wide)):
        raise ValueError(f"`width` must be a multiple of the bins' {own:g} eV, but is {wide:g} eV")
    missing = -result.sizes["energy"] % many
    padded = result.pad(energy=(0, missing), constant_values=0)
    starts = _bins(result, own * many, padded.sizes["energy"] // many)
    summed = {
        name: spectrum.coarsen(energy=many).sum().drop_vars("energy").astype(result[name].dtype)
        for name, spectrum in padded.data_vars.items()
        if "energy" in spectrum.dims
    }
    others = result.drop_dims("energy")
    found = others.assign(summed).assign_coords(energy=starts)
    for name in summed:
        found[name].attrs = result[name].attrs
    return found.assign_attrs(result.attrs)


def _bins(result: xr.Dataset, width: float, bins: int) -> xr.Variable:
    """The coordinate `energy` of ``result`` with other bins."""
    return xr.Variable("energy", width * np.arange(bins), {**result.energy.attrs, "bin_width": width})


def seen(result: xr.Dataset, fwhm: Quantity) -> xr.Dataset:
    """A result of `simulate` with spectra as they are expected through a detector of Gaussian resolution ``fwhm``, eV.

    There are more bins, to hold the full-energy peak. Raises ValueError for a width that is not positive.
    """
    own = result.energy.attrs["bin_width"]
    width = parse_quantity(fwhm, "eV", "fwhm", above=0.0)
    sigma = width / FWHM_PER_SIGMA / own
    grown = result.pad(energy=(0, int(np.ceil(SIGMAS * sigma))), constant_values=0)
    grown = grown.assign_coords(energy=_bins(result, own, grown.sizes["energy"]))
    grown.attrs["seen"] = f"{width:g} eV FWHM"
    return grown.assign(
        {
            name: spectrum.copy(data=gaussian_filter1d(spectrum.values.astype(float), sigma, **BEYOND))
            for name, spectrum in grown.data_vars.items()
            if spectrum.dims == ("energy",)
        }
    )
