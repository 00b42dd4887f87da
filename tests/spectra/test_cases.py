"""Files that real programs write, small: each is read right, or refused in one sentence.

`cases/` holds them. They were written by hand after files of InterSpec, BecqMoni, RadiaCode, Maestro and of FITS tools
that other readers stumbled over.
"""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import read_spectrum
from xcal_jax.sipm.time_series import read_event
from xcal_jax.spectra import read_spectra
from xcal_jax.spectra.times import seconds, utc, utc_of_date

CASES = Path(__file__).parent / "cases"
NOT_SPECTRA = {"absorber_bom.toml", "spectrum_bom.txt"}

READ = {  # counts, exposure in s, start in UTC, readout
    "bad_date.pha": (range(10), 10, "NaT", ""),
    "becqmoni_empty_background.xml": ([0, 7, 19, 103, 5, 1], 1200.5, "2022-08-30T07:40:42.3915298", "foreground"),
    "becqmoni_live.xml": ([0, 7, 19, 103, 5, 1], 1200.5, "2022-08-30T07:40:42.3915298", "foreground"),
    "channel_0.pha": (range(10), 10, "NaT", ""),
    "columns.spe": (range(1, 6), 60, "2021-03-05T10:00", ""),
    "commas.spe": (range(1, 6), 60.5, "2021-05-20T10:00", ""),
    "csv_bom.csv": ([5, 7], 60, "NaT", ""),
    "csv_semicolon.csv": ([2, 3], 1, "NaT", ""),
    "csv_space.csv": ([5, 7], 60, "NaT", ""),
    "csv_space_optional.csv": ([5, 7], 60, "2021-05-20T10:00", "A"),
    "first_channel.spe": (range(1, 6), 60, "2021-05-20T10:00", ""),
    "interspec_prefix.n42": ([1, 2, 3], 1, "2013-12-26T21:15", "Foreground"),
    "latin1_large.spe.gz": (np.arange(16384) % 7, 60, "2021-05-20T10:00", ""),
    "n42_dur_min.n42": ([0, 5, 35, 32], 119.978549, "2023-01-03T14:29:52", "Foreground"),
    "n42_dur_month.n42": ([0, 5, 35, 32], 60, "2023-01-03T14:29:52", "Foreground"),
    "n42_fwhm_first.n42": ([0, 5, 35, 32], 60, "2023-01-03T14:29:52", "Foreground"),
    "n42_lowercase.n42": ([0, 0, 5, 0, 0, 0, 7], 60, "2023-01-03T14:29:52", "Foreground"),
    "n42_nolive.n42": ([0, 5, 35, 32], 61, "2023-01-03T14:29:52", "Foreground"),
    "n42_nostart.n42": ([0, 5, 35, 32], 60, "NaT", "Foreground"),
    "n42_offset.n42": ([0, 5, 35, 32], 60, "2023-01-03T20:29:52.566", "Background"),
    "n42_two_cal.n42": ([1, 2, 3, 4], 60, "2023-01-03T14:29:52", "IntrinsicActivity"),
    "no_date.spe": (range(1, 6), 60, "NaT", ""),
    "old_date.pha": (range(10), 10, "1996-05-31", ""),
    "tz.n42": ([0, 0, 5, 7, 0, 1], 60, "2021-05-20T18:00:00.5", "Foreground"),
    "zero_cal.spe": (range(1, 6), 60, "2021-03-05T10:00", ""),
}
REFUSED = {
    "bin.spe": "must have $MEAS_TIM:",
    "empty.spe": "must have $MEAS_TIM:",
    "n42_commas.n42": "ChannelData must hold numbers between blanks, but one is '1,5'",
    "n42_doe.n42": "every ChannelData is empty",
    "n42_zero_huge.n42": "the number of zeros, 1 to 16777216, but there is 1e+11",
    "n42_zero_tail.n42": "the number of zeros, 1 to 16777216, but there is nothing",
    "no_exposure.pha": "`exposure` must be positive, in s, but spectrum 0 has 0.0",
    "no_meas_tim.spe": "must have $MEAS_TIM:",
    "short.spe": "must have 5 channels, 0 to 4, but has 4",
    "zero_live.spe": "`exposure` must be positive, in s, but spectrum 0 has 0.0",
}


def test_every_case_is_tested():
    assert {path.name for path in CASES.iterdir()} == {*READ, *REFUSED, *NOT_SPECTRA}


