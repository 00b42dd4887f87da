"""Fluxes of the user's own: a table of what the models give leads to the models' dose; bad tables get one sentence."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xcal_jax.orbit import dose_behind, parse_sectors, read_fluxes
from xcal_jax.orbit.flight import dose
from xcal_jax.orbit.plot import dose_figure

SHIELD = "Al:1mm,Pb:2.5mm"


def table_of(fluence, kind):
    """The fluxes of the first segment as the user's table, thinned to every second energy."""
    rows = []
    for particle in ("proton", "electron"):
        part, axis = ("flux", "energy") if kind == "flux" else ("integral_flux", "threshold")
        energy, flux = fluence[f"{particle}_{axis}"].values, fluence[f"{particle}_{part}"].values[0]
        rows += [(particle, e, f) for e, f in zip(energy[::2], flux[::2], strict=True) if f > 0]
    return pd.DataFrame(rows, columns=["particle", "energy_MeV", kind])


@pytest.mark.parametrize("kind", ["flux", "integral_flux"])
def test_a_table_of_the_models_gives_their_dose(five_days, tmp_path, kind):
    fluence = five_days(550, "min")
    table_of(fluence, kind).to_csv(tmp_path / "t.csv", index=False)
    read = read_fluxes(tmp_path / "t.csv", "2021-01-01", "2021-01-06")
    ours, theirs = (dose_behind(one, parse_sectors(SHIELD)) for one in (read, fluence))
    assert float(ours.tid.sum()) == pytest.approx(float(theirs.tid.sum()), rel=0.03)
    assert float(ours.neq.sum()) == pytest.approx(float(theirs.neq.sum()), rel=0.03)
    np.testing.assert_array_equal(ours.tid_upper, ours.tid_accumulated)
    assert ours.attrs["models"] == "fluxes of t.csv"


def test_a_power_law_is_integrated_exactly(tmp_path):
    """Flux E^-2 from 1 to 100 MeV: above 10 MeV 1/10 - 1/100, and nothing above 100 MeV."""
    (tmp_path / "t.csv").write_text("particle,energy_MeV,flux\nproton,1,1\nproton,100,1e-4\n")
    read = read_fluxes(tmp_path / "t.csv", "2021-01-01", "2021-01-02")
    found = read.named_flux.sel(named=["p>10MeV", "p>100MeV", "e>1MeV"]).values[0]
    np.testing.assert_allclose(found, [0.09, 0.0, 0.0], rtol=1e-4)


def test_the_figure_shows_the_band_that_the_fluxes_have(five_days, tmp_path):
    """AP-8 and AE-8 have a factor 2, a table none; the band is the one in the file."""
    models = dose_behind(five_days(550, "min"), parse_sectors(SHIELD))
    models["tid_upper"] *= 3
    table_of(models, "flux").to_csv(tmp_path / "t.csv", index=False)
    table = dose_behind(read_fluxes(tmp_path / "t.csv", "2021-01-01", "2021-01-06"), parse_sectors(SHIELD))
    labels = [dose_figure({"one": one}).axes[2].get_xlabel() for one in (models, table)]
    assert labels == ["date (UTC)\nband: a factor 2 of AP-8 and AE-8", "date (UTC)"]
    band = dose_figure({"one": models}).axes[1].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(6 * float(models.tid.sum()))


def test_the_figure_marks_every_change_of_the_solar_activity(five_days):
    """A maximum that ends in the mission is marked where it ends, and not at the start."""
    parts = [five_days(550, "min").assign(solar=("segment", [one])) for one in ("max", "min", "max")]
    starts = np.datetime64("2021-01-01", "s") + np.arange(3) * np.timedelta64(5, "D")
    three = xr.concat(parts, "segment", data_vars="minimal").assign_coords(start=("segment", starts))
    altitude, _, last = dose_figure({"one": dose_behind(three, parse_sectors(SHIELD))}).axes
    assert [line.get_xdata()[0] for line in altitude.lines] == starts[1:].tolist()
    assert "grey line: solar activity changes" in last.get_xlabel()


