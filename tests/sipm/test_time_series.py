from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from xcal_jax.sipm.correlations import correlate
from xcal_jax.sipm.space_weather import space_weather
from xcal_jax.sipm.time_series import read_event, read_series

EVENTS = Path(__file__).parents[3] / "shared" / "data" / "grbalpha_events"


def real_events():
    if not EVENTS.exists():
        pytest.skip("the public GRBAlpha events are not on this machine")
    return EVENTS


def test_series(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("# F10.7\nutc,flux\n2021-04-01T00:00:00Z,70\n2021-04-02,\n")
    series = read_series(path)
    assert np.isnan(series["flux"].values[1])
    assert str(series["time"].values[1]).startswith("2021-04-02")


def test_real_grbalpha_events():
    event = read_event(real_events() / "GRB_221009A_113")
    assert event.sizes == {"time": 76, "band": 13}
    assert event["low"].values[0] == 70 and event["high"].values[-1] == 890
    np.testing.assert_allclose(event["rate"].sum("band"), event["rate_sum"], rtol=1e-5, atol=0.01)
    assert event.attrs["Event type/name"] == "GRB 221009A"


def test_every_real_event_is_read():
    folders = sorted(real_events().iterdir())
    for folder in folders:
        event = read_event(folder)
        assert event.sizes["time"] > 0
        assert (event["exposure"] > 0).all()


CASES = Path(__file__).parent / "cases"
KP = np.array([0.333, 1.0, 2.667, 3.0, 4.333, 5.0, 1.667, 0.0])


@pytest.mark.parametrize("name", ["gfz.txt", "celestrak.csv", "celestrak.txt"])
def test_three_hours_of_every_publisher(name):
    """One day that is made up, in three formats; what is unknown is NaN, what is predicted is left out."""
    series = read_series(CASES / name)
    np.testing.assert_allclose(series["Kp"][:8], KP, atol=0.04)
    np.testing.assert_array_equal(series["ap"][:8], [2, 4, 12, 15, 32, 48, 6, 0])
    np.testing.assert_array_equal(series["F10.7"][:8], 120.5)
    assert str(series["time"].values[2]) == "2022-05-01T07:30:00.000000000"
    assert series.sizes["sample"] == (16 if name == "gfz.txt" else 8)
    assert all(np.isnan(series[key][8:]).all() for key in ("Kp", "ap", "F10.7"))


def test_hours_of_omni():
    series = read_series(CASES / "omni2.dat")
    assert series["Kp"].values[0] == pytest.approx(0.3)
    np.testing.assert_array_equal(series["Dst"], [-12, -15, np.nan])
    assert str(series["time"].values[1]) == "2022-05-01T01:30:00.000000000"
    assert all(np.isnan(series[key].values[2]) for key in ("Kp", "ap", "F10.7"))


GFZ = (
    "# LICENSE: CC BY 4.0, except for the sunspot numbers contained in this file, which have the CC BY-NC 4.0 license\n"
    "#YYY MM DD  days  days_m  Bsr dB    Kp1    Kp2    Kp3    Kp4    Kp5    Kp6    Kp7    Kp8  ap1  ap2  ap3  ap4"
    "  ap5  ap6  ap7  ap8    Ap  SN F10.7obs F10.7adj D\n"
    "1989 03 13 20891 20891.5 2126  3  6.000  7.667  8.667  8.333  8.333  8.333  8.667  9.000   80  179  300  236"
    "  236  236  300  400   246 210    256.0    253.0 2\n"
)
CELESTRAK_CSV = (
    "DATE,BSRN,ND,KP1,KP2,KP3,KP4,KP5,KP6,KP7,KP8,KP_SUM,AP1,AP2,AP3,AP4,AP5,AP6,AP7,AP8,AP_AVG,CP,C9,ISN,"
    "F10.7_OBS,F10.7_ADJ,F10.7_DATA_TYPE,F10.7_OBS_CENTER81,F10.7_OBS_LAST81,F10.7_ADJ_CENTER81,F10.7_ADJ_LAST81\n"
    "1957-10-01,1700,19,43,40,30,20,37,23,43,37,273,32,27,15,7,22,9,32,22,21,1.1,5,334,269.3,269.8,OBS,,,,\n"
)
CELESTRAK_TXT = (
    "# FORMAT(I4,I3,I3,I5,I3,8I3,I4,8I4,I4,F4.1,I2,I4,F6.1,I2,5F6.1)\n#\nNUM_OBSERVED_POINTS 20591\nBEGIN OBSERVED\n"
    "1957 10 01 1700 19 43 40 30 20 37 23 43 37 273  32  27  15   7  22   9  32  22  21 1.1 5 334 269.8 0 266.8 235.5"
    " 269.3 266.6 230.9\nEND OBSERVED\n"
)
OMNI = (
    "2024 131 18 2601 51 52  59  34  31.1  24.3 -29.9 246.7  -8.3 -19.4 -12.1 -14.1 -18.0  14.2  23.2   8.7  16.7"
    "  13.7  871652.  32.9  697.   4.9   2.8 0.042 31.18  408684.  12.7   10.   3.2   3.5 0.020  12.55   1.42   6.4"
    " 87 172   -33 1102 999999.99 99999.99 99999.99 99999.99 99999.99 99999.99  0 300 227.9  13.5  -791   311  4.3\n"
)
QUEBEC = [6, 23 / 3, 26 / 3, 25 / 3, 25 / 3, 25 / 3, 26 / 3, 9], [80, 179, 300, 236, 236, 236, 300, 400], 256.0
FIRST = [4.3, 4.0, 3.0, 2.0, 3.7, 2.3, 4.3, 3.7], [32, 27, 15, 7, 22, 9, 32, 22], 269.3


@pytest.mark.parametrize(
    ("text", "time", "values"),
    [
        (GFZ, "1989-03-13T01:30", QUEBEC),
        (CELESTRAK_CSV, "1957-10-01T01:30", FIRST),
        (CELESTRAK_TXT, "1957-10-01T01:30", FIRST),
        (OMNI, "2024-05-10T18:30", ([8.7], [300], 227.9)),
    ],
)
def test_real_lines_of_every_publisher(text, time, values):
    """Headers and days as they were published: GFZ (CC BY 4.0), CelesTrak, OMNI 2; Dst of May 2024 by its own word.

    The layouts are those of GFZ's own header, of CelesTrak's SpaceWx-format and of SPDF's omni2.text.
    """
    series = space_weather(text, "real")
    for name, known in zip(("Kp", "ap", "F10.7"), values, strict=True):
        np.testing.assert_allclose(series[name], known, atol=1e-3)
    assert series["time"].values[0] == np.datetime64(time)
    if text == OMNI:
        assert float(series["Dst"][0]) == -33


@pytest.mark.parametrize(
    ("name", "good", "bad", "words"),
    [
        ("gfz.txt", " 2.667", "", "line 4 of gfz.txt must have 28 words as in GFZ's files, but has 27"),
        ("celestrak.csv", ",15,0.8", ",0.8", "line 2 of celestrak.csv must have 31 columns as the header, but has 30"),
        ("celestrak.txt", "2022  5  1", "2022 13  1", "line 7 of celestrak.txt must begin with a date"),
        ("omni2.dat", " 99 99 ", " 99 ", "line 1 of omni2.dat must have 55 words"),
        ("celestrak.csv", "OBS,118", "PRD,118", "at least one day that was observed"),
    ],
)
def test_space_weather_that_breaks_its_format(tmp_path, name, good, bad, words):
    text = (CASES / name).read_text()
    assert good in text
    (tmp_path / name).write_text(text.replace(good, bad, 1))
    with pytest.raises(ValueError, match=words):
        read_series(tmp_path / name)


def test_space_weather_is_averaged_to_the_groups():
    """A residual that follows the mean of Kp in five days, and nothing else: Kp is found, F10.7 is not."""
    rng = np.random.default_rng(3)
    times = np.datetime64("2021-01-01", "ns") + np.arange(0, 24 * 700, 3) * np.timedelta64(3_600_000_000_000, "ns")
    kp = np.repeat(rng.uniform(0, 5, times.size // 40), 40)
    flux = rng.normal(120, 20, times.size)
    series = xr.Dataset({"time": ("sample", times), "Kp": ("sample", kp), "F10.7": ("sample", flux)})
    days = np.arange(12.5, 690, 5)
    seen = kp.reshape(-1, 40).mean(1)[2 : 2 + days.size] + rng.normal(0, 0.3, days.size)
    groups = xr.Dataset({"days": ("group", days), "dcr": ("group", seen)}, attrs={"group_days": 5.0})
    found = correlate(groups, "dcr", series, launch=np.datetime64("2021-01-01", "ns"))
    assert found["significant"].sel(quantity="Kp", lag=0).item()
    assert not found["significant"].sel(quantity="F10.7", lag=0).item()