@pytest.mark.parametrize("name", list(READ))
def test_what_can_be_read_is_read_right(name):
    counts, exposure, start, readout = READ[name]
    one = read_spectra(CASES / name)
    np.testing.assert_array_equal(one["counts"][0], list(counts))
    assert one["exposure"].values[0] == exposure
    np.testing.assert_array_equal(one["time"].values[0], np.datetime64(start, "ns"))
    assert one["readout"].values[0] == readout


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_cannot_be_read_is_one_sentence(name):
    with pytest.raises(ValueError) as caught:
        read_spectra(CASES / name)
    assert REFUSED[name] in str(caught.value) and name in str(caught.value) and "\n" not in str(caught.value)


def test_byte_order_marks_elsewhere():
    assert Absorber.load(CASES / "absorber_bom.toml").name is not None
    np.testing.assert_array_equal(read_spectrum(CASES / "spectrum_bom.txt"), [[1000, 2000], [1, 2]])


@pytest.mark.parametrize(
    ("name", "row", "energies"),
    [
        ("first_channel.spe", 0, 1 + 2 * np.arange(100, 105)),
        ("n42_fwhm_first.n42", 0, 3 * np.arange(4)),
        ("n42_two_cal.n42", 0, 3 * np.arange(4)),
        ("n42_two_cal.n42", 1, 5 + 2 * np.arange(4)),
        ("tz.n42", 0, 5 + 2 * np.arange(6)),
        ("becqmoni_live.xml", 0, -9.8 + 2.7 * np.arange(6)),
    ],
)
def test_each_spectrum_has_its_own_calibration(name, row, energies):
    np.testing.assert_allclose(read_spectra(CASES / name)["device_energy"][row], energies)


@pytest.mark.parametrize(("name", "channels"), [("first_channel.spe", (101, 105)), ("channel_0.pha", (1, 10))])
def test_channels_are_counted_from_the_detectors_first(name, channels):
    found = read_spectra(CASES / name)["channel"].values
    assert (found[0], found[-1]) == channels


def test_a_calibration_of_zeros_is_none():
    assert "device_energy" not in read_spectra(CASES / "zero_cal.spe")


OLD = """<N42InstrumentData xmlns="http://physics.nist.gov/Divisions/Div846/Gp4/ANSIN4242/2005/ANSIN4242"><Measurement>
<DetectorData><StartTime>2008-05-20T10:00:00-05:00</StartTime><DetectorMeasurement DetectorIDs="Aa1">
<SpectrumMeasurement>
<Spectrum Type="Long" CalibrationIDs="en"><RealTime Unit="sec">PT61S</RealTime><LiveTime Unit="sec">PT60.5S</LiveTime>
<SourceType>Item</SourceType><Calibration Type="Energy" ID="en" EnergyUnits="MeV"><Equation Model="Polynomial">
<Coefficients>0 0.003 0</Coefficients></Equation></Calibration>
<ChannelData Compression="CountedZeroes">7 0 2 9</ChannelData></Spectrum></SpectrumMeasurement></DetectorMeasurement>
</DetectorData></Measurement></N42InstrumentData>"""


def test_n42_of_2006(tmp_path):
    path = tmp_path / "old.n42"
    path.write_text(OLD)
    one = read_spectra(path)
    np.testing.assert_array_equal(one["counts"], [[7, 0, 0, 9]])
    assert (one["exposure"].item(), one["real_time"].item(), one["readout"].item()) == (60.5, 61, "Item")
    assert one["time"].item() == np.datetime64("2008-05-20T15:00", "ns").astype(int)
    np.testing.assert_allclose(one["device_energy"][0], 3 * np.arange(4))


def test_several_detectors_of_one_measurement_have_names(tmp_path):
    text = (CASES / "tz.n42").read_text()
    spectrum = text[text.index("<Spectrum ") : text.index("</RadMeasurement>")]
    path = tmp_path / "two.n42"
    path.write_text(text.replace(spectrum, spectrum + spectrum.replace('"d1"', '"d2"')))
    assert read_spectra(path)["readout"].values.tolist() == ["Foreground d1", "Foreground d2"]


def test_every_result_of_becqmoni_and_a_background_without_a_start(tmp_path):
    text = (CASES / "becqmoni_live.xml").read_text()
    result = text[text.index("<ResultData>") : text.index("</ResultDataList>")]
    own = result[result.index("<EnergySpectrum>") : result.index("</ResultData>")].replace("7</", "8</")
    both = result + result.replace("</ResultData>", own.replace("EnergySpectrum>", "BackgroundEnergySpectrum>"))
    path = tmp_path / "many.xml"
    path.write_text(text.replace(result, both + "</ResultData>"))
    found = read_spectra(path)
    assert found["readout"].values.tolist() == ["foreground", "foreground", "background"]
    assert np.isnat(found["time"].values).tolist() == [False, False, True]
    assert found["counts"].values[:, 1].tolist() == [7, 7, 8]


