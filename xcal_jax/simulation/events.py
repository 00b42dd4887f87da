"""Event lists: one row for each photon, written block by block, so that memory does not grow with the list.

The suffix of its name says whether a list is netCDF-4, with every photon of the run, or a FITS EVENTS table of the
photons that interacted. Both hold the true energy beside the deposit. In an array a photon has a row for the pixel hit,
and after it a row for each pixel that caught some of its energy. FITS energies are deposits without broadening: the
detector's resolution belongs to the matrix. Given a `Detector`, a list has the energies that it measures, and its
channels as PI; else channels are 1 eV of the deposit. The simulation has no clock, so photons come one a second.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import netCDF4
import numpy as np
import xarray as xr
from jaxtyping import Shaped

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.compute.fingerprint import provenance
from xcal_jax.io import datasets, files
from xcal_jax.io.datasets import variable
from xcal_jax.io.files import FITS_EVENTS, check_writable, replacing
from xcal_jax.io.fits_files import NAMES, date
from xcal_jax.montecarlo.batch import (
    BESIDE,
    CAUGHT,
    ELECTRON_ESCAPED,
    PASSED,
    PHOTON_ESCAPED,
    SCATTERED,
    STOPPED,
    Event,
)
from xcal_jax.physics.geometry import Pixels
from xcal_jax.simulation.pixels import caught
from xcal_jax.units import shown_path

EVENTS = "xcal_jax absorber events"
WHAT = "an event list of `xcal-jax simulate --events`"
COLUMNS = {
    "energy": ("f4", "eV", "true photon energy"),
    "deposited": ("f4", "eV", "deposited energy"),
    "loss_type": ("i1", "1", "bits: how energy was lost"),
    "x": ("f4", "um", "first interaction, from the centre, along the width"),
    "y": ("f4", "um", "first interaction, from the centre, along the length"),
    "z": ("f4", "um", "first interaction, from the top, negative inside"),
}
OF_PIXELS = {
    "photon_id": ("i8", "1", "number of the photon"),
    "pixel": ("i4", "1", "row x columns + column of the pixel"),
}
OF_DEAD_LAYERS = {"in_dead_layers": ("f4", "eV", "energy left in the dead layer")}
MEANINGS = (
    "photon_escaped electron_escaped scattered caught_by_neighbour passed_through stopped_in_dead_layer "
    "beside_the_absorber"
)
FIRST_PIXEL = 1  # in FITS files, as SIXTE counts
CHUNK = 2**17
FITS_COLUMNS = (  # name, type, unit; the column of `rows_of` that it holds, and how many of its units one of these is
    ("TIME", "D", "s", "photon_id", 1),
    ("PI", "J", None, "deposited", 1),
    ("ENERGY", "E", "keV", "deposited", 1000),
    ("PIXID", "J", None, "pixel", 1),
    ("PH_ID", "K", None, "photon_id", 1),
    ("X", "E", "um", "x", 1),
    ("Y", "E", "um", "y", 1),
    ("Z", "E", "um", "z", 1),
    ("E_TRUE", "E", "keV", "energy", 1000),
    ("E_DEP", "E", "keV", "deposited", 1000),
    ("LOSS_TYPE", "I", None, "loss_type", 1),
)
IN_DEAD = ("E_DEAD", "E", "keV", "in_dead_layers", 1000)  # a vector, by dead layer
SIGNAL = ("SIGNAL", "E", "keV")  # SIXTE's name of the measured energy
WITHOUT_DETECTOR = ("ENERGY is E_DEP: no broadening. PI channels are 1 eV wide, from 0.",)
WITH_DETECTOR = (
    "ENERGY and SIGNAL are measured energies, PI their channels of RESPFILE;",
    "NOUTSIDE events had none and are not in the list.",
)
BEGIN, BEGIN_MJD = datetime(2000, 1, 1), 51544  # TT: when TIME is 0


class Detector(Protocol):
    """What makes measured energies of deposits."""

    @property
    def rmf(self) -> str:
        """Name of the file with its matrix."""

    @property
    def cards(self) -> dict[str, str]:
        """The header's words for the instrument."""

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of the first channel and the last."""

    def measure(self, deposit: np.ndarray, photon: np.ndarray, pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Measured energies in eV and channels of ``deposit`` eV, of a ``photon`` in a ``pixel``, by number."""


