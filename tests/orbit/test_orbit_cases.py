"""Every file of tests/orbit/cases, and what a history of element sets does where sets are missing or bad."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sgp4.api import Satrec

from xcal_jax.orbit.elements import Elements
from xcal_jax.orbit.months import monthly_segments
from xcal_jax.orbit.orbit_files import read_tle

CASES = Path(__file__).parent / "cases"
READ = {  # number, name, date of the epoch, km above the equatorial radius by Kepler's law, to a kilometre
    "alpha5_sgp4_77.tle": (270000, "270000", "2020-12-06", 1281),
    "bom.tle": (511, "511", "2026-02-11", 1005),
    "crlf.tle": (511, "511", "2026-02-11", 1005),
    "deep_11801.tle": (11801, "11801", "1980-08-17", 17968),
    "mixed_astroz_78.tle": (511, "511", "2026-02-11", 1005),
    "molniya_08195.tle": (8195, "8195", "2006-06-25", 20189),
    "plus_astroz_78.tle": (89494, "89494", "2025-12-30", 838),
    "pyephem_175.tle": (45211, "STARLINK-1220", "2020-03-09", 343),
    "pypredict_59.tle": (70335, "VIGORIDE 6", "2023-04-15", 500),
    "sample_omm.csv": (5, "VANGUARD 1", "2020-10-13", 2241),
    "sample_omm.json": (5, "VANGUARD 1", "2025-02-14", 2236),
    "sample_omm.xml": (5, "VANGUARD 1", "2020-10-13", 2241),
    "satjs_133.tle": (49465, "49465", "2021-11-16", 672),
    "satjs_152.tle": (45110, "45110", "2023-08-20", 462),
    "sgp4_137.tle": (55897, "55897", "2025-02-27", 296),
    "sgp4_21.tle": (27392, "GRACE 2", "2017-11-13", 293),
    "spaces_astroz_78.tle": (511, "511", "2026-02-11", 1005),
    "zeros_astroz_78.tle": (511, "511", "2026-02-11", 1005),
}
REFUSED = {
    "decay_28350.tle": "200 to 36000 km, .* has 144.986 km",
    "micromas_satjs_19.tle": "200 to 36000 km, .* has 168.708 km",
    "satjs_19.tle": "200 to 36000 km, .* has 198.162 km",
    "pyephem_98.tle": "line 1 ends with its checksum 6, but it ends with '7'",
    "five.tle": r"one satellite, .* 511, 45110, 45211 \(STARLINK-1220\), 49465, 89494: pick one by `satellite`",
    "many.tle": "one satellite, .* 5, 4632, 6251, 8195, 9880, 9998, 11801, 16925 and 16 more: pick one",
    "SGP4-VER.TLE": "one satellite, .* and 16 more: pick one",
}
HISTORIES = {"history_decayed.tle", "history_to_day_before.tle"}


def test_every_case_has_its_test():
    assert {path.name for path in CASES.iterdir()} == {*READ, *REFUSED, *HISTORIES, "README.md"}


@pytest.mark.parametrize("name", READ)
def test_single_sets_are_read(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        elements = read_tle(CASES / name)
    (one,) = elements.sets
    assert (one.number, one.name, str(one.epoch)[:10], round(one.altitude)) == READ[name]


@pytest.mark.parametrize("name", [name for name in READ if name.endswith(".tle")])
def test_they_fly_as_sgp4_reads_them(name):
    first, second = (
        line for line in (CASES / name).read_text("utf-8-sig").splitlines()[-2:] if line.startswith(("1 ", "2 "))
    )
    (one,) = read_tle(CASES / name).sets
    theirs = Satrec.twoline2rv(first, second)
    assert one.orbit.sgp4_tsince(100.0) == theirs.sgp4_tsince(100.0)


@pytest.mark.parametrize("name", REFUSED)
def test_files_without_one_usable_satellite_are_refused(name):
    with pytest.raises(ValueError, match=REFUSED[name]) as caught:
        read_tle(CASES / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["many.tle", "SGP4-VER.TLE"])
def test_any_satellite_of_many_is_picked(name):
    """Times behind column 69 are no part of a line; bad sets of others do not count."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (one,) = read_tle(CASES / name, "6251").sets
    assert str(one.epoch)[:10] == "2006-06-25"
    for other, sentence in (
        (33333, "checksum"),
        (28350, "has 144.986 km"),
        (20413, "200 to 36000 km, .* has 100952 km"),
        ("Sputnik", r"`satellite` must be one of .*, 5, 4632, 6251, .* and 16 more, but is 'Sputnik'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            read_tle(CASES / name, other)


def test_names_pick_too():
    (one,) = read_tle(CASES / "five.tle", "starlink-1220").sets
    assert one.number == 45211


def test_a_set_after_reentry_is_skipped_and_counted():
    with pytest.warns(UserWarning, match=r"1 of 4 element sets of FLOCK 1B-28 in .* are skipped; the first: line 9"):
        decayed = read_tle(CASES / "history_decayed.tle")
    before = read_tle(CASES / "history_to_day_before.tle", strict=True)
    assert [one.epoch for one in decayed.sets] == [one.epoch for one in before.sets]
    assert len(before.sets) == 3
    with pytest.raises(ValueError, match=r"line 9 .* has 198\.162 km"):
        read_tle(CASES / "history_decayed.tle", strict=True)


def joined(tmp_path, *names):
    path = tmp_path / "joined.tle"
    path.write_text("".join((CASES / name).read_text("utf-8-sig") for name in names))
    return path


def test_bad_lines_do_not_spoil_a_history(tmp_path):
    path = joined(tmp_path, "history_to_day_before.tle")
    lines = path.read_text().splitlines()
    lines[3] = lines[3][:20] + "9" + lines[3][21:]
    path.write_text("\n".join(["# remark", *lines, lines[1], "<html>"]))
    with pytest.warns(UserWarning, match=r"2 of 4 element sets .* the first: line 6 .* checksum"):
        elements = read_tle(path)
    assert [str(one.epoch)[:10] for one in elements.sets] == ["2015-07-01", "2015-07-31"]


def test_bad_sets_of_another_satellite_are_not_told(tmp_path):
    path = joined(tmp_path, "history_to_day_before.tle", "pyephem_98.tle", "zeros_astroz_78.tle")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_tle(path, 40423).sets) == 3
        assert read_tle(path, 511).sets[0].name == "511"  # not the name of the satellite before


def test_satnogs_and_wide_text(tmp_path):
    """SatNOGS DB gives lines of TLEs in JSON; Windows writes UTF-16."""
    name, *lines = (CASES / "sgp4_21.tle").read_text().splitlines()
    entry = {"tle0": name, "tle1": lines[0], "tle2": lines[1], "tle_source": "Space-Track", "norad_cat_id": 27392}
    (tmp_path / "a.json").write_text(json.dumps([entry, entry | {"tle2": lines[1][:40]}]))
    with pytest.warns(UserWarning, match=r"1 of 2 element sets of GRACE 2 .*: line 3 of message 2 of .* it has 40"):
        (one,) = read_tle(tmp_path / "a.json").sets
    (tmp_path / "b.tle").write_text((CASES / "sgp4_21.tle").read_text(), encoding="utf-16")
    (other,) = read_tle(tmp_path / "b.tle").sets
    assert one.epoch == other.epoch and one.name == other.name == "GRACE 2"


def test_xml_in_a_name_space_and_a_day_of_the_year(tmp_path):
    text = (CASES / "sample_omm.xml").read_text().replace("<ndm ", '<ndm xmlns="urn:ccsds:schema:ndmxml" ')
    (tmp_path / "a.xml").write_text(text.replace("2020-10-13T", "2020-287T"))
    (one,) = read_tle(tmp_path / "a.xml").sets
    (plain,) = read_tle(CASES / "sample_omm.xml").sets
    assert one.epoch == plain.epoch


def test_months_between_far_sets_are_interpolated_and_counted(vzlusat_tle):
    """The shipped file has two sets three years apart: 531.7 and 435.6 km."""
    elements = read_tle(vzlusat_tle)
    segments = monthly_segments(*elements.span)
    with pytest.warns(UserWarning, match=r"34 of 37 months have no element set within 45 days"):
        flown = elements.flights(segments)
    altitude = [one.altitude for one in flown]
    assert (np.diff(altitude) <= 0).all() and altitude[0] > 531 and altitude[-1] == pytest.approx(435.6, abs=0.1)
    middle = segments[18].middle
    part = float((middle - elements.sets[0].epoch) / (elements.sets[1].epoch - elements.sets[0].epoch))
    assert altitude[18] == pytest.approx(531.7 + part * (435.6 - 531.7), abs=0.2)
    radius = np.linalg.norm(flown[18].position(segments[18].start + np.arange(0, 86400, 300).astype("m8[s]")), axis=1)
    assert abs(radius.mean() - 6378.137 - altitude[18]) < 12  # osculating against mean
    with pytest.raises(ValueError, match="must have an epoch within 45 days of 2022-04"):
        Elements(elements.sets, strict=True).flights(segments[2:])
    assert Elements(elements.sets, max_age=600.0).flights(segments)[18] in elements.sets


def test_a_month_flies_on_an_earlier_set_where_the_nearest_decays():
    """The last set of STARLINK-1220 is lost 30 days later; a set before that has no drag is not."""
    last = read_tle(CASES / "pyephem_175.tle").sets[0]
    first, second = (CASES / "pyephem_175.tle").read_text().splitlines()[1:]
    calm = Satrec.twoline2rv(first[:53] + " 00000-0" + first[61:], second)
    earlier = type(last)(last.name, last.number, calm)
    segments = monthly_segments("2020-03-25", "2020-04-12")
    with pytest.raises(ValueError, match="TLE of STARLINK-1220 at 2020-03-09T22:00:01 must reach 2020-04-0"):
        Elements((last,)).flights(segments)
    with pytest.warns(UserWarning, match="1 of 2 months fly on an earlier element set"):
        flown = Elements((last, earlier)).flights(segments)
    assert [one is last for one in flown] == [True, False]
    with pytest.raises(ValueError, match="must reach"):
        Elements((last, earlier), strict=True).flights(segments)
