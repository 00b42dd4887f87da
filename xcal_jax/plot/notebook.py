"""Objects that show themselves: the accessor `xcal` of results, and the drawing of an absorber in a notebook.

The package imports this file with the first public name that is used.
"""

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.plot.drawing import absorber_html
from xcal_jax.simulation import rebin, results
from xcal_jax.simulation.report import report
from xcal_jax.units import Quantity

Absorber._repr_html_ = absorber_html  # type: ignore[attr-defined]


@xr.register_dataset_accessor("xcal")
class Result:
    """A result of `simulate` in the words of this package: ``result.xcal``.

    >>> import xcal_jax as xcal
    >>> result = xcal.simulate("xifu", "7 keV", n=100_000)
    >>> result.xcal.peaks().line[0], result.xcal.rebin("5 eV").sizes["energy"]
    ('Bi M5-N7', 1401)
    """

    def __init__(self, result: xr.Dataset) -> None:
        """The accessor of ``result``."""
        self.result = result

    def __repr__(self) -> str:
        """The lines that `xcal-jax show` prints."""
        return "\n".join(report(self.summary()))

    def summary(self) -> dict:
        """Fractions with their errors, escape peaks, and what the run was: `results.summary`."""
        return results.summary(self.result)

    def peaks(self) -> pd.DataFrame:
        """Escape peaks as a table, the most intense first: line, energies in eV, intensity with its error."""
        return pd.DataFrame(results.peaks(self.result))

    def rebin(self, width: Quantity) -> xr.Dataset:
        """The result with spectra in bins of ``width``, a multiple of its own."""
        return rebin.rebin(self.result, width)

    def plot(self, fwhm: Quantity | None = None) -> Figure:
        """The spectrum, through a detector of that resolution if one is given; `savefig` writes it."""
        from xcal_jax.plot.results import result_figure

        return result_figure(self.result if fwhm is None else rebin.seen(self.result, fwhm))