def event_attrs(absorber: Absorber, source: Source, seed: int) -> dict[str, str]:
    """What a run was: attributes of a list of its events."""
    return {"absorber": absorber.to_toml(), "source": source.describe(), "seed": str(seed)}


@contextmanager
def event_file(
    path: str | os.PathLike[str],
    attrs: dict[str, str],
    asked: int,
    detector: Detector | None = None,
    cards: dict[str, str] | None = None,
) -> Iterator[Callable[[Event], None]]:
    """Yield a function that appends a block of events to the file ``path``, which is replaced when all is done.

    attrs: of `event_attrs`; asked: photons that make it complete; detector: whose channels a FITS list has; cards: of
    the instrument, in its header. Raises ValueError when the folder is missing, the suffix is neither .nc nor one of
    FITS, or a netCDF list is to have a detector or cards.
    """
    check_writable(path, files.EVENTS)
    attrs = {**attrs, "electrons": Absorber.from_toml(attrs["absorber"]).electrons, **provenance()}
    in_fits = Path(path).suffix.lower() in FITS_EVENTS
    if not in_fits and (detector or cards):
        raise ValueError(
            f"events with channels or cards must end in one of {', '.join(FITS_EVENTS)}, not {shown_path(path)}"
        )
    with replacing(path) as temporary:
        made = (
            _fits_events(temporary, attrs, asked, detector, cards or {})
            if in_fits
            else _netcdf_events(temporary, attrs, asked)
        )
        with made as append:
            yield append


@contextmanager
def _netcdf_events(path: Path, attrs: dict[str, str], asked: int) -> Iterator[Callable[[Event], None]]:
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"kind": EVENTS, **attrs})
        file.createDimension("photon", None)
        absorber = Absorber.from_toml(attrs["absorber"])
        pixels, names = absorber.array, columns_of(absorber)
        if absorber.dead:
            file.createDimension("dead_layer", len(absorber.dead))
            file.createVariable("dead_layer", "i4", ("dead_layer",))[:] = absorber.dead
        for name, (kind, units, long_name) in names.items():
            dims = dims_of(name)
            chunks = (CHUNK, *(file.dimensions[dim].size for dim in dims[1:]))
            column = file.createVariable(name, kind, dims, zlib=True, complevel=1, chunksizes=chunks)
            column.setncatts({"units": units, "long_name": long_name})
        bits = (PHOTON_ESCAPED, ELECTRON_ESCAPED, SCATTERED, CAUGHT, PASSED, STOPPED, BESIDE)
        file["loss_type"].flag_masks = np.array(bits, dtype=np.int8)
        file["loss_type"].flag_meanings = MEANINGS

        photons = 0

        def append(events: Event) -> None:
            nonlocal photons
            rows, columns = file.dimensions["photon"].size, rows_of(events, photons, pixels)
            for name in names:
                file[name][rows:] = columns[name]
            photons += len(events.energy)

        yield append
        file.setncattr("complete", int(photons == asked))


def columns_of(absorber: Absorber) -> dict[str, tuple[str, str, str]]:
    """The columns of a list of events in ``absorber``: type, unit and long name, by name."""
    of_pixels = {} if absorber.array is None else OF_PIXELS
    return COLUMNS | of_pixels | (OF_DEAD_LAYERS if absorber.dead else {})


def dims_of(column: str) -> tuple[str, ...]:
    """The dimensions of a ``column``."""
    return ("photon", "dead_layer") if column in OF_DEAD_LAYERS else ("photon",)


