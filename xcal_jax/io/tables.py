"""Tables in CSV files: a header line, then one line for each row; lines that start with # are remarks.

The lines are split by `csv`: `pandas.read_csv` would fill up a short line without a word.
"""

import csv
import os
from collections.abc import Collection

import numpy as np
import pandas as pd
from jaxtyping import Float

from xcal_jax.io.files import read_text
from xcal_jax.units import shown


def read_table(
    path: str | os.PathLike[str], where: str, words: Collection[str] = (), bad: dict[int, str] | None = None
) -> pd.DataFrame:
    """The table in the CSV file at ``path``, its rows indexed by the numbers of their lines.

    where: what errors call the file. words: the columns of text; every other column holds numbers, NaN where a cell is
    empty. A remark like `# key: value` becomes an entry of `attrs`. bad: where given, lines that are no rows are left
    out, and what is wrong with them is put in here by number. A header without commas may have semicolons or tabs
    between its names; numbers in rows with semicolons may have decimal commas. Raises ValueError, naming the line, when
    the file is missing, is no text, has no header or one column twice, a row has another number of cells than the
    header, or a cell is no number.
    """
    text = read_text(path, where, "CSV")
    lines = {number: line for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    remarks = [lines.pop(number)[1:].partition(":") for number in list(lines) if lines[number].startswith("#")]
    first = lines[min(lines)] if lines else ""
    comma = next((sign for sign in ",;\t" if sign in first), ",")
    rows = {number: cells_of(line, comma) for number, line in lines.items()}
    header = rows.pop(min(rows)) if rows else []
    if len(set(header)) < max(len(header), 1):
        raise ValueError(
            f"{where} must have a header line with a name for each column, but has {shown(','.join(header))}"
        )
    columns: dict[str, list[str | float]] = {name: [] for name in header}
    kept = []
    for number, row in rows.items():
        try:
            values = row_of(header, row, words, f"line {number} of {where}", comma == ";")
        except ValueError as problem:
            if bad is None:
                raise
            bad[number] = str(problem)
            continue
        kept.append(number)
        for name, value in zip(header, values, strict=True):
            columns[name].append(value)
    table = pd.DataFrame(columns, index=kept)
    table.attrs = {key.strip(): value.strip() for key, colon, value in remarks if colon}
    return table


def cells_of(line: str, comma: str) -> list[str]:
    """Cells of one line, without blanks around them."""
    return [cell.strip() for cell in next(csv.reader([line], delimiter=comma, skipinitialspace=True))]


def row_of(
    header: list[str], row: list[str], words: Collection[str], where: str, decimal_comma: bool
) -> list[str | float]:
    """Values of one row. Raises ValueError, naming the place, as `read_table`."""
    if len(row) != len(header):
        raise ValueError(f"{where} must have {len(header)} columns as the header, but has {len(row)}")
    values: list[str | float] = []
    for name, cell in zip(header, row, strict=True):
        try:
            number = cell.replace(",", ".") if decimal_comma else cell
            values.append(cell if name in words else float(number or "nan"))
        except ValueError as problem:
            raise ValueError(f"{where} must hold numbers, but its {name} is {shown(cell)}") from problem
    return values


def read_pairs(
    path: str | os.PathLike[str], where: str, what: str = "two columns of numbers", commas: bool = False
) -> Float[np.ndarray, "n 2"]:
    """The two columns of a text file without a header, between blanks, where '#' starts a remark.

    where and what: how errors call the file, and what it must hold. commas: there may be commas between the columns.
    Raises ValueError, naming the line, where the file is missing, empty, or does not hold two columns of numbers.
    """
    rows = []
    for number, line in enumerate(read_text(path, where, "text").splitlines(), 1):
        words = line.partition("#")[0].replace("," if commas else " ", " ").split()
        try:
            if words:
                first, second = map(float, words)
                rows.append((first, second))
        except ValueError as problem:
            raise ValueError(f"{where} must hold {what}, but line {number} is {shown(line)}") from problem
    if not rows:
        raise ValueError(f"{where} must hold {what}, but is empty")
    return np.array(rows)
