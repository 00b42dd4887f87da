"""The filter for SIXTE: deposits like the simulation's, everything else byte for byte, bad tables in one sentence."""

import os

import numpy as np
import pytest
from astropy.io import fits

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.cli.main import main
from xcal_jax.simulation.impacts import LANES, filter_impacts
from xcal_jax.simulation.results import summary
from xcal_jax.simulation.simulate import simulate

XIFU = Absorber.preset("xifu")
N = LANES + 1001
MISSED = 500  # every so many-th impact is beside the absorber


def table(n=N, seed=1, **columns):
    """Impacts of 3 and 7 keV all over the absorber, in SIXTE's columns and one more."""
    random = np.random.default_rng(seed)
    u, v = random.uniform(-134.75e-6, 134.75e-6, (2, n))
    u[::MISSED] = 150e-6
    values = {
        "TIME": ("D", "s", np.sort(random.uniform(0, 100, n))),
        "ENERGY": ("E", "keV", np.where(np.arange(n) % 2, 3.0, 7.0)),
        "X": ("D", "m", u + 1e-3),
        "Y": ("D", "m", v),
        "PH_ID": ("J", None, np.arange(n)),
        "SRC_ID": ("J", None, np.ones(n)),
        "PIXID": ("J", None, np.arange(n) % 317),
        "U": ("D", "m", u),
        "V": ("D", "m", v),
        "GRADE": ("4A", None, np.full(n, "abcd")),
    }
    for name, value in columns.items():
        values[name] = (*values[name][:2], value)
    made = [fits.Column(name, form, unit, array=array) for name, (form, unit, array) in values.items()]
    hdu = fits.BinTableHDU.from_columns(made, name="PIXELIMPACT")
    hdu.header["MISSION"] = ("Athena", "a card to keep")
    hdu.header.add_comment("a comment to keep")
    return hdu


def write(path, *hdus):
    others = [fits.ImageHDU(np.arange(6.0), name="BEFORE"), *hdus, fits.ImageHDU(np.arange(10.0), name="AFTER")]
    fits.HDUList([fits.PrimaryHDU(), *others]).writeto(path, checksum=True)
    return path


@pytest.fixture(scope="module")
def filtered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("impacts")
    done = filter_impacts(write(folder / "in.fits", table()), folder / "out.fits", XIFU, seed=3)
    return folder, done


