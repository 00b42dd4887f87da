"""A disk that is full: an OSError that names the output, an older file that stays, and nothing else left."""

import os
import resource
from contextlib import closing

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from matplotlib.figure import Figure

from xcal_jax import Absorber, Source, save
from xcal_jax.io.checkpoint import Checkpoint
from xcal_jax.io.figures import save_figure
from xcal_jax.io.fits_files import write_fits
from xcal_jax.montecarlo.batch import Event
from xcal_jax.simulation.events import event_attrs, event_file

ROOM = 4096  # bytes that a file may have
NOISE = np.random.default_rng(1).integers(0, 2**31, 2**16)


@pytest.fixture
def full(tmp_path, monkeypatch):
    """Files of this process may have so many bytes: the same errors, from the same calls, as of a disk that is full."""
    monkeypatch.chdir(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def list_events(path):
    target = Absorber.preset("xifu")
    column = NOISE.astype(np.float32)
    block = Event(column, column, np.zeros(NOISE.size, np.int8), column, column, column)
    with event_file(path, event_attrs(target, Source.build(7000.0), 1), NOISE.size) as append:
        append(block)


def draw(path):
    figure = Figure()
    figure.subplots().plot(NOISE[:1000])
    save_figure(figure, path)


def keep(path):
    with closing(Checkpoint.open(path, resume=True)) as kept:
        kept.save({}, {"a": NOISE})


WRITERS = {
    "a.nc": lambda path: save(xr.Dataset({"a": ("n", NOISE)}), path),
    "e.nc": list_events,
    "e.fits": list_events,
    "a.fits": lambda path: write_fits(path, fits.BinTableHDU.from_columns([fits.Column("A", "J", array=NOISE)])),
    "a.png": draw,
    "a.pdf": draw,
    "a.nc.part": keep,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_nothing(full, name):
    with pytest.raises(OSError) as told:
        WRITERS[name](name)
    assert str(told.value.filename).startswith(name) and told.value.strerror
    assert os.listdir() == []
