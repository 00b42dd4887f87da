"""Fits of Mn K alpha: pulls of every parameter, the usual exponential in place of the losses, other programs beside it.

    python analysis/line_fits.py [--spectra 200] [--counts 1e5 1e3] [--peers]

Spectra are drawn from the natural line through the X-IFU absorber (electron losses, FWHM 2.5 eV) and fitted with that
model; then with the usual exponential tail alone. A pull is (fitted - true) / error: its mean should be 0 and its width
1. `--peers` fits one model (Lorentzians, Gaussian, exponential tail, constant) to one histogram with lmfit and iminuit
as well (the extra `bench`), and times them beside a batch of 240 fits.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
from scipy.signal import lfilter
from scipy.special import voigt_profile

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.atomic.lines import load_line
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.response.complex_fit import Maximum, expected_deviance, first_values, maximise, starts
from xcal_jax.response.linefit import Linear, linearise
from xcal_jax.response.natural_shape import INSIDE, NaturalShape

EDGES = np.arange(5800.0, 5931.0, 0.5)
DEEP = np.arange(3500.0, 5931.0, 1.0)  # the losses of electrons reach far below the line
FWHM, BACKGROUND = 2.5, 0.002  # eV; counts per eV, of each photon in the line, for the peers
LINE = load_line("MnKa")
HALF_STEPS = 5  # of the peers' grid, in a channel


def losses(n: int = 2**16) -> Linear:
    """What electrons take out of the X-IFU absorber at Mn K alpha, with its derivative in their range."""
    return linearise(Absorber.load("xifu"), LINE.mean_energy, ["range"], n=n)


def drawn(shape: NaturalShape, true: np.ndarray, spectra: int, seed: int) -> np.ndarray:
    """Spectra (B, C) of the ``true`` parameters."""
    with jax.enable_x64(True):
        mean = np.asarray(shape.expected(jnp.asarray(true)))
    return np.random.default_rng(seed).poisson(mean, (spectra, mean.size)).astype(float)


def truth(shape: NaturalShape, counts: float, **known: float) -> np.ndarray:
    """All parameters of a spectrum of ``counts`` photons in the line."""
    return first_values(shape, np.array([counts]), {"fwhm": FWHM, "offset": 1.7} | known)


def fitted(shape: NaturalShape, counts: np.ndarray, free: set[str], **begin: float) -> tuple[Maximum, np.ndarray]:
    """Fits of the ``free`` parameters to spectra (B, C), and which these are."""
    chosen = np.array([name in free for name in shape.parameters])
    start = starts(shape, counts, first_values(shape, np.ones(1), begin), chosen)
    return maximise(shape, counts, start, chosen), chosen


def pulls(found: Maximum, true: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(B, F), NaN where a parameter is on a bound."""
    return ((found.values - true)[:, chosen]) / found.errors[:, chosen]


def signed_roots(
    shape: NaturalShape, counts: np.ndarray, found: Maximum, true: np.ndarray, chosen: np.ndarray, name: str
) -> np.ndarray:
    """(B,) roots of the rise of the deviance where ``name`` is held at the truth, with the sign of its deviation."""
    place = shape.parameters.index(name)
    start, held = found.values.copy(), np.zeros(found.values.shape, bool)
    start[:, place], held[:, place] = true[place], True
    rise = maximise(shape, counts, start, chosen, held=held).deviance - found.deviance
    return np.sign(found.values[:, place] - true[place]) * np.sqrt(np.maximum(rise, 0.0))


def printed(title: str, shape: NaturalShape, found: Maximum, true: np.ndarray, chosen: np.ndarray) -> None:
    """A row a parameter: pulls, bias, how many are on a bound."""
    apart = pulls(found, true, chosen)
    spread = np.nanstd(apart, axis=0, ddof=1)
    mean, variance = expected_deviance(found.model.mean(axis=0))
    goodness = np.mean(found.deviance - mean + chosen.sum()) / np.sqrt(variance)
    print(f"\n{title}: {int(found.converged.sum())} of {len(apart)} converged, deviance {goodness:+.2f} sigma off")
    print(f"{'parameter':12}{'true':>12}{'mean':>14}{'error':>11}{'pull mean':>11}{'pull width':>12}{'on bound':>10}")
    for n, p in enumerate(np.flatnonzero(chosen)):
        values, errors = found.values[:, p], found.errors[:, p]
        row = f"{shape.parameters[p]:12}{true[p]:12.5g}{np.mean(values):14.6g}{np.nanmean(errors):11.2g}"
        print(f"{row}{np.nanmean(apart[:, n]):11.2f}{spread[n]:12.2f}{int(found.bound[:, p].sum()):10d}")