@pytest.mark.parametrize("name", ["a.spe", "a.n42", "a.csv"])
def test_gzip_of_every_format(tmp_path, name):
    source = {".spe": "columns.spe", ".n42": "tz.n42", ".csv": "csv_bom.csv"}[Path(name).suffix]
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((CASES / source).read_bytes()))
    np.testing.assert_array_equal(
        read_spectra(tmp_path / f"{name}.gz")["counts"], read_spectra(CASES / source)["counts"]
    )
    (tmp_path / "cut.spe.gz").write_bytes(gzip.compress((CASES / source).read_bytes())[:-9])
    with pytest.raises(ValueError, match=r"cut\.spe\.gz must be compressed by gzip"):
        read_spectra(tmp_path / "cut.spe.gz")


def pha(path, header, columns=(), bounds=None):
    table = fits.BinTableHDU.from_columns([fits.Column("COUNTS", "J", array=np.arange(4)), *columns], name="SPECTRUM")
    table.header.update({"EXPOSURE": 10.0, **header})
    extra = [] if bounds is None else [fits.BinTableHDU.from_columns(bounds, name="EBOUNDS")]
    fits.HDUList([fits.PrimaryHDU(), table, *extra]).writeto(path)
    return read_spectra(path)


@pytest.mark.parametrize(
    ("header", "start"),
    [
        ({"DATE-OBS": "2021-05-20", "TIME-OBS": "10:00:00.5"}, "2021-05-20T10:00:00.5"),
        ({"DATE-OBS": "2021-05-20T10:00:00", "TIME-OBS": "10:00:00"}, "2021-05-20T10:00:00"),
        ({"DATE-OBS": "20/05/98", "TIME-OBS": "10:00:00"}, "1998-05-20T10:00:00"),
        ({"TSTART": 36000.0, "MJDREFI": 59354, "MJDREFF": 0.0}, "2021-05-20T10:00:00"),
        ({"TSTART": 36069.184, "MJDREF": 59354.0, "TIMESYS": "TT"}, "2021-05-20T10:00:00"),
        ({"TSTART": 0.5, "TIMEUNIT": "d", "MJDREF": 59354.0}, "2021-05-20T12:00:00"),
        ({"DATE-OBS": "2021-05-20T10:01:09.184", "TIMESYS": "TT"}, "2021-05-20T10:00:00"),
    ],
)
def test_the_start_of_a_pha(tmp_path, header, start):
    found = pha(tmp_path / "a.pha", header)["time"].values[0]
    assert abs(found - np.datetime64(start, "ns")) < np.timedelta64(1, "ms")


def test_channels_and_energies_of_a_pha(tmp_path):
    edges = 1000.0 * np.arange(5)
    bounds = [fits.Column(n, "E", unit="eV", array=e) for n, e in (("E_MIN", edges[:-1]), ("E_MAX", edges[1:]))]
    one = pha(tmp_path / "a.pha", {}, [fits.Column("CHANNEL", "J", array=np.arange(20, 24))], bounds)
    assert one["channel"].values.tolist() == [20, 21, 22, 23]
    np.testing.assert_allclose(one["device_energy"][0], [0.5, 1.5, 2.5, 3.5])
    zero = pha(tmp_path / "b.pha", {"TLMIN2": 0}, [fits.Column("CHANNEL", "J", array=np.arange(20, 24))])
    assert zero["channel"].values.tolist() == [21, 22, 23, 24]
    with pytest.raises(ValueError, match="CHANNEL must count up by one"):
        pha(tmp_path / "c.pha", {}, [fits.Column("CHANNEL", "J", array=[0, 1, 3, 4])])
    with pytest.raises(ValueError, match="TIMESYS must be one of"):
        pha(tmp_path / "d.pha", {"TIMESYS": "MOON"})
    with pytest.raises(ValueError, match=r"e\.pha: a time must be of the years 1678 to 2261, but is '2273-10-16T"):
        pha(tmp_path / "e.pha", {"TSTART": 1e5, "TIMEUNIT": "d", "MJDREFI": 51544})


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2021-05-20T10:00:00.5-08:00", "2021-05-20T18:00:00.5"),
        ("2021-05-20 10:00:00+0530", "2021-05-20T04:30"),
        ("2021-05-20T10:00:00.123456789Z", "2021-05-20T10:00:00.123456789"),
        ("2021-05-20", "2021-05-20"),
        ("", "NaT"),
        ("UNKNOWN", "NaT"),
    ],
)
def test_times_with_offsets(text, start):
    np.testing.assert_array_equal(utc(text), np.datetime64(start, "ns"))


@pytest.mark.parametrize("text", ["soon 5", "2021-13-01", "05/20/2021", "2021-05-20T25:00:00", "20210520"])
def test_times_that_are_none(text):
    with pytest.raises(ValueError, match="a time must"):
        utc(text)