def test_segments_of_a_table(tmp_path):
    (tmp_path / "t.csv").write_text(
        "start,end,particle,energy_MeV,integral_flux\n"
        "2021-01-01,2021-01-11,proton,10,20\n2021-01-01,2021-01-11,proton,300,1\n"
        "2021-01-11,2021-01-12,proton,10,40\n2021-01-11,2021-01-12,proton,300,2\n"
    )
    found = dose(SHIELD, fluxes=tmp_path / "t.csv")
    assert found.length.values.tolist() == [10, 1]
    assert found.tid.values[0] == pytest.approx(5 * found.tid.values[1])
    assert float(found.tid_electron.sum()) == 0


def irene(model, columns, rows, form="Modified Julian Date", unit="#/cm^2/s/MeV", energies="1 10 100"):
    """A file in the layout of IRENE 1.58, with fluxes that are made up."""
    names = ",".join(["flux"] * len(energies.split()))
    return (
        f"# Irene Model output file: ../../runs/Run1.{model}.output_mean_flux.txt\n"
        "# Irene Software Version:  1.58.001\n"
        f"#\n# Model type:               {model}\n# Flux type:                1PtDiff\n"
        f"# Flux direction:           Omnidirectional\n# Energy levels (MeV):       {energies}\n#\n"
        f"# Time format:              {form}\n# Coordinate system:        GEI (Geocentric Equatorial Inertial)"
        f" Cartesian in km\n# Data Delimiter:           comma\n#\n"
        f"# {columns},posx(km),posy(km),posz(km),{names}({unit})\n" + "".join(f"{row}\n" for row in rows)
    )


TIMES = {
    "Modified Julian Date": ("datetime(mjd)", ("59245.0", "59246.0", "59247.0")),
    "Year, day_of_year.frac": ("datetime(year,ddd.frac)", ("2021,31.0", "2021,32.0", "2021,33.0")),
    "Year, Month, Day, Hour, Minute, Seconds": (
        "datetime(year,mon,day,hr,min,sec)",
        ("2021,1,31,0,0,0.00", "2021,2,1,0,0,0.00", "2021,2,2,0,0,0.00"),
    ),
}


@pytest.mark.parametrize("form", list(TIMES))
def test_files_of_irene_are_averaged_by_month(tmp_path, form):
    """The same three days in every format of time: 31 January, and the mean of two days of February."""
    columns, times = TIMES[form]
    rows = [f"{time},7000.0,0.0,0.0,{100 * k},{k},{k / 100}" for k, time in enumerate(times, 1)]
    (tmp_path / "p.txt").write_text(irene("AP9", columns, rows, form))
    (tmp_path / "e.txt").write_text(irene("AE9", columns, rows, form, "#/cm^2/s", "0.5 1 5"))
    found = read_fluxes([tmp_path / "p.txt", tmp_path / "e.txt"])
    assert found.start.values.astype("M8[D]").astype(str).tolist() == ["2021-01-31", "2021-02-01"]
    assert found.length.values.tolist() == [1, 2]
    own = [
        f"2021-01-31,2021-02-01,proton,{e},{f}\n2021-02-01,2021-02-03,proton,{e},{2.5 * f}\n"
        for e, f in ((1, 100), (10, 1), (100, 0.01))
    ]
    halves = [line.split("\n")[k] + "\n" for k in (0, 1) for line in own]
    (tmp_path / "t.csv").write_text("start,end,particle,energy_MeV,flux\n" + "".join(halves))
    same = read_fluxes(tmp_path / "t.csv")
    np.testing.assert_allclose(found.proton_flux, same.proton_flux)
    assert found.named_flux.sel(named="e>1MeV").values == pytest.approx([1.0, 2.5], rel=1e-3)


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("Model type:               AP9", "Model type:               SPM", "must be of AE-8, AE-9, AP-8 or AP-9"),
        ("(#/cm^2/s/MeV)", "(#/cm^2/MeV)", "must have fluxes in one of #/cm\\^2/s/MeV, #/cm\\^2/s, but has '#/cm"),
        ("Omnidirectional", "Fixed pitch angle = 90", "must be omnidirectional, but has 'Fixed pitch angle = 90'"),
        ("Modified Julian Date", "Stardate", "must have times as one of Modified Julian Date"),
        ("1,2,3\n", "1,2\n", "line 14 of p.txt must have 7 columns, but has 6"),
    ],
)
def test_files_of_irene_that_cannot_be_used(tmp_path, good, bad, words):
    text = irene("AP9", "datetime(mjd)", [f"{day}.0,0,0,0,1,2,3" for day in (59245, 59246)])
    assert good in text
    (tmp_path / "p.txt").write_text(text.replace(good, bad, 1))
    with pytest.raises(ValueError, match=words):
        read_fluxes(tmp_path / "p.txt")


