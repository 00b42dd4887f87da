"""Every derivative of every expected observable against differences: `python analysis/derivative_checks.py`.

Differences are central, 1e-6 of each parameter (less of the sides), of values on the same points whose histories take
the same decisions. The second table shows that those values are right away from where the decisions were made: they are
compared with values at a neighbour's own decisions and other points. The third is the derivative in energy with
scattering electrons, which depends on their tracks: against values at four energies around, a central difference of
fourth order on the same points, each with its own decisions and tracks. The last line tells how soon
d(partial)/d(thickness of Bi) is known to 1 %.

Nearly all of the time is compilation: once for every stack, kind of impact and electron model, and kept for the next
time where JAX_COMPILATION_CACHE_DIR names a folder.
"""

import time
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np

from xcal_jax import Absorber
from xcal_jax.expected import scattering
from xcal_jax.expected.estimate import differences, estimate, mean_and_error, reweighted, run
from xcal_jax.expected.observables import Observables
from xcal_jax.expected.parameters import UNITS, Parameters, parameter_values
from xcal_jax.expected.score import LOSSES
from xcal_jax.expected.tables import Tables

XIFU = Absorber.preset("xifu")
FOUR = Absorber.build([("Au", 0.3), ("Bi2Te3", 2.0), ("HgTe", 1.5), ("Bi", 1.0)], 60.0, 60.0, "four layers")
SCATTERING = replace(FOUR, electrons="scattering", name="four, scatter")
CASES = (
    (XIFU, 3000.0, None),
    (XIFU, 7000.0, None),
    (XIFU, 12000.0, None),
    (XIFU, 7000.0, (134.66, 134.70)),
    (FOUR, 7000.0, None),
    (FOUR, 7000.0, (29.93, -29.90)),
    (SCATTERING, 7000.0, None),
)
SCATTERING_XIFU = replace(XIFU, electrons="scattering", name="xifu, scatter")
ENERGIES = (  # relative steps that no absorption edge lies within two of
    (SCATTERING_XIFU, 3000.0, 0.022),
    (SCATTERING_XIFU, 7000.0, 0.1),
    (SCATTERING_XIFU, 12000.0, 0.003),
    (SCATTERING_XIFU, 12600.0, 0.022),
    (SCATTERING, 7000.0, 0.1),
)
SHOWN, LINES = ("partial", "mean_loss"), 4  # observables in the third table; the strongest peaks, compared too
N, THRESHOLDS = 2**13, (0.0, 1000.0, 2000.0)
STEP, CLOSE = 1e-6, 1e-9  # relative; of the sides, whose gap to an impact is small: arcs begin like square roots
NEIGHBOUR = 0.04  # further away, of thickness, density and ranges
ZERO = 1e-9  # relative to the observable: no derivative


def check(absorber: Absorber, energy: float, at) -> str:
    """A row of the first table."""
    with jax.enable_x64(True):
        tables, parameters = Tables.build(absorber), Parameters.of(absorber, energy, at)
        refused = scattering.wrong(tables.matter, parameters)
        wrong = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(refused)])
    known = parameter_values(parameters)
    right = [name for name, bad in zip(known, wrong, strict=True) if not (absorber.electrons == "scattering" and bad)]
    steps = {name: STEP * (abs(known[name]) or 1.0) for name in right if at or name not in ("x", "y")}
    steps |= {name: CLOSE * known["width"] for name in ("x", "y") if at}
    steps |= {name: CLOSE * known[name] for name in ("width", "length")}
    settings = {"n": N, "thresholds": THRESHOLDS}
    found = run(tables, parameters, tuple(steps), **settings)
    other = differences(tables, parameters, steps, **settings)
    scale = np.array([abs(known[name]) for name in found.parameters])
    compared, relative, sigmas, worst = 0, 0.0, 0.0, ""
    for field in fields(Observables):
        slope, error = found.derivative(field.name)
        difference = getattr(other, field.name).mean(axis=0)
        value = found.value(field.name)[0]
        shape = (-1, *(1,) * (slope.ndim - 1))
        some = np.abs(difference) * scale.reshape(shape) > ZERO * np.maximum(np.abs(value), 1e-12)
        if not np.all(np.abs(slope[~some] - difference[~some]) <= ZERO * (1.0 + np.abs(slope[~some]))):
            raise AssertionError(f"{field.name}: a derivative that is none by differences")
        off = np.where(some, np.abs(slope / np.where(some, difference, 1.0) - 1.0), 0.0)
        compared += int(some.sum())
        if off.max() > relative:
            relative, worst = (
                float(off.max()),
                f"{field.name}, {found.parameters[int(off.max(axis=tuple(range(1, off.ndim))).argmax())]}",
            )
        noisy = some & (error > ZERO * np.abs(slope))
        sigmas = max(sigmas, float(np.max(np.abs(slope - difference)[noisy] / error[noisy], initial=0.0)))
    place = "uniform" if at is None else f"({at[0]:g}, {at[1]:g}) um"
    return f"{absorber.name:13} {energy:6g} {place:>18} {compared:9} {relative:11.1e} {sigmas:9.3f}   {worst}"


