"""Tables in CSV files: a header line, then one line for each row; lines that start with # are remarks.

The lines are split by `csv`: `pandas.read_csv` would fill up a short line without a word.
"""

import csv
import os
from collections.abc import Collection

import pandas as pd

from xcal_jax.io.files import read_text
from xcal_jax.units import shown


def read_table(path: str | os.PathLike[str], where: str, words: Collection[str] = ()) -> pd.DataFrame:
    """The table in the CSV file at ``path``, its rows indexed by the numbers of their lines.

    where: what errors call the file. words: the columns of text; every other column holds numbers, NaN where a cell is
    empty. A remark like `# key: value` becomes an entry of `attrs`. Raises ValueError, naming the line, when the file
    is missing, is no text, has no header or one column twice, a row has another number of cells than the header, or a
    cell is no number.
    """
    text = read_text(path, where, "CSV")
    lines = {number: line for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    remarks = [lines.pop(number)[1:].partition(":") for number in list(lines) if lines[number].startswith("#")]
    rows = {number: [cell.strip() for cell in next(csv.reader([line]))] for number, line in lines.items()}
    header = rows.pop(min(rows)) if rows else []
    if len(set(header)) < max(len(header), 1):
        raise ValueError(
            f"{where} must have a header line with a name for each column, but has {shown(','.join(header))}"
        )
    columns: dict[str, list[str | float]] = {name: [] for name in header}
    for number, row in rows.items():
        if len(row) != len(header):
            raise ValueError(
                f"line {number} of {where} must have {len(header)} columns as the header, but has {len(row)}"
            )
        for name, cell in zip(header, row, strict=True):
            try:
                columns[name].append(cell if name in words else float(cell or "nan"))
            except ValueError as problem:
                raise ValueError(
                    f"line {number} of {where} must hold numbers, but its {name} is {shown(cell)}"
                ) from problem
    table = pd.DataFrame(columns, index=list(rows))
    table.attrs = {key.strip(): value.strip() for key, colon, value in remarks if colon}
    return table
