"""Objects that show themselves: the accessor `xcal` of results, and the drawing of an absorber in a notebook.

The package imports this file with the first public name that is used.
"""

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.plot.drawing import absorber_html
from xcal_jax.simulation import rebin, results, sweep
from xcal_jax.simulation.report import report
from xcal_jax.units import Quantity, shown

Absorber._repr_html_ = absorber_html  # type: ignore[attr-defined]


@xr.register_dataset_accessor("xcal")
class Result:
    """A result of `simulate` or `sweep` in the words of this package: ``result.xcal``.

    Its methods raise ValueError for a Dataset of another kind.

    >>> import xcal_jax as xcal
    >>> result = xcal.simulate("xifu", "7 keV", n=100_000)
    >>> result.xcal.peaks().line[0], result.xcal.rebin("5 eV").sizes["energy"]
    ('Bi M5-N7', 1401)
    """

    def __init__(self, result: xr.Dataset) -> None:
        """The accessor of ``result``."""
        self.result = result

    def __repr__(self) -> str:
        """The lines that `xcal-jax show` prints; of a sweep the table of its points."""
        return self.table().to_string(index=False) if self._swept else "\n".join(report(self.summary()))

    @property
    def _swept(self) -> bool:
        """Whether it is of a sweep."""
        kind = self.result.attrs.get("kind")
        if kind not in (results.KIND, sweep.KIND):
            raise ValueError(f"`.xcal` is of results of `simulate` and `sweep`, but this is {shown(kind)}")
        return kind == sweep.KIND

    def _one(self, what: str) -> xr.Dataset:
        if self._swept:
            raise ValueError(f"`{what}` is of one run, but this is a sweep: `table` has its points")
        return self.result

    def summary(self) -> dict:
        """Fractions with their errors, escape peaks, and what the run was: `results.summary`."""
        return results.summary(self._one("summary"))

    def table(self) -> pd.DataFrame:
        """The points of a sweep, one a row: what varies, and fractions of the photons that interacted."""
        if not self._swept:
            raise ValueError("`table` is of a sweep, but this is one run: `summary` has its fractions")
        return sweep.table(self.result)

    def peaks(self) -> pd.DataFrame:
        """Escape peaks as a table, the most intense first: line, energies in eV, intensity with its error."""
        return pd.DataFrame(results.peaks(self._one("peaks")))

    def rebin(self, width: Quantity) -> xr.Dataset:
        """The result with spectra in bins of ``width``, a multiple of its own."""
        return rebin.rebin(self._one("rebin"), width)

    def plot(self, fwhm: Quantity | None = None) -> Figure:
        """The spectrum, through a detector of that resolution if one is given; `savefig` writes it.

        Of a sweep, the fraction of partial depositions over what varies.
        """
        from xcal_jax.plot.curves import sweep_figure
        from xcal_jax.plot.results import result_figure

        if fwhm is not None:
            return result_figure(rebin.seen(self._one("plot` with `fwhm"), fwhm))
        return sweep_figure(self.result) if self._swept else result_figure(self.result)
