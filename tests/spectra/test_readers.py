"""Readers: round trips, files written by hand in each format, and the real files where they are."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from xcal_jax.io.datasets import save
from xcal_jax.spectra.markup import unzeroed
from xcal_jax.spectra.readers import read_spectra
from xcal_jax.spectra.writers import write_csv

SHARED = Path(__file__).parents[3] / "shared" / "data"
RADIACODE = SHARED / "radiacode_csi_sipm"


def real(path):
    if not path.exists():
        pytest.skip(f"the real file {path.name} is not on this machine")
    return path


@pytest.mark.parametrize("suffix", [".nc", ".csv"])
def test_archives_come_back_as_they_were(archive, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    (write_csv if suffix == ".csv" else save)(archive, path)
    back = read_spectra(path)
    for name in ("counts", "exposure", "temperature", "bias", "since_exit"):
        np.testing.assert_allclose(back[name], archive[name], rtol=1e-10)
    for name in ("readout", "time"):
        np.testing.assert_array_equal(back[name], archive[name])
    assert back.attrs["satellite"] == "GRBAlpha" and int(back.attrs["synthetic"]) == 1


N42 = """<RadInstrumentData xmlns="http://physics.nist.gov/N42/2011/N42">
<EnergyCalibration id="c"><CoefficientValues>-6.3 2.4 0.0004</CoefficientValues></EnergyCalibration>
<RadMeasurement id="m"><MeasurementClassCode>Foreground</MeasurementClassCode>
<StartDateTime>2023-06-07T05:52:00</StartDateTime><Spectrum
id="s"><LiveTimeDuration>PT1M2.5S</LiveTimeDuration> <ChannelData compressionCode="CountedZeroes">3 0 4 7
1</ChannelData></Spectrum></RadMeasurement> </RadInstrumentData>"""

RADIACODE_XML = """<ResultDataFile><ResultDataList><ResultData><StartTime>2023-06-07T05:52:00</StartTime>
<EnergySpectrum><NumberOfChannels>4</NumberOfChannels><EnergyCalibration><Coefficients>
<Coefficient>-6.0</Coefficient><Coefficient>2.4</Coefficient></Coefficients></EnergyCalibration>
<MeasurementTime>613</MeasurementTime><Spectrum><DataPoint>1</DataPoint><DataPoint>2</DataPoint>
<DataPoint>3</DataPoint><DataPoint>4</DataPoint></Spectrum></EnergySpectrum></ResultData></ResultDataList>
</ResultDataFile>"""

SPE = """$SPEC_ID:\nby hand\n$DATE_MEA:\n07/11/2018 00:00:00\n$MEAS_TIM:\n300 310\n$DATA:\n0 3\n1\n2\n3\n4\n"""


def test_n42(tmp_path):
    path = tmp_path / "a.n42"
    path.write_text(N42)
    one = read_spectra(path)
    np.testing.assert_allclose(one["counts"].values, [[3, 0, 0, 0, 0, 7, 1]])
    assert one["exposure"].item() == 62.5
    np.testing.assert_allclose(one["device_energy"].values[0, [0, 1, 2]], [-6.3, -3.8996, -1.4984])


@pytest.mark.parametrize(("text", "seconds"), [("PT1H2M3.5S", 3723.5), ("P1DT2S", 86402), ("PT613S", 613)])
def test_durations_of_n42(tmp_path, text, seconds):
    path = tmp_path / "a.n42"
    path.write_text(N42.replace("PT1M2.5S", text))
    assert read_spectra(path)["exposure"].item() == seconds


def test_radiacode(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(RADIACODE_XML)
    one = read_spectra(path)
    np.testing.assert_allclose(one["counts"].values, [[1, 2, 3, 4]])
    assert one["exposure"].item() == 613
    path.write_text(RADIACODE_XML.replace(">4</NumberOfChannels>", ">5</NumberOfChannels>"))
    with pytest.raises(ValueError, match="must have 5 channels, but has 4"):
        read_spectra(path)


def test_spe(tmp_path):
    path = tmp_path / "a.spe"
    path.write_text(SPE)
    one = read_spectra(path)
    np.testing.assert_allclose(one["counts"].values, [[1, 2, 3, 4]])
    assert one["exposure"].item() == 300
    assert str(one["time"].values[0]).startswith("2018-07-11")


@pytest.mark.parametrize("many", [False, True])
def test_pha(tmp_path, many):
    counts = np.arange(12).reshape(2, 6) if many else np.arange(6)
    columns = [fits.Column("COUNTS", "6J" if many else "J", array=counts)]
    if many:
        columns.append(fits.Column("EXPOSURE", "E", array=[10.0, 20.0]))
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header["EXPOSURE"] = 60.0
    table.header["DATE-OBS"] = "2023-04-01T00:00:00"
    table.writeto(tmp_path / "a.pha")
    read = read_spectra(tmp_path / "a.pha")
    np.testing.assert_allclose(read["counts"], np.atleast_2d(counts))
    np.testing.assert_allclose(read["exposure"], [10, 20] if many else [60])


def test_zeroes_are_expanded():
    assert unzeroed([1, 0, 3, 2]) == [1, 0, 0, 0, 2]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "exposure_s,c1,c3\n1,2,3\n", "in order"),
        ("a.csv", "exposure_s,c1,c2\n1,2\n", "3 columns"),
        ("a.csv", "exposure_s,c1,c2\n1,2,x\n", "numbers"),
        ("a.csv", "c1,c2\n1,2\n", "exposure_s"),
        ("a.csv", "exposure_s,c1,c2\n", "at least one spectrum"),
        ("a.csv", "exposure_s,c1,c2\n0,1,2\n", "must be positive"),
        ("a.csv", "exposure_s,c1,c2\n1,,2\n", "must be finite"),
        ("a.n42", "<a/>", "RadMeasurement"),
        ("a.n42", N42.replace("PT1M2.5S", "a minute"), "a.n42"),
        (
            "a.n42",
            N42.replace("LiveTime", "Live"),
            "the element LiveTimeDuration must be there, but is missing",
        ),
        ("a.n42", "not xml", "the file must be XML"),
        ("a.n42", N42.replace("4 7", "0.5 7"), "the number of zeros, 1 to 16777216, but there is 0.5"),
        ("a.n42", N42.replace("CountedZeroes", "Huffman"), "but as 'Huffman'"),
        ("a.xml", "<a/>", "EnergySpectrum"),
        ("a.nc", "nonsense", "a.nc"),
        ("a.txt", "1 2 3", "must end in one of"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        read_spectra(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ValueError, match="must exist"):
        read_spectra(tmp_path / "none.csv")


def test_n42_and_xml_of_one_real_spectrum_agree():
    a, b = (read_spectra(real(RADIACODE / f"data_am241{suffix}")) for suffix in (".xml", ".n42"))
    xr.testing.assert_equal(a[["counts", "exposure", "time"]], b[["counts", "exposure", "time"]])


def test_real_spe():
    one = read_spectra(real(SHARED / "becquerel_samples" / "SGM102432.spe"))
    assert one["exposure"].item() == 300 and one.sizes["channel"] == 4094
