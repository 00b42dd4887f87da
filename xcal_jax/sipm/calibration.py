"""Energy calibration from lines (step 5): Eq. 2, E = k x + b, and two curved forms beside it.

A CsI(Tl) crystal on a SiPM is not linear over more than a few hundred keV: light yield changes with energy and
the sensor runs out of free cells. The quadratic is the plain empirical form. The saturation is the sensor's
own: of the light of E only k x + b = (1 - e^(-c E)) / c is counted, 1/c keV being the energy at which a share
of 1/e of the cells is still free. Both go over into Eq. 2 as their last parameter goes to zero.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from xcal_jax import fit
from xcal_jax.io.datasets import variable

SHAPES = {"linear": ("k", "b"), "quadratic": ("k", "b", "q"), "saturation": ("k", "b", "c")}
FORMULAS = {"linear": "k x + b", "quadratic": "k x + b + q x^2", "saturation": "-ln(1 - c (k x + b)) / c"}
UNITS = "k (keV per channel), b (keV), q (keV per channel^2), c (1/keV)"
SMALL = 1e-6
FULL = 0.999


def usable(position, error, *others) -> tuple[np.ndarray, ...]:
    """The points whose position and error are finite (a vetoed line has neither), as flat arrays."""
    arrays = [np.asarray(a, float).ravel() for a in (position, error, *others)]
    good = np.isfinite(arrays[0]) & np.isfinite(arrays[1])
    return tuple(a[good] for a in arrays)


def energy_of(shape: str, parameters: fit.Array, x: fit.Array) -> fit.Array:
    """Energy, keV: (N,). parameters: (2,) or (3,) as in `SHAPES`; x: (N,) channels."""
    straight = parameters[0] * x + parameters[1]
    if shape == "linear":
        return straight
    if shape == "quadratic":
        return straight + parameters[2] * x**2
    used = jnp.minimum(parameters[2] * straight, FULL)
    near = jnp.abs(used) < SMALL
    safe = jnp.where(near, 0.5, used)
    return straight * jnp.where(near, 1.0 + 0.5 * used, -jnp.log1p(-safe) / safe)


@partial(jax.jit, static_argnames="shape")
def slope_at(shape: str, parameters: jax.Array, x: fit.Array) -> jax.Array:
    """dE/dx at ``x``: (N,) keV per channel."""
    return jax.vmap(jax.grad(energy_of, argnums=2), (None, None, 0))(shape, parameters, x)


@partial(jax.jit, static_argnames="shape")
def fit_shape(shape: str, x: fit.Array, energy: fit.Array, sigma: jax.Array) -> fit.Fit:
    """One fit: closed form where the shape is a polynomial, which also starts the other. All (N,); sigma keV."""
    count = len(SHAPES[shape])
    polynomial = fit.linear(jnp.stack([x, jnp.ones_like(x), x**2], 1)[:, :count], energy, sigma)
    if shape != "saturation":
        return polynomial
    k, b, q = polynomial.parameters
    start = jnp.stack([k, b, 2.0 * q / k**2])
    unit = jnp.abs(jnp.stack([start[0], jnp.max(energy), 1.0 / jnp.max(energy)]))

    def residuals(p, _):
        return (energy_of(shape, p * unit, x) - energy) / sigma

    best = fit.least_squares(residuals, start / unit, None, float(x.size))
    covariance = best.covariance * unit[:, None] * unit[None, :]
    return fit.Fit(best.parameters * unit, covariance, best.chi_square, best.points, best.converged)


def energy_calibration(position, position_error, energy, shape: str = "linear") -> xr.Dataset:
    """Calibrate by lines: Eq. 2 ("linear", two lines or more), "quadratic" or "saturation" (three or more).

    position, position_error: (N,) channels; energy: (N,) keV. The position's error counts as the slope dE/dx
    times it. Returns `parameters` as in `SHAPES`, `errors`, `covariance` (scaled by chi2/nu where there are
    more lines than parameters and that exceeds one), `residual` keV.
    Raises ValueError for another shape, fewer lines that passed than parameters, errors that are not positive,
    lines at one position, or a fit that does not converge.
    """
    if shape not in SHAPES:
        raise ValueError(f"`shape` must be one of {', '.join(SHAPES)}, but is {shape!r}")
    names = SHAPES[shape]
    x, error, e = usable(position, position_error, energy)
    if x.size < len(names):
        count = {2: "two", 3: "three"}[len(names)]
        raise ValueError(f"a {shape} calibration needs at least {count} lines, but {x.size} passed")
    if not (error > 0).all():
        raise ValueError("`position_error` must be positive, but one is not")
    if np.unique(x).size < len(names):
        raise ValueError(f"a {shape} calibration needs lines at {len(names)} positions, but they are at {np.unique(x)}")
    with fit.double_precision():
        p = jnp.asarray(np.append(np.polyfit(x, e, 1), 0.0)[: len(names)])
        for _ in range(3):
            slope = slope_at(shape, p, x)
            line = fit_shape(shape, x, e, jnp.abs(slope) * error)
            p = line.parameters
        line = jax.tree.map(np.asarray, fit.scaled(line) if x.size > len(names) else line)
        residual = np.asarray(energy_of(shape, p, x)) - e
    if not line.converged:
        raise ValueError(f"a {shape} calibration does not converge on these lines")
    return xr.Dataset(
        {
            "parameters": variable("parameter", line.parameters, "keV", UNITS),
            "errors": variable("parameter", line.errors, "keV", "their errors"),
            "covariance": variable(("parameter", "parameter_"), line.covariance, "keV^2", "covariance"),
            "chi_square": variable((), line.chi_square, "1", "chi-square"),
            "degrees": variable((), x.size - len(names), "1", "degrees of freedom"),
            "position": variable("line", x, "1", "line position, channel"),
            "energy": variable("line", e, "keV", "line energy"),
            "residual": variable("line", residual, "keV", "fit minus energy"),
        },
        {"parameter": variable("parameter", list(names), "1", "parameter")},
        {"shape": shape},
    )


def energy_at(calibration: xr.Dataset, position) -> tuple[np.ndarray, np.ndarray]:
    """Energy at ``position`` (N,) channels and its error from the calibration's covariance, keV: (N,) each."""
    x = np.atleast_1d(np.asarray(position, float))
    shape = calibration.attrs["shape"]
    with fit.double_precision():
        parameters = jnp.asarray(calibration["parameters"].values)
        value = np.asarray(energy_of(shape, parameters, x))
        slope = np.asarray(jax.jacfwd(lambda p: energy_of(shape, p, x))(parameters))
    return value, np.sqrt(np.einsum("ni,ij,nj->n", slope, calibration["covariance"].values, slope))
