import json
import warnings

import numpy as np
import pytest
from sgp4.api import Satrec
from sgp4.exporter import export_omm

from xcal_jax.orbit.months import monthly_segments
from xcal_jax.orbit.orbit_files import read_altitudes, read_tle, shipped_altitudes

GOOD = [
    "1 47959U 21022AD  21136.80882950  .00001202  00000-0  87027-4 0  9997",
    "2 47959  97.5614  39.6019 0023282  60.8418 299.5182 15.05651497  7118",
]


def checked(line: str) -> str:
    return line[:68] + str(sum(int(c) if c.isdigit() else c == "-" for c in line[:68]) % 10)


def written(tmp_path, *lines):
    path = tmp_path / "some.tle"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_published_sets(grbalpha_tle, vzlusat_tle):
    alpha, vzlusat = read_tle(grbalpha_tle), read_tle(vzlusat_tle)
    assert [round(tle.altitude, 1) for tle in alpha.sets + vzlusat.sets] == [549.5, 531.7, 435.6]
    assert alpha.sets[0].epoch == np.datetime64("2021-05-16T19:24:43")
    assert [tle.name for tle in vzlusat.sets] == ["VZLUSAT-2", "VZLUSAT-2"]


def test_sets_may_come_unordered_and_unnamed(tmp_path):
    later = checked(GOOD[0].replace("21136.8", "21140.8"))
    elements = read_tle(written(tmp_path, later, GOOD[1], "", *GOOD))
    assert [str(tle.epoch)[:10] for tle in elements.sets] == ["2021-05-16", "2021-05-20"]
    assert elements.sets[0].name == "47959"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([GOOD[0][:40], GOOD[1]], "line 2 .* must have the 69 characters of line 1 of a TLE, but it has 40"),
        ([GOOD[0], GOOD[1][:68]], "line 2 .* must have the 69 characters of line 2 of a TLE, but it has 68"),
        ([GOOD[0], GOOD[1] + "1"], "line 2 .* must have the 69 characters of line 2 of a TLE, but it has 70"),
        ([GOOD[0][:-1] + "3", GOOD[1]], "line 2 .* line 1 ends with its checksum 7, but it ends with '3'"),
        ([GOOD[0][:62] + "4" + GOOD[0][63:68] + "1", GOOD[1]], "line 2 .* but closes one of SGP4-XP"),
        ([GOOD[0]], "line 1 .* must stand in a pair of TLE lines, but line 2 of the TLE is missing"),
        ([GOOD[0], GOOD[0]], "line 1 .* must stand in a pair of TLE lines, but line 2 of the TLE is missing"),
        ([GOOD[1]], "line 1 .* must stand in a pair of TLE lines, but line 1 of the TLE is missing"),
        ([], r"must hold element sets \(TLE or OMM\), but has none"),
        (
            [GOOD[0], checked(GOOD[1].replace("47959", "51085"))],
            "line 2 .*: Object numbers in lines 1 and 2 do not match",
        ),
        ([GOOD[0], checked(GOOD[1].replace("15.05651497", "1x.05651497"))], "line 2 .* a TLE of numbers"),
        (
            [GOOD[0], checked(GOOD[1].replace("15.05651497", "16.90000000"))],
            "line 2 .* 200 to 36000 km, .* has 36.0858 km",
        ),
        (
            [*GOOD, checked(GOOD[0].replace("47959", "51085")), checked(GOOD[1].replace("47959", "51085"))],
            "one satellite, but has catalogue numbers 47959, 51085: pick one by `satellite`",
        ),
    ],
)
def test_malformed_tle_is_one_sentence(tmp_path, lines, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read_tle(written(tmp_path, *lines))
    assert "\n" not in str(caught.value)


def test_numbers_beyond_five_digits(tmp_path):
    """T0000 is 270000 in Alpha-5. The set is one of the tests of sgp4; leading zeros and spaces are one number."""
    lines = [checked(line.replace("47959", "T0000")) for line in GOOD]
    (found,) = read_tle(written(tmp_path, *lines)).sets
    assert (found.name, found.number) == ("270000", 270000)
    padded, spaced = ([checked(line.replace("47959", number)) for line in GOOD] for number in ("00511", "  511"))
    assert {one.number for one in read_tle(written(tmp_path, *padded, *spaced)).sets} == {511}


def omm(**changes):
    """The fields of an OMM of GOOD, as text."""
    return {k: str(v) for k, v in export_omm(Satrec.twoline2rv(*GOOD), "GRBALPHA").items()} | changes


def as_csv(*messages):
    return "\r\n".join(",".join(row) for row in (messages[0], *(one.values() for one in messages)))


def as_json(*messages):
    return json.dumps(messages if len(messages) > 1 else messages[0])


def as_xml(*messages):
    parts = {"metadata": 6, "data/meanElements": 13, "data/tleParameters": 99}
    text, done = "", 0
    for fields in messages:
        text += "<segment>"
        for part, end in parts.items():
            outer, _, inner = part.rpartition("/")
            items = "".join(f"<{k}>{v}</{k}>" for k, v in list(fields.items())[done:end])
            text += f"<{outer}>" * (inner == "meanElements") + f"<{inner}>{items}</{inner}>"
            done = end
        text += "</data></segment>"
        done = 0
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<ndm><omm><body>{text}</body></omm></ndm>'


def as_kvn(*messages):
    units = {"MEAN_MOTION": " [rev/day]"}
    texts = ("\n".join(f"{k} = {v}{units.get(k, '')}" for k, v in fields.items()) for fields in messages)
    return "".join(f"CCSDS_OMM_VERS = 2.0\nCOMMENT by hand\n{text}\n\n" for text in texts)


@pytest.mark.parametrize("form", [as_csv, as_json, as_xml, as_kvn])
def test_messages_fly_as_their_lines(tmp_path, form):
    path, time = tmp_path / "a.omm", np.array(["2021-05-17T03:00"], "M8[s]")
    path.write_text(form(omm(EPOCH="2021-05-26T19:24:43.570000"), omm(NORAD_CAT_ID="47959")))
    first, second = read_tle(path).sets
    (expected,) = read_tle(written(tmp_path, *GOOD)).sets
    assert (first.name, first.number, first.epoch) == ("GRBALPHA", 47959, expected.epoch)
    assert str(second.epoch) == "2021-05-26T19:24:44"
    assert first.altitude == pytest.approx(expected.altitude, abs=1e-6)
    assert first.inclination == pytest.approx(97.5614, abs=1e-9) == expected.inclination
    np.testing.assert_allclose(first.position(time), expected.position(time), atol=1e-3)


def test_a_message_may_lack_what_does_not_move_it_and_have_a_long_number(tmp_path):
    fields = omm(NORAD_CAT_ID="799500123", EPOCH="2021-05-16T19:24:43Z")
    for name in ("OBJECT_NAME", "CLASSIFICATION_TYPE", "EPHEMERIS_TYPE", "ELEMENT_SET_NO", "REV_AT_EPOCH"):
        del fields[name]
    (tmp_path / "a.json").write_text(json.dumps([fields]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = read_tle(tmp_path / "a.json").sets
    assert (found.name, found.number, str(found.epoch)) == ("799500123", 799500123, "2021-05-16T19:24:43")


VANGUARD = """\
OBJECT_NAME,OBJECT_ID,EPOCH,MEAN_MOTION,ECCENTRICITY,INCLINATION,RA_OF_ASC_NODE,ARG_OF_PERICENTER,MEAN_ANOMALY,\
EPHEMERIS_TYPE,CLASSIFICATION_TYPE,NORAD_CAT_ID,ELEMENT_SET_NO,REV_AT_EPOCH,BSTAR,MEAN_MOTION_DOT,MEAN_MOTION_DDOT
VANGUARD 1,1958-002B,2020-10-13T04:52:48.472320,10.84869164,.1845686,34.2443,225.5254,162.2516,205.2356,\
0,U,5,999,21814,-.22483E-4,-1.6E-7,0
"""
"""A message as CelesTrak writes it; it comes with the package sgp4."""


def test_a_message_of_celestrak(tmp_path):
    (tmp_path / "a.csv").write_text(VANGUARD)
    (found,) = read_tle(tmp_path / "a.csv").sets
    assert (found.name, found.number, str(found.epoch)) == ("VANGUARD 1", 5, "2020-10-13T04:52:48")
    assert found.altitude == pytest.approx(
        398600.4418 ** (1 / 3) * (86400 / 10.84869164 / 2 / np.pi) ** (2 / 3) - 6378.137
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (as_json(omm(MEAN_MOTION="fast")), "message 1 .* must hold numbers and an epoch, but MEAN_MOTION is 'fast'"),
        (as_csv(omm(INCLINATION="")), "message 1 .* must have the field INCLINATION, but it is missing"),
        (as_csv(omm(EPOCH="soon")), "message 1 .* must hold numbers and an epoch, but EPOCH is 'soon'"),
        (as_csv(omm(REV_AT_EPOCH="7.5")), "message 1 .* must hold numbers and an epoch, but REV_AT_EPOCH is '7.5'"),
        (as_json(omm(MEAN_ELEMENT_THEORY="SGP4-XP")), "message 1 .* elements of SGP4, but of SGP4-XP"),
        (as_kvn(omm(MEAN_MOTION="16.9")), "message 1 .* 200 to 36000 km, .* has 36.0858 km"),
        (as_kvn(omm(MEAN_MOTION="0")), "message 1 .* 200 to 36000 km, .* has nan km"),
        (as_json(omm(INCLINATION="nan")), "message 1 .* an orbit at their epoch, but"),
        (as_json(omm(EPHEMERIS_TYPE=4)), "message 1 .* elements of SGP4, but of SGP4-XP"),
        (as_json(omm(REF_FRAME="ITRF")), "message 1 .* must have TEME as its REF_FRAME, but has ITRF"),
        (as_json(omm(), omm(NORAD_CAT_ID="270000")), r"catalogue numbers 47959 \(GRBALPHA\), 270000 \(GRBALPHA\)"),
        ("[1]", "message 1 .* must be a table of fields, but is 1"),
        ("[]", "must hold element sets"),
        ("<ndm/>", "must hold element sets"),
        ("<ndm>", "must hold messages of elements .*, but is broken: no element found"),
        ("{", "must hold messages of elements .*, but is broken: Expecting"),
        (as_csv(omm()).partition("\r")[0], "must hold element sets .*, but has none"),
    ],
)
def test_malformed_messages_are_one_sentence(tmp_path, text, sentence):
    (tmp_path / "a.omm").write_text(text)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_tle(tmp_path / "a.omm")
    assert "\n" not in str(caught.value)


def test_epoch_far_from_the_dates(vzlusat_tle):
    elements = read_tle(vzlusat_tle)
    (segment,) = monthly_segments("2023-05-01", "2023-05-10")
    with pytest.raises(ValueError, match=r"within 45 days of 2023-05-01 to 2023-05-10, .* 2022-02-07, is 457 days"):
        elements.at(segment)
    assert elements.at(*monthly_segments("2022-02-10", "2022-02-20")).altitude == pytest.approx(531.7, abs=0.1)


def test_orbit_that_decays_is_one_sentence(vzlusat_tle):
    late = read_tle(vzlusat_tle).sets[1]
    with pytest.raises(ValueError, match=r"TLE of VZLUSAT-2 at 2025-02-01T13:07:57 must reach"):
        late.position(np.array(["2035-02-01"], "M8[s]"))


def test_shipped_histories_name_their_assumptions():
    alpha, vzlusat = shipped_altitudes("GRBAlpha"), shipped_altitudes("VZLUSAT-2")
    (segment,) = monthly_segments("2021-05-16", "2021-05-17")
    assert alpha.flights([segment])[0].altitude == pytest.approx(549.5, abs=0.05)
    assert vzlusat.altitude[-1] == 435.6
    with pytest.raises(ValueError, match="must be one of GRBAlpha, VZLUSAT-2, but is 'Sputnik'"):
        shipped_altitudes("Sputnik")


def test_altitude_table_is_linear_between_dates(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("# remark\ndate,altitude_km,inclination_deg\n2021-01-01,550,97.5\n2021-01-11,540,97.4\n")
    (segment,) = monthly_segments("2021-01-04", "2021-01-08")
    assert read_altitudes(path).flights([segment])[0].altitude == pytest.approx(545.0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,km\n", "a.csv' must have the header date,altitude_km,inclination_deg, but has time,km"),
        ("date,altitude_km,inclination_deg\n2021-01-01,550\n", "line 2 .* must have 3 columns as the header"),
        ("date,altitude_km,inclination_deg\nsoon,550,97\n", "date in line 2 .* must be a date"),
        ("date,altitude_km,inclination_deg\n2021-01-01,high,97\n", "line 2 .* must hold numbers"),
        ("date,altitude_km,inclination_deg\n2021-01-01,150,97\n", "line 2 .* 200 to 36000 km, .* has 150 km"),
        ("date,altitude_km,inclination_deg\n2021-01-01,nan,97\n", "line 2 .* 200 to 36000 km, .* has nan km"),
        ("date,altitude_km,inclination_deg\n2021-01-01,1e6,97\n", "200 to 36000 km, .* has 1e\\+06 km"),
        ("date,altitude_km,inclination_deg\n2021-01-01,550,197\n", "0 to 180 degrees, but line 2 .* has 197"),
        ("date,altitude_km,inclination_deg\n2021-01-02,550,97\n2021-01-01,550,97\n", "dates must grow, but line 3"),
        ("date,altitude_km,inclination_deg\n2021-01-02,550,97\n", "must have two dates or more, but has 1"),
    ],
)
def test_malformed_altitudes_are_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_altitudes(path)
    assert "\n" not in str(caught.value)


def test_altitudes_do_not_extrapolate():
    (segment,) = monthly_segments("2021-03-01", "2021-03-25")
    with pytest.raises(ValueError, match=r"must cover 2021-03-01 to 2021-03-25, but reach from 2021-03-22"):
        shipped_altitudes("GRBAlpha").flights([segment])


def test_a_satellite_is_found_without_what_its_name_has_in_brackets(tmp_path):
    path = written(tmp_path, "ALPHA (CUBESAT)", *GOOD)
    assert read_tle(path, "alpha").sets[0].name == read_tle(path, "ALPHA (CUBESAT)").sets[0].name == "ALPHA (CUBESAT)"
    with pytest.raises(ValueError, match="must be one of those in"):
        read_tle(path, "alp")
