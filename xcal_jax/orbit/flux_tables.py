"""Fluxes outside the shield from the user's own tables, or from files of IRENE (AP-9, AE-9: `irene`).

A line is a particle, an energy and a flux, averaged over the orbit and omnidirectional: `flux`, 1/(cm2 s MeV), or
`integral_flux` above the energy, 1/(cm2 s). With `start` and `end` a table has several segments. It takes the place of
`mission_fluence`: it is brought to the same energies, and everything behind is the same. Between its energies the
logarithm of the flux is linear in that of the energy; below and above them there are no particles.
"""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from xcal_jax.io.arguments import checked
from xcal_jax.io.files import read_text
from xcal_jax.io.tables import read_table
from xcal_jax.orbit.fluence import FLUX_ENERGIES, fluence_dataset
from xcal_jax.orbit.irene import is_irene, read_irene
from xcal_jax.orbit.months import Segment, parse_date
from xcal_jax.units import shown

Path = str | os.PathLike[str]
PARTICLES = ("proton", "electron")
KINDS = ("flux", "integral_flux")
FINE = 4000  # energies of the grid on which a spectrum is integrated
NO_FACTOR = 1.0  # a table of percentiles has its band in itself


def integral_at(
    wanted: Float[np.ndarray, " J"], energy: Float[np.ndarray, " E"], flux: Float[np.ndarray, " E"], kind: str
) -> Float[np.ndarray, " J"]:
    """Integral flux, 1/(cm2 s), above the energies ``wanted``, from a spectrum of one of `KINDS`. Energies in MeV."""
    tiny = np.finfo(float).tiny
    grid = np.geomspace(energy[0], energy[-1], FINE)
    dense = np.exp(np.interp(np.log(grid), np.log(energy), np.log(np.maximum(flux, tiny))))
    if kind == "flux":
        steps = 0.5 * (dense[1:] + dense[:-1]) * np.diff(grid)
        dense = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    return np.interp(wanted, grid, dense, left=dense[0], right=0.0)


def spectrum_of(rows: pd.DataFrame, kind: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Energies and fluxes of one particle in one segment.

    Raises ValueError for fewer than two energies, energies that do not rise, and fluxes that are negative or unknown.
    """
    energy, flux = rows["energy_MeV"].to_numpy(), rows[kind].to_numpy()
    if energy.size < 2 or not (np.diff(energy) > 0).all() or not energy[0] > 0:
        raise ValueError(f"{where} must have two positive energies or more that rise, but has {shown(energy.tolist())}")
    if not (np.isfinite(flux) & (flux >= 0)).all():
        raise ValueError(f"{where} must have fluxes of zero or more, but one is {flux[~(flux >= 0)][0]:g}")
    if kind == "integral_flux" and (np.diff(flux) > 0).any():
        raise ValueError(f"{where} must have integral fluxes that do not rise with energy, but they do")
    return energy, flux


def table_of(path: Path, name: str) -> pd.DataFrame:
    """The table at ``path``, and that of the means in a file of IRENE. Raises ValueError as their readers."""
    where = f"table of fluxes {name}"
    text = read_text(path, where, "CSV")
    return read_irene(text, name) if is_irene(text) else read_table(path, where, ("particle", "start", "end"))


def fluxes_of(
    path: Path, start: str | np.datetime64 | None, end: str | np.datetime64 | None
) -> dict[tuple[np.datetime64, np.datetime64], dict[str, np.ndarray]]:
    """Fluxes of a file by segment and particle: above each of the particle's `FLUX_ENERGIES`, 1/(cm2 s).

    Raises ValueError for other columns, missing dates, segments that do not follow each other, or as `spectrum_of`.
    """
    name = os.path.basename(path)
    table = table_of(path, name)
    kinds = [kind for kind in KINDS if kind in table]
    dated = "start" in table and "end" in table
    if len(kinds) != 1 or not {"particle", "energy_MeV"} <= set(table) or table.empty:
        rule = "must have columns particle, energy_MeV and one of flux and integral_flux, and at least one line"
        raise ValueError(f"{name} {rule}, but has {shown(', '.join(table.columns))}")
    others = sorted(set(table["particle"]) - set(PARTICLES))
    if others:
        raise ValueError(f"particles of {name} must be proton or electron, but one is {shown(others[0])}")
    if not dated and (start is None or end is None):
        raise ValueError(f"{name} has no columns start and end, and so needs both dates, but has {start}, {end}")
    found: dict[tuple[np.datetime64, np.datetime64], dict[str, np.ndarray]] = {}
    latest = None
    for dates, rows in table.groupby(["start", "end"] if dated else lambda _: (start, end), sort=False):
        first, last = (parse_date(date, key) for date, key in zip(dates, ("start", "end"), strict=True))
        if not last > first or (latest is not None and first < latest):
            raise ValueError(f"segments of {name} must follow each other, but one is from {first} to {last}")
        latest = last
        for particle in set(rows["particle"]):
            where = f"{particle}s of {name} from {first}"
            energy, flux = spectrum_of(rows[rows["particle"] == particle], kinds[0], where)
            own = found.setdefault((first, last), {})
            own[particle] = integral_at(FLUX_ENERGIES[particle], energy, flux, kinds[0])
    return found


@checked
def read_fluxes(
    paths: Path | Sequence[Path],
    start: str | np.datetime64 | None = None,
    end: str | np.datetime64 | None = None,
) -> xr.Dataset:
    """Fluxes and fluences as of `mission_fluence`, from a table of fluxes, or from several.

    paths: CSV with the columns `particle` (proton or electron), `energy_MeV`, one of `flux` and `integral_flux`, and
    `start` and `end`, UTC, or else one segment from ``start`` to ``end``; or output of IRENE, usually two files, of
    AP-9 and AE-9. A particle that is missing has no flux.
    Raises ValueError for files of other segments than the first, a particle in two files, or as `fluxes_of`.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    names = [os.path.basename(path) for path in given]
    every = [fluxes_of(path, start, end) for path in given]
    for name, one in zip(names[1:], every[1:], strict=True):
        if list(one) != list(every[0]):
            raise ValueError(f"segments of {name} must be those of {names[0]}, but are others")
    flux: dict[str, list[np.ndarray]] = {particle: [] for particle in PARTICLES}
    for segment in every[0]:
        for particle, energies in FLUX_ENERGIES.items():
            own = [one[segment][particle] for one in every if particle in one[segment]]
            if len(own) > 1:
                raise ValueError(f"{particle}s must be in one file, but are in {len(own)} of {', '.join(names)}")
            flux[particle].append(own[0] if own else np.zeros(energies.size))
    segments = [Segment(first, last, "given") for first, last in every[0]]
    above = {particle: np.array(found) for particle, found in flux.items()}
    described = f"fluxes of {', '.join(names)}"
    return fluence_dataset(segments, np.full(len(segments), np.nan), above, described, NO_FACTOR)
