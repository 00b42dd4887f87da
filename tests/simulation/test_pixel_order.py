"""Which PIXID of a SIXTE detector is which row and column: as SIXTE's piximpacts numbers them; what is no detector."""

import numpy as np
import pytest
from astropy.io import fits

from tests.simulation.test_impacts import table, write
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.physics.geometry import Pixels
from xcal_jax.simulation.impacts import filter_impacts
from xcal_jax.simulation.pixel_order import pixel_order

LAYERS = [("Au", 0.04), ("Bi", 5.15)]
ARRAY = Absorber.build(LAYERS, 269.5, 269.5, array={"rows": 3, "columns": 2, "pitch": 317.0})
WIDE = Pixels(317.0, 317.0, 10, 10)


def pixel(x="$x", y="$y", pitch="317e-6", width="3e-4"):
    of = f'posx="{x}" posy="{y}" delx="{pitch}" dely="{pitch}" width="{width}" height="{width}"'
    return f"<pixel><shape {of}/></pixel>"


def loop(variable, start, end, step, inner, more=""):
    return f'<loop start="{start}" end="{end}" increment="{step}" variable="{variable}"{more}>{inner}</loop>'


def hexagon(cross):
    return f'<hexagonloop radius="1e-3" pixelpitch="317e-6" cross="{cross}">{pixel(pitch="$p")}</hexagonloop>'


def columns(at, rows):
    return [(x, y) for x in at for y in rows]


def lines(*of):
    """Places of pixels in lines (y, first x, last x)."""
    return [(first + n, y) for y, first, last in of for n in range(int(last - first) + 1)]


SQUARE = loop("$x", 0, 2, 1, loop("$y", 0, 2, 1, pixel()))
DOWN = loop("$x", 1, 0, -1, loop("$y", 0, 2, 1, pixel()))
SEEN = {  # places by PIXID, in pitches, of impacts that piximpacts of SIXTE 2.7.2 (575fe09) found in these pixels
    "down the last column, then the first": (DOWN, columns([1, 0], [0, 1, 2])),
    "-1+2 is -3, $x*2-1 is computed": (
        loop("$x", 1, 2, 1, loop("$y", 0, 2, 1, pixel("$x*2-1", "-1+$y"))),
        columns([1, 3], [-1, -2, -3]),
    ),
    "1-0.5 is 1.5, 0-2+1 is -3, 3-2+1 is 2": (
        loop("$x", 1, 2, 1, loop("$y", 0, 2, 1, pixel("$x*1-0.5", "$y*3-2+1"))),
        columns([1.5, 2.5], [-3, 2, 5]),
    ),
    "an offset": (
        loop("$x", 0, 1, 1, loop("$y", -1, 1, 1, pixel()), ' offset="0.5"'),
        columns([0.5, 1.5], [-1, 0, 1]),
    ),
    "one name in another": (
        loop("$x", 0, 1, 1, loop("$xx", 0, 2, 1, pixel(y="$xx"))),
        columns([0, 1], [0, 1, 2]),
    ),
    "the earlier of two in one place goes": (
        SQUARE + pixel(1, 1),
        [place for place in columns([0, 1, 2], [0, 1, 2]) if place != (1, 1)] + [(1, 1)],
    ),
    "neighbours that touch go": (SQUARE.replace("3e-4", "317e-6"), [(2, 2)]),
    "a hexagon about a pixel": (hexagon(0), lines((0, -3, 3), (1, -2, 2), (2, -1, 1), (-1, -2, 2), (-2, -1, 1))),
    "a hexagon about a corner": (
        hexagon(1),
        lines((0.5, -2.5, 2.5), (1.5, -1.5, 1.5), (2.5, -1.5, 1.5))
        + lines((-0.5, -2.5, 2.5), (-1.5, -1.5, 1.5), (-2.5, -1.5, 1.5)),
    ),
}


def detector(path, pixels):
    path.write_text(f'<instrument><PIXDETECTOR npix="6" xoff="0" yoff="0">{pixels}</PIXDETECTOR></instrument>')
    return path


@pytest.mark.parametrize("case", SEEN)
def test_order_is_that_of_sixte(tmp_path, case):
    pixels, places = SEEN[case]
    x, y = (np.array(places) - np.min(places, axis=0)).T
    assert pixel_order(detector(tmp_path / "d.xml", pixels), WIDE).tolist() == (10 * y + x).tolist()


def test_included_files_are_read(tmp_path):
    """Also those that they include, from their own folder, with the variables of the loop around."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one.xml").write_text('<part><include filename="two.xml"/></part>')
    (tmp_path / "parts" / "two.xml").write_text(loop("$y", 0, 2, 1, pixel()))
    whole = detector(tmp_path / "d.xml", loop("$x", 1, 0, -1, '<include filename="parts/one.xml"/>'))
    assert pixel_order(whole, WIDE).tolist() == [1, 11, 21, 0, 10, 20]


BAD = {
    "no file": (None, "does not exist"),
    "no XML": ("<", "must be an XML file"),
    "no pixels": ("", "must have pixels"),
    "no shape": ("<pixel/>", "a pixel has no shape"),
    "no place": ("<pixel><shape/></pixel>", "places of its pixels, but: 'POSX'"),
    "no number": (pixel(x="__import__('os')", y="0"), "could not convert"),
    "another pitch": (pixel(x=0, y=0) + pixel(x=1.5, y=0), "or stand between"),
    "too many": ("".join(pixel(x=x, y=0) for x in range(3)), "they take 1 x 3 of it"),
    "two in a place": (pixel(x=0, y=0, width="1e-6") + pixel(x=0.02, y=0, width="1e-6"), "two have the same"),
    "endless": ('<loop start="0" end="2" increment="0" variable="$x"></loop>', "must have an increment"),
    "the wrong way": ('<loop start="0" end="2" increment="-1" variable="$x"></loop>', "must have an increment"),
    "a small hexagon": ('<hexagonloop radius="1e-4" pixelpitch="317e-6"/>', "must be larger than its pixels"),
    "nothing to include": ('<include filename="none.xml"/>', "No such file"),
    "itself": ('<include filename="d.xml"/>', "includes itself"),
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
    order = pixel_order(detector(tmp_path / "d.xml", DOWN), ARRAY.array)
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
    without = "".join(pixel(x, y) for x, y in columns([1, 0], [0, 1, 2])[:5])  # none in the last row, first column
    write(tmp_path / "less.fits", table(20_000, PIXID=1 + named % 5, U=-edge, V=np.zeros(20_000)))
    less = filter_impacts(tmp_path / "less.fits", tmp_path / "c.fits", ARRAY, xml=detector(tmp_path / "e.xml", without))
    assert fits.getdata(tmp_path / "c.fits", "PIXELIMPACT")["PIXID"].min() >= 1 and less.nowhere > 5
    with pytest.raises(ValueError, match="but the absorber has none"):
        filter_impacts(tmp_path / "xml.fits", tmp_path / "d.fits", Absorber.preset("xifu"), xml=tmp_path / "d.xml")