def rows_of(events: Event, first: int, pixels: Pixels | None) -> dict[str, Shaped[np.ndarray, "R ..."]]:
    """The columns of COLUMNS and OF_PIXELS, by name, for a block of ``events`` that begins with photon ``first``.

    With dead layers also those of OF_DEAD_LAYERS, (R, D). Each photon has a row for the pixel hit, and after it a row
    for every pixel that caught some of its energy. The latter has no bits in its loss type but CAUGHT and BESIDE, and
    places as seen from its own centre.
    """
    columns = {name: np.asarray(getattr(events, name)) for name in COLUMNS}
    hit = np.zeros(len(events.energy), int) if events.pixel is None else np.asarray(events.pixel)
    columns |= {"photon_id": first + np.arange(hit.size), "pixel": hit}
    dead = {} if events.in_dead_layers is None else {"in_dead_layers": np.asarray(events.in_dead_layers)}
    columns |= dead
    more = caught(events, pixels)
    if not more.event.size:
        return columns
    order = np.argsort(np.concatenate([np.arange(hit.size), more.event]), kind="stable")
    beside = {name: columns[name][more.event] for name in ("energy", "z", "photon_id")}
    beside |= {"deposited": more.energy, "pixel": more.pixel, "x": more.x, "y": more.y}
    beside["loss_type"] = CAUGHT | (columns["loss_type"][more.event] & BESIDE)
    beside |= {name: np.zeros((more.event.size, *column.shape[1:])) for name, column in dead.items()}
    return {name: np.concatenate([column, beside[name]])[order] for name, column in columns.items()}


@contextmanager
def _fits_events(
    path: Path, attrs: dict[str, str], asked: int, detector: Detector | None, cards: dict[str, str]
) -> Iterator[Callable[[Event], None]]:
    from astropy.io import fits

    from xcal_jax.io.fits_rows import columns_dtype, table_rows

    absorber = Absorber.from_toml(attrs["absorber"])
    held = list(FITS_COLUMNS)
    if absorber.dead:
        name, kind_, unit, what, scale = IN_DEAD
        held.append((name, f"{len(absorber.dead)}{kind_}", unit, what, scale))
    written = [column[:3] for column in held] + ([] if detector is None else [SIGNAL])
    columns = [fits.Column(*column) for column in written]
    header = fits.BinTableHDU.from_columns(columns, name="EVENTS").header
    own = {"INSTRUME": "xcal_jax"} if detector is None else detector.cards
    header.update(NAMES | own | cards)
    header["MISSION"] = header["TELESCOP"]
    header.update(HDUCLASS="OGIP", HDUCLAS1="EVENTS", CHANTYPE="PI", DATE=date())
    header.update(RESPFILE="NONE" if detector is None else detector.rmf, ANCRFILE="NONE")
    pi = 1 + [name for name, *_ in written].index("PI")
    header[f"TLMIN{pi}"], header[f"TLMAX{pi}"] = (0, 0) if detector is None else detector.channels
    header.update(TIMEUNIT="s", TIMESYS="TT", TIMEREF="LOCAL", TIMEZERO=0.0, MJDREFI=BEGIN_MJD, MJDREFF=0.0)
    header.update(TSTART=0.0, TSTOP=0.0, EXPOSURE=0.0)
    for name in ("OBS", "END"):
        header[f"DATE-{name}"], header[f"TIME-{name}"] = BEGIN.date().isoformat(), BEGIN.time().isoformat()
    header["CREATOR"] = f"xcal_jax {attrs['version']}"
    header["ELECTRON"] = (attrs["electrons"], "electron model")
    header["SEED"] = attrs["seed"]
    header["NPHOTONS"] = (0, "photons of the run")
    header["NPASSED"] = (0, "of these not interacting, not in the list")
    if detector is not None:
        header["NOUTSIDE"] = (0, "of these outside the channels, not in the list")
    header["COMPLETE"] = (False, "whether the run came to its end")
    for line in (
        "LOSS_TYPE bits: 1 photon escaped, 2 electron escaped, 4 scattered,",
        "8 caught by a neighbour: with others, some of what this pixel lost;",
        "alone, all of this row, of a photon that hit the pixel of the row with",
        "the same PH_ID before; 32 some left in dead layers, as E_DEAD has it;",
        "64 of a photon that met the substrate beside the absorber first.",
        "PIXID is 1 + row x columns + column, each from 0,",
        "rows along y, columns along x.",
        *(WITHOUT_DETECTOR if detector is None else WITH_DETECTOR),
        "X, Y from the pixel's centre, Z from the top: first interaction.",
        "TIME: no clock in the simulation, one photon a second.",
        *attrs["absorber"].splitlines(),
        *(attrs["source"][at : at + 70] for at in range(0, len(attrs["source"]), 70)),
    ):
        header.add_comment(line.encode("ascii", "replace").decode())
    kind = columns_dtype(header)
    pixels = absorber.array
    with path.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        with table_rows(file, header) as add:

            def append(events: Event) -> None:
                passed = (np.asarray(events.loss_type) & PASSED) != 0
                columns = rows_of(events, header["NPHOTONS"], pixels)
                met = (columns["loss_type"] & PASSED) == 0
                if detector is not None:
                    where = (columns[name] for name in OF_PIXELS)
                    signal, channel = detector.measure(columns["deposited"].astype(float), *where)
                    seen = (channel >= detector.channels[0]) & (channel <= detector.channels[1])
                    header["NOUTSIDE"] += int(np.sum(met & ~seen))
                    met &= seen
                columns["pixel"] = columns["pixel"] + FIRST_PIXEL
                rows = np.zeros(int(met.sum()), kind)
                for name, *_, what, scale in held:
                    rows[name] = columns[what][met].reshape(rows[name].shape) / scale
                if detector is not None:
                    rows["PI"], rows["ENERGY"], rows["SIGNAL"] = channel[met], signal[met] / 1000, signal[met] / 1000
                elif rows.size:
                    header[f"TLMAX{pi}"] = max(header[f"TLMAX{pi}"], int(rows["PI"].max()))
                add(rows)
                header["NPHOTONS"] += passed.size
                header["NPASSED"] += int(passed.sum())

            yield append
            header["TSTOP"] = header["EXPOSURE"] = float(header["NPHOTONS"])
            end = BEGIN + timedelta(seconds=header["NPHOTONS"])
            header["DATE-END"], header["TIME-END"] = end.date().isoformat(), end.time().isoformat()
            header["COMPLETE"] = header["NPHOTONS"] == asked
        good = fits.BinTableHDU.from_columns([fits.Column(n, "D", "s") for n in ("START", "STOP")], name="GTI").header
        good.update({name: header[name] for name in ("TELESCOP", "INSTRUME", "TIMESYS", "MJDREFI", "MJDREFF")})
        good.update(HDUCLASS="OGIP", HDUCLAS1="GTI", HDUCLAS2="STANDARD")
        with table_rows(file, good) as add:
            add(np.array([(0.0, header["TSTOP"])], columns_dtype(good)))


