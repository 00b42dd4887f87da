"""Natural lines that have been fitted: their parameters as a table, as facts for JSON, as a Dataset, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xcal_jax.atomic.lines import LineShape
from xcal_jax.io.datasets import variable
from xcal_jax.response.fitted_line import ALL_UNITS
from xcal_jax.response.natural_shape import NaturalShape
from xcal_jax.response.posterior import posterior
from xcal_jax.response.profile import profile
from xcal_jax.units import shown

UNITS = ALL_UNITS | {
    "offset": "eV",
    "gain": "1",
    "curvature": "1/eV",
    "fwhm_slope": "1",
    "background": "1/eV",
    "slope": "1/eV^2",
    "background_scale": "1",
}


@dataclass(frozen=True)
class FittedLines:
    """Fits of natural lines to B spectra.

    parameters: (F,) names of what was fitted; values, errors: (B, F), NaN on a bound; normal: (B, F), whether an error
    means what it says; covariance: (B, F, F); deviance,
    expected_deviance, chance: (B,), Poisson's, what it should be, and the chance of a larger one; converged: (B,);
    counts, model: (B, C); edges: (C + 1,) eV; lines: what was fitted; notes: sentences on the physics; shape, whole:
    the model, and (B, T) all its parameters; shared: names of those that have one value in all spectra.

    Errors are those of Fisher's information at the maximum. A parameter on a bound is taken as known there, and the
    errors of the others are smaller for it. A constant background that is fitted looks much like the losses of
    electrons: the error of their range scale is eight times as large beside it as beside one that came out as 0 and was
    held (Mn K alpha, X-IFU, 3500 to 5931 eV). Errors of spectra of one source then fall into two groups, and do not go
    with the root of the counts. `sample` gives errors without this step, `intervals` such of few counts.
    """

    parameters: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    normal: np.ndarray
    covariance: np.ndarray
    deviance: np.ndarray
    expected_deviance: np.ndarray
    chance: np.ndarray
    converged: np.ndarray
    counts: np.ndarray
    model: np.ndarray
    edges: np.ndarray
    lines: tuple[LineShape, ...]
    notes: tuple[str, ...]
    shape: NaturalShape
    whole: np.ndarray
    shared: tuple[str, ...]

    def unit(self, name: str) -> str:
        """Unit of a parameter; the photons of a line have none."""
        return UNITS.get(name.split("[")[0], "1")

    def table(self, spectrum: int = 0) -> pd.DataFrame:
        """A row a parameter of one ``spectrum``: value, error, unit, and whether it is on a bound, and normal."""
        values, errors = self.values[spectrum], self.errors[spectrum]
        units = [self.unit(name) for name in self.parameters]
        columns = {"value": values, "error": errors, "unit": units, "on_bound": np.isnan(errors)}
        columns["normal"] = self.normal[spectrum]
        return pd.DataFrame(columns, index=pd.Index(self.parameters, name="parameter"))

    def intervals(
        self, spectrum: int = 0, parameters: Sequence[str] | None = None, probability: float = 0.6827
    ) -> pd.DataFrame:
        """A row a parameter of one ``spectrum``: its value, and the ends of the interval that holds it.

        parameters: of all that was fitted, if none. The ends are those of the profile likelihood: see `profile`.
        Raises ValueError for a spectrum or a parameter that is not there, a probability outside (0, 1), and where
        spectra share parameters.
        """
        self._check_one("intervals", spectrum)
        if not 0.0 < probability < 1.0:
            raise ValueError(f"`probability` must lie between 0 and 1, but is {probability}")
        names = self.parameters if parameters is None else tuple(parameters)
        for name in names:
            if name not in self.parameters:
                raise ValueError(f"`parameters` must be of {', '.join(self.parameters)}, but has {shown(name)}")
        one, every = slice(spectrum, spectrum + 1), self.shape.parameters
        free = np.array([name in self.parameters for name in every])
        wanted = np.array([every.index(name) for name in names], int)
        told = self.counts[one], self.whole[one], self.deviance[one], free, wanted, probability
        low, high = profile(self.shape, *told)[0].T
        columns = {"value": self.whole[spectrum, wanted], "low": low, "high": high}
        columns["unit"] = [self.unit(name) for name in names]
        return pd.DataFrame(columns, index=pd.Index(names, name="parameter"))

    def _check_one(self, method: str, spectrum: int) -> None:
        if self.shared:
            raise ValueError(f"`{method}` is of one spectrum: fit it alone, without `shared`")
        if not 0 <= spectrum < len(self.counts):
            raise ValueError(f"`spectrum` must be 0 to {len(self.counts) - 1}, but is {spectrum}")

    def sample(self, spectrum: int = 0, n: int = 2000, seed: int = 1) -> xr.Dataset:
        """Draws from the posterior of one ``spectrum``, with errors that hold near a bound: see `posterior`.

        n: draws by each of 32 walkers or more, after as many to warm up. Raises ValueError for a spectrum that is not
        there, and where spectra share parameters, whose posterior is of all of them together.
        """
        self._check_one("sample", spectrum)
        units = tuple(map(self.unit, self.parameters))
        told = self.counts[spectrum], self.whole[spectrum], self.parameters, units
        return posterior(self.shape, *told, n, seed)

    def facts(self, spectrum: int = 0) -> dict[str, Any]:
        """Parameters with errors and units, covariance, goodness of fit and where lines come from: for JSON."""
        rows = self.table(spectrum).rename(columns={"error": "err"})
        return {
            "parameters": rows.to_dict("index"),
            "covariance": self.covariance[spectrum].tolist(),
            "deviance": float(self.deviance[spectrum]),
            "expected_deviance": float(self.expected_deviance[spectrum]),
            "chance": float(self.chance[spectrum]),
            "channels": self.edges.size - 1,
            "lines": {line.name: line.source for line in self.lines},
            "notes": list(self.notes),
        }

    def to_dataset(self) -> xr.Dataset:
        """All fits as a Dataset, for netCDF."""
        fits, square = ("spectrum", "parameter"), ("spectrum", "parameter", "parameter_2")
        names, units = list(self.parameters), [self.unit(name) for name in self.parameters]
        return xr.Dataset(
            {
                "value": variable(fits, self.values, "1", "value, in its unit"),
                "error": variable(fits, self.errors, "1", "standard error, in its unit (NaN: on a bound)"),
                "normal": variable(fits, self.normal, "1", "whether the likelihood is about normal within the error"),
                "covariance": variable(square, self.covariance, "1", "covariance, in their units"),
                "deviance": variable("spectrum", self.deviance, "1", "Poisson deviance"),
                "expected_deviance": variable("spectrum", self.expected_deviance, "1", "its mean, of a true model"),
                "chance": variable("spectrum", self.chance, "1", "chance of a larger deviance"),
                "converged": variable("spectrum", self.converged, "1", "whether the fit converged"),
                "counts": variable(("spectrum", "channel"), self.counts, "count", "measured counts"),
                "model": variable(("spectrum", "channel"), self.model, "count", "expected counts"),
            },
            {
                "parameter": variable("parameter", names, "1", "parameter"),
                "unit": variable("parameter", units, "1", "unit of the parameter"),
                "parameter_2": variable("parameter_2", names, "1", "parameter"),
                "channel": variable("channel", self.edges[:-1], "eV", "lower edge of the channel"),
            },
            {"lines": "; ".join(f"{line.name}: {line.source}" for line in self.lines), "notes": "\n".join(self.notes)},
        )

    def __str__(self) -> str:
        """A line a parameter of the first spectrum, how well it fits, and what to know."""
        one = self.facts()
        rows = []
        for name, part in one["parameters"].items():
            error = "on its bound" if part["on_bound"] else f"+- {part['err']:9.2g}"
            row = f"{name:14} {part['value']:14.7g} {error} {part['unit'].lstrip('1') or ''}".rstrip()
            rows.append(row if part["normal"] else f"{row}, not normal: few counts tell it, take `.intervals()`")
        good = f"{one['expected_deviance']:.0f} expected, chance {one['chance']:.3g}"
        rows.append(f"deviance {one['deviance']:.1f} of {one['channels']} channels, {good}")
        if self.table().on_bound.any():
            rows.append("errors of the others are those with what is on a bound held there; `.sample()` frees it")
        rows += [f"{name}: {source}" for name, source in one["lines"].items()]
        return "\n".join([*rows, *(f"note: {sentence}" for sentence in self.notes)])

    __repr__ = __str__
