"""The loss continuum of a line as line-fitting packages take it: exponential tails, each a fraction and a scale.

A tail of fraction f and scale t puts f / t exp(-loss / t) per eV below the line, of all photons that interact. The
spectrum without its escape peaks is fitted by maximum likelihood, from just below the line to a largest loss. Akaike's
criterion chooses the number of tails. The parameters of a tail are the logarithm of its fraction within that range and
the range over its scale. Both stay well determined where the continuum is flat; it then has no scale, only a least one.
Electrons that leave with any energy make no exponential, so errors are scaled up where the deviance says so.
"""

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.atomic.electron import ELECTRON_LIMITS
from xcal_jax.fit import Fit, aicc, double_precision, least_squares, poisson_residuals, scaled
from xcal_jax.io.arguments import checked

LOWEST = {"range": 10.0, "scattering": ELECTRON_LIMITS[0]}  # eV, that an electron leaves with
BINS = 200  # at most, of the fitted spectrum
LEAST_COUNTS = 100  # in all, to fit anything
MOST_TAILS = 2
SURE = 2.0  # errors that the range over the scale must be above zero for the scale to be known
BESIDE = 2  # bins next to an escape peak that are left out with it


def loss_spectrum(
    result: xr.Dataset, lowest: float, highest: float
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, " B"], Float[np.ndarray, " B"]]:
    """Boundaries of bins of the loss from ``lowest`` to ``highest`` eV, counts, and the part of each bin that is used.

    Bins at escape peaks are not used. Raises ValueError where ``result`` is not of one line, or has too few counts
    there.
    """
    energies = result.source_energy.values
    if energies.size != 1 or not np.isfinite(energies[0]) or "lines" in result.attrs:
        raise ValueError("a tail needs the result of one line without width, but the source has other energies")
    energy, width = float(energies[0]), float(result.energy.attrs["bin_width"])
    if not 0.0 < lowest < highest <= energy:
        raise ValueError(
            f"the range of losses must lie between 0 and the photon energy, {energy:g} eV, and run upwards, "
            f"but is {lowest:g} to {highest:g} eV"
        )
    low = energy - (result.energy.values + width)
    inside = (low >= lowest) & (low + width <= highest)
    used = np.ones(low.size)
    bins = ((energy - result.line_energy.values) / width).astype(int)
    for shift in range(-BESIDE, BESIDE + 1):
        at = bins + shift
        used[at[(at >= 0) & (at < low.size)]] = 0.0
    loss, counts, used = low[inside][::-1], result.spectrum.values[inside][::-1], used[inside][::-1]
    if counts @ used < LEAST_COUNTS:
        raise ValueError(
            f"the range of losses must hold at least {LEAST_COUNTS} photons, but holds {int(counts @ used)}: "
            "simulate more, or take a wider range"
        )
    group = np.arange(loss.size) * min(BINS, loss.size) // loss.size
    first = np.flatnonzero(np.diff(group, prepend=-1))
    size = np.diff(np.append(first, loss.size))
    boundaries = np.append(loss[first], loss[-1] + width)
    return boundaries, np.add.reduceat(counts * used, first), np.add.reduceat(used, first) / size


