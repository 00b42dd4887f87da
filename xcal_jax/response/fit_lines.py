"""Natural lines fitted to one measured spectrum or many, in one call: read, checked, started, fitted."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import source_lines
from xcal_jax.atomic.lines import LineShape
from xcal_jax.expected.tables import differentiable
from xcal_jax.io.arguments import checked
from xcal_jax.response.complex_fit import Maximum, expected_deviance, first_values, maximise, starts
from xcal_jax.response.fitted_complex import FittedLines
from xcal_jax.response.fitted_line import ROUNDS, background_within, spectrum_within
from xcal_jax.response.linefit import linearise
from xcal_jax.response.measured import read_events
from xcal_jax.response.natural_shape import SCALE, NaturalShape
from xcal_jax.simulation.trapping import Trapping
from xcal_jax.units import Quantity, as_numbers, parse_each, parse_quantity, shown

BACKGROUNDS = {"none": (), "constant": ("background",), "linear": ("background", "slope")}
START = Trapping(0.05, 20.0)  # of a tail, where nothing is said
AROUND = 0.01  # of the energy, on both sides of the lines, for a histogram of events
UNEVEN = 1e-3  # of a channel's width, by which widths may differ
SHARPER = 0.6  # of a known FWHM, down to which the fitted one is exact


@checked
def fit_lines(
    spectrum: str | os.PathLike[str] | tuple[Any, Any] | ArrayLike,
    line: str,
    absorber: Absorber | str | os.PathLike[str] | None = None,
    fit: Sequence[str] = ("offset", "fwhm"),
    fwhm: Quantity | None = None,
    trapping: str | Trapping | None = None,
    background: str = "constant",
    background_table: str | os.PathLike[str] | tuple[Any, Any] | None = None,
    background_scale: float | None = None,
    shared: Sequence[str] = (),
    window: str | Sequence[Quantity] | None = None,
    bins: str | Sequence[Quantity] | None = None,
    events: str | None = None,
    bin_width: Quantity = 1.0,
    line_table: str | os.PathLike[str] | None = None,
    at: str | Sequence[Quantity] | None = None,
    n: int = 2**16,
    seed: int = 1,
    progress: bool = False,
) -> FittedLines:
    """Natural lines on one energy scale fitted to a ``spectrum``; the photons of each are always fitted.

    spectrum: a file of `measured.read_line`, or of single events with their column ``events`` (`measured.read_events`),
    or energies (n,) of events, eV or with a unit, both in bins of ``bin_width``; or (counts (C,) or (B, C) of many
    spectra, edges in eV). line: "MnKa" or
    "MnKa:2,MnKb:0.3", where weights are only a start. fit: of ``offset gain curvature fwhm fwhm_slope tail_frac
    tail_tau``, and with an ``absorber`` of ``thickness[n] density[n] yield range``: its losses are then part of the
    shape. fwhm: of the detector, where it is known or the fit starts; without it the spectrum tells. trapping: a tail
    such as "0.02:60eV", fixed, or where its fit starts. background: none, constant or linear. background_table:
    beside it a measured background, given as ``spectrum`` is and taken to be exact. background_scale: what its counts
    are multiplied by, such as a ratio of live times; without it this is fitted. shared: of what is fitted, that of
    which all spectra have one value. window: channels within (low, high) only.
    Raises ValueError where a number makes no sense, lines lie outside the spectrum, or a fit does not converge.

    >>> rng = np.random.default_rng(1)
    >>> energies = 6000 + 2.5 / 2.355 * rng.normal(size=2000) + 0.5 * 1.4 * np.tan(np.pi * (rng.random(2000) - 0.5))
    >>> found = fit_lines(energies - 101.3, "Mn K-L3", background="none", window=(5850, 5950))
    >>> found.parameters, bool(abs(found.values[0, 1]) < 0.3)
    (('Mn K-L3', 'offset', 'fwhm'), True)
    """
    lines, ratio = zip(*source_lines(line, None, line_table), strict=True)
    energies = _energies(spectrum, events)
    if energies is not None:
        spectrum = _histogram(energies, lines, parse_quantity(bin_width, "eV", "bin_width", above=0.0), window)
    counts, edges = spectrum_within(spectrum, bins, window)
    counts = np.atleast_2d(counts)
    if background not in BACKGROUNDS:
        raise ValueError(f"`background` must be one of {', '.join(BACKGROUNDS)}, but is {shown(background)}")
    asked = tuple(fit)
    wrt = [name for name in asked if name not in SCALE]
    if wrt and absorber is None:
        raise ValueError(f"`fit` has {', '.join(wrt)}, which needs `absorber`: without it, {', '.join(SCALE)}")
    if fwhm is None and "fwhm" not in asked:
        raise ValueError("`fwhm` must be given where it is not fitted")
    if background_scale is not None and background_table is None:
        raise ValueError("`background_scale` needs `background_table`, the background that it multiplies")
    fitted = background_table is not None and background_scale is None
    free = {*(shape.name for shape in lines), *asked, *BACKGROUNDS[background], *["background_scale"] * fitted}
    _check(counts, edges, lines, len(free))
    alien = [name for name in shared if name not in free]
    if alien or (shared and len(counts) == 1):
        rule = "needs several spectra, but there is one" if not alien else f"has {', '.join(alien)}, not fitted here"
        raise ValueError(f"`shared` {rule}")
    beneath = None if background_table is None else background_within(background_table, bins, edges)
    known = _known(asked, fwhm, Trapping.build(trapping) if isinstance(trapping, str) else trapping)
    if background_scale is not None:
        known["background_scale"] = parse_quantity(background_scale, "", "background_scale", above=0.0)
    sharpest = SHARPER * known["fwhm"] if "fwhm" in known else float(np.diff(edges).mean())
    notes: tuple[str, ...] = ()
    linear: list = []
    origin: dict[str, float] = {}
    for _ in range(ROUNDS if wrt else 1):
        if absorber is not None:
            target = Absorber.load(absorber)
            impact = None if at is None else parse_each(at, ("um", "um"), "at")
            notes = differentiable(target)[1]
            told = wrt or ["range"]
            linear = [linearise(target, one.mean_energy, told, impact, origin, n, seed, progress) for one in lines]
        stretched = bool({"gain", "curvature"} & set(asked))
        shape = NaturalShape.build(lines, edges, sharpest, linear, stretched, beneath)
        chosen = np.array([name in free for name in shape.parameters])
        begin = starts(shape, counts, first_values(shape, np.array(ratio), known), chosen)
        together = np.array([name in shared for name in shape.parameters])
        found = maximise(shape, counts, begin, chosen, together)
        mean = dict(zip(shape.parameters, np.mean(found.values, axis=0).tolist(), strict=True))
        origin = {name: mean[name] for name in (linear[0].parameters if wrt else ())}
        low = [f"{name} = {value:.4g}" for name, value in origin.items() if not value > 0.0]
        if low:
            raise ValueError(f"the spectrum does not tell {', '.join(low)}: it came out not positive")
    if not np.any(found.converged):
        raise ValueError(f"the fit of {','.join(asked)} did not converge: fit fewer parameters, or a wider `window`")
    if shared:
        notes = (*notes, f"of one value in all spectra: {', '.join(shared)}")
    return _described(shape, chosen, together, found, counts, edges, lines, notes)


def _described(
    shape: NaturalShape,
    chosen: np.ndarray,
    together: np.ndarray,
    found: Maximum,
    counts: np.ndarray,
    edges: np.ndarray,
    lines: tuple[LineShape, ...],
    notes: tuple[str, ...],
) -> FittedLines:
    """The ``found`` values of the ``chosen`` parameters, with their goodness; those ``together`` count once for all."""
    mean, variance = np.array([expected_deviance(model) for model in found.model]).T
    mean = mean - np.sum((chosen & ~found.bound) / np.where(together, len(counts), 1), axis=1)
    return FittedLines(
        tuple(np.array(shape.parameters)[chosen].tolist()),
        found.values[:, chosen],
        found.errors[:, chosen],
        found.normal[:, chosen],
        found.covariance[:, chosen][:, :, chosen],
        found.deviance,
        mean,
        stats.norm.sf((found.deviance - mean) / np.sqrt(variance)),
        found.converged,
        counts,
        found.model,
        edges,
        lines,
        notes,
        shape,
        found.values,
        tuple(np.array(shape.parameters)[together].tolist()),
    )


def _known(asked: tuple[str, ...], fwhm: Quantity | None, trapping: Trapping | None) -> dict[str, float]:
    """Values of the detector's parameters that are fixed, or where their fits start."""
    known: dict[str, float] = {}
    if fwhm is not None:
        known["fwhm"] = parse_quantity(fwhm, "eV", "fwhm", above=0.0)
    if trapping is None and {"tail_frac", "tail_tau"} & set(asked):
        trapping = START
    if trapping is not None:
        known |= {"tail_frac": float(trapping.fraction), "tail_tau": float(trapping.scale)}
    return known


