"""Deposits about the Compton edges of silicon and tin beside PENELOPE-2018, with both models of Compton scattering.

    python analysis/compton_edges.py [-n 1e6]

The reference (data/reference/compton_windows_penelope.csv) is PENELOPE-2018 (PenRed 1.15) with its own cross sections,
photons at normal incidence, uniform over the top. Printed: deposits in each window per photon sent, ours over
PENELOPE's with the standard error, and whether that is within 10 % plus 3 standard errors of 1.
"""

import argparse
import csv
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from xcal_jax import Absorber, Source, simulate
from xcal_jax.constants import COMPTON

REFERENCE = Path(__file__).parents[1] / "data" / "reference" / "compton_windows_penelope.csv"
LIMIT = 0.10
BIN = 10.0  # eV
CASE = ("material", "thickness_um", "side_um", "energy_ev")


def cases() -> Iterator[tuple[tuple[str, ...], list[dict[str, str]]]]:
    """The cases of the reference, and the rows of their windows."""
    with open(REFERENCE, newline="") as file:
        for case, rows in groupby(csv.DictReader(file), key=lambda row: tuple(row[name] for name in CASE)):
            yield case, list(rows)


def ratios(case: tuple[str, ...], rows: list[dict[str, str]], compton: str, n: int) -> list[tuple[float, float]]:
    """Ours over PENELOPE's, and its standard error, in each window of a case, from ``n`` photons."""
    material, thickness, side, energy = case[0], *map(float, case[1:])
    absorber = Absorber.build([(material, thickness)], side, side, physics="full", compton=compton)
    result = simulate(absorber, Source.build(energy), n=n, bin_width=BIN)
    edges, found = BIN * np.arange(result.spectrum.size), []
    for row in rows:
        inside = (edges >= float(row["low_ev"])) & (edges < float(row["high_ev"]))
        ours, theirs = int(result.spectrum.values[inside].sum()), int(row["counts"])
        ratio = ours / n * float(result.source_probability) / (theirs / int(row["photons"]))
        found.append((ratio, ratio * np.sqrt(1 / max(ours, 1) + 1 / theirs)))
    return found


def agrees(ratio: float, error: float) -> bool:
    """Whether a ratio is within the limit plus 3 standard errors of 1."""
    return abs(ratio - 1) <= LIMIT + 3 * error


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=float, default=1e6, help="photons that are given to collide")
    n = int(parser.parse_args().n)
    print(f"{'material':10}{'window (keV)':>16}" + "".join(f"{model:>24}" for model in COMPTON))
    for case, rows in cases():
        found = [ratios(case, rows, model, n) for model in COMPTON]
        for row, *pairs in zip(rows, *found, strict=True):
            window = f"{float(row['low_ev']) / 1e3:g} to {float(row['high_ev']) / 1e3:g}"
            cells = (f"{r:12.3f} ± {e:.3f} {'agrees' if agrees(r, e) else 'DIFFERS'}" for r, e in pairs)
            print(f"{case[0]:10}{window:>16}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
