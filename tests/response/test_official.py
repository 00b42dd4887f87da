"""Matrices beside those of a telescope: the same grid, its area, its core with our losses, two parts, its header."""

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.cli.main import main
from xcal_jax.response.area import effective_area, telescope_area
from xcal_jax.response.ogip_reader import read_area, read_layout, read_matrix
from xcal_jax.response.rows import Row

XIFU = Absorber.preset("xifu")
ENDS = np.arange(6.96, 7.0401, 0.001).astype(np.float32)  # keV: of the official rows
CHANNELS = np.append(np.linspace(0.19, 6.9, 400), np.arange(6.9004, 7.0512, 0.0004)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An official matrix and area, and what the command line makes beside them."""
    path = tmp_path_factory.mktemp("official")
    official(path / "official.rmf")
    area = np.interp(0.5 * (ENDS[1:] + ENDS[:-1]), [6.9, 7.1], [250.0, 200.0])
    table = [fits.Column(name, "E", "keV", array=a) for name, a in (("ENERG_LO", ENDS[:-1]), ("ENERG_HI", ENDS[1:]))]
    table.append(fits.Column("SPECRESP", "E", "cm**2", array=area))
    fits.BinTableHDU.from_columns(table, name="SPECRESP").writeto(path / "official.arf")
    like = ["--like", "official.rmf", "-n", "20000"]
    fine = ["--grid", "6.96:7.04", "-n", "20000"]
    for name, words in {
        "full.rmf": [*like, "--arf", "full.arf", "--area-file", "official.arf", "--filter", "Al:200nm"],
        "losses.rmf": [*like, "--losses-only"],
        "core.rmf": [*like, "--core", "--first-channel", "1", "--card", "INSTRUME=OTHER", "--card", "ORIGIN=here"],
        "single.rmf": fine,
        "sharp.rmf": [*fine, "--split", "smooth.rmf", "--arf", "sharp.arf"],
        "both.rmf": [*fine, "--two-extensions"],
    }.items():
        run(path, "rmf", "xifu", *words, "-o", name)
    run(path, "rmf", "combine", "official.rmf", "losses.rmf", "-o", "combined.rmf")
    return path


def run(path, *words):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.setattr("sys.argv", ["xcal-jax", *words])
        main()


def official(path, groups=2):
    """Rows of two groups, channels from 0, of several widths, as no matrix of ours has them."""
    count, core = CHANNELS.size - 1, ENDS.size - 1
    first = 405 + 2 * np.arange(core)
    rows = np.array([np.r_[0.25, 0.25, 0.1 + 0.001 * r, 0.4 - 0.001 * r] for r in range(core)], np.float32)
    starts = np.stack([first, first + 5], axis=1).astype(np.int32)
    columns = [
        fits.Column("ENERG_LO", "E", "keV", array=ENDS[:-1]),
        fits.Column("ENERG_HI", "E", "keV", array=ENDS[1:]),
        fits.Column("N_GRP", "I", array=np.full(core, groups)),
        fits.Column("F_CHAN", "2J", array=starts),
        fits.Column("N_CHAN", "2J", array=np.full((core, 2), 2)),
        fits.Column("MATRIX", "4E", array=rows),
    ]
    matrix = fits.BinTableHDU.from_columns(columns, name="MATRIX")
    matrix.header.update(TLMIN4=0, TELESCOP="ATHENA", INSTRUME="XIFU", FILTER="OPEN")
    bounds = [fits.Column(n, "E", "keV", array=a) for n, a in (("E_MIN", CHANNELS[:-1]), ("E_MAX", CHANNELS[1:]))]
    bounds.insert(0, fits.Column("CHANNEL", "J", array=np.arange(count)))
    fits.HDUList([fits.PrimaryHDU(), matrix, fits.BinTableHDU.from_columns(bounds, name="EBOUNDS")]).writeto(path)


def values(path):
    _, [matrix] = read_matrix(path)
    return matrix.values.toarray()


def test_any_matrix_is_read(folder):
    found = values(folder / "official.rmf")
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    expected = np.zeros(CHANNELS.size - 1)
    expected[[405, 406, 410, 411]] = [0.25, 0.25, 0.1, 0.4]
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    np.testing.assert_allclose(found[7, 424:426], [0.107, 0.393], rtol=1e-6)


def test_like_an_official_matrix(folder):
    """Its rows, channels, first channel and instrument, bit by bit; the area is the telescope's, filter's and ours."""
    with fits.open(folder / "official.rmf") as theirs, fits.open(folder / "full.rmf") as ours:
        for name in ("ENERG_LO", "ENERG_HI"):
            np.testing.assert_array_equal(ours["MATRIX"].data[name], theirs["MATRIX"].data[name])
        for name in ("CHANNEL", "E_MIN", "E_MAX"):
            np.testing.assert_array_equal(ours["EBOUNDS"].data[name], theirs["EBOUNDS"].data[name])
        header = ours["MATRIX"].header
        assert [header[name] for name in ("TELESCOP", "INSTRUME", "FILTER", "TLMIN4")] == ["ATHENA", "XIFU", "OPEN", 0]
    rows, area = read_area(folder / "full.arf")
    _, telescope = read_area(folder / "official.arf")
    middle = 0.5 * (rows[1:] + rows[:-1])
    aluminium = 1.0 - quantum_efficiency(Absorber.build([("Al", 0.2)], 1.0, 1.0), middle)
    assert 0.99 < aluminium.min() < aluminium.max() < 0.9999
    np.testing.assert_allclose(area, telescope * aluminium * quantum_efficiency(XIFU, middle), rtol=1e-3)


def test_an_area_says_where_it_is_not_known(folder):
    """0 there, which a fold would take for dark: 6.96 to 7.04 keV are in the file."""
    with pytest.warns(UserWarning, match="official.arf' has areas from 6960 to 7040 eV: 2 of 3 rows lie beyond"):
        area = telescope_area(folder / "official.arf", np.array([6000.0, 7000.0, 8000.0]))
    np.testing.assert_allclose(area, [0.0, 225.0, 0.0])


def test_an_area_counts_what_falls_into_the_channels():
    ends = np.array([6900.0, 7000.0, 7100.0])
    names = {"low": ends[:-1], "high": ends[1:], "interaction_probability": np.array([0.8, 0.5])}
    columns = {name: ("energy", value) for name, value in names.items()}
    response = xr.Dataset(columns, attrs={"absorber": XIFU.to_toml()})
    rows = [Row(np.zeros(1), np.ones(1), np.ones(1), contained) for contained in (1.0, 0.25)]
    np.testing.assert_allclose(effective_area(response, rows, 2.0), [1.6, 0.25])


def test_a_blend_has_their_core_and_our_losses(folder):
    combined, core, losses = (values(folder / f"{name}.rmf") for name in ("combined", "official", "losses"))
    full = values(folder / "full.rmf")
    partial = losses.sum(axis=1)
    assert np.all((partial > 0.006) & (partial < 0.011))
    np.testing.assert_allclose(combined.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose((combined - losses).sum(axis=1), 1.0 - partial, atol=1e-6)
    np.testing.assert_allclose(combined, (1.0 - partial)[:, None] * core + losses, atol=1e-6)
    np.testing.assert_allclose(full, (1.0 - partial)[:, None] * values(folder / "core.rmf") + losses, atol=1e-6)
    assert read_layout(folder / "combined.rmf").first == 0
    assert read_layout(folder / "combined.rmf").cards["INSTRUME"] == "XIFU"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["single.rmf", "losses.rmf"], "must have the rows of 'single.rmf'"),
        (["official.rmf", "full.rmf"], "must be of `rmf --losses-only`"),
        (["losses.rmf", "losses.rmf"], "must sum to 1, but one sums to 0.0"),
        (["both.rmf", "losses.rmf"], "must have one MATRIX extension, but has 2"),
        (["official.arf", "losses.rmf"], "must be a redistribution matrix, but is not"),
    ],
)
def test_no_blend(folder, words, sentence, capsys):
    with pytest.raises(SystemExit):
        run(folder, "rmf", "combine", *words, "-o", "no.rmf")
    assert sentence in capsys.readouterr().err and not (folder / "no.rmf").exists()


def test_the_core_is_a_gaussian_and_the_header_the_users(folder):
    layout, [core] = read_matrix(folder / "core.rmf")
    np.testing.assert_allclose(core.values.sum(axis=1), 1.0, atol=1e-6)
    assert layout.first == 1 and layout.cards["INSTRUME"] == "OTHER"
    middle = 0.5 * (layout.channels[1:] + layout.channels[:-1])
    mean = core.values @ middle
    np.testing.assert_allclose(mean, 0.5 * (layout.rows[1:] + layout.rows[:-1]), atol=0.01)


def test_two_parts_are_the_whole(folder):
    whole, sharp = (values(folder / name) for name in ("single.rmf", "sharp.rmf"))
    _, [smooth] = read_matrix(folder / "smooth.rmf")
    layout, two = read_matrix(folder / "both.rmf")
    middle = 0.5 * (layout.rows[1:] + layout.rows[:-1])
    of = np.searchsorted(smooth.boundaries, middle) - 1
    together = sharp + smooth.values.toarray()[of]
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-3)
    assert np.max(np.abs(together - whole).max(axis=1) / whole.max(axis=1)) < 1e-4
    np.testing.assert_allclose(together.sum(axis=0), whole.sum(axis=0), atol=1e-4 * whole.sum(axis=0).max())
    assert smooth.boundaries.size < 10 and np.all(np.isin(smooth.boundaries, layout.rows))
    np.testing.assert_array_equal(two[0].values.toarray(), sharp)
    np.testing.assert_array_equal(two[1].values.toarray(), smooth.values.toarray())
    size = {name: (folder / name).stat().st_size for name in ("single.rmf", "sharp.rmf", "smooth.rmf", "both.rmf")}
    assert size["sharp.rmf"] + size["smooth.rmf"] < 0.15 * size["single.rmf"]
    with fits.open(folder / "both.rmf") as file:
        assert [unit.name for unit in file] == ["PRIMARY", "MATRIX", "MATRIX", "EBOUNDS"]
        assert "TWO MATRICES" in str(file[1].header["HISTORY"])
    rows, area = read_area(folder / "smooth.arf")
    assert rows.size == smooth.boundaries.size and read_area(folder / "sharp.arf")[0].size == layout.rows.size
    np.testing.assert_allclose(area, quantum_efficiency(XIFU, 0.5 * (rows[1:] + rows[:-1])), rtol=2e-3)


@pytest.mark.parametrize("name", ["full.rmf", "full.arf", "both.rmf", "combined.rmf"])
def test_headers_can_be_checked(folder, name, recwarn):
    with fits.open(folder / name, checksum=True) as file:
        for unit in file:
            assert {"DATE", "CHECKSUM", "DATASUM"} <= set(unit.header)
        assert {"ORIGIN", "DETNAM", "TELESCOP", "INSTRUME", "FILTER"} <= set(file[1].header)
    assert not [warning for warning in recwarn if "checksum" in str(warning.message).lower()]
    with fits.open(folder / "core.rmf") as file:
        assert (file["MATRIX"].header["ORIGIN"], file["MATRIX"].header["FWHM"]) == ("here", 2.5)


def test_dates_can_be_fixed(monkeypatch):
    from xcal_jax.io.fits_files import date

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "946684800")
    assert date() == "2000-01-01T00:00:00"
