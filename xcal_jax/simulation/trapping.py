"""Trapping of heat, an optional tail after transport: some events lose an exponentially distributed energy.

Absorbers of evaporated Bi show low-energy tails that electroplated Bi does not (Yan et al. 2017, arXiv 1708.08481):
its grains are smaller, and trap heat (Yan et al. 2018, doi 10.1007/s10909-018-1888-1). That is no escape of electrons.
It is described as line fits have it, by the fraction of the events that lose energy and the mean that they lose
(`tail_frac` and `tail_tau`), after transport and off by default. Binned counts are spread here, peaks in
`response.line_shape`.
"""

from dataclasses import dataclass

import jax
import numpy as np
import xarray as xr
from jax import Array
from jaxtyping import Float

from xcal_jax.io.arguments import checked
from xcal_jax.units import parse_quantity, shown


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trapping:
    """Heat that stays behind: a ``fraction`` () of the events loses energy, by the mean ``scale`` () eV."""

    fraction: Array | float
    scale: Array | float

    @classmethod
    @checked
    def build(cls, text: str) -> "Trapping":
        """Trapping as ``FRACTION:SCALE`` states it, such as "0.05:12eV". Raises ValueError for anything else."""
        parts = text.split(":")
        if len(parts) != 2:
            raise ValueError(f"`trapping` must be FRACTION:SCALE, such as 0.05:12eV, but is {shown(text)}")
        fraction = parse_quantity(parts[0], "", "--trapping fraction", least=0.0, most=1.0)
        return cls(fraction, parse_quantity(parts[1], "eV", "--trapping scale", above=0.0))

    def __str__(self) -> str:
        """In words."""
        return f"{self.fraction:g} of the events lose {self.scale:g} eV on average"

    def spread(self, counts: Float[np.ndarray, " B"], width: float) -> Float[np.ndarray, " B"]:
        """Counts in bins of ``width`` eV as they are expected after trapping, of ``counts`` before.

        The counts of a bin are taken to be even within it. What falls below the first bin is left out. With
        r = width / scale and q = (1 - exp(-r)) / r, a trapped event leaves its bin with probability q, and arrives
        k bins below with probability q^2 r exp(-(k - 1) r).
        """
        from scipy.signal import lfilter  # takes half a second to import, and few runs need it

        ratio = width / self.scale
        leave = -np.expm1(-ratio) / ratio
        below = lfilter([0.0, leave**2 * ratio], [1.0, -np.exp(-ratio)], counts[::-1])[::-1]
        return counts + self.fraction * (below - leave * counts)


def trapped(result: xr.Dataset, trapping: Trapping) -> xr.Dataset:
    """A result of `simulate` whose spectra are those expected after ``trapping``; all else is before it.

    Raises ValueError where that has been done already.
    """
    if "trapping" in result.attrs:
        raise ValueError(f"the result must be one before trapping, but is after it: {result.attrs['trapping']}")
    spectra = [name for name, variable in result.data_vars.items() if variable.dims == ("energy",)]
    return result.assign({name: _after(result[name], trapping) for name in spectra}).assign_attrs(
        trapping=str(trapping)
    )


def _after(spectrum: xr.DataArray, trapping: Trapping) -> xr.DataArray:
    before = spectrum.values.astype(np.float64)
    counts = trapping.spread(before, spectrum.energy.attrs["bin_width"])
    counts[0] += before.sum() - counts.sum()  # no deposit below zero
    return spectrum.copy(data=counts).assign_attrs(long_name=f"{spectrum.attrs['long_name']}, expected after trapping")
