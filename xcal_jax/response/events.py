"""Event lists: one row a photon, written block by block, so that memory does not grow with the list."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import netCDF4
import numpy as np

from xcal_jax.absorber.batch import ELECTRON_ESCAPED, PASSED, PHOTON_ESCAPED, SCATTERED, Event
from xcal_jax.files import replacing

COLUMNS = {
    "energy": ("f4", "eV", "true photon energy"),
    "deposited": ("f4", "eV", "deposited energy"),
    "loss_type": ("i1", "1", "bits: how energy was lost"),
    "x": ("f4", "um", "first interaction, from the centre, along the width"),
    "y": ("f4", "um", "first interaction, from the centre, along the length"),
    "z": ("f4", "um", "first interaction, from the top, negative inside"),
}
CHUNK = 2**17


@contextmanager
def event_file(path: str | os.PathLike, attrs: dict[str, str]) -> Iterator[Callable[[Event], None]]:
    """Yield a function that appends a block of events to the netCDF-4 file ``path``; it appears when all is done.

    attrs: what the run was. Raises ValueError when the folder is missing.
    """
    with replacing(path) as temporary:
        with netCDF4.Dataset(temporary, "w") as file:
            file.setncatts({"kind": "xcal_jax absorber events", **attrs})
            file.createDimension("photon", None)
            for name, (kind, units, long_name) in COLUMNS.items():
                column = file.createVariable(name, kind, ("photon",), zlib=True, complevel=1, chunksizes=(CHUNK,))
                column.setncatts({"units": units, "long_name": long_name})
            bits = (PHOTON_ESCAPED, ELECTRON_ESCAPED, SCATTERED, PASSED)
            file["loss_type"].flag_masks = np.array(bits, dtype=np.int8)
            file["loss_type"].flag_meanings = "photon_escaped electron_escaped scattered passed_through"

            def append(events: Event) -> None:
                rows = file.dimensions["photon"].size
                for name in COLUMNS:
                    file[name][rows:] = getattr(events, name)

            yield append

