"""Results of the absorber Monte Carlo: Datasets of counts, saved as netCDF-4, added up, summarised.

A result holds what was counted and nothing derived, so that two results of the same run with different seeds add
up exactly (`merge`). `summary` derives fractions, errors and named escape peaks, per interacting photon.
"""

import os
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Shaped

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter, elements_of
from xcal_jax.compute.fingerprint import provenance
from xcal_jax.io import datasets
from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.montecarlo.tally import Tally, summed_energy
from xcal_jax.simulation import dead_layers, pixels
from xcal_jax.simulation.counting import Prepared, bins_up_to
from xcal_jax.simulation.validity import validity
from xcal_jax.simulation.vocabulary import count, fraction, fraction_error

KIND = "xcal_jax absorber result"
ESCAPES = ("photon_escape", "electron_escape", "both")  # the kinds of partial deposition
ADDED = ("photons", "interacting", "spectrum", *ESCAPES, "scattered", "loss_above", "peaks", "incident", "summed_loss")
DIGITS = 3  # of energies in eV, beyond which tables know nothing
SAME = ("kind", "absorber", "atomic_tables", "source", "physics", "electrons", "yields", "trapping")


def to_dataset(prepared: Prepared, tally: Tally, photons: int, asked: int) -> xr.Dataset:
    """The ``tally`` of a run as a result, of the ``photons`` that are done; asked: those that were wanted."""
    run = prepared.run
    absorber, source = run.absorber, run.source
    known = validity(absorber, source.lowest_energy, source.highest_energy)
    bins = bins_up_to(source.highest_energy, run.bin_width)
    seen = np.flatnonzero(tally.peaks.sum(axis=0))
    label, energy = line_names(absorber, prepared.matter)
    found: dict[str, tuple[Any, ...]] = {
        "photons": ((), photons),
        "source_probability": ((), prepared.probability),
        "spectrum": ("energy", tally.spectrum[:bins]),
        "loss_above": ("threshold", tally.loss_above),
        "peaks": (("source_energy", "line"), tally.peaks[:, seen]),
        "line_energy": ("line", energy[seen]),
        "incident": ((), summed_energy(tally.summed_deposit) + summed_energy(tally.summed_loss)),
        "summed_loss": ((), summed_energy(tally.summed_loss)),
        **{name: ((), getattr(tally, name)) for name in ("interacting", *ESCAPES, "scattered")},
    }
    lower = "deposited energy, lower edge of the bin"
    source_line = "photon energy of the source line, mean of a natural line (NaN: a continuous spectrum)"
    vacancies = "fluorescence line: element, vacancy before and after"
    result = xr.Dataset(
        {name: count(name, *of) for name, of in found.items()},
        coords={
            "energy": variable("energy", run.bin_width * np.arange(bins), "eV", lower, bin_width=run.bin_width),
            "threshold": variable("threshold", np.array(run.loss_above), "eV", "energy lost"),
            "source_energy": variable("source_energy", source.line_energies, "eV", source_line),
            "line": variable("line", label[seen], "", vacancies),
        },
        attrs={
            "kind": KIND,
            "title": f"Deposited energy in absorber {absorber.name!r}",
            **provenance(),
            "absorber": absorber.to_toml(),
            "models": absorber.physics,
            "electrons": absorber.electrons,
            "compton": absorber.compton,
            "rayleigh": int(absorber.rayleigh),
            "yields": run.yields,
            "compared": "\n".join(known.compared),
            "outside": "\n".join(known.outside),
            "source": source.describe(),
            "seed": str(run.seed),
            "complete": int(photons == asked),
            **({"lines": ", ".join(source.names)} if source.names else {}),
        },
    )
    if tally.dead is not None:
        result = dead_layers.add_dead_layers(result, absorber, tally.dead)
    if tally.background is not None:
        result = dead_layers.add_background(result, tally.background)
    if absorber.array is None or tally.pixels is None:
        return result
    return pixels.add_pixels(result, absorber.array, tally.pixels)


