"""Files of this program are known by what is in them; of others a sentence says what they are."""

import numpy as np
import pytest
from astropy.io import fits

from xcal_jax.io.datasets import save
from xcal_jax.plot.files import KINDS, figure_of, kind_of, lines_of
from xcal_jax.simulation.simulate import events, simulate
from xcal_jax.spectra import build_spectra
from xcal_jax.spectra.writers import write_pha


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("files")
    save(simulate("xifu", 7000.0, n=2000), place / "result.nc")
    save(events("xifu", 7000.0, n=2000), place / "events.nc")
    write_pha(place / "counts.pha", np.array([1, 5, 2]), 1, 10.0, "a.rmf", None, {}, ())
    archive = build_spectra([[1.0, 2.0], [3.0, 4.0]], [10.0, 20.0])
    save(archive, place / "spectra.nc")
    days = ("spectrum", np.array([1.0, 2.0]))
    readout = ("spectrum", np.array(["A", "B"]))
    save(archive.assign(threshold_adu=days, days=days, readout=readout), place / "threshold.nc")
    columns = [fits.Column(name, "E", array=np.array(v)) for name, v in (("ENERG_LO", [1.0]), ("ENERG_HI", [2.0]))]
    area = fits.Column("SPECRESP", "E", "cm**2", array=np.array([3.0]))
    fits.BinTableHDU.from_columns([*columns, area], name="SPECRESP").writeto(place / "a.arf")
    return place


@pytest.mark.parametrize(
    ("name", "what", "says"),
    [
        ("result.nc", "a result of `simulate`", "photons by deposited energy"),
        ("events.nc", "events of `simulate --events`", "photon: 2000"),
        ("counts.pha", "a spectrum, PHA", "COUNTS"),
        ("spectra.nc", "spectra", "exposure"),
        ("threshold.nc", "thresholds", "1 to 2"),
        ("a.arf", "an effective area", "cm**2"),
    ],
)
def test_files_say_what_they_are_and_are_drawn(folder, name, what, says):
    assert kind_of(folder / name).what == what
    text = "\n".join(lines_of(folder / name))
    assert what in text and says in text
    axes = figure_of(folder / name).axes[0]
    assert axes.get_xlabel() and axes.get_ylabel()


def test_kinds_are_told_apart(folder):
    """No file fits two kinds that have names of their own."""
    names = [kind.named for kind in KINDS if kind.named]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("page.html", b"<!doctype html>", "is a page, which has nothing to show: open it in a browser"),
        ("p.png", b"\x89PNG....", "is a picture"),
        ("absorber.toml", b"width = 1", "is a description, which has nothing to show"),
        ("x", b"hello", "is a file of another kind"),
        ("cut.nc", b"\x89HDF\r\n", "cannot be read"),
        ("cut.fits", b"SIMPLE  = ", "cannot be read"),
    ],
)
def test_other_files_are_said_to_be_what_they_are(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="must be a file that this program writes, but") as problem:
        figure_of(tmp_path / name)
    assert sentence in str(problem.value)
