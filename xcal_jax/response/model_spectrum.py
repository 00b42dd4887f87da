"""Spectra of models, from files, in the rows of a matrix; and the counts that are expected of them.

Photons per cm2, s and energy: two columns of text (eV, photons per cm2, s and eV), XSPEC's QDP (keV; `iplot model` and
`wdata`), or SIMPUT (keV, photons per cm2, s and keV). A SIMPUT source has the flux of its catalogue.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from jaxtyping import Float

from xcal_jax.absorber.source import read_spectrum
from xcal_jax.response.area import telescope_area
from xcal_jax.response.ogip_reader import Matrix
from xcal_jax.units import shown, shown_path

KEV = 1000.0  # eV
ERG = 6.241509074e11  # eV


@dataclass(frozen=True)
class ModelSpectrum:
    """A flux density (E,), photons per cm2, s and eV, at energies (E,) eV, linear between them and 0 beyond."""

    energy: np.ndarray
    density: np.ndarray

    def photons_below(self, energy: Float[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
        """Photons per cm2 and s below each ``energy`` in eV."""
        width = np.diff(self.energy)
        below = np.append(0.0, np.cumsum(0.5 * (self.density[1:] + self.density[:-1]) * width))
        at = np.clip(energy, self.energy[0], self.energy[-1])
        n = np.clip(np.searchsorted(self.energy, at, side="right") - 1, 0, width.size - 1)
        here = np.interp(at, self.energy, self.density)
        return below[n] + 0.5 * (self.density[n] + here) * (at - self.energy[n])


def read_model(path: str | os.PathLike) -> ModelSpectrum:
    """The spectrum in the file ``path``. Raises ValueError when it is none, or its energies do not ascend."""
    where = f"the model {shown_path(path)}"
    if not Path(path).is_file():
        raise ValueError(f"{where} does not exist")
    with Path(path).open("rb") as file:
        fits_file = file.read(6) == b"SIMPLE"
    if fits_file:
        energy, density = _simput(path, where)
    elif Path(path).suffix.lower() == ".qdp":
        energy, density = _qdp(path, where)
    else:
        energy, density = read_spectrum(path)
    if energy.size < 2 or not np.all(np.diff(energy) > 0.0) or not energy[0] >= 0.0:
        raise ValueError(f"{where} must have at least two energies, which ascend")
    if not (np.all(np.isfinite(density)) and np.all(density >= 0.0)):
        raise ValueError(f"{where} must have finite fluxes that are not negative")
    return ModelSpectrum(energy, density)


def expected_counts(
    spectrum: ModelSpectrum, matrices: list[Matrix], arf: str | os.PathLike | None, exposure: float
) -> Float[np.ndarray, " C"]:
    """Counts by channel expected in ``exposure`` s; without an ``arf`` of 1 cm2. Several matrices add up."""
    counts = 0.0
    for matrix in matrices:
        photons = np.diff(spectrum.photons_below(matrix.boundaries))
        middle = 0.5 * (matrix.boundaries[1:] + matrix.boundaries[:-1])
        area = np.ones(middle.size) if arf is None else telescope_area(arf, middle)
        counts = counts + exposure * (photons * area) @ matrix.values
    return np.asarray(counts)


def _qdp(path: str | os.PathLike, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Energies and densities of bins, which are even: both ends of each bin have its density."""
    rows = []
    for number, line in enumerate(Path(path).read_text(errors="replace").splitlines(), 1):
        words = line.split("!")[0].split()
        if not words or words[0][0].isalpha() or words[0].startswith("@"):
            continue
        try:
            rows.append([float(word) for word in words[:3]])
        except ValueError as problem:
            raise ValueError(
                f"line {number} of {where} must be energy, half width, model, but is {shown(line)}"
            ) from problem
    if not rows or any(len(row) != 3 for row in rows):
        raise ValueError(f"{where} must have three columns: energy and half width in keV, model")
    middle, half, density = np.array(rows).T
    ends = np.stack([middle - half * (1.0 - 1e-9), middle + half * (1.0 - 1e-9)], axis=1).ravel()
    return KEV * ends, np.repeat(density, 2) / KEV


def _simput(path: str | os.PathLike, where: str) -> tuple[np.ndarray, np.ndarray]:
    with fits.open(path, memmap=False) as file:
        tables = [one.data for one in file[1:] if isinstance(one, fits.BinTableHDU)]
        spectra = [table for table in tables if {"ENERGY", "FLUXDENSITY"} <= set(table.names)]
        table = _only(spectra, "table with ENERGY and FLUXDENSITY", where)
        rows = table["ENERGY"].ndim > 1 or table["ENERGY"].dtype == object  # a spectrum in each
        spectrum = _only(table, "spectrum", where) if rows else table
        energy = KEV * np.ravel(spectrum["ENERGY"]).astype(float)
        density = np.ravel(spectrum["FLUXDENSITY"]).astype(float) / KEV
        if "SRC_CAT" in file:
            source = _only(file["SRC_CAT"].data, "source", where)
            inside = ModelSpectrum(energy, density * energy).photons_below(
                KEV * np.array([source["E_MIN"], source["E_MAX"]])
            )
            density = density * float(source["FLUX"]) * ERG / np.diff(inside)[0]
        return energy, density


def _only(parts: Any, what: str, where: str) -> Any:
    """The one of the ``parts`` of a SIMPUT file. Raises ValueError where there is another number of them."""
    if len(parts) != 1:
        raise ValueError(f"{where} must have one {what} (SIMPUT), but has {len(parts)}")
    return parts[0]