@pytest.mark.slow
def test_deposits_are_the_simulation(filtered, agrees):
    """At 7 and 3 keV: the share that interacts, the share of these that loses energy, and what is lost on average."""
    folder, done = filtered
    before, after = fits.getdata(folder / "in.fits", "PIXELIMPACT"), fits.getdata(folder / "out.fits", "PIXELIMPACT")
    assert done.read == N and done.kept == len(after) and done.missed == -(-N // MISSED)
    assert done.read == done.kept + done.missed + done.passed
    energy = before["ENERGY"][after["PH_ID"]]
    assert done.partial == np.sum(after["ENERGY"] < energy)
    assert np.all(after["ENERGY"] <= energy) and np.all(after["ENERGY"] > 0)
    for kev in (7.0, 3.0):
        here = energy == kev
        n = np.sum((before["ENERGY"] == kev) & (np.arange(N) % MISSED != 0))
        p = quantum_efficiency(XIFU, [1000.0 * kev])[0]
        agrees(here.sum() / n, p, np.sqrt(p * (1 - p) / n) + 1e-5)
        expected = summary(simulate(XIFU, 1000.0 * kev, n=10**6, seed=5))
        share = expected["partial"]
        agrees(np.mean(after["ENERGY"][here] < kev), share, np.sqrt(share * (1 - share) / here.sum()))
        lost = 1000.0 * (kev - after["ENERGY"][here].astype(float))
        agrees(lost.mean(), 1000.0 * kev - expected["mean_deposit"], lost.std() / np.sqrt(here.sum()))


def test_all_else_is_kept(filtered):
    folder, _ = filtered
    with fits.open(folder / "in.fits") as one, fits.open(folder / "out.fits") as two:
        two.verify("exception")
        assert [hdu.name for hdu in two] == [hdu.name for hdu in one]
        before, after = one["PIXELIMPACT"], two["PIXELIMPACT"]
        left = after.data["PH_ID"]
        assert np.all(np.diff(left) > 0)
        for name in before.columns.names:
            if name != "ENERGY":
                np.testing.assert_array_equal(after.data[name], before.data[name][left], err_msg=name)
        untouched = {card.keyword: card for card in before.header.cards if card.keyword not in ("NAXIS2", "HISTORY")}
        for key in set(untouched) - {"CHECKSUM", "DATASUM"}:
            assert after.header[key] == before.header[key], key
        assert after.header.comments["MISSION"] == "a card to keep"
        assert "electron model range" in str(after.header["HISTORY"])
    content = [(folder / name).read_bytes() for name in ("in.fits", "out.fits")]
    start = content[0].index(b"PIXELIMPACT") // 2880 * 2880
    assert content[0][:start] == content[1][:start]
    assert content[0][-5760:] == content[1][-5760:]


@pytest.mark.slow
@pytest.mark.parametrize("physics", ["paper", pytest.param("full", marks=pytest.mark.exhaustive)])
def test_forced_photons_all_interact(filtered, monkeypatch, capsys, physics):
    """Those that are only deflected, by Rayleigh scattering, as well: they are drawn again."""
    folder, _ = filtered
    monkeypatch.chdir(folder)
    (folder / "forced.fits").unlink(missing_ok=True)
    words = ["impacts", "in.fits", "forced.fits", "--absorber", "xifu", "--forced", "--physics", physics]
    monkeypatch.setattr("sys.argv", ["xcal-jax", *words])
    main()
    missed = -(-N // MISSED)
    assert f"{missed} beside the absorber, 0 passed through, {N - missed} kept" in capsys.readouterr().err
    assert len(fits.getdata("forced.fits", "PIXELIMPACT")) == N - missed


def test_same_seed_same_file(filtered):
    folder, done = filtered
    again = filter_impacts(folder / "in.fits", folder / "again.fits", XIFU, seed=3)
    assert again == done
    assert (folder / "again.fits").read_bytes() == (folder / "out.fits").read_bytes()


def test_an_empty_table_stays_empty(tmp_path):
    source = write(tmp_path / "in.fits", table(0))
    assert filter_impacts(source, tmp_path / "out.fits", XIFU).kept == 0
    assert len(fits.getdata(tmp_path / "out.fits", "PIXELIMPACT")) == 0


def with_value(name, row, value):
    def make(path):
        hdu = table(100)
        hdu.data[name][row] = value
        write(path, hdu)

    return make


def without(name):
    def make(path):
        hdu = table(100)
        write(path, fits.BinTableHDU.from_columns([c for c in hdu.columns if c.name != name], name="PIXELIMPACT"))

    return make


def in_unit(name, unit):
    def make(path):
        hdu = table(100)
        hdu.columns[name].unit = unit
        write(path, hdu)

    return make


def shortened(path):
    write(path, table(100_000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD = {
    "NaN energy": (with_value("ENERGY", 6, np.nan), "row 7 has nan keV"),
    "negative energy": (with_value("ENERGY", 0, -1.0), "row 1 has -1 keV"),
    "soft energy": (with_value("ENERGY", 5, 0.05), "0.1 to 1000 keV"),
    "NaN place": (with_value("V", 9, np.nan), "row 10 has"),
    "infinite place": (with_value("U", 9, np.inf), "row 10 has"),
    "no U": (without("U"), "must hold a PIXELIMPACT table"),
    "no ENERGY": (without("ENERGY"), "must hold a PIXELIMPACT table"),
    "eV": (in_unit("ENERGY", "eV"), "must be in keV, but is in eV"),
    "um": (in_unit("U", "um"), "must be in m, but is in um"),
    "text": (lambda path: path.write_text("hello"), "must be a FITS file"),
    "empty": (lambda path: path.write_bytes(b""), "must be a FITS file"),
    "cut short": (shortened, "cut short"),
    "missing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_one_sentence(tmp_path, monkeypatch, capsys, case):
    make, sentence = BAD[case]
    make(tmp_path / "in.fits")
    monkeypatch.chdir(tmp_path)
    before = os.listdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["xcal-jax", "impacts", "in.fits", "out.fits", "--absorber", "xifu"])
    with pytest.raises(SystemExit) as problem:
        main()
    assert problem.value.code == 2
    assert os.listdir(tmp_path) == before
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and sentence in error


def test_input_is_never_output(tmp_path):
    source = write(tmp_path / "in.fits", table(10))
    with pytest.raises(ValueError, match="must be another file than the input"):
        filter_impacts(source, source, XIFU)


def test_photons_in_the_centre_are_told_and_spread(tmp_path, call):
    """tesgenimpacts writes U = V = 0; the matrix for SIXTE may begin above the lowest deposit."""
    zero = np.zeros(3000)
    write(tmp_path / "in.fits", table(3000, U=zero, V=zero))
    words = ["impacts", "in.fits", "out.fits", "--absorber", "xifu"]
    code, _, said = call(*words)
    assert code == 0 and "all impacts have U = V = 0" in said and "--uniform spreads them" in said
    assert np.all(fits.getdata("out.fits", "PIXELIMPACT")["U"] == 0.0)
    ends = np.array([1.0, 8.0, 9.0])  # keV
    columns = [
        fits.Column("ENERG_LO", "E", "keV", array=ends[:-1]),
        fits.Column("ENERG_HI", "E", "keV", array=ends[1:]),
    ]
    bounds = [fits.Column(n, "E", "keV", array=a) for n, a in (("E_MIN", ends[:-1]), ("E_MAX", ends[1:]))]
    bounds.append(fits.Column("CHANNEL", "J", array=[0, 1]))
    tables = [fits.BinTableHDU.from_columns(c, name=n) for c, n in ((columns, "MATRIX"), (bounds, "EBOUNDS"))]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto("high.rmf")
    code, _, said = call(*words, "--uniform", "--forced", "--rmf", "high.rmf")
    assert code == 0 and "U = V = 0" not in said and "high.rmf begins at 1 keV, above the lowest deposit" in said
    assert "SIXTE gives no signal to what lies below: make it with a lower --grid" in said
    spread = fits.getdata("out.fits", "PIXELIMPACT")
    for name in "UV":
        assert np.abs(spread[name]).max() < 134.75e-6
        assert spread[name].std() == pytest.approx(269.5e-6 / np.sqrt(12.0), rel=0.05)
