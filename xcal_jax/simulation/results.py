"""Results of the absorber Monte Carlo: Datasets of counts, saved as netCDF-4, added up, summarised.

A result holds what was counted and nothing derived, so that two results of the same run with different seeds add
up exactly (`merge`). `summary` derives fractions, errors and named escape peaks, per interacting photon.
"""

import os
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter, elements_of
from xcal_jax.absorber.source import Source
from xcal_jax.atomic import table_hash
from xcal_jax.compute.process import physics_hash
from xcal_jax.constants import VERSION
from xcal_jax.io.files import replacing
from xcal_jax.montecarlo.tally import LOSS_THRESHOLDS, Tally, summed_energy
from xcal_jax.simulation import pixels
from xcal_jax.simulation.counting import bins_up_to

KIND = "xcal_jax absorber result"
ADDED = (
    "photons",
    "interacting",
    "spectrum",
    "photon",
    "electron",
    "both",
    "scattered",
    "loss_above",
    "peaks",
    "incident",
    "lost",
)
SAME = ("kind", "absorber", "atomic_tables", "source", "physics", "electrons", "yields", "trapping")


def to_dataset(
    absorber: Absorber,
    source: Source,
    matter: Matter,
    tally: Tally,
    probability: float,
    photons: int,
    asked: int,
    seed: int,
    bin_width: float,
    yields: str,
) -> xr.Dataset:
    """A run's tally, with all that is needed to read it: `source` as asked for, `probability` of what was drawn."""
    bins = bins_up_to(source.highest_energy, bin_width)
    seen = np.flatnonzero(tally.peaks.sum(axis=0))
    label, energy = line_names(absorber, matter)
    count = {"units": "1"}
    result = xr.Dataset(
        {
            "photons": ((), photons, {**count, "long_name": "photons drawn"}),
            "interacting": ((), tally.interacting, {**count, "long_name": "photons that interacted"}),
            "source_probability": (
                (),
                probability,
                {**count, "long_name": "share of the source's photons from which photons were drawn"},
            ),
            "spectrum": (
                "energy",
                tally.spectrum[:bins],
                {**count, "long_name": "photons by deposited energy"},
            ),
            "photon": ((), tally.photon_escape, {**count, "long_name": "photons that lost energy by photons alone"}),
            "electron": (
                (),
                tally.electron_escape,
                {**count, "long_name": "photons that lost energy by electrons alone"},
            ),
            "both": (
                (),
                tally.both,
                {**count, "long_name": "photons that lost energy by photons and electrons"},
            ),
            "scattered": (
                (),
                tally.scattered,
                {**count, "long_name": "photons that scattered and lost energy"},
            ),
            "loss_above": (
                "threshold",
                tally.loss_above,
                {**count, "long_name": "photons that lost more than the threshold"},
            ),
            "peaks": (
                ("source_energy", "line"),
                tally.peaks[:, seen],
                {**count, "long_name": "photons that lost one fluorescence photon and nothing else"},
            ),
            "line_energy": (
                "line",
                energy[seen],
                {"units": "eV", "long_name": "energy of the fluorescence line"},
            ),
            "incident": (
                (),
                summed_energy(tally.incident),
                {"units": "eV", "long_name": "summed energy of the photons that interacted"},
            ),
            "lost": (
                (),
                summed_energy(tally.summed_loss),
                {"units": "eV", "long_name": "summed energy that left the absorber"},
            ),
        },
        coords={
            "energy": (
                "energy",
                bin_width * np.arange(bins),
                {
                    "units": "eV",
                    "long_name": "deposited energy, lower edge of the bin",
                    "bin_width": bin_width,
                },
            ),
            "threshold": (
                "threshold",
                np.array(LOSS_THRESHOLDS),
                {"units": "eV", "long_name": "energy lost"},
            ),
            "source_energy": (
                "source_energy",
                np.asarray(source.energies.low if source.lines else [np.nan], dtype=np.float64),
                {"units": "eV", "long_name": "photon energy of the source line (NaN: a continuous spectrum)"},
            ),
            "line": (
                "line",
                label[seen],
                {"units": "", "long_name": "fluorescence line: element, vacancy before and after"},
            ),
        },
        attrs={
            "kind": KIND,
            "title": f"Deposited energy in absorber {absorber.name!r}",
            "version": VERSION,
            "physics": physics_hash(),
            "absorber": absorber.to_toml(),
            "electrons": absorber.electrons,
            "yields": yields,
            "source": source.describe(),
            "seed": str(seed),
            "atomic_tables": table_hash(),
            "complete": int(photons == asked),
        },
    )
    if absorber.array is None or tally.pixels is None:
        return result
    return pixels.add_pixels(result, absorber.array, tally.pixels)


def line_names(absorber: Absorber, matter: Matter) -> tuple[np.ndarray, np.ndarray]:
    """Names ("Bi M5-N7") and energies (eV) of all transitions, (S T,); empty names where there is no line."""
    elements = elements_of(absorber)
    owner = [(element, subshell.label) for element in elements for subshell in element.subshells]
    tables = matter.relaxation
    first, radiative = np.asarray(tables.first), np.asarray(tables.radiative)
    names = np.full(first.shape, "", dtype=object)
    for s, (element, label) in enumerate(owner):
        for t in np.flatnonzero(radiative[s]):
            names[s, t] = f"{element.symbol} {label}-{owner[first[s, t]][1]}"
    return names.reshape(-1).astype(str), np.asarray(tables.energy, dtype=np.float64).reshape(-1)


