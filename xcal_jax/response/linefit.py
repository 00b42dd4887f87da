"""Physics fitted to a measured line: range scale, thickness, yields, trapping, by Poisson likelihood.

For small changes of the parameters the expected observables are linear: they are computed once with their derivatives
(`linearise`), and the likelihood is maximised on them (`fit_linear`, Poisson deviance). Where a parameter
ends far from its origin, linearise there and fit again. Errors of the fit do not hold those of the expectation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Real
from numpy.typing import ArrayLike

from xcal_jax.absorber.absorber import Absorber, double
from xcal_jax.absorber.matter import elements_of
from xcal_jax.absorber.source import Source
from xcal_jax.expected.estimate import run
from xcal_jax.expected.parameters import Parameters, parameter_values
from xcal_jax.expected.tables import Tables
from xcal_jax.fit import double_precision, least_squares, poisson_residuals
from xcal_jax.physics.relaxation import natural_widths
from xcal_jax.response.line_shape import Components, Detector, line_in_channels

LINES = 40  # the most intense escape peaks, told apart
FINE, EVEN = 5, 12  # thresholds of the continuum, in ratios and then in steps of the energy
SMALLEST, SMALL = 0.002, 0.1  # of the energy, where they begin
FLOOR = 1e-9  # counts that every channel expects at least
DETECTOR = ("fwhm", "tail_frac", "tail_tau")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Linear:
    """Observables at ``origin`` (P,) with their derivatives: interaction probability (), (P,); peaks (K,), (P, K);
    loss_above (A,), (P, A); lines (K,) eV, line_widths (K,) eV, full; thresholds (A,) eV; energy: eV; parameters: P
    names.
    """

    parameters: tuple[str, ...] = field(metadata={"static": True})
    origin: Array
    probability: Array
    probability_slope: Array
    peaks: Array
    peaks_slope: Array
    loss_above: Array
    loss_slope: Array
    lines: Array
    line_widths: Array
    thresholds: Array
    energy: Array

    def at(self, values) -> Components:
        """The components at ``values`` (P,) of the parameters."""
        step = values - self.origin
        moves = np.array([name == "energy" for name in self.parameters], dtype=float)
        return Components(
            self.peaks + step @ self.peaks_slope, self.loss_above + step @ self.loss_slope, self.energy + step @ moves
        )


@dataclass(frozen=True)
class LineFit:
    """values, errors: (P,) of ``parameters``; covariance: (P, P); deviance: Poisson's, over ``channels`` channels."""

    parameters: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    covariance: np.ndarray
    deviance: float
    channels: int
    converged: bool


def linearise(
    absorber: Absorber,
    energy: float,
    wrt: Sequence[str],
    at: tuple[float, float] | None = None,
    origin: dict[str, float] | None = None,
    n: int = 2**16,
    seed: int = 1,
    progress: bool = False,
) -> Linear:
    """Observables and derivatives of ``absorber`` at ``energy`` eV, with the parameters of ``origin`` changed.

    Raises what `estimate` raises.
    """
    Source.build(energy, at=at).check_fits(absorber)
    with jax.enable_x64(True):
        tables = Tables.build(absorber)
        parameters = Parameters.of(absorber, energy, at).changed(origin or {})
        energy = float(parameters.energy)
    steps = np.append(np.geomspace(SMALLEST, SMALL, FINE), np.linspace(SMALL, 1.001, EVEN + 1)[1:])
    thresholds = (0.0, *(energy * steps).tolist())
    found = run(tables, parameters, wrt, n, seed, thresholds, progress=progress)
    values = parameter_values(parameters)
    peaks, slopes = found.value("peaks")[0], found.derivative("peaks")[0]
    strong = np.argsort(-peaks, kind="stable")[:LINES]
    strong = strong[peaks[strong] > 0]
    numbers: tuple[ArrayLike, ...] = (
        np.array([values[name] for name in found.parameters]),
        found.value("interaction_probability")[0],
        found.derivative("interaction_probability")[0],
        peaks[strong],
        slopes[:, strong],
        found.value("loss_above")[0],
        found.derivative("loss_above")[0],
        tables.line_energy[strong],
        natural_widths(elements_of(absorber))[strong],
        thresholds,
        energy,
    )
    return Linear(found.parameters, *map(double, numbers))


