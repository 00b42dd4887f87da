"""Time series from files: the public GRBAlpha event text, and housekeeping or space-weather tables."""

import os
from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.io.tables import read_table


def read_event(path: str | Path) -> xr.Dataset:
    """A public GRBAlpha event: `data.txt`, or its folder, with `info.txt` beside it.

    Returns `rate` (time, band) and `rate_sum` (time) cnt/s, `exposure` s, `start` and `end` UTC, band edges `low` and
    `high` keV; the lines of `info.txt` become attrs. Raises ValueError for a missing file and another layout.
    """
    path = Path(path)
    path = path / "data.txt" if path.is_dir() else path
    if not os.path.isfile(path):
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
            "start": variable("time", start, None, "start of the bin, UTC"),
            "end": variable("time", end, None, "end of the bin, UTC"),
            "low": variable("band", bands[:, 0], "keV", "lower edge of the band"),
            "high": variable("band", bands[:, 1], "keV", "upper edge of the band"),
        },
        attrs={"satellite": "GRBAlpha", "source": path.parent.name, **attrs},
    )


@checked
def read_series(path: str | Path) -> xr.Dataset:
    """A time series to correlate with: CSV with a first column `utc` or `days` and one column a quantity.

    Returns one variable a quantity over `sample`, NaN where unknown, with `time` (UTC) or `days` (since launch).
    Raises ValueError for another layout, times that are none, or as `io.tables.read_table`.
    """
    path = Path(path)
    table = read_table(path, f"series file {path.name}", words=("utc",))
    axis, *names = table.columns
    if axis not in ("utc", "days") or not names or table.empty:
        raise ValueError(f"{path.name} must have a first column `utc` or `days`, at least one quantity and one line")
    series = {name: variable("sample", table[name].to_numpy(), "1", name) for name in names}
    if axis == "days":
        series["days"] = variable("sample", table["days"].to_numpy(), "d", "time since launch")
    else:
        try:
            times = np.array([text.rstrip("Z") for text in table["utc"]], "datetime64[ns]")
        except ValueError as problem:
            raise ValueError(f"column utc of {path.name} must hold times, but: {problem}") from problem
        series["time"] = variable("sample", times, None, "time, UTC")
    return xr.Dataset(series, attrs={"source": path.name})