def peer_model(centres: np.ndarray, photons, offset, fwhm, fraction, scale, background) -> np.ndarray:
    """The same model in plain NumPy, as peers write it: Voigt profiles on a fine grid, the tail by recursion."""
    step = np.diff(centres)[0] / HALF_STEPS
    fine = np.arange(centres[0] - step * (HALF_STEPS - 1) / 2, centres[-1] + 100.0, step)
    parts = zip(LINE.share, LINE.energy, LINE.fwhm, strict=True)
    sharp = sum(w * voigt_profile(fine - e - offset, fwhm / FWHM_PER_SIGMA, g / 2) for w, e, g in parts)
    kept = np.exp(-step / scale)
    late = lfilter([1.0 - kept], [1.0, -kept], sharp[::-1])[::-1]
    late = 0.5 * (late + np.append(late[1:], 0.0))  # the middle of a step
    whole = step / INSIDE * ((1.0 - fraction) * sharp + fraction * late)
    return (
        photons * whole[: HALF_STEPS * centres.size].reshape(-1, HALF_STEPS).sum(1) + background * np.diff(centres)[0]
    )


def peers(batch: int = 240) -> None:
    """The same histogram fitted by lmfit, iminuit and this package; seconds per fit."""
    import lmfit
    from iminuit import Minuit

    names = ("MnKa", "offset", "fwhm", "tail_frac", "tail_tau", "background")
    shape = NaturalShape.build([LINE], EDGES, 0.6 * FWHM)
    true = truth(shape, 1e5, tail_frac=0.15, tail_tau=8.0, background=BACKGROUND * 1e5)
    counts = drawn(shape, true, batch, 7)
    begin = {"tail_frac": 0.1, "tail_tau": 15.0}
    found, chosen = fitted(shape, counts, set(names), **begin)
    begun = time.perf_counter()
    found, chosen = fitted(shape, counts, set(names), **begin)
    own = (time.perf_counter() - begun) / batch
    centres, data = 0.5 * (EDGES[1:] + EDGES[:-1]), counts[0]
    start = dict(zip(names, (9e4, 1.5, 3.0, 0.1, 15.0, 100.0), strict=True))

    def deviance(values: np.ndarray) -> np.ndarray:
        model = np.maximum(peer_model(centres, *values), 1e-9)
        return 2.0 * (model - data + data * np.log(np.maximum(data, 1.0) / model))

    def residuals(parameters: lmfit.Parameters) -> np.ndarray:
        values = np.array(list(parameters.valuesdict().values()))
        model = peer_model(centres, *values)
        return np.sign(model - data) * np.sqrt(np.maximum(deviance(values), 0.0))

    begun = time.perf_counter()
    told = lmfit.Parameters()
    for name, value in start.items():
        told.add(name, value, min=1e-6 if name != "offset" else -np.inf)
    least = lmfit.minimize(residuals, told, scale_covar=False)
    of_lmfit = time.perf_counter() - begun
    begun = time.perf_counter()
    minuit = Minuit(lambda values: float(deviance(values).sum()), np.array(list(start.values())))
    minuit.limits = [(None, None) if name == "offset" else (1e-6, None) for name in names]
    minuit.migrad()
    minuit.hesse()
    of_minuit = time.perf_counter() - begun
    print(f"\n{'parameter':12}{'here':>12}{'lmfit':>12}{'iminuit':>12}{'error here':>14}{'lmfit':>11}{'iminuit':>11}")
    for p in np.flatnonzero(chosen):
        name = shape.parameters[p]
        k = names.index(name)
        values = f"{name:12}{found.values[0, p]:12.6g}{least.params[name].value:12.6g}{minuit.values[k]:12.6g}"
        print(f"{values}{found.errors[0, p]:14.3g}{least.params[name].stderr:11.3g}{minuit.errors[k]:11.3g}")
    print(f"seconds per fit: here {own:.4f} (batch of {batch}), lmfit {of_lmfit:.3f}, iminuit {of_minuit:.3f}")


def study(spectra: int, counts: float, linear: Linear) -> None:
    """Pulls of the model with the absorber's losses, and an exponential alone fitted to the same spectra."""
    shape = NaturalShape.build([LINE], DEEP, 0.6 * FWHM, [linear])
    free = {"MnKa", "offset", "fwhm", "range"}
    true = truth(shape, counts)
    data = drawn(shape, true, spectra, 11)
    found, chosen = fitted(shape, data, free)
    printed(f"{counts:g} counts, losses of the absorber", shape, found, true, chosen)
    roots = signed_roots(shape, data, found, true, chosen, "range")
    held = np.mean(np.abs(roots) < 1.0)
    print(
        f"range by its likelihood: mean {roots.mean():.2f}, width {roots.std(ddof=1):.2f}, {held:.0%} within one sigma"
    )
    usual = NaturalShape.build([LINE], DEEP, 0.6 * FWHM)
    true = truth(usual, counts)
    found, chosen = fitted(usual, data, {*free - {"range"}, "tail_frac", "tail_tau"}, tail_frac=0.02, tail_tau=500.0)
    printed(f"{counts:g} counts, exponential in their place", usual, found, true, chosen)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spectra", type=int, default=200)
    parser.add_argument("--counts", type=float, nargs="+", default=[1e5, 1e3])
    parser.add_argument("--peers", action="store_true", help="lmfit and iminuit beside it")
    asked = parser.parse_args()
    told = losses()
    for number in asked.counts:
        study(asked.spectra, number, told)
    if asked.peers:
        peers()