def event_dataset(blocks: Sequence[dict[str, np.ndarray]], absorber: Absorber, source: Source, seed: int) -> xr.Dataset:
    """The rows of ``blocks``, of `rows_of`, as the Dataset that a netCDF-4 list holds."""
    attrs, names = event_attrs(absorber, source, seed), columns_of(absorber)
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in names}
    return xr.Dataset(
        {name: variable(dims_of(name), columns[name].astype(kind), *about) for name, (kind, *about) in names.items()},
        coords={"dead_layer": np.array(absorber.dead, np.int32)} if absorber.dead else {},
        attrs={"kind": EVENTS, **attrs, "electrons": absorber.electrons, **provenance()},
    )


def load_events(path: str | os.PathLike[str]) -> xr.Dataset:
    """An event list, netCDF-4 or FITS, as a Dataset with the columns of COLUMNS over `photon`.

    Raises ValueError when ``path`` is none.
    """
    if Path(path).suffix.lower() not in FITS_EVENTS:
        return datasets.read(path, WHAT, (EVENTS,))
    from astropy.io import fits

    wrong = ValueError(f"{shown_path(path)} must be {WHAT}, but is not")
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
    names = COLUMNS | OF_PIXELS
    native = {what: scale * table[name] for name, *_, what, scale in FITS_COLUMNS if name not in ("PI", "ENERGY")}
    native["pixel"] = native["pixel"] - FIRST_PIXEL
    if IN_DEAD[0] in table.names:
        name, *_, what, scale = IN_DEAD
        native[what], names = scale * table[name].reshape(len(table), -1), names | OF_DEAD_LAYERS
    made = {name: variable(dims_of(name), native[name].astype(kind), *about) for name, (kind, *about) in names.items()}
    made["channel"] = variable("photon", table["PI"].astype("i4"), "1", "channel of the matrix")
    facts = {"electrons": header["ELECTRON"], "exposure": header["EXPOSURE"], "rmf": header.get("RESPFILE", "NONE")}
    return xr.Dataset(made, attrs={"kind": EVENTS, "absorber": "\n".join(comments[first:last]), **facts})
