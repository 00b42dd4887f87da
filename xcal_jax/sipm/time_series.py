"""Time series from files: the public GRBAlpha event text, and housekeeping or space-weather tables."""

import csv
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.datasets import variable


def read_event(path: str | Path) -> xr.Dataset:
    """A public GRBAlpha event: `data.txt`, or its folder, with `info.txt` beside it.

    Returns `rate` (time, band) and `rate_sum` (time) cnt/s, `exposure` s, `start` and `end` UTC, band edges
    `low`, `high` keV; the lines of `info.txt` become attrs. Raises ValueError for another layout.
    """
    path = Path(path)
    path = path / "data.txt" if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"an event file must exist, but {path} does not")
    lines = path.read_text().splitlines()
    if len(lines) < 4 or lines[0].split()[:4] != ["start_time", "end_time", "sec_from_start", "exposure"]:
        raise ValueError(f"{path.name} must be a GRBAlpha event table, but its header is not that of one")
    edges = [word.removesuffix("keV").split("-") for word in lines[1].split() if word.endswith("keV")]
    rows = [line.split() for line in lines[3:] if line.strip()]
    for number, row in enumerate(rows):
        if len(row) != 6 + len(edges):
            raise ValueError(f"{path.name} must have {6 + len(edges)} columns, but line {number + 4} has {len(row)}")
    bands = np.array(edges[:-1], float)
    values = np.array([row[4:] for row in rows], float)
    start = np.array([np.datetime64(f"{row[0]}T{row[1]}", "ns") for row in rows])
    end = np.array([np.datetime64(f"{row[2]}T{row[3]}", "ns") for row in rows])
    info = path.with_name("info.txt")
    text = info.read_text().splitlines() if info.is_file() else []
    attrs = {key.removeprefix("("): value.strip() for key, _, value in (line.partition("):") for line in text) if value}
    return xr.Dataset(
        {
            "rate": variable(("time", "band"), values[:, 2:-1], "count/s", "count rate in the band"),
            "rate_sum": variable("time", values[:, -1], "count/s", "count rate in all bands"),
            "exposure": variable("time", values[:, 1], "s", "exposure"),
            "start": xr.Variable("time", start, {"long_name": "start of the bin, UTC"}),
            "end": xr.Variable("time", end, {"long_name": "end of the bin, UTC"}),
            "low": variable("band", bands[:, 0], "keV", "lower edge of the band"),
            "high": variable("band", bands[:, 1], "keV", "upper edge of the band"),
        },
        attrs={"satellite": "GRBAlpha", "source": path.parent.name, **attrs},
    )


def read_series(path: str | Path) -> xr.Dataset:
    """A time series to correlate with: CSV with a first column `utc` or `days` and one column a quantity.

    Returns one variable a quantity over `sample`, with `time` (UTC) or `days` (since launch).
    Raises ValueError for another layout or cells that are not numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"a series file must exist, but {path} does not")
    rows = [row for row in csv.reader(path.read_text().splitlines()) if row and not row[0].startswith("#")]
    if len(rows) < 2 or rows[0][0].strip() not in ("utc", "days") or len(rows[0]) < 2:
        raise ValueError(f"{path.name} must start with a header `utc` or `days` and at least one quantity")
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"{path.name} must have {len(rows[0])} columns in every line, but has not")
    names = [name.strip() for name in rows[0]]
    try:
        values = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows[1:]])
        if names[0] == "days":
            axis = variable("sample", [float(row[0]) for row in rows[1:]], "d", "time since launch")
        else:
            times = np.array([row[0].strip().rstrip("Z") for row in rows[1:]], "datetime64[ns]")
            axis = xr.Variable("sample", times, {"long_name": "time, UTC"})
    except ValueError as problem:
        raise ValueError(f"{path.name} must hold numbers and times, but: {problem}") from problem
    series = {name: variable("sample", values[:, k], "1", name) for k, name in enumerate(names[1:])}
    return xr.Dataset({"time" if names[0] == "utc" else "days": axis, **series}, attrs={"source": path.name})
