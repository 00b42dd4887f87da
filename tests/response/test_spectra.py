"""From events and models to PHA files: the resolution and trapping of the matrix, its channels, its header."""

import numpy as np
import pytest
from astropy.io import fits

from xcal_jax.response.measurement import Measurement
from xcal_jax.response.model_spectrum import ModelSpectrum, expected_counts, read_model
from xcal_jax.response.ogip_reader import read_matrix
from xcal_jax.spectra.readers import read_spectra

GRID = ["--grid", "6.96:7.04", "-n", "20000"]


@pytest.fixture
def matrix(call):
    code, _, said = call(
        "rmf", "xifu", *GRID, "--first-channel", "0", "--arf", "m.arf", "--card", "TELESCOP=ATHENA", "-o", "m.rmf"
    )
    assert code == 0, said


def test_events_agree_with_the_matrix(call, matrix):
    """A list measured with the matrix, and one that is not: the same deposits, broadened alike, in its channels."""
    line = ["simulate", "xifu", "--energy", "7000.1eV", "-n", "20000", "-o", "r.nc"]
    assert call(*line, "--events", "e.fits", "--rmf", "m.rmf", "--card", "DETNAM=PIX1")[0] == 0
    assert call(*line, "--events", "bare.fits")[0] == 0
    with fits.open("e.fits") as file, fits.open("m.rmf") as rmf, fits.open("bare.fits") as bare:
        header, table, bounds = file["EVENTS"].header, file["EVENTS"].data, rmf["EBOUNDS"]
        assert len(table) + header["NOUTSIDE"] == 20_000 and 0 < header["NOUTSIDE"] < 30
        assert (header["TLMIN2"], header["TLMAX2"]) == (bounds.header["TLMIN1"], bounds.header["TLMAX1"])
        assert header["TLMIN2"] == 0 and header["RESPFILE"] == "m.rmf" and header["DETNAM"] == "PIX1"
        for name in ("TELESCOP", "INSTRUME", "FILTER"):
            assert header[name] == rmf["MATRIX"].header[name]
        assert header["DATE-OBS"] == "2000-01-01" and header["DATE-END"] == "2000-01-01"
        assert header["TIME-END"] == "05:33:20" and header["MJDREFI"] == 51544
        low, high = (1e3 * bounds.data[name][table["PI"]].astype(float) for name in ("E_MIN", "E_MAX"))
        signal = 1e3 * table["SIGNAL"].astype(float)
        assert np.all((signal > low - 1e-3) & (signal < high + 1e-3))
        np.testing.assert_array_equal(table["SIGNAL"], table["ENERGY"])
        noise = signal - 1e3 * table["E_DEP"]
        assert noise.std() == pytest.approx(2.5 / 2.35482, rel=4.4 / np.sqrt(2 * 20_000))
        assert noise.mean() == pytest.approx(0.0, abs=4.4 * 1.06 / np.sqrt(20_000))
        assert bare["EVENTS"].header["TLMAX2"] == 7000 and bare["EVENTS"].header["INSTRUME"] == "xcal_jax"
        deposits = bare["EVENTS"].data["E_DEP"]
        np.testing.assert_array_equal(np.isin(table["E_DEP"], deposits), True)
    said = [
        call("spectrum", f"{name}.fits", "--rmf", "m.rmf", "--arf", "m.arf", "--exposure", "2ks", "-o", f"{name}.pha")[
            2
        ]
        for name in ("e", "bare")
    ]
    assert "in 2000 s; 0 events outside" in said[0] and "events outside" in said[1]
    measured, anew = (read_spectra(f"{name}.pha") for name in ("e", "bare"))
    np.testing.assert_array_equal(measured.counts[0], np.bincount(table["PI"], minlength=measured.sizes["channel"]))
    assert float(measured.exposure[0]) == 2000.0
    one, two = (spectrum.counts.values[0][-120:] for spectrum in (measured, anew))
    assert np.sum((one - two) ** 2 / np.maximum(one + two, 1.0)) < 120 + 4.4 * np.sqrt(240)
    with fits.open("e.pha", checksum=True) as file:
        header = file["SPECTRUM"].header
        assert (header["RESPFILE"], header["ANCRFILE"], header["TLMIN1"], header["EXPOSURE"]) == (
            "m.rmf",
            "m.arf",
            0,
            2000.0,
        )
        assert (header["HDUCLAS2"], header["HDUCLAS3"], header["POISSERR"]) == ("TOTAL", "COUNT", True)
        assert header["TELESCOP"] == "ATHENA" and file["SPECTRUM"].data["CHANNEL"][0] == 0


def test_trapping_of_the_matrix_is_that_of_events(call, matrix):
    assert call("rmf", "xifu", *GRID, "--trapping", "0.3:20eV", "-o", "t.rmf")[0] == 0
    detector = Measurement.build("t.rmf", seed=5)
    photons, pixels = np.arange(100_000), np.zeros(100_000, int)
    energy, channel = detector.measure(np.full(100_000, 7000.0), photons, pixels)
    assert energy.mean() == pytest.approx(7000.0 - 6.0, abs=4.4 * 14.4 / np.sqrt(1e5))
    assert energy.var() == pytest.approx(1.127 + 0.3 * 2 * 400 - 36.0, rel=0.05)
    assert np.all((channel >= 1) & (channel <= detector.channels[1]))
    others = [(photons + 2**33, pixels), (photons, pixels + 1)]
    for other, _ in (detector.measure(np.full(100_000, 7000.0), *who) for who in others):
        assert abs(np.corrcoef(energy, other)[0, 1]) < 4.4 / np.sqrt(1e5)
    some, _ = detector.measure(np.full(9, 7000.0), photons[50:59], pixels[:9])
    np.testing.assert_array_equal(some, energy[50:59])  # whatever else is measured
    _, outside = detector.measure(np.array([10.0, 9000.0]), photons[:2], pixels[:2])
    assert outside.tolist() == [-1, -1]