@pytest.mark.parametrize("text", ["05/20/2021 9:00:00", "20/05/2021 09:00:00", "20.5.2021 09:00", "05-20-21 09:00:00"])
def test_dates_of_many_hands(text):
    assert utc_of_date(text) == np.datetime64("2021-05-20T09:00", "ns")


@pytest.mark.parametrize(
    ("text", "value"), [("P0Y0M0DT0H1M0S", 60), ("PT1M59.978549S", 119.978549), ("60.5", 60.5), ("P1DT2S", 86402)]
)
def test_durations(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["P1M", "P", "a minute", "1:00"])
def test_durations_that_are_none(text):
    with pytest.raises(ValueError, match="a duration must"):
        seconds(text)


ROWS = "exposure_s,utc,c1,c2\n60,2021-05-20T10:00:00Z,1,2\n60,,1,x\n0,,1,2\n60,,1\n60,soon 5,1,2\n60,,-1,2\n60,,3,4\n"


def test_a_bad_row_is_left_out_and_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(ROWS)
    found = read_spectra(path)
    np.testing.assert_array_equal(found["counts"], [[1, 2], [3, 4]])
    told = found.attrs["skipped"]
    assert told.startswith("5 of 7 spectra of a.csv are left out: line 3 ")
    assert all(f"line {number} of a.csv" in told for number in (3, 4, 5, 6, 7))
    assert "its c2 is 'x'" in told and "line 4 of a.csv has 0.0" in told and "'soon 5'" in told
    with pytest.raises(ValueError, match=r"line 3 of a.csv must hold numbers, but its c2 is 'x'"):
        read_spectra(path, strict=True)


def test_a_bad_spectrum_of_a_netcdf_archive(archive, tmp_path):
    archive["counts"].values[2, 5] = np.nan
    archive.to_netcdf(tmp_path / "a.nc")
    found = read_spectra(tmp_path / "a.nc")
    assert found.sizes["spectrum"] == 6
    assert "`counts` must be finite, but spectrum 2 channel 6 has nan" in found.attrs["skipped"]
    with pytest.raises(ValueError, match="spectrum 2 channel 6 has nan"):
        read_spectra(tmp_path / "a.nc", strict=True)


@pytest.mark.parametrize(
    "text",
    [
        "exposure_s;c1;c2\n60,5;5;7\n",
        "exposure_s\tc1\tc2\n60.5\t5\t7\n",
        '"exposure_s", "c1", "c2"\n60.5, 5, 7\n',
        "\ufeffexposure_s ,c1 , c2\n60.5 , 5,7\n",
    ],
)
def test_dialects_of_csv(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    one = read_spectra(tmp_path / "a.csv")
    assert one["exposure"].item() == 60.5 and one["counts"].values.tolist() == [[5, 7]]


def test_any_number_of_thermometers_and_channels_from_a_later_one_on(tmp_path):
    names = [f"temperature_{n}_degC" for n in (1, 2, 3, 4, 5)]
    (tmp_path / "a.csv").write_text(f"exposure_s,{','.join(names)},c11,c12\n60,1,2,3,4,5,7,8\n")
    one = read_spectra(tmp_path / "a.csv")
    assert one["temperature"].values.tolist() == [[1, 2, 3, 4, 5]] and one["channel"].values.tolist() == [11, 12]


EVENT = """ start_time end_time sec_from_start exposure {names}
 --- --- --- --- {bands}
 (UTC) (UTC) (s) (s) (cnt/s)
2021-08-07 10:05:14 2021-08-07 10:05:18 0 4.0 {rates}
"""


@pytest.mark.parametrize(
    ("names", "bands", "rates", "expected", "total", "edges"),
    [
        ("rate_0 rate_1 rate_sum", "70-110keV 110-370keV 70-370keV", "1 2 3", [1, 2], 3, (70, 370)),
        ("rate_0 rate_1 rate_sum", "70-110keV 110-370keV 70-110keV", "1 2 1", [1, 2], 1, (70, 110)),
        ("rate_sum", "70-370keV", "3", [3], 3, (70, 370)),
        ("rate_0 rate_1", "70-110keV 110-370keV", "1 2", [1, 2], 3, (70, 370)),
    ],
)
def test_the_sum_of_an_event_has_a_band_of_its_own(tmp_path, names, bands, rates, expected, total, edges):
    (tmp_path / "data.txt").write_text(EVENT.format(names=names, bands=bands, rates=rates))
    event = read_event(tmp_path)
    assert event["rate"].values.tolist() == [expected] and event["rate_sum"].item() == total
    assert (event["sum_low"].item(), event["sum_high"].item()) == edges