@checked
def fit_tails(
    result: xr.Dataset, lowest: float | None = None, highest: float | None = None, tails: int | None = None
) -> dict:
    """(fraction, scale) pairs with their errors, the shortest first, for losses of ``lowest`` to ``highest`` eV.

    lowest: by default 10 eV, or 50 eV with scattering electrons, none of which leaves with less; highest: by default
    half the photon energy; tails: how many, 1 or 2, or by Akaike's criterion. Raises ValueError where that cannot be
    fitted.
    """
    energy = float(np.max(result.source_energy.values))
    if lowest is None:
        lowest = LOWEST[result.attrs["electrons"]]
    highest = 0.5 * energy if highest is None else highest
    if tails is not None and tails not in range(1, MOST_TAILS + 1):
        raise ValueError(f"there must be 1 to {MOST_TAILS} tails, but {tails} are asked for")
    boundaries, counts, used = loss_spectrum(result, lowest, highest)
    n = float(result.interacting)
    wanted = range(1, MOST_TAILS + 1) if tails is None else (tails,)
    with double_precision():
        fits = [_fit(boundaries, counts, used, n, number) for number in wanted]
        fits = fits[:1] + [fit for fit in fits[1:] if _is_sure(fit)]
        score = [float(aicc(fit.chi_square, counts.size, fit.parameters.size)) for fit in fits]
        best = fits[int(np.argmin(score))]
        number = best.parameters.size // 2
        values = np.asarray(best.parameters).reshape(2, number)
        errors = np.asarray(scaled(best).errors).reshape(2, number)
    order = np.argsort(-values[1])
    (logs, steepness), (logs_err, steepness_err) = values[:, order], errors[:, order]
    span = float(boundaries[-1] - boundaries[0])
    return {
        "absorber": Absorber.from_toml(result.attrs["absorber"]).name,
        "electrons": result.attrs["electrons"],
        "energy": energy,
        "range": [float(boundaries[0]), float(boundaries[-1])],
        "tails": [
            _tail(float(np.exp(log)), float(log_err), float(k), float(k_err), float(boundaries[0]), span)
            for log, log_err, k, k_err in zip(logs, logs_err, steepness, steepness_err, strict=True)
        ],
        "deviance": float(best.chi_square),
        "degrees_of_freedom": int(counts.size - best.parameters.size),
        "converged": bool(best.converged),
    }


def tail_density(tail: dict, loss: Float[np.ndarray, " B"], within: list[float]) -> Float[np.ndarray, " B"]:
    """Density of a tail of `fit_tails` at each ``loss`` eV, per interacting photon and eV; within: the range, eV."""
    low, high = within
    k = tail["range_over_scale"] or 1e-6
    return tail["fraction_in_range"] * k / -np.expm1(-k) / (high - low) * np.exp(-k * (loss - low) / (high - low))


def _is_sure(fit: Fit) -> bool:
    """Whether a fit has converged, to tails that are all there."""
    relative = np.asarray(scaled(fit).errors)[: fit.parameters.size // 2]
    return bool(fit.converged) and bool(np.all(SURE * relative < 1.0))


def _tail(inside: float, relative: float, k: float, k_err: float, lowest: float, span: float) -> dict:
    """One tail: its fraction ``inside`` the range and, where it is steep enough to have one, its scale and fraction.

    range_over_scale is always known: near 0 where the tail is flat, negative where it rises with the loss.
    """
    tail = {
        "fraction_in_range": inside,
        "fraction_in_range_err": inside * relative,
        "range_over_scale": k,
        "range_over_scale_err": k_err,
    }
    if not k > SURE * k_err:
        return {**tail, "scale": None, "scale_at_least": span / (max(k, 0.0) + SURE * k_err)}
    scale = span / k
    whole = np.exp(lowest / scale) / -np.expm1(-k)
    by_scale = abs(np.exp(-k) * k / -np.expm1(-k) - lowest / scale) * k_err / k
    fraction = float(inside * whole)
    return {
        "fraction": fraction,
        "fraction_err": float(fraction * np.hypot(relative, by_scale)),
        "scale": scale,
        "scale_err": scale * k_err / k,
        **tail,
    }


def _fit(boundaries: np.ndarray, counts: np.ndarray, used: np.ndarray, n: float, number: int) -> Fit:
    steepness = np.geomspace(1.0, 20.0, number)
    start = np.concatenate([np.full(number, np.log(counts.sum() / n / number)), steepness])
    place = (boundaries - boundaries[0]) / (boundaries[-1] - boundaries[0])
    data = tuple(jnp.asarray(values, float) for values in (place, counts, n * used))
    return least_squares(_residuals, jnp.asarray(start), data, float(np.sum(used > 0)))


def _residuals(parameters, data):
    place, counts, exposure = data
    inside, k = jnp.exp(parameters[: parameters.size // 2]), parameters[parameters.size // 2 :]
    k = jnp.where(jnp.abs(k) < 1e-6, 1e-6, k)
    below = jnp.expm1(-place[:, None] * k[None, :]) / jnp.expm1(-k)[None, :]
    expected = exposure * jnp.sum(inside[None, :] * (below[1:] - below[:-1]), axis=1)
    return jnp.where(exposure > 0, poisson_residuals(counts, jnp.maximum(expected, 1e-9)), 0.0)