def merge(*results: xr.Dataset) -> xr.Dataset:
    """The results added up. Raises ValueError unless they are of one absorber and source, with different seeds."""
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
    aligned = xr.align(*results, join="outer", fill_value=0, exclude=set(first.dims) - {"line"})
    merged = aligned[0].copy()
    for name in (*ADDED, *(pixels.ADDED if pixels.has_pixels(first) else ())):
        merged[name] = sum((result[name] for result in aligned[1:]), aligned[0][name]).assign_attrs(first[name].attrs)
    merged["line_energy"] = (
        xr.concat([result.line_energy for result in aligned], "result")
        .max("result")
        .assign_attrs(first.line_energy.attrs)
    )
    complete = int(all(result.attrs["complete"] for result in results))
    return merged.assign_attrs(first.attrs, seed=" ".join(seeds), complete=complete)


def summary(result: xr.Dataset) -> dict:
    """Fractions per interacting photon with their standard errors, peaks by intensity, and what the run was.

    `partial` photons deposit less than their energy; `photon_escape`, `electron_escape` and `both` say how. In an
    array all of these are of the pixel hit; `array` has the others (`pixels.pixel_summary`).
    """
    n = int(result.interacting)
    partial = int(result.photon + result.electron + result.both)
    energies = result.source_energy.values[np.isfinite(result.source_energy.values)]
    return {
        "absorber": Absorber.from_toml(result.attrs["absorber"]).name,
        "electrons": result.attrs["electrons"],
        "yields": result.attrs["yields"],
        "trapping": result.attrs.get("trapping"),
        "energy_ev": float(energies[0]) if energies.size == 1 else [float(e) for e in energies],
        "n": int(result.photons),
        "interacting": n,
        "interaction_probability": float(result.source_probability) * n / max(1, int(result.photons)),
        "partial": _share(partial, n),
        "partial_err": _error(partial, n),
        "photon_escape": _share(result.photon, n),
        "electron_escape": _share(result.electron, n),
        "both": _share(result.both, n),
        "scattered": _share(result.scattered, n),
        "mean_deposited_ev": _share(result.incident - result.lost, n),
        "peaks": peaks(result),
        "loss_gt": {
            f"{t:g}": _share(c, n) for t, c in zip(result.threshold.values, result.loss_above.values, strict=True)
        },
        "seed": [int(seed) for seed in result.attrs["seed"].split()]
        if " " in result.attrs["seed"]
        else int(result.attrs["seed"]),
        "version": result.attrs["version"],
        "atomic_tables": result.attrs["atomic_tables"],
        "complete": bool(result.attrs["complete"]),
        **({"array": pixels.pixel_summary(result)} if pixels.has_pixels(result) else {}),
    }


def peaks(result: xr.Dataset) -> list[dict]:
    """Escape peaks, the most intense first: line, deposited energy, intensity per interacting photon, its error."""
    n = int(result.interacting)
    counts = result.peaks.values
    order = np.argsort(-counts, axis=None, kind="stable")
    rows, columns = np.unravel_index(order, counts.shape)
    lines, energies, sources = result.line.values, result.line_energy.values, result.source_energy.values
    return [
        {
            "line": str(lines[t]),
            "energy_ev": float(sources[k] - energies[t]) if np.isfinite(sources[k]) else None,
            "line_energy_ev": float(energies[t]),
            "intensity": _share(counts[k, t], n),
            "err": _error(counts[k, t], n),
        }
        for k, t in zip(rows, columns, strict=True)
        if counts[k, t] > 0
    ]


def save(result: xr.Dataset, path: str | os.PathLike) -> None:
    """Write ``result`` as netCDF-4, whole or not at all. Raises ValueError when the folder is missing."""
    with replacing(path) as temporary:
        packed = (name for name in result.data_vars if "spectrum" in str(name) or name == "peaks")
        result.to_netcdf(temporary, encoding={name: {"zlib": True} for name in packed})


def load(path: str | os.PathLike) -> xr.Dataset:
    """Read a result. Raises ValueError when ``path`` is no readable result of this program."""
    if not Path(path).is_file():
        raise ValueError(f"result {str(path)!r} does not exist")
    try:
        with xr.open_dataset(path, engine="netcdf4") as file:
            result = file.load()
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError) as problem:
        raise ValueError(f"{str(path)!r} must be a netCDF-4 file, but cannot be read (is it truncated?)") from problem
    if result.attrs.get("kind") != KIND or not {*ADDED, "source_probability", "line_energy"} <= set(result.variables):
        raise ValueError(f"{str(path)!r} must be a result of `xcal-jax simulate`, but is not")
    return result


def _share(count, n: int) -> float:
    return float(count) / n if n else float("nan")


def _error(count, n: int) -> float:
    """Standard error of a binomial share."""
    share = float(count) / n if n else float("nan")
    return float(np.sqrt(share * (1.0 - share) / n)) if n else float("nan")