def test_what_a_matrix_does_not_state(call, matrix):
    with fits.open("m.rmf") as file:
        del file["MATRIX"].header["FWHM"]
        file.writeto("n.rmf")
    with pytest.raises(ValueError, match="does not state its FWHM: give `fwhm`"):
        Measurement.build("n.rmf")
    assert Measurement.build("n.rmf", "3eV").resolution.at(7000.0) == 3.0
    for words, sentence in (
        (["--rmf", "m.rmf"], "`--rmf` and `--card` are for `--events`"),
        (["--rmf", "m.rmf", "--events", "e.nc"], "must end in one of .fits, .fit, .evt"),
        (["--rmf", "none", "--events", "e.fits"], "'none' must be a redistribution matrix"),
    ):
        code, _, said = call("simulate", "xifu", "--energy", "7keV", "-n", "10", *words, "-o", "r.nc")
        assert code == 2 and sentence in said


def write_models(index=1.7):
    """The same power law in all formats: text, XSPEC's QDP in bins of 1 eV, SIMPUT with a catalogue."""
    energy = np.arange(6000.0, 8001.0)  # eV
    density = 1e-4 * (energy / 7000.0) ** -index  # photons per cm2, s and eV
    np.savetxt("m.txt", np.stack([energy, density], axis=1))
    bins = np.stack([energy / 1e3, np.full(energy.size, 5e-4), 1e3 * density], axis=1)
    with open("m.qdp", "w") as file:
        file.write("READ SERR 1\n@m.pco\n!\n")
        np.savetxt(file, bins, fmt="%.9g")
    flux = np.trapezoid(energy * density, energy) / 6.241509074e11
    columns = [fits.Column("ENERGY", "2001E", "keV", array=energy[None] / 1e3)]
    columns.append(fits.Column("FLUXDENSITY", "2001E", array=7.0 * density[None]))
    source = [fits.Column(n, "E", array=[v]) for n, v in (("E_MIN", 6.0), ("E_MAX", 8.0), ("FLUX", flux))]
    tables = [fits.BinTableHDU.from_columns(c, name=n) for c, n in ((source, "SRC_CAT"), (columns, "SPECTRUM"))]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto("m.simput", overwrite=True)


@pytest.mark.parametrize("name", ["m.txt", "m.qdp", "m.simput"])
def test_models_in_all_formats(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_models()
    model = read_model(name)
    ends = np.linspace(6400.0, 7600.0, 13)
    primitive = 1e-4 * 7000.0**1.7 * ends**-0.7 / -0.7
    np.testing.assert_allclose(np.diff(model.photons_below(ends)), np.diff(primitive), rtol=1e-4)
    assert model.photons_below(np.array([10.0]))[0] == 0.0


@pytest.mark.parametrize("name", ["SRC_CAT", "SPECTRUM"])
def test_one_source_of_a_simput_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_models()
    with fits.open("m.simput") as file:
        file[name].data = np.repeat(file[name].data, 2)
        file.writeto("two.simput")
    with pytest.raises(ValueError, match=r"must have one (source|spectrum) \(SIMPUT\), but has 2"):
        read_model("two.simput")


def test_photons_of_a_straight_line():
    model = ModelSpectrum(np.array([10.0, 20.0, 40.0]), np.array([0.0, 2.0, 2.0]))
    np.testing.assert_allclose(model.photons_below(np.array([5.0, 15.0, 20.0, 30.0, 99.0])), [0, 2.5, 10, 30, 50])


def test_a_fake_spectrum(call, matrix, chi_square):
    write_models()
    assert (
        call("fake", "m.txt", "--rmf", "m.rmf", "--arf", "m.arf", "--exposure", "1Ms", "--seed", "4", "-o", "f.pha")[0]
        == 0
    )
    counts = read_spectra("f.pha").counts.values[0]
    expected = expected_counts(read_model("m.txt"), read_matrix("m.rmf")[1], "m.arf", 1e6)
    ends = np.array([6960.0, 7040.0])
    emitted = np.diff(1e-4 * 7000.0**1.7 * ends**-0.7 / -0.7)[0]
    assert expected.sum() == pytest.approx(1e6 * emitted * 0.9085, rel=0.01)  # and the quantum efficiency
    chi_square(counts, expected)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("m.txt", "1 2 3\n", "two columns"),
        ("m.txt", "2 1\n1 1\n", "which ascend"),
        ("m.txt", "1 1\n2 -1\n", "not negative"),
        ("m.qdp", "READ SERR\n1 2\n", "must have three columns"),
        ("m.qdp", "1 2 x\n", "line 1 of the model"),
        ("none", None, "does not exist"),
    ],
)
def test_no_models(tmp_path, name, text, sentence):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_model(tmp_path / name)