def _check(counts: np.ndarray, edges: Float[np.ndarray, " E"], lines: tuple[LineShape, ...], parameters: int) -> None:
    """Raise ValueError for a spectrum that cannot be fitted."""
    steps = np.diff(edges)
    if counts.ndim != 2 or edges.shape != (counts.shape[1] + 1,) or not np.all(steps > 0):
        raise ValueError(f"`edges` must ascend and be one more than the {counts.shape[-1]} channels")
    if not (np.all(np.isfinite(counts)) and np.all(counts >= 0)):
        raise ValueError("`counts` must be finite and not negative")
    if not np.all(counts.sum(axis=1) > 0):
        raise ValueError("the spectrum must have counts, but has none")
    if steps.size <= parameters:
        raise ValueError(
            f"{parameters} parameters need more channels than there are, {steps.size}: take a wider window"
        )
    if np.ptp(steps) > UNEVEN * steps.mean():
        raise ValueError(
            f"natural lines need channels of one width, but theirs are {steps.min():g} to {steps.max():g} eV: "
            "take a `window` in which they are, or bin anew"
        )
    for line in lines:
        if not edges[0] < line.mean_energy < edges[-1]:
            hint = " (are its energies in keV?)" if edges[-1] < 0.1 * line.mean_energy else ""
            span = f"{edges[0]:g} to {edges[-1]:g} eV{hint}"
            raise ValueError(f"line {line.name} at {line.mean_energy:.1f} eV lies outside the spectrum, {span}")