def neighbours(absorber: Absorber, energy: float) -> str:
    """A row of the second: the largest distance in sigmas, over the sums, at a neighbour."""
    with jax.enable_x64(True):
        tables, parameters = Tables.build(absorber), Parameters.of(absorber, energy)
        other = replace(
            parameters,
            thickness=parameters.thickness * (1.0 + NEIGHBOUR),
            density=parameters.density * (1.0 - NEIGHBOUR / 2),
            range_scale=jnp.asarray(1.0 + NEIGHBOUR),
            yield_scale=jnp.asarray(1.0 + NEIGHBOUR),
        )
    own = run(tables, other, n=4 * N, seed=2, thresholds=THRESHOLDS)
    near = reweighted(tables, (parameters, other), n=4 * N, thresholds=THRESHOLDS)
    sigmas = []
    for name in LOSSES:
        mean, error = mean_and_error(getattr(near, name)[:, 1])
        value, own_error = own.value(name)
        sigmas += np.ravel((mean - value) / np.hypot(error, own_error)).tolist()
    moved = own.value("partial")[0] / near.partial[:, 0].mean() - 1.0
    return f"{absorber.name:13} {energy:6g} {100 * moved:16.2f} {len(sigmas):9} {np.abs(sigmas).max():9.2f}"


def energies(absorber: Absorber, energy: float, step: float, n: int = 16 * N) -> str:
    """A row of the third table: d ln(observable) / d ln(energy), less that of values, the worst in sigmas."""
    with jax.enable_x64(True):
        tables, point = Tables.build(absorber), Parameters.of(absorber, energy)
        around = [replace(point, energy=point.energy * (1.0 + k * step)) for k in (1, -1, 2, -2)]
    found = run(tables, point, ("energy",), n=n, thresholds=THRESHOLDS)
    near, less, far, least = (run(tables, p, n=n, thresholds=THRESHOLDS).values for p in around)
    strong = np.argsort(-found.value("peaks")[0])[:LINES]
    sigmas, shown = {}, ""
    for name in ("interaction_probability", *LOSSES, "peaks"):
        value, slope, *ends = (
            getattr(f, name)[..., strong] if name == "peaks" else getattr(f, name)
            for f in (found.values, found.derivatives, near, less, far, least)
        )
        difference = (8.0 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12.0 * step)
        change = np.stack([slope[:, 0] * energy, slope[:, 0] * energy - difference]) / value.mean(axis=0)
        (relative, off), (error, off_error) = zip(*map(mean_and_error, change), strict=True)
        if name == "interaction_probability":
            shown += f" {relative:8.4f} {off:8.4f}"
        else:
            sigmas |= {f"{name}[{k}]" if off.ndim else name: s for k, s in enumerate(np.ravel(off / off_error))}
        if name in SHOWN:
            shown += f"   {relative:7.3f} +- {error:5.3f} {off:7.3f} +- {off_error:5.3f}"
    worst = max(sigmas, key=lambda name: abs(sigmas[name]))
    return f"{absorber.name:13} {energy:6g} {100 * step:5.1f}{shown} {len(sigmas):8} {sigmas[worst]:8.2f}   {worst}"


def main() -> None:
    """Print the four tables."""
    print(f"derivatives against differences, {len(fields(Observables))} observables, parameters {' '.join(UNITS)}\n")
    print("absorber      energy             impact  compared  worst rel.  worst sd   where")
    for absorber, energy, at in CASES:
        print(check(absorber, energy, at), flush=True)
    print("\nvalues at a neighbour, weighted from here, against its own")
    print("absorber      energy partial moves, %   values   worst sd")
    for absorber, energy, at in CASES:
        if at is None:
            print(neighbours(absorber, energy), flush=True)
    print("\nd ln(observable) / d ln(energy), scattering electrons, and less differences of values")
    print("absorber      energy step,% interacts     off             partial              off" + " " * 13, end="")
    print("mean loss              off   values  worst sd")
    for absorber, energy, step in ENERGIES:
        print(energies(absorber, energy, step), flush=True)
    print("\nd(partial)/d(thickness of Bi), X-IFU, 7 keV: relative standard error, time by the clock and of all cores")
    for when in ("compiled first", "again"):
        begun, worked = time.perf_counter(), time.process_time()
        slope, error = estimate(XIFU, 7000.0, ("thickness[1]",), n=2**17, loss_above=()).derivative("partial")
        clock, cores = time.perf_counter() - begun, time.process_time() - worked
        share = 100.0 * abs(error[0] / slope[0])
        print(
            f"{2**17} histories  {slope[0]:.4e} /um  {share:5.2f} %  {clock:5.1f} s  {cores:5.1f} s  {when}", flush=True
        )


if __name__ == "__main__":
    main()