def test_files_of_one_mission_go_together(tmp_path):
    for name, day in (("a.txt", 59245), ("b.txt", 59246)):
        rows = [f"{day + k}.0,0,0,0,3,2,1" for k in (0, 1)]
        (tmp_path / name).write_text(irene("AP9", "datetime(mjd)", rows))
    with pytest.raises(ValueError, match=r"segments of b\.txt must be those of a\.txt, but are others"):
        read_fluxes([tmp_path / "a.txt", tmp_path / "b.txt"])
    with pytest.raises(ValueError, match=r"protons must be in one file, but are in 2 of a\.txt, a\.txt"):
        read_fluxes([tmp_path / "a.txt", tmp_path / "a.txt"])


HEAD = "particle,energy_MeV,flux\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("energy_MeV,flux\n1,1\n", "must have columns particle, energy_MeV and one of flux and integral_flux"),
        (HEAD + "neutron,1,1\n", "must be proton or electron, but one is 'neutron'"),
        (HEAD + "proton,1,1\n", "must have two positive energies or more that rise"),
        (HEAD + "proton,2,1\nproton,1,1\n", "must have two positive energies or more that rise"),
        (HEAD + "proton,1,1\nproton,2,-1\n", "must have fluxes of zero or more, but one is -1"),
        (HEAD.replace("flux", "integral_flux") + "proton,1,1\nproton,2,3\n", "that do not rise with energy"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_fluxes(tmp_path / "t.csv", "2021-01-01", "2021-01-02")


def test_a_table_needs_dates_and_no_orbit(tmp_path):
    (tmp_path / "t.csv").write_text(HEAD + "proton,1,1\nproton,2,1\n")
    with pytest.raises(ValueError, match="needs both dates"):
        dose(SHIELD, fluxes=tmp_path / "t.csv")
    with pytest.raises(ValueError, match="stand in place of an orbit"):
        dose(SHIELD, satellite="GRBAlpha", fluxes=tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"activity": "min"}, "`activity` has no effect with `fluxes`, but is 'min'"),
        ({"step": 60.0}, "`step` has no effect with `fluxes`, but is 60.0"),
        ({"strict": True}, "`strict` has no effect with `fluxes`, but is True"),
        ({"fluxes": None, "satellite": "GRBAlpha", "max_age": 45.0}, "`max_age` has no effect without `tle`"),
        ({"rays": 2000}, "`rays` has no effect without `model`, but is 2000"),
        ({"shield": None, "model": "GRBAlpha", "geometry": "slab"}, "`geometry` has no effect with `model`"),
        ({"shield": None, "model": "GRBAlpha", "sides": 2}, "`sides` has no effect with `model`, but is 2"),
        ({"geometry": "sphere", "sides": 2}, "`sides` has no effect in a sphere, but is 2"),
    ],
)
def test_what_has_no_effect_is_refused(tmp_path, given, sentence):
    """Also where it is the default: somebody who gives it thinks that it matters."""
    (tmp_path / "t.csv").write_text(HEAD + "proton,1,1\nproton,2,1\n")
    dates = {"start": "2021-01-01", "end": "2021-01-02"}
    with pytest.raises(ValueError, match=sentence):
        dose(**({"shield": SHIELD, "fluxes": tmp_path / "t.csv"} | dates | given))
