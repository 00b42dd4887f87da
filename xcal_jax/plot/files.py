"""Every file that this program writes: what it is, what it holds, and its figures."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from matplotlib.figure import Figure

from xcal_jax.io import datasets
from xcal_jax.orbit.plot import dose_figure, sky_figure
from xcal_jax.plot import curves
from xcal_jax.plot.expected import front_figure
from xcal_jax.plot.response import efficiency_figure, escape_figure, map_figure, matrix_figure
from xcal_jax.plot.results import result_figure
from xcal_jax.response.components import KIND as RESPONSE
from xcal_jax.response.components import load_response
from xcal_jax.simulation.events import EVENTS, load_events
from xcal_jax.simulation.results import KIND as RESULT
from xcal_jax.simulation.results import load
from xcal_jax.simulation.sweep import KIND as SWEEP
from xcal_jax.units import shown_path

ANY = "a file that this program writes"
NETCDF = (b"\x89HDF", b"CDF")
LONGEST = 60  # characters of the values of one variable
PICTURES = {".png": "a picture", ".pdf": "a picture", ".svg": "a picture", ".html": "a page", ".htm": "a page"}
TABLES = {".toml": "a description", ".csv": "a table", ".ecsv": "a table", ".txt": "a text"}
CARDS = "TELESCOP INSTRUME FILTER SEED NPHOTONS NPASSED NOUTSIDE EXPOSURE COMPLETE ELECTRON FWHM RESPFILE".split()
FACTS = ("title", "version", "seed", "models", "lines", "satellite", "shield", "converged", "complete")


@dataclass(frozen=True)
class Kind:
    """A kind of file that this program writes.

    what: in words; figures: by name, the first being the default, of the file at a path; named: the attribute
    `kind` of a Dataset; has: variables that a Dataset without it has; table: of a FITS file.
    """

    what: str
    figures: dict[str, Callable[[Path], Figure]] = field(default_factory=dict)
    named: str = ""
    has: frozenset[str] = frozenset()
    table: str = ""

    def fits_in(self, dataset: xr.Dataset) -> bool:
        """Whether ``dataset`` is of this kind."""
        if "kind" in dataset.attrs:
            return dataset.attrs["kind"] == self.named
        return bool(self.has) and self.has <= set(map(str, dataset.variables))


def _of_dataset(draw: Callable[[xr.Dataset], Figure]) -> Callable[[Path], Figure]:
    return lambda path: draw(datasets.read(path, ANY))


def _dose(path: Path) -> Figure:
    mission = datasets.read(path, ANY)
    return dose_figure({mission.attrs.get("satellite", path.stem): mission})


KINDS = (
    Kind("a result of `simulate`", {"spectrum": lambda path: result_figure(load(path))}, RESULT),
    Kind("events of `simulate --events`", {"map": lambda path: map_figure(load_events(path))}, EVENTS, table="EVENTS"),
    Kind("a result of `sweep`", {"partial": _of_dataset(curves.sweep_figure)}, SWEEP),
    Kind(
        "a response of `rmf --nc`",
        {
            "escape": lambda path: escape_figure(load_response(path)),
            "efficiency": lambda path: efficiency_figure(load_response(path)),
        },
        RESPONSE,
    ),
    Kind("uncertainties of `rmf --uncertainty`", named="xcal_jax response uncertainty"),
    Kind("a redistribution matrix", {"matrix": matrix_figure}, table="MATRIX"),
    Kind("an effective area", {"area": curves.area_figure}, table="SPECRESP"),
    Kind("a spectrum, PHA", {"spectrum": curves.pha_figure}, table="SPECTRUM"),
    Kind("impacts on pixels, for SIXTE", table="PIXELIMPACT"),
    Kind("a result of `design`", {"front": _of_dataset(front_figure)}, "xcal_jax absorber design"),
    Kind("fits of `linefit`", {"fit": _of_dataset(curves.fit_figure)}, has=frozenset({"model", "covariance"})),
    Kind(
        "a dose",
        {"dose": _dose},
        has=frozenset({"tid", "neq"}),
    ),
    Kind("a shield of boxes", {"shield": _of_dataset(sky_figure)}, has=frozenset({"areal_density"})),
    Kind("thresholds", {"threshold": _of_dataset(curves.threshold_figure)}, has=frozenset({"threshold_adu"})),
    Kind("spectra", {"spectra": _of_dataset(curves.spectra_figure)}, has=frozenset({"counts", "exposure"})),
)


def kind_of(path: str | os.PathLike[str]) -> Kind:
    """The kind of the file at ``path``. Raises ValueError, which says what it is, when it is none of `KINDS`."""
    where = f"{shown_path(path)} must be {ANY}"
    if not os.path.isfile(path):
        raise ValueError(f"{where}, but does not exist")
    with Path(path).open("rb") as file:
        begins = file.read(6)
    suffix = Path(path).suffix.lower()
    if begins == b"SIMPLE":
        tables = _tables(path, where)
        known = next((kind for kind in KINDS if kind.table and kind.table in tables), None)
        other = f"is a FITS file with {', '.join(tables) or 'no table'}"
    elif begins.startswith(NETCDF) or suffix == ".nc":
        dataset = datasets.read(path, ANY)
        known = next((kind for kind in KINDS if kind.fits_in(dataset)), None)
        other = f"is a netCDF file with {', '.join(list(map(str, dataset.data_vars))[:6]) or 'no variable'}"
    else:
        known = None
        what = PICTURES.get(suffix) or TABLES.get(suffix) or "a file of another kind"
        use = {"a page": ": open it in a browser", "a picture": ": open it with a viewer"}.get(what, "")
        other = f"is {what}, which has nothing to show{use}"
    if known is None:
        raise ValueError(f"{where}, but {other}")
    return known


def _tables(path: str | os.PathLike[str], where: str) -> list[str]:
    """Names of the extensions of a FITS file."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError), fits.open(path) as file:
        return [str(table.name) for table in file[1:]]
    raise ValueError(f"{where}, but cannot be read (is it truncated?)")


