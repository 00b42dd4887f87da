"""Archives of spectra: CSV and netCDF.

CSV archive: a header line, then one spectrum a line. Columns: `utc` (ISO 8601), `exposure_s`, `real_time_s`, `readout`,
`temperature_1_degC`, `temperature_2_degC` and so on, `bias`, `since_exit_s`, then the counts, `c1` ... `cN` (or from a
later channel on). Only `exposure_s` and the counts must be there; an empty cell is an unknown. Lines that start with
`#` are `# key: value` attributes.

A bad line is left out, and the attribute `skipped` says which and why; a strict reader refuses it. An archive without
one good line is refused.
"""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.datasets import read
from xcal_jax.io.tables import read_table
from xcal_jax.spectra.dataset import assemble_spectra, check_spectra, faults
from xcal_jax.spectra.times import utc
from xcal_jax.units import shown

CSV_COLUMNS = ("utc", "exposure_s", "real_time_s", "readout", "bias", "since_exit_s")
BOARD = re.compile(r"temperature_(\d+)_degC")
MOST_TOLD = 20


def read_netcdf(path: Path, strict: bool = False) -> xr.Dataset:
    """The archive in a netCDF file."""
    spectra = read(path, "an archive of spectra")
    needed = ("counts", "exposure", "channel")
    if strict or any(name not in spectra.variables for name in needed) or not spectra.sizes.get("spectrum"):
        return check_spectra(spectra)
    bad = {row: fault.format(f"spectrum {row}") for row, fault in faults(spectra)}
    return without(spectra, bad, path.name)


def read_csv(path: Path, strict: bool = False) -> xr.Dataset:
    """The archive in a CSV file, whose columns the module's docstring describes.

    Raises ValueError for columns of counts out of order, no exposures, no good line, or as `io.tables.read_table`.
    """
    bad: dict[int, str] = {}
    table = read_table(path, path.name, words=("utc", "readout"), bad=None if strict else bad)
    boards = sorted((name for name in table.columns if BOARD.fullmatch(name)), key=lambda name: int(name.split("_")[1]))
    names = [name for name in table.columns if name not in (*CSV_COLUMNS, *boards)]
    first = int(names[0][1:]) if names and re.fullmatch(r"c[1-9]\d{0,6}", names[0]) else 1
    wrong = next((name for k, name in enumerate(names, first) if name != f"c{k}"), None if names else "none")
    if wrong:
        raise ValueError(f"columns of counts must be c1, c2, ... in order, but one is {shown(wrong)}")
    if "exposure_s" not in table:
        raise ValueError("the column exposure_s must be there, but is missing")
    if table.empty:
        raise ValueError(next(iter(bad.values()), "a CSV archive needs a header line and at least one spectrum"))
    times = np.full(len(table), np.datetime64("NaT", "ns"))
    for place, (line, text) in enumerate(table["utc"].items() if "utc" in table else ()):
        try:
            times[place] = utc(text)
        except ValueError as problem:
            bad[int(line)] = f"line {line} of {path.name}: {problem}"
    if strict and bad:
        raise ValueError(next(iter(bad.values())))
    spectra = assemble_spectra(
        table[names],
        table["exposure_s"],
        times,
        table.get("readout", ""),
        table[boards] if boards else None,
        table.get("bias"),
        table.get("since_exit_s"),
        table.get("real_time_s"),
        first,
        **table.attrs,
    )
    lines = table.index.to_numpy()
    for row, fault in faults(spectra):
        bad.setdefault(int(lines[row]), fault.format(f"line {lines[row]} of {path.name}"))
    if strict and bad:
        raise ValueError(next(iter(bad.values())))
    return without(spectra, bad, path.name, lines)


def without(spectra: xr.Dataset, bad: dict[int, str], name: str, lines: np.ndarray | None = None) -> xr.Dataset:
    """The spectra but for the ``bad`` ones: faults by line, or by place where there are no ``lines``.

    The attribute `skipped` says how many and why, of the first 20. Raises ValueError where no spectrum is left.
    """
    if not bad:
        return spectra
    numbers = np.arange(spectra.sizes["spectrum"]) if lines is None else lines
    kept = ~np.isin(numbers, list(bad))
    reasons = [bad[number] for number in sorted(bad)]
    if not kept.any():
        raise ValueError(reasons[0])
    told = "; ".join(reasons[:MOST_TOLD]) + ("; ..." if len(reasons) > MOST_TOLD else "")
    summary = f"{len(bad)} of {kept.sum() + len(bad)} spectra of {name} are left out: {told}"
    return spectra.isel(spectrum=np.flatnonzero(kept)).assign_attrs(skipped=summary)
