"""Physics fitted to a measured line: range scale, thickness, yields, trapping, by Poisson likelihood.

The expected figures are linear in small changes of the parameters: they are computed once with their derivatives, the
likelihood is maximised on them (`xcal_jax.fit`, Poisson deviance), and they are computed anew at the new parameters until
these stay. With the same points throughout the figures are functions, and their statistical error is that of the points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.expected.estimate import resolve, run
from xcal_jax.expected.line import Components, Detector, fold
from xcal_jax.expected.parameters import Parameters, names
from xcal_jax.expected.tables import Tables
from xcal_jax.fit import double_precision, least_squares, poisson_residuals

LINES = 40  # the most intense escape peaks, told apart
GRID = 24  # thresholds of the continuum
FLOOR = 1e-9  # counts that every channel expects at least
DETECTOR = ("fwhm", "tail_frac", "tail_tau")


@dataclass(frozen=True)
class Linear:
    """Figures at ``origin`` (P,) with their derivatives: peaks (K,), (P, K); loss_above (A,), (P, A); lines (K,) eV;
    thresholds (A,) eV; energy: eV; parameters: P names.
    """

    parameters: tuple[str, ...]
    origin: np.ndarray
    peaks: np.ndarray
    peaks_slope: np.ndarray
    loss_above: np.ndarray
    loss_slope: np.ndarray
    lines: np.ndarray
    thresholds: np.ndarray
    energy: float

    def at(self, values) -> Components:
        """The components at ``values`` (P,) of the parameters."""
        step = values - self.origin
        return Components(
            self.peaks + step @ self.peaks_slope, self.loss_above + step @ self.loss_slope, jnp.asarray(self.energy)
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
    """Figures and derivatives of ``absorber`` at ``energy`` eV, with the parameters of ``origin`` changed."""
    Source.build(energy, at=at).check_fits(absorber)
    with jax.enable_x64(True):
        tables = Tables.build(absorber, at is None)
        parameters = Parameters.of(absorber, energy, at)
        for name, value in (origin or {}).items():
            parameters = _with(parameters, name, value)
    thresholds = np.append(0.0, np.geomspace(10.0, 1.001 * energy, GRID))
    found = run(tables, parameters, wrt, n, seed, thresholds, progress=progress)
    chosen = resolve(wrt, parameters)
    flat = np.concatenate([np.ravel(np.asarray(leaf)) for leaf in jax.tree.leaves(parameters)])
    peaks, slopes = found.value("peaks")[0], found.derivative("peaks")[0]
    strong = np.argsort(-peaks, kind="stable")[:LINES]
    strong = strong[peaks[strong] > 0]
    return Linear(
        found.parameters,
        flat[list(chosen.values())],
        peaks[strong],
        slopes[:, strong],
        found.value("loss_above")[0],
        found.derivative("loss_above")[0],
        np.asarray(tables.matter.relaxation.energy, dtype=np.float64).reshape(-1)[strong],
        thresholds,
        float(energy),
    )


def fit_line(
    linear: Linear, counts: np.ndarray, edges: np.ndarray, detector: Detector, also: Sequence[str] = ()
) -> LineFit:
    """The parameters of ``linear``, those of ``also`` (``fwhm``, ``tail_frac``, ``tail_tau``) and the number of photons.

    counts: (C,) per channel; edges: (C + 1,) eV; detector: fixed, or where to start. Raises ValueError for counts that
    do not fit the channels, are negative or empty.
    """
    counts, edges = np.asarray(counts, dtype=float), np.asarray(edges, dtype=float)
    if counts.ndim != 1 or edges.shape != (counts.size + 1,) or not np.all(np.diff(edges) > 0):
        raise ValueError(f"`edges` must ascend and be one more than the {counts.size} channels, but are {edges.size}")
    if not (np.all(np.isfinite(counts)) and np.all(counts >= 0) and counts.sum() > 0):
        raise ValueError("`counts` must be finite, not negative and not all zero")
    unknown = set(also) - set(DETECTOR)
    if unknown:
        raise ValueError(f"`also` must be of {', '.join(DETECTOR)}, but has {', '.join(sorted(unknown))}")
    fixed = {name: float(getattr(detector, name)) for name in DETECTOR}
    many = len(linear.origin)
    scale = np.concatenate([np.where(linear.origin != 0, np.abs(linear.origin), 1.0), [fixed[a] for a in also], [1.0]])
    with double_precision():
        lines, thresholds, channels = map(jnp.asarray, (linear.lines, linear.thresholds, edges))

        def model(q):
            values = q * scale
            told = fixed | dict(zip(also, values[many:-1], strict=True))
            shape = fold(linear.at(values[:many]), lines, thresholds, Detector(**told), channels)
            return jnp.maximum(counts.sum() * values[-1] * shape, FLOOR)

        start = jnp.concatenate([jnp.asarray(linear.origin), jnp.array([fixed[a] for a in also]), jnp.ones(1)]) / scale
        found = least_squares(
            lambda q, data: poisson_residuals(data, model(q)), start, jnp.asarray(counts), counts.size
        )
        values = np.asarray(found.parameters) * scale
        covariance = np.asarray(found.covariance) * np.outer(scale, scale)
    return LineFit(
        (*linear.parameters, *also, "photons"),
        np.append(values[:-1], values[-1] * counts.sum()),
        np.sqrt(np.diag(covariance)) * np.append(np.ones(values.size - 1), counts.sum()),
        covariance,
        float(found.chi_square),
        counts.size,
        bool(found.converged),
    )


def _with(parameters: Parameters, name: str, value: float) -> Parameters:
    """``parameters`` with one number changed."""
    place = names(parameters).index(name)
    leaves, shape = jax.tree.flatten(parameters)
    flat = jnp.concatenate([jnp.ravel(leaf) for leaf in leaves]).at[place].set(value)
    cuts = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = [part.reshape(leaf.shape) for part, leaf in zip(jnp.split(flat, cuts), leaves, strict=True)]
    return replace(jax.tree.unflatten(shape, parts))