def figure_of(path: str | os.PathLike[str], what: str | None = None) -> Figure:
    """The figure of a file of this program; what: which, where its kind has several.

    Raises ValueError when ``path`` is no such file, or has no such figure.
    """
    kind = kind_of(path)
    if not kind.figures:
        raise ValueError(f"{shown_path(path)} is {kind.what}, which has no figure")
    what = what or next(iter(kind.figures))
    if what not in kind.figures:
        names = " or ".join(kind.figures)
        raise ValueError(f"the figure of {shown_path(path)} must be {names}, but {what!r} was asked for")
    return kind.figures[what](Path(path))


def lines_of(path: str | os.PathLike[str]) -> Iterator[str]:
    """The kind and the contents of a file of this program, in lines for people. Raises ValueError as `kind_of` does."""
    kind = kind_of(path)
    yield f"{'file':25}{path}: {kind.what}"
    if kind.table and not str(path).endswith(".nc"):
        yield from _lines_of_fits(path)
        return
    dataset = datasets.read(path, ANY)
    yield from (f"{name:25}{dataset.attrs[name]}" for name in FACTS if name in dataset.attrs)
    yield f"{'sizes':25}{', '.join(f'{name}: {size}' for name, size in dataset.sizes.items())}"
    for name, values in dataset.variables.items():
        if values.size:
            unit = values.attrs.get("units", "")
            yield _line(
                str(name), _range(values.values), values.attrs.get("long_name", "") + (f" ({unit})" if unit else "")
            )


def _lines_of_fits(path: str | os.PathLike[str]) -> Iterator[str]:
    with fits.open(path) as file:
        for table in file[1:]:
            yield f"{table.name:25}{table.header['NAXIS2']} rows"
            for card in table.header.cards:
                if card.keyword in CARDS:
                    yield _line(card.keyword, str(card.value), card.comment)
            for column in table.columns:
                values = table.data[column.name]
                held = _range(values) if values.dtype.kind in "fiu" else f"arrays ({column.format})"
                yield _line(column.name, held, column.unit or "")


def _line(name: str, held: str, about: str) -> str:
    """A variable, what it holds and what it is, in columns."""
    return f"  {name:22} {held:27} {about}".rstrip()


def _range(values: np.ndarray) -> str:
    """The least and the largest of an array, or its one value."""
    if values.dtype.kind not in "fiubM" or not values.size:
        text = ", ".join(map(str, values.ravel()[:3])) + (", ..." if values.size > 3 else "")
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    if values.dtype.kind == "M":
        return f"{str(values.min())[:10]} to {str(values.max())[:10]}"
    known = values[np.isfinite(values)]
    if not known.size:
        return "not known"
    low, high = float(known.min()), float(known.max())
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