def _energies(spectrum: Any, column: str | None) -> Float[np.ndarray, " n"] | None:
    """Energies in eV of single events, where the ``spectrum`` is a file with a ``column`` of them, or an array."""
    if column is not None:
        return read_events(spectrum, column)
    if isinstance(spectrum, str | os.PathLike | tuple | list):
        return None
    energies = as_numbers(spectrum, "spectrum", "eV").ravel()
    if energies.size == 0 or not np.all(np.isfinite(energies)):
        raise ValueError(f"`spectrum` must hold finite energies, but has {'NaN' if energies.size else 'none'}")
    return energies


def _histogram(
    energies: Float[np.ndarray, " n"], lines: tuple[LineShape, ...], width: float, window: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges, eV, of events of these ``energies`` around the ``lines``, or within the ``window``."""
    means = [line.mean_energy for line in lines]
    low, high = (1.0 - AROUND) * min(means), (1.0 + AROUND) * max(means)
    if window is not None:
        low, high = parse_each(window, ("eV", "eV"), "window")
    edges = low + width * np.arange(max(1, round((high - low) / width)) + 1)
    counts, _ = np.histogram(energies, edges)
    if not counts.any():
        hint = ": are they in keV?" if np.median(energies) < 1e-2 * low else ""
        span = f"{energies.min():g} to {energies.max():g} eV"
        raise ValueError(f"no event lies between {low:g} and {high:g} eV, but all from {span}{hint}")
    return counts.astype(float), edges
