"""Photons that the user lists one by one, such as the phase space of another program: energies, places, directions.

A run draws rows of the list in proportion to their weights, with replacement, so that it may have more photons than the
list. Rows are drawn by the alias method (Walker 1977, doi 10.1145/355744.355749) with two random numbers, one for the
row and one for its alias, as single precision has too few digits for both in a long list.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from xcal_jax.absorber.absorber import double
from xcal_jax.atomic import check_energies
from xcal_jax.compute.shapes import Real, Whole
from xcal_jax.io import datasets
from xcal_jax.io.tables import read_table
from xcal_jax.units import as_quantity, shown_path

MOST_ROWS = 2**20
NEEDED, UNITS = ("energy", "x", "y"), {"energy": "eV", "x": "um", "y": "um"}
DIRECTION = ("dx", "dy", "dz")
COLUMNS = (*NEEDED, *DIRECTION, "weight")
WHAT = f"a list of photons with the columns {', '.join(NEEDED)} and, if they matter, {', '.join(COLUMNS[3:])}"
UNIT_LENGTH = 1e-3  # within which a direction has the length 1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ListedEnergies:
    """Energies of K photons and the law by which these are drawn, in the place of `source.EnergyBins`.

    low: (K,) eV; threshold: (K,), alias: (K,) int32, of the alias table.
    """

    low: Array
    threshold: Array
    alias: Array
    natural: None = None

    @classmethod
    def build(cls, energy: Float[Array | np.ndarray, " K"], weight: Float[np.ndarray, " K"]) -> "ListedEnergies":
        """Photons of ``energy`` eV that are drawn in proportion to ``weight``."""
        threshold, alias = alias_table(weight)
        return cls(double(energy), double(threshold), cast(Array, alias))

    @property
    def high(self) -> Array:
        """As bins, of no width."""
        return self.low

    def sample(self, u_row: Real, u_alias: Real) -> tuple[Real, Whole]:
        """The energy of a photon in eV and its row, for two uniform numbers."""
        rows = self.low.shape[0]
        row = jnp.minimum((u_row * rows).astype(jnp.int32), rows - 1)
        row = jnp.where(u_alias < self.threshold[row], row, self.alias[row])
        return self.low[row], row

    def at(self, edge: Array | np.ndarray) -> Float[np.ndarray, " K"]:
        """Energies in eV."""
        return np.asarray(edge)


def alias_table(weight: Float[np.ndarray, " K"]) -> tuple[Float[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """Threshold and alias of K rows that are drawn in proportion to ``weight`` (Vose 1991, doi 10.1109/32.92917)."""
    height = weight * (weight.size / weight.sum())
    threshold, alias = np.ones(weight.size), np.arange(weight.size, dtype=np.int32)
    poor, rich = (np.flatnonzero(some).tolist() for some in (height < 1.0, height >= 1.0))
    while poor and rich:
        one, other = poor.pop(), rich[-1]
        threshold[one], alias[one] = height[one], other
        height[other] -= 1.0 - height[one]
        if height[other] < 1.0:
            poor.append(rich.pop())
    return threshold, alias


def photon_list(
    given: str | os.PathLike[str] | Mapping[str, Any],
) -> tuple[dict[str, Float[np.ndarray, " K"]], Float[np.ndarray, "K 3"], Float[np.ndarray, " K"]]:
    """(energy in eV, x and y in um by name; directions; weights) of K photons, from a file or a mapping of columns.

    given: a CSV file, a netCDF file (.nc) with variables over one dimension, or columns by name. Directions are those
    of flight, downwards (dz < 0) and straight down if left out; weights are 1 if left out. Variables of netCDF files
    may have other `units` of energy and length. Raises ValueError where a column is missing, unknown, empty, not finite
    or of another length, an energy is outside the tables, a direction is no unit vector or does not go down, or weights
    are negative or all zero.
    """
    where = "`photons`" if isinstance(given, Mapping) else f"photon list {shown_path(given)}"
    columns = {name: np.asarray(column, dtype=float) for name, column in _columns(given, where).items()}
    unknown = sorted(set(columns) - set(COLUMNS))
    missing = [name for name in NEEDED if name not in columns]
    some = [name for name in DIRECTION if name in columns]
    if unknown or missing or len(some) not in (0, len(DIRECTION)):
        found = ", ".join(columns) or "none"
        raise ValueError(f"{where} must be {WHAT} ({', '.join(DIRECTION)} together), but its columns are {found}")
    sizes = {column.shape for column in columns.values()}
    size = columns["energy"].size
    if sizes != {(size,)} or not 0 < size <= MOST_ROWS:
        raise ValueError(f"{where} must have columns of one length, 1 to {MOST_ROWS}, but has {sorted(sizes)}")
    ones = np.ones(size)
    way = np.stack([columns.get(name, fill * ones) for name, fill in zip(DIRECTION, (0, 0, -1), strict=True)], axis=1)
    weight, length = columns.get("weight", ones), np.linalg.norm(way, axis=1)
    check_energies(columns["energy"], "photon_list.energy")
    for name, good, rule in (
        *((name, np.isfinite(columns[name]), "finite") for name in ("x", "y")),
        ("weight", np.isfinite(weight) & (weight >= 0.0), "finite and not negative"),
        ("dx, dy, dz", np.abs(length - 1.0) < UNIT_LENGTH, "a vector of length 1"),
        ("dz", way[:, 2] < 0.0, "negative, as photons come from above"),
    ):
        if not np.all(good):
            row = int(np.argmin(good))
            value = ", ".join(f"{v:g}" for v in (way[row] if name == "dx, dy, dz" else [_of(name, columns, way)[row]]))
            raise ValueError(f"`{name}` in {where} must be {rule}, but that of photon {row} is {value}")
    if weight.sum() <= 0.0:
        raise ValueError(f"`weight` in {where} must not be all zero")
    return {name: columns[name] for name in NEEDED}, way / length[:, None], weight


def _of(name: str, columns: dict[str, np.ndarray], way: np.ndarray) -> np.ndarray:
    return way[:, 2] if name == "dz" else columns[name]


def _columns(given: str | os.PathLike[str] | Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The columns by name, in eV and um."""
    if isinstance(given, Mapping):
        return given
    if Path(given).suffix.lower() != ".nc":
        table = read_table(given, where)
        return {str(name): table[name].to_numpy() for name in table}
    dataset = datasets.read(given, WHAT)
    return {
        str(name): column.values * _scale(str(name), column.attrs.get("units"), where)
        for name, column in dataset.variables.items()
        if name in COLUMNS
    }


def _scale(name: str, units: str | None, where: str) -> float:
    """How many of the column's own unit one of its ``units`` is."""
    if units is None or name not in UNITS:
        return 1.0
    try:
        return as_quantity(f"1 {units}", UNITS[name])
    except ValueError as problem:
        raise ValueError(f"`units` of `{name}` in {where} {problem}") from problem
