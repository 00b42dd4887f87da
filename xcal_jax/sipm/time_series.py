"""Time series from files: the public GRBAlpha event text, and housekeeping or space-weather tables."""

from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.io.files import read_text
from xcal_jax.io.tables import read_table
from xcal_jax.sipm.space_weather import space_weather
from xcal_jax.spectra.times import utc
from xcal_jax.units import words_as_numbers


def read_event(path: str | Path) -> xr.Dataset:
    """A public GRBAlpha event: `data.txt`, or its folder, with `info.txt` beside it.

    Returns `rate` (time, band) and `rate_sum` (time) cnt/s, `exposure` s, `start` and `end` UTC, band edges `low` and
    `high` keV; the lines of `info.txt` become attrs. The column rate_sum has a band of its own, which need not be all
    of the others: `sum_low` and `sum_high`, keV. Where it is the only one, it is the band; where it is missing, the sum
    is that of all bands. Raises ValueError for a missing file and another layout.
    """
    path = Path(path)
    path = path / "data.txt" if path.is_dir() else path
    lines = read_text(path, f"event {path.name}", "text").splitlines()
    if len(lines) < 4 or lines[0].split()[:4] != ["start_time", "end_time", "sec_from_start", "exposure"]:
        raise ValueError(f"{path.name} must be a GRBAlpha event table, but its header is not that of one")
    names = lines[0].split()[4:]
    edges = [word.removesuffix("keV").split("-") for word in lines[1].split() if word.endswith("keV")]
    if len(edges) != len(names) or not all(len(edge) == 2 for edge in edges):
        raise ValueError(f"{path.name} must state a band in keV for each of {', '.join(names)}, but has {edges}")
    rows = [(number, line.split()) for number, line in enumerate(lines[3:], 4) if line.strip()]
    for number, row in rows:
        if len(row) != 6 + len(edges):
            raise ValueError(f"{path.name} must have {6 + len(edges)} columns, but line {number} has {len(row)}")
    limits = np.array([words_as_numbers(edge, path.name) for edge in edges])
    values = np.array([words_as_numbers(row[5:], f"line {number} of {path.name}") for number, row in rows])
    start, end = (np.array([utc("T".join(row[k : k + 2])) for _, row in rows]) for k in (0, 2))
    total = names.index("rate_sum") if "rate_sum" in names else None
    bands = [k for k in range(len(names)) if k != total] or [0]
    rate = values[:, 1:]
    sum_edges = limits[total] if total is not None else (limits[bands, 0].min(), limits[bands, 1].max())
    info = path.with_name("info.txt")
    text = read_text(info, info.name, "text").splitlines() if info.is_file() else []
    attrs = {key.removeprefix("("): value.strip() for key, _, value in (line.partition("):") for line in text) if value}
    return xr.Dataset(
        {
            "rate": variable(("time", "band"), rate[:, bands], "count/s", "count rate in the band"),
            "rate_sum": variable(
                "time", rate[:, total] if total is not None else rate.sum(1), "count/s", "count rate in the sum's band"
            ),
            "exposure": variable("time", values[:, 0], "s", "exposure"),
            "start": variable("time", start, None, "start of the bin, UTC"),
            "end": variable("time", end, None, "end of the bin, UTC"),
            "low": variable("band", limits[bands, 0], "keV", "lower edge of the band"),
            "high": variable("band", limits[bands, 1], "keV", "upper edge of the band"),
            "sum_low": variable((), sum_edges[0], "keV", "lower edge of the sum's band"),
            "sum_high": variable((), sum_edges[1], "keV", "upper edge of the sum's band"),
        },
        attrs={"satellite": "GRBAlpha", "source": path.parent.name, **attrs},
    )


@checked
def read_series(path: str | Path) -> xr.Dataset:
    """A time series to correlate with: CSV with a first column `utc` or `days` and one column a quantity.

    The files of GFZ, CelesTrak and OMNI are read as they are (`space_weather`). Returns one variable a quantity over
    `sample`, NaN where unknown, with `time` (UTC) or `days` (since launch).
    Raises ValueError for another layout, times that are none, or as `io.tables.read_table`.
    """
    path = Path(path)
    found = space_weather(read_text(path, f"series file {path.name}", "CSV"), path.name)
    if found is not None:
        return found
    table = read_table(path, f"series file {path.name}", words=("utc",))
    axis, *names = table.columns
    if axis not in ("utc", "days") or not names or table.empty:
        raise ValueError(f"{path.name} must have a first column `utc` or `days`, at least one quantity and one line")
    series = {name: variable("sample", table[name].to_numpy(), "1", name) for name in names}
    if axis == "days":
        series["days"] = variable("sample", table["days"].to_numpy(), "d", "time since launch")
    else:
        try:
            times = np.array([utc(text) for text in table["utc"]])
        except ValueError as problem:
            raise ValueError(f"column utc of {path.name} must hold times, but: {problem}") from problem
        series["time"] = variable("sample", times, None, "time, UTC")
    return xr.Dataset(series, attrs={"source": path.name})
