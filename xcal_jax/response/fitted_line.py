"""A measured line in one call: read, expected, fitted, and expected anew where the fit has ended."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.expected.parameters import UNITS, stem
from xcal_jax.expected.tables import differentiable
from xcal_jax.io.arguments import checked
from xcal_jax.response.line_shape import Detector
from xcal_jax.response.linefit import DETECTOR, LineFit, check_line, expected_counts, fit_linear, linearise
from xcal_jax.response.measured import read_line
from xcal_jax.simulation.trapping import Trapping
from xcal_jax.units import Quantity, as_numbers, parse_each, parse_quantity, shown

ROUNDS = 2  # of linearising where the last fit ended
START = Trapping(0.01, 50.0)  # where the fit of a tail starts, if nothing is said
ALL_UNITS = UNITS | {"fwhm": "eV", "tail_frac": "1", "tail_tau": "eV", "photons": "1"}


@dataclass(frozen=True)
class FittedLine:
    """fit: parameters with errors; counts, model: (C,) measured and expected; edges: (C + 1,) of the channels, eV;
    notes: a sentence for each model without a derivative that was replaced by the paper's.
    """

    fit: LineFit
    notes: tuple[str, ...]
    counts: np.ndarray
    model: Float[np.ndarray, " C"]
    edges: np.ndarray

    def facts(self) -> dict[str, Any]:
        """Parameters with errors and units, their correlation, and the deviance: for JSON."""
        found = self.fit
        sigma = np.sqrt(np.diag(found.covariance))
        return {
            "parameters": {
                name: {"value": value, "err": error, "unit": ALL_UNITS[stem(name)]}
                for name, value, error in zip(
                    found.parameters, found.values.tolist(), found.errors.tolist(), strict=True
                )
            },
            "correlation": (found.covariance / np.outer(sigma, sigma)).tolist(),
            "deviance": found.deviance,
            "channels": found.channels,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """A line a parameter, and how well it fits."""
        units = {name: "" if part["unit"] == "1" else part["unit"] for name, part in self.facts()["parameters"].items()}
        numbers = zip(units.items(), self.fit.values, self.fit.errors, strict=True)
        lines = [f"{name:14} {value:12.5g} +- {error:9.2g} {unit}".rstrip() for (name, unit), value, error in numbers]
        free = self.fit.channels - len(self.fit.parameters)
        lines.append(f"deviance {self.fit.deviance:.1f} for {free} degrees of freedom")
        return "\n".join([*lines, *(f"note: {sentence}" for sentence in self.notes)])

    __repr__ = __str__


@checked
def fit_line(
    spectrum: str | os.PathLike[str] | tuple[Any, Any],
    absorber: Absorber | str | os.PathLike[str],
    energy: Quantity,
    fwhm: Quantity,
    fit: Sequence[str] = ("yield", "range"),
    trapping: str | Trapping | None = None,
    incident: float | None = None,
    window: str | Sequence[Quantity] | None = None,
    bins: str | Sequence[Quantity] | None = None,
    at: str | Sequence[Quantity] | None = None,
    n: int = 2**16,
    seed: int = 1,
    electrons: str | None = None,
    physics: str | None = None,
    progress: bool = False,
) -> FittedLine:
    """Parameters of ``absorber`` (what `Absorber.load` takes) fitted to a line of ``energy`` measured in ``spectrum``.

    spectrum: a file of `read_line`, with ``bins``, the lower end and the width of its channels, where it has none; or
    (counts, edges in eV). fwhm: the detector's resolution. fit: of ``thickness[n] density[n] yield range``, and of the
    detector's ``fwhm tail_frac tail_tau``. trapping: a tail such as "0.02:60eV", fixed, or where its fit starts.
    incident: photons that fell on the absorber, whose number tells the thickness. window: channels within (low, high)
    only. at: (x, y) um of the impact, or uniform over the top. n: histories of each expectation.
    Raises ValueError where a number makes no sense, or the fit does not converge.

    >>> import xcal_jax as xcal
    >>> seen = xcal.simulation.rebin.seen(xcal.simulate("gold", "7 keV", n=100_000), "20 eV")
    >>> edges = np.append(seen.energy, seen.energy[-1] + 1)
    >>> line = (seen.spectrum, edges)
    >>> found = fit_line(line, "gold", "7 keV", "20 eV", ["range"], window=("2 keV", "7.1 keV"), n=4096)
    >>> found.fit.parameters, bool(abs(found.fit.values[0] - 1) < 0.3)
    (('range', 'photons'), True)
    """
    ev = parse_quantity(energy, "eV", "energy")
    target, impact = (
        Absorber.load(absorber, electrons, physics),
        None if at is None else parse_each(at, ("um", "um"), "at"),
    )
    counts, edges = spectrum_within(spectrum, bins, window)
    also = tuple(name for name in DETECTOR if name in fit)
    wrt = [name for name in fit if name not in DETECTOR]
    if not wrt:
        raise ValueError(
            "`fit` must name at least one parameter of the absorber: thickness[n], density[n], yield, range"
        )
    tail = Trapping.build(trapping) if isinstance(trapping, str) else trapping
    detector = Detector.build(
        parse_quantity(fwhm, "eV", "fwhm"), tail or (START if "tail_frac" in also else replace(START, fraction=0.0))
    )
    check_line(counts, edges, also, incident)
    origin: dict[str, float] = {}
    for _ in range(ROUNDS):
        linear = linearise(target, ev, wrt, impact, origin, n, seed, progress)
        found = fit_linear(linear, counts, edges, detector, also, incident)
        if not (found.converged and np.all(np.isfinite(found.errors))):
            raise ValueError(f"the fit of {','.join(fit)} did not converge: fit fewer, or give `incident`")
        values = dict(zip(found.parameters, found.values.tolist(), strict=True))
        origin = {name: values[name] for name in linear.parameters}
        low = [f"{name} = {value:.4g}" for name, value in origin.items() if not value > 0.0]
        if low:
            raise ValueError(f"the spectrum does not tell {', '.join(low)}: it came out not positive")
    model = expected_counts(linear, found, edges, detector, also, incident)
    return FittedLine(found, differentiable(target)[1], counts, model, edges)


def spectrum_within(spectrum: Any, bins: Any, window: Any) -> tuple[np.ndarray, np.ndarray]:
    """Counts (..., C) and edges, eV, of a file or as given, in the channels within ``window``."""
    return _windowed(*_read(spectrum, bins), window)


def background_within(background: Any, bins: Any, edges: Float[np.ndarray, " E"]) -> Float[np.ndarray, " C"]:
    """Counts (C,) of a ``background``, of a file or as given, in the channels of a spectrum with ``edges``, eV.

    Its own channels may be others: counts are even within each. Raises ValueError for what is no spectrum, does not
    reach over the edges, or has no counts within them.
    """
    counts, own = _read(background, bins)
    if counts.ndim != 1 or own.shape != (counts.size + 1,) or not np.all(np.diff(own) > 0):
        raise ValueError(
            "the background must be one spectrum, with edges that ascend and are one more than its channels"
        )
    if not (np.all(np.isfinite(counts)) and np.all(counts >= 0)):
        raise ValueError("counts of the background must be finite and not negative")
    near = 1e-6 * (edges[1] - edges[0])  # by which edges that are the same may differ
    if own[0] > edges[0] + near or own[-1] < edges[-1] - near:
        span = f"{edges[0]:g} to {edges[-1]:g} eV, but reaches from {own[0]:g} to {own[-1]:g} eV"
        raise ValueError(f"the background must reach over the spectrum, {span}")
    within = np.diff(np.interp(edges, own, np.append(0.0, np.cumsum(counts))))
    if not within.any():
        raise ValueError("the background must have counts in the channels of the spectrum, but has none")
    return within


def _read(spectrum: Any, bins: Any) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges, eV, of a file or as given."""
    if isinstance(spectrum, str | os.PathLike):
        return read_line(spectrum, None if bins is None else parse_each(bins, ("eV", "eV"), "bins"))
    if not isinstance(spectrum, tuple | list) or len(spectrum) != 2:
        raise ValueError(f"a spectrum must be a file or (counts, edges in eV), but is {shown(spectrum)}")
    return as_numbers(spectrum[0], "counts"), as_numbers(spectrum[1], "edges", "eV")


def _windowed(counts: np.ndarray, edges: np.ndarray, window: Any) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges of the channels within ``window``."""
    if window is None:
        return counts, edges
    low, high = parse_each(window, ("eV", "eV"), "window")
    inside = (edges[:-1] >= low) & (edges[1:] <= high)
    if not np.any(inside):
        rule = f"hold channels of {edges[0]:g} to {edges[-1]:g} eV"
        raise ValueError(f"`window` must {rule}, but is {low:g} to {high:g} eV")
    return counts[..., inside], np.append(edges[:-1][inside], edges[1:][inside][-1])
