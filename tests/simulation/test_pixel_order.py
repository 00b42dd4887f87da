"""Which PIXID of a SIXTE detector is which row and column: loops and sums as SIXTE has them; what is no detector."""

import numpy as np
import pytest
from astropy.io import fits

from tests.simulation.test_impacts import table, write
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.simulation.impacts import filter_impacts
from xcal_jax.simulation.pixel_order import pixel_order

LAYERS = [("Au", 0.04), ("Bi", 5.15)]
ARRAY = Absorber.build(LAYERS, 269.5, 269.5, array={"rows": 3, "columns": 2, "pitch": 317.0})
SHAPE = '<pixel><shape posx="{x}" posy="{y}" delx="317e-6" dely="317e-6" width="3e-4" height="3e-4"/></pixel>'
LOOPS = (
    '<loop start="1" end="0" increment="-1" variable="$x"><loop start="0" end="2" increment="1" variable="$y">'
    + SHAPE.format(x="$x*1-0.5", y="-1+$y")
    + "</loop></loop>"
)
COLUMNS = [(1, 0), (1, 1), (1, 2), (0, 0), (0, 1), (0, 2)]  # what LOOPS says: down the last column, then the first


def detector(path, pixels):
    path.write_text(f'<instrument><PIXDETECTOR npix="6" xoff="0" yoff="0">{pixels}</PIXDETECTOR></instrument>')
    return path


@pytest.mark.parametrize("pixels", [LOOPS, "".join(SHAPE.format(x=x - 0.5, y=y - 1) for x, y in COLUMNS)])
def test_order_is_that_of_the_xml(tmp_path, pixels):
    found = pixel_order(detector(tmp_path / "d.xml", pixels), ARRAY.array)
    assert found.tolist() == [2 * y + x for x, y in COLUMNS]


BAD = {
    "no file": (None, "does not exist"),
    "no XML": ("<", "must be an XML file"),
    "no pixels": ("", "must have pixels"),
    "no place": ("<pixel><shape/></pixel>", "places of its pixels"),
    "no number": (SHAPE.format(x="__import__('os')", y="0"), "is no number"),
    "another pitch": (SHAPE.format(x=0, y=0) + SHAPE.format(x=1.5, y=0), "or stand between"),
    "too many": ("".join(SHAPE.format(x=x, y=0) for x in range(3)), "they take 1 x 3 of it"),
    "one twice": (2 * SHAPE.format(x=0, y=0), "two have the same"),
    "endless": ('<loop start="0" end="2" increment="0" variable="$x"></loop>', "must have an increment"),
}


@pytest.mark.parametrize("case", BAD)
def test_no_detector(tmp_path, case):
    pixels, sentence = BAD[case]
    path = tmp_path / "d.xml"
    if pixels is not None:
        detector(path, pixels)
    with pytest.raises(ValueError, match=sentence):
        pixel_order(path, ARRAY.array)


@pytest.mark.slow
def test_impacts_know_the_order(tmp_path):
    """The same photons, numbered as the XML does and as this program does, end in the same pixels."""
    order = pixel_order(detector(tmp_path / "d.xml", LOOPS), ARRAY.array)
    random = np.random.default_rng(1)
    named = random.integers(0, 6, 20_000)  # by PIXID - 1 of the XML
    edge = random.uniform(134.7e-6, 134.74e-6, 20_000)  # near a side, across which electrons go
    for name, numbers in (("xml", 1 + named), ("own", 1 + order[named])):
        write(tmp_path / f"{name}.fits", table(20_000, PIXID=numbers, U=edge, V=np.zeros(20_000)))
    done = filter_impacts(tmp_path / "xml.fits", tmp_path / "a.fits", ARRAY, xml=tmp_path / "d.xml")
    same = filter_impacts(tmp_path / "own.fits", tmp_path / "b.fits", ARRAY)
    assert done == same and done.caught > 10 and done.nowhere == 0
    one, two = (fits.getdata(tmp_path / name, "PIXELIMPACT") for name in ("a.fits", "b.fits"))
    np.testing.assert_array_equal(1 + order[one["PIXID"] - 1], two["PIXID"])
    for column in ("ENERGY", "U", "V", "PH_ID"):
        np.testing.assert_array_equal(one[column], two[column])
    without = "".join(
        SHAPE.format(x=x - 0.5, y=y - 1) for x, y in COLUMNS[:5]
    )  # no pixel in the last row, first column
    write(tmp_path / "less.fits", table(20_000, PIXID=1 + named % 5, U=-edge, V=np.zeros(20_000)))
    less = filter_impacts(tmp_path / "less.fits", tmp_path / "c.fits", ARRAY, xml=detector(tmp_path / "e.xml", without))
    assert fits.getdata(tmp_path / "c.fits", "PIXELIMPACT")["PIXID"].min() >= 1 and less.nowhere > 5
    with pytest.raises(ValueError, match="but the absorber has none"):
        filter_impacts(tmp_path / "xml.fits", tmp_path / "d.fits", Absorber.preset("xifu"), xml=tmp_path / "d.xml")