def check_line(
    counts: Real[np.ndarray, "..."], edges: Real[np.ndarray, " E"], also: Sequence[str], incident: float | None
) -> None:
    """Raise ValueError for counts and edges that `fit_linear` cannot fit."""
    if counts.ndim != 1 or edges.shape != (counts.size + 1,) or not np.all(np.diff(edges) > 0):
        raise ValueError(f"`edges` must ascend and be one more than the {counts.size} channels, but are {edges.size}")
    if not (np.all(np.isfinite(counts)) and np.all(counts >= 0) and counts.sum() > 0):
        raise ValueError("`counts` must be finite, not negative and not all zero")
    unknown = set(also) - set(DETECTOR)
    if unknown:
        raise ValueError(f"`also` must be of {', '.join(DETECTOR)}, but has {', '.join(sorted(unknown))}")
    if incident is not None and not (np.isfinite(incident) and incident >= counts.sum()):
        raise ValueError(f"`incident` must be at least the {counts.sum():g} photons counted, but is {incident:g}")


def fit_linear(
    linear: Linear,
    counts: Real[np.ndarray, "..."],
    edges: Real[np.ndarray, " E"],
    detector: Detector,
    also: Sequence[str] = (),
    incident: float | None = None,
) -> LineFit:
    """The fit of the parameters of ``linear``, of ``also`` (``fwhm``, ``tail_frac``, ``tail_tau``), and of the photons.

    counts: by channel; edges: of the channels, eV; detector: fixed, or where to start. incident: the photons that are
    expected to fall on the absorber, if that is known: how many are seen then tells the thickness, which the shape of
    the spectrum hardly does. Otherwise the number that interacted is fitted, ``photons``. Raises ValueError for counts
    that do not fit the channels, are negative or empty, and for fewer incident photons than counts.
    """
    counts, edges = np.asarray(counts, dtype=float), np.asarray(edges, dtype=float)
    check_line(counts, edges, also, incident)
    with double_precision():
        numbers, fixed = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), (linear, detector))
        sent = None if incident is None else jnp.asarray(incident, float)
        found, scale = _maximise(numbers, fixed, jnp.asarray(counts), jnp.asarray(edges), sent, tuple(also))
        scale = np.asarray(scale)
        values = np.asarray(found.parameters) * scale
        covariance = np.asarray(found.covariance) * np.outer(scale, scale)
    return LineFit(
        (*linear.parameters, *also, *(() if incident else ("photons",))),
        values,
        np.sqrt(np.diag(covariance)),
        covariance,
        float(found.chi_square),
        counts.size,
        bool(found.converged),
    )


@partial(jax.jit, static_argnames="also")
def _maximise(linear: Linear, fixed: Detector, counts, edges, incident, also: tuple[str, ...]):
    """(fit in units of scale, scale) of the parameters: those of ``linear``, of ``also``, photons if not known."""
    told = jnp.array([fixed.numbers[name] for name in also])
    photons = jnp.sum(counts)[None] if incident is None else jnp.zeros(0)
    start = jnp.concatenate([linear.origin, told, photons])
    scale = jnp.where(start != 0.0, jnp.abs(start), 1.0)

    def residuals(q, data):
        return poisson_residuals(data, _counts(linear, q * scale, fixed, edges, incident, also))

    return least_squares(residuals, start / scale, counts, counts.shape[0]), scale


def _counts(linear: Linear, values, fixed: Detector, edges, incident, also: tuple[str, ...]):
    """Expected in each channel (C,), at ``values`` of the parameters as `fit_linear` orders them."""
    many = linear.origin.shape[0]
    detector = fixed.changed({name: values[many + n] for n, name in enumerate(also)})
    shape = line_in_channels(linear.at(values[:many]), linear.lines, linear.thresholds, detector, edges)
    if incident is None:
        photons = values[-1]
    else:
        photons = incident * (linear.probability + (values[:many] - linear.origin) @ linear.probability_slope)
    return jnp.maximum(photons * shape, FLOOR)


def expected_counts(
    linear: Linear,
    fit: LineFit,
    edges: Real[np.ndarray, " E"],
    detector: Detector,
    also: Sequence[str] = (),
    incident: float | None = None,
) -> Float[np.ndarray, " C"]:
    """Expected counts per channel of the ``fit`` that `fit_linear` has found with the same arguments."""
    with double_precision():
        numbers, fixed = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), (linear, detector))
        sent = None if incident is None else jnp.asarray(incident, float)
        found = _counts(numbers, jnp.asarray(fit.values), fixed, jnp.asarray(edges), sent, tuple(also))
        return np.asarray(found)
