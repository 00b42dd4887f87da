"""Monthly means of F10.7 for `xcal_jax/orbit/data/f107.csv` from CelesTrak's SW-All.csv, one or several.

    python data/orbit/build_f107.py SW-All.csv > xcal_jax/orbit/data/f107.csv

Daily values at 1 AU, observed or interpolated; whole months alone.
"""

import calendar
import sys

import pandas as pd

HEAD = """\
# Monthly means of F10.7 at 1 AU, 1e-22 W/(m2 Hz): NRC and NRCan (Canada), from daily values in CelesTrak's SW-All.csv.
# GFZ distributes the same daily values under CC BY 4.0 (Matzka et al. 2021, doi 10.1029/2020SW002641).
"""


def monthly(paths: list[str]) -> pd.Series:
    """Means of the months of which every day is known, by month."""
    tables = [pd.read_csv(path, parse_dates=["DATE"]) for path in paths]
    table = pd.concat(tables).query("`F10.7_DATA_TYPE` in ('OBS', 'INT')").drop_duplicates("DATE", keep="last")
    means = table.set_index("DATE").sort_index()["F10.7_ADJ"].resample("MS").agg(["mean", "count"])
    whole = [calendar.monthrange(month.year, month.month)[1] == row["count"] for month, row in means.iterrows()]
    return means["mean"][whole]


if __name__ == "__main__":
    found = monthly(sys.argv[1:])
    assert (found.index.to_period("M").astype("int64").diff().dropna() == 1).all(), "months are missing"
    rows = "".join(f"{month:%Y-%m},{value:.1f}\n" for month, value in found.items())
    print(f"{HEAD}month,f107\n{rows}", end="")
