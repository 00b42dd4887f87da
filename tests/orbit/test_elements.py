import numpy as np
import pytest

from xcal_jax.orbit.elements import read_altitudes, read_tle, shipped_altitudes
from xcal_jax.orbit.months import monthly_segments

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
        ([GOOD[0][:40], GOOD[1]], "line 1 .* must be line 1 of a TLE, 69 characters"),
        ([GOOD[0][:65] + "x", GOOD[1]], "line 1 .* must have the 69 characters of a TLE line, but has 66"),
        ([GOOD[0][:-1] + "3", GOOD[1]], "line 1 .* must end with its checksum 7, but ends with '3'"),
        ([GOOD[0]], "must hold pairs of TLE lines, but the last is half"),
        ([GOOD[0], GOOD[0]], "line 2 .* must be line 2 of a TLE"),
        ([], "must hold pairs of TLE lines, but has none"),
        ([GOOD[0], checked(GOOD[1].replace("47959", "51085"))], "must be of satellite 47959 .* is of 51085"),
        ([GOOD[0], checked(GOOD[1].replace("15.05651497", "1x.05651497"))], "line 2 .* a TLE of numbers"),
        (
            [GOOD[0], checked(GOOD[1].replace("15.05651497", "16.90000000"))],
            "200 to 36000 km, .* line 2 .* has 36.0858 km",
        ),
        (
            [*GOOD, checked(GOOD[0].replace("47959", "51085")), checked(GOOD[1].replace("47959", "51085"))],
            "must hold one satellite, but has catalogue numbers 47959, 51085",
        ),
    ],
)
def test_malformed_tle_is_one_sentence(tmp_path, lines, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read_tle(written(tmp_path, *lines))
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
    assert alpha.altitude(segment) == pytest.approx(549.5, abs=0.05)
    assert vzlusat.table[-1] == 435.6
    with pytest.raises(ValueError, match="must be one of GRBAlpha, VZLUSAT-2, but is 'Sputnik'"):
        shipped_altitudes("Sputnik")


def test_altitude_table_is_linear_between_dates(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("# remark\ndate,altitude_km,inclination_deg\n2021-01-01,550,97.5\n2021-01-11,540,97.4\n")
    (segment,) = monthly_segments("2021-01-04", "2021-01-08")
    assert read_altitudes(path).altitude(segment) == pytest.approx(545.0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,km\n", "line 1 .* must be the header date,altitude_km,inclination_deg"),
        ("date,altitude_km,inclination_deg\n2021-01-01,550\n", "line 2 .* must have the cells"),
        ("date,altitude_km,inclination_deg\nsoon,550,97\n", "date in line 2 .* must be a date"),
        ("date,altitude_km,inclination_deg\n2021-01-01,high,97\n", "line 2 .* must hold numbers"),
        ("date,altitude_km,inclination_deg\n2021-01-01,150,97\n", "200 to 36000 km, .* line 2 .* has 150 km"),
        ("date,altitude_km,inclination_deg\n2021-01-01,nan,97\n", "200 to 36000 km, .* line 2 .* has nan km"),
        ("date,altitude_km,inclination_deg\n2021-01-01,1e6,97\n", "200 to 36000 km, .* has 1e\\+06 km"),
        ("date,altitude_km,inclination_deg\n2021-01-01,550,197\n", "0 to 180 degrees, but line 2 .* has 197"),
        (
            "date,altitude_km,inclination_deg\n2021-01-02,550,97\n2021-01-01,550,97\n",
            "dates must grow, but line 3",
        ),
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
        shipped_altitudes("GRBAlpha").altitude(segment)