def line_names(absorber: Absorber, matter: Matter) -> tuple[Shaped[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """Names ("Bi M5-N7") and energies (eV) of all transitions; the name is empty where there is no line."""
    elements = elements_of(absorber)
    owner = [(element, subshell.label) for element in elements for subshell in element.subshells]
    tables = matter.relaxation
    first, radiative = np.asarray(tables.first), np.asarray(tables.radiative)
    names = np.full(first.shape, "", dtype=object)
    for s, (element, label) in enumerate(owner):
        for t in np.flatnonzero(radiative[s]):
            names[s, t] = f"{element.symbol} {label}-{owner[first[s, t]][1]}"
    return names.reshape(-1).astype(str), np.asarray(tables.energy, dtype=np.float64).reshape(-1)


@checked
def merge(*results: xr.Dataset) -> xr.Dataset:
    """The sum of results of one absorber, source and code of the physics.

    Raises ValueError where these, the bins or the thresholds of the loss differ, or two seeds are the same.

    >>> import xcal_jax as xcal
    >>> both = merge(xcal.simulate("xifu", "7 keV", n=1000), xcal.simulate("xifu", "7 keV", n=500, seed=2))
    >>> int(both.photons), both.attrs["seed"]
    (1500, '1 2')
    """
    if not results:
        raise ValueError("`merge` needs at least one result, but got none")
    first, *others = results
    seeds = [seed for result in results for seed in result.attrs["seed"].split()]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"results to be merged must have different seeds, but have {', '.join(seeds)}")
    for other in others:
        for name in SAME:
            if other.attrs.get(name) != first.attrs.get(name):
                raise ValueError(f"results to be merged must have the same {name.replace('_', ' ')}, but differ")
        if not other.energy.equals(first.energy):
            raise ValueError("results to be merged must have the same bins, but differ")
        if not other.threshold.equals(first.threshold):
            raise ValueError("results to be merged must have the same thresholds of the loss, but differ")
        if ("dead_spectrum" in other) != ("dead_spectrum" in first):
            raise ValueError("results to be merged must all have `layer_spectra` or none, but differ")
    aligned = xr.align(*results, join="outer", fill_value=0, exclude=set(first.dims) - {"line"})
    merged = aligned[0].copy()
    more = (name for part in (pixels, dead_layers) for name in part.ADDED if name in first)
    for name in (*ADDED, *more):
        merged[name] = sum((result[name] for result in aligned[1:]), aligned[0][name]).assign_attrs(first[name].attrs)
    merged["line_energy"] = (
        xr.concat([result.line_energy for result in aligned], "result")
        .max("result")
        .assign_attrs(first.line_energy.attrs)
    )
    complete = int(all(result.attrs["complete"] for result in results))
    return merged.assign_attrs(first.attrs, seed=" ".join(seeds), complete=complete)


@checked
def summary(result: xr.Dataset) -> dict[str, Any]:
    """Fractions per interacting photon with their standard errors, peaks by intensity, and what the run was.

    Energies are in eV. `partial` photons deposit less than their energy; `photon_escape`, `electron_escape` and `both`
    say how; `loss_above` has the fraction that loses more than each threshold. In an array all of these are of the
    pixel hit; `array` has the others (`pixels.pixel_summary`). `dead_layers` has what these keep
    (`dead_layers.dead_summary`), and `background` photons that meet a wider substrate beside the absorber
    (`dead_layers.background_summary`).

    >>> import xcal_jax as xcal
    >>> facts = summary(xcal.simulate("xifu", "7 keV", n=100_000))
    >>> facts["absorber"], facts["interacting"], facts["partial"] < 0.01
    ('xifu', 100000, True)
    """
    n = int(result.interacting)
    lost = partial_count(result)
    energies = result.source_energy.values[np.isfinite(result.source_energy.values)].tolist()
    seeds = [int(seed) for seed in result.attrs["seed"].split()]
    absorber = Absorber.from_toml(result.attrs["absorber"])
    above = zip(result.threshold.values, result.loss_above.values, strict=True)
    return {
        "absorber": absorber.name,
        **{name: result.attrs[name] for name in ("models", "electrons", "compton")},
        "rayleigh": bool(result.attrs["rayleigh"]),
        "yields": result.attrs["yields"],
        "trapping": result.attrs.get("trapping"),
        **{name: result.attrs[name].splitlines() for name in ("compared", "outside")},
        "energy": energies[0] if len(energies) == 1 else energies,
        "n": int(result.photons),
        "interacting": n,
        "interaction_probability": float(result.source_probability) * n / max(1, int(result.photons)),
        "partial": fraction(lost, n),
        "partial_err": fraction_error(lost, n),
        **{name: fraction(result[name], n) for name in (*ESCAPES, "scattered")},
        "mean_deposit": fraction(result.incident - result.summed_loss, n),
        "peaks": peaks(result),
        "loss_above": {f"{threshold:g}": fraction(counted, n) for threshold, counted in above},
        "seed": seeds[0] if len(seeds) == 1 else seeds,
        "version": result.attrs["version"],
        "atomic_tables": result.attrs["atomic_tables"],
        "complete": bool(result.attrs["complete"]),
        **({"filters": [str(each) for each in absorber.filters]} if absorber.filters else {}),
        **({"dead_layers": dead_layers.dead_summary(result)} if "dead_energy" in result else {}),
        **({"background": dead_layers.background_summary(result)} if int(result.get("beside", 0)) else {}),
        **({"array": pixels.pixel_summary(result)} if pixels.has_pixels(result) else {}),
    }


def partial_count(counts: xr.Dataset) -> Any:
    """How many photons of a result or a sweep deposit less than their energy."""
    return counts.photon_escape + counts.electron_escape + counts.both


def peaks(result: xr.Dataset) -> list[dict[str, Any]]:
    """Escape peaks, the most intense first: line, deposited and line energy (eV), intensity per interacting photon."""
    n = int(result.interacting)
    counts = result.peaks.values
    order = np.argsort(-counts, axis=None, kind="stable")
    rows, columns = np.unravel_index(order, counts.shape)
    lines, energies, sources = result.line.values, result.line_energy.values, result.source_energy.values
    return [
        {
            "line": str(lines[t]),
            "energy": round(float(sources[k] - energies[t]), DIGITS) if np.isfinite(sources[k]) else None,
            "line_energy": round(float(energies[t]), DIGITS),
            "intensity": fraction(counts[k, t], n),
            "intensity_err": fraction_error(counts[k, t], n),
        }
        for k, t in zip(rows, columns, strict=True)
        if counts[k, t] > 0
    ]


@checked
def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """The result in the file ``path``. Raises ValueError when it is no readable result of `simulate`."""
    return datasets.read(
        path, "a result of `xcal-jax simulate`", (KIND,), (*ADDED, "source_probability", "line_energy")
    )
