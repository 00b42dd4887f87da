"""Event lists: one row a photon, written block by block, so that memory does not grow with the list.

By its suffix a list is netCDF-4, every photon of the run in it, or a FITS EVENTS table of those that interacted. Both
have the truth beside the deposit. FITS energies are deposits without broadening: the detector's resolution is the
matrix's. The simulation has no clock: photons come one a second.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from xcal_jax import __version__
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.batch import ELECTRON_ESCAPED, PASSED, PHOTON_ESCAPED, SCATTERED, Event
from xcal_jax.files import replacing

EVENTS = "xcal_jax absorber events"
CAUGHT = 8  # bit of the loss type kept for energy that a neighbouring pixel catches
COLUMNS = {
    "energy": ("f4", "eV", "true photon energy"),
    "deposited": ("f4", "eV", "deposited energy"),
    "loss_type": ("i1", "1", "bits: how energy was lost"),
    "x": ("f4", "um", "first interaction, from the centre, along the width"),
    "y": ("f4", "um", "first interaction, from the centre, along the length"),
    "z": ("f4", "um", "first interaction, from the top, negative inside"),
}
CHUNK = 2**17
FITS_SUFFIXES = (".fits", ".fit", ".evt")
FITS_COLUMNS = (
    ("TIME", "D", "s"),
    ("PI", "J", None),
    ("ENERGY", "E", "keV"),
    ("PIXID", "J", None),
    ("PH_ID", "K", None),
    ("X", "E", "um"),
    ("Y", "E", "um"),
    ("Z", "E", "um"),
    ("E_TRUE", "E", "keV"),
    ("E_DEP", "E", "keV"),
    ("LOSS_TYPE", "I", None),
)


@contextmanager
def event_file(path: str | os.PathLike, attrs: dict[str, str], asked: int) -> Iterator[Callable[[Event], None]]:
    """Yield a function that appends a block of events to the file ``path``; it appears when all is done.

    attrs: what the run was, the absorber's TOML among it; asked: photons that make it complete. Raises ValueError
    when the folder is missing.
    """
    attrs = {**attrs, "electrons": Absorber.from_toml(attrs["absorber"]).electrons, "version": __version__}
    write = _fits_events if Path(path).suffix.lower() in FITS_SUFFIXES else _netcdf_events
    with replacing(path) as temporary, write(temporary, attrs, asked) as append:
        yield append


@contextmanager
def _netcdf_events(path: Path, attrs: dict[str, str], asked: int) -> Iterator[Callable[[Event], None]]:
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"kind": EVENTS, **attrs})
        file.createDimension("photon", None)
        for name, (kind, units, long_name) in COLUMNS.items():
            column = file.createVariable(name, kind, ("photon",), zlib=True, complevel=1, chunksizes=(CHUNK,))
            column.setncatts({"units": units, "long_name": long_name})
        bits = (PHOTON_ESCAPED, ELECTRON_ESCAPED, SCATTERED, CAUGHT, PASSED)
        file["loss_type"].flag_masks = np.array(bits, dtype=np.int8)
        file["loss_type"].flag_meanings = "photon_escaped electron_escaped scattered caught_by_neighbour passed_through"

        def append(events: Event) -> None:
            rows = file.dimensions["photon"].size
            for name in COLUMNS:
                file[name][rows:] = getattr(events, name)

        yield append
        file.setncattr("complete", int(file.dimensions["photon"].size == asked))


@contextmanager
def _fits_events(path: Path, attrs: dict[str, str], asked: int) -> Iterator[Callable[[Event], None]]:
    from astropy.io import fits

    from xcal_jax.response.fits_rows import columns_dtype, table_rows

    columns = [fits.Column(name, kind, unit) for name, kind, unit in FITS_COLUMNS]
    header = fits.BinTableHDU.from_columns(columns, name="EVENTS").header
    header.update(TELESCOP="NONE", INSTRUME="xcal_jax", HDUCLASS="OGIP", HDUCLAS1="EVENTS", CHANTYPE="PI")
    header.update(TIMEUNIT="s", TIMESYS="TT", TSTART=0.0, TSTOP=0.0, EXPOSURE=0.0)
    header["CREATOR"] = f"xcal_jax {attrs['version']}"
    header["ELECTRON"] = (attrs["electrons"], "electron model")
    header["SEED"] = attrs["seed"]
    header["NPHOTONS"] = (0, "photons of the run")
    header["NPASSED"] = (0, "of these not interacting, not in the list")
    header["COMPLETE"] = (False, "whether the run came to its end")
    for line in (
        "LOSS_TYPE bits: 1 photon escaped, 2 electron escaped, 4 scattered,",
        "8 caught by a neighbour (kept for pixel arrays, never set here).",
        "ENERGY is E_DEP: no broadening. PI channels are 1 eV wide, from 0.",
        "X, Y from the centre, Z from the top: first interaction.",
        "TIME: no clock in the simulation, one photon a second.",
        *attrs["absorber"].splitlines(),
        *(attrs["source"][at : at + 70] for at in range(0, len(attrs["source"]), 70)),
    ):
        header.add_comment(line.encode("ascii", "replace").decode())
    kind = columns_dtype(header)
    with path.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        with table_rows(file, header) as add:

            def append(events: Event) -> None:
                number = header["NPHOTONS"] + np.arange(len(events.energy))
                met = (np.asarray(events.loss_type) & PASSED) == 0
                rows = np.zeros(int(met.sum()), kind)
                deposited = np.asarray(events.deposited)[met]
                rows["TIME"] = rows["PH_ID"] = number[met]
                rows["PI"] = deposited
                rows["ENERGY"] = rows["E_DEP"] = deposited / 1000.0
                rows["E_TRUE"] = np.asarray(events.energy)[met] / 1000.0
                rows["LOSS_TYPE"] = np.asarray(events.loss_type)[met]
                for name in ("x", "y", "z"):
                    rows[name.upper()] = np.asarray(getattr(events, name))[met]
                add(rows)
                header["NPHOTONS"] += met.size
                header["NPASSED"] += int((~met).sum())

            yield append
            header["TSTOP"] = header["EXPOSURE"] = float(header["NPHOTONS"])
            header["COMPLETE"] = header["NPHOTONS"] == asked
        good = fits.BinTableHDU.from_columns([fits.Column(n, "D", "s") for n in ("START", "STOP")], name="GTI").header
        good.update(HDUCLASS="OGIP", HDUCLAS1="GTI")
        with table_rows(file, good) as add:
            add(np.array([(0.0, header["TSTOP"])], columns_dtype(good)))


def load_events(path: str | os.PathLike) -> xr.Dataset:
    """An event list, netCDF-4 or FITS, as a Dataset: the columns of COLUMNS. Raises ValueError when it is none."""
    wrong = ValueError(f"{str(path)!r} must be an event list of `xcal-jax simulate --events`, but is not")
    if Path(path).suffix.lower() not in FITS_SUFFIXES:
        try:
            with xr.open_dataset(path, engine="netcdf4") as file:
                events = file.load()
        except (OSError, RuntimeError, ValueError, KeyError, AttributeError) as problem:
            raise wrong from problem
        if events.attrs.get("kind") != EVENTS:
            raise wrong
        return events
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as file:
            table, header = file["EVENTS"].data, file["EVENTS"].header
            comments = [str(line) for line in header["COMMENT"]]
    except (OSError, KeyError) as problem:
        raise wrong from problem
    first = next((n for n, line in enumerate(comments) if line.startswith("name = ")), None)
    if first is None:
        raise wrong
    last = next(n for n, line in enumerate(comments) if line.startswith("{"))
    native = {
        name: np.asarray(table[column]).astype(np.float32) for name, column in (("x", "X"), ("y", "Y"), ("z", "Z"))
    }
    native["energy"], native["deposited"] = (1000.0 * table[name].astype(np.float32) for name in ("E_TRUE", "E_DEP"))
    native["loss_type"] = table["LOSS_TYPE"].astype(np.int8)
    return xr.Dataset(
        {
            name: ("photon", native[name], {"units": COLUMNS[name][1], "long_name": COLUMNS[name][2]})
            for name in COLUMNS
        },
        attrs={"kind": EVENTS, "absorber": "\n".join(comments[first:last]), "electrons": header["ELECTRON"]},
    )
