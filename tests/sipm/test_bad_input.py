"""Bad input: one sentence with the argument, the rule and the value; nothing half-written; exit code 2."""

import json

import numpy as np
import pytest
import xarray as xr

from xcal_jax import sipm
from xcal_jax.io.datasets import save
from xcal_jax.sipm.mission import mission_files
from xcal_jax.spectra.writers import write_csv

GOOD = np.round(1e5 * np.exp(-0.5 * ((np.arange(1.0, 257) - 30) / 3) ** 2) + 300)


def spectra(counts=GOOD, exposure=60.0, time="2023-01-01", readout="ch0", satellite="GRBAlpha"):
    return sipm.build_spectra(counts, exposure, np.datetime64(time), readout, satellite=satellite)


@pytest.mark.parametrize("exposure", [0.0, -1.0, np.nan])
def test_exposure(exposure):
    with pytest.raises(ValueError, match=r"`exposure` must be positive, in s, but spectrum 0 has"):
        spectra(exposure=exposure)


@pytest.mark.parametrize(("value", "rule"), [(np.nan, "finite"), (-3.0, "negative")])
def test_counts(value, rule):
    counts = GOOD.copy()
    counts[10] = value
    with pytest.raises(ValueError, match=rf"`counts` must .*{rule}.* but spectrum 0 channel 11 has"):
        spectra(counts)


def test_wrong_channel_count(grbalpha):
    with pytest.raises(ValueError, match="must have 256 channels, but have 128"):
        spectra(GOOD[:128]).pipe(sipm.with_days, grbalpha)
    with pytest.raises(ValueError, match="`template` must have 256 channels as the spectra, but has 128"):
        spectra().pipe(sipm.threshold, sipm.build_template(spectra(GOOD[:128])))


def test_template_of_another_channel_or_satellite():
    with pytest.raises(ValueError, match="must have the readout channel 'ch0', but has ch1"):
        spectra().pipe(sipm.threshold, sipm.build_template(spectra(readout="ch1")))
    with pytest.raises(ValueError, match="must be of GRBAlpha as the spectra, but is of VZLUSAT-2"):
        spectra().pipe(sipm.threshold, sipm.build_template(spectra(satellite="VZLUSAT-2")))


def test_unknown_satellite(grbalpha):
    with pytest.raises(ValueError, match="must be one of grbalpha, vzlusat2 or a TOML file, but is 'hubble'"):
        sipm.load_mission("hubble")
    with pytest.raises(ValueError, match="must be of GRBAlpha, but are of VZLUSAT-2"):
        spectra(satellite="VZLUSAT-2").pipe(sipm.with_days, grbalpha)


HEAD = 'name = "X"\nlaunch = 2021-01-01\nchannels = 256\nreadouts = []\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "must be valid TOML"),
        (HEAD + "channel = 3", "unknown key `channel` in mission .*; the nearest valid key is `channels`"),
        (HEAD.replace("launch = 2021-01-01\n", ""), "`launch` is missing in mission"),
        (HEAD.replace("2021-01-01", '"soon"'), "must be a date"),
        (HEAD.replace("256", "0"), "at least 2"),
        (HEAD + "bias = {lower = [1]}", "`bias.nominal` is missing in mission"),
        (HEAD + "calibration = {K = 4.08}", "unknown key `calibration.K` in mission .* `k`"),
        (HEAD + "bias = 178", "`bias` in mission .* must be a table, but is 178"),
    ],
)
def test_bad_mission_files(tmp_path, text, words):
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(ValueError, match=words):
        sipm.load_mission(tmp_path / "m.toml")


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("pile_up_shift", "pileup", "unknown key `synthetic.noise.pileup` in .*; .* `pile_up_shift`"),
        ("half_life", "halflife", "unknown key `activation.0.halflife` in .*; .* `half_life`"),
        ("gain_ratio", "gainratio", "unknown key `synthetic.activation.line.0.gainratio` in .*; .* `gain_ratio`"),
        ("slope = 140.0, ", "", "`synthetic.readout.ch0.dcr.slope` is missing in mission"),
        ("[template] ", "[recovered.template]", r"`template` is missing in .*, which has a \[synthetic\] table"),
        ("b = -154.0", "", r"`calibration` in .* must have `k` and `b`, since there is a \[synthetic\] table"),
        ('["ch0", "ch1"]', '["ch0", "ch2"]', "`synthetic.readout` in .* must have all readouts, but lacks 'ch2'"),
        ("2021-03-22", "1921-03-22", "`launch` in .* must be from 1957-10-04 to 2199-12-31, but is 1921-03-22"),
        ("crossing_level = 10.0", "crossing_level = nan", "`crossing_level` in .* must be finite, but is nan"),
        ("group_days = 5.0", "group_days = 0", "`group_days` in .* must be positive, but is 0 d"),
        ("channels = 256", "channels = 256.5", "`channels` in .* must be a whole number, but is 256.5"),
        (
            "resolution_260 = 0.30",
            "resolution_260 = -1",
            "`synthetic.resolution_260` in .* must be positive",
        ),
        ("[59, 72,", "[72, 59,", "`synthetic.background.channel` in .* must ascend"),
        ("rate = [6.7005, ", "rate = [", "must have as many rates as channels"),
        ("first_day = 138.0", "first_day = 1298.5", "must be more than 2 days before `last_day`, but is 1298.5"),
        ("[0.8, 0.0, -0.8]", "[0.8, 0.0]", "`synthetic.boards` in .* must be a list of 3, but is"),
        ("window = [44, 64]", "window = [64, 44]", "`synthetic.ground.line.241Am.window` in .* must ascend"),
        ("window = [70, 128]", "window = [70]", "`activation.0.window` in .* must be a list of 2, but is"),
        ("names = [", "names = [3, ", "`not_legible.names.0` in .* must be text, but is 3"),
        ("window = [70, 128]", "window = [128, 70]", "`activation.0.window` in .* must ascend"),
        (
            "window = [70, 128]",
            "window = [70, 257]",
            "`activation.0.window` .* must end at a channel, 1 to 256",
        ),
        ("channels = 256", "channels = 256\ncounter_full = 0", "`counter_full` in .* must be positive, but is 0"),
        ("channels = 256", "channels = 256\ndead_time = -1", "`dead_time` in .* must be positive, but is -1 s"),
        ("channels = 256", "channels = 256\nmin_exposure = -1", "`min_exposure` in .* must be at least 0 s, but is -1"),
        ("[lines]", "[orbit]\nperigee = 5\n[lines]", "unknown key `orbit.perigee` in mission"),
        ("[lines]", "[detector]\nsensor = 3\n[lines]", "`detector.sensor` in .* must be text, but is 3"),
        (
            "[lines]",
            '[[calibrations]]\nreadout = "a"\nk = 1\nb = 0\n[lines]',
            "`calibrations.0.readout` in .* must be one of ch0, ch1, but is 'a'",
        ),
        (
            "[lines]",
            '[[calibrations]]\nreadout = "ch0"\nk = 1\nb = 0\ncorrelation = 2\n[lines]',
            "`calibrations.0.correlation` in .* must be at least -1 and at most 1, but is 2",
        ),
    ],
)
def test_every_table_of_a_mission_file_is_checked(tmp_path, good, bad, words):
    text = mission_files()["grbalpha"].read_text()
    assert good in text
    (tmp_path / "m.toml").write_text(text.replace(good, bad, 1))
    with pytest.raises(ValueError, match=words):
        sipm.load_mission(tmp_path / "m.toml")


def test_spectra_before_launch(grbalpha):
    with pytest.raises(ValueError, match="must not precede the launch of GRBAlpha on 2021-03-22"):
        spectra(time="2020-01-01").pipe(sipm.with_days, grbalpha)


def groups_of(days, group_days=5.0):
    days = np.asarray(days, float)
    data = {
        "days": ("group", days),
        "size": ("group", np.full(days.size, 12)),
        "dcr": ("group", 1000 + days, {"units": "count/s"}),
        "dcr_error": ("group", np.ones(days.size)),
        "temperature": ("group", np.sin(days)),
    }
    return xr.Dataset(data, attrs={"group_days": group_days})


def test_fewer_points_than_parameters():
    with pytest.raises(ValueError, match="3 parameters needs as many points, but has 2"):
        sipm.joint_fit(groups_of([10, 20, 30]).isel(group=[0, 1]), "dcr", form="sqrt", steps=(15.0,))
    with pytest.raises(ValueError, match="4 parameters and needs as many points, but has 3"):
        sipm.gain_drift([1, 2, 3], [100, 99, 98], [0.1] * 3, -154.0)
    with pytest.raises(ValueError, match="at least two lines, but 1 passed"):
        sipm.energy_calibration([50.0, np.nan], [0.1, np.nan], [59.5, 81.0])
    with pytest.raises(ValueError, match="a quadratic calibration needs at least three lines, but 2 passed"):
        sipm.energy_calibration([50.0, 60.0], [0.1, 0.1], [59.5, 81.0], "quadratic")
    with pytest.raises(ValueError, match="`shape` must be one of linear, quadratic, saturation, but is 'cubic'"):
        sipm.energy_calibration([50.0, 60.0], [0.1, 0.1], [59.5, 81.0], "cubic")


@pytest.mark.parametrize(
    ("energy", "group", "message"),
    [
        (356.01, [(356.01, 62.0)], r"two lines or more, each keV and photons, but has shape \(1, 2\)"),
        (356.01, [356.01, 383.85], r"each keV and photons, but has shape \(2,\)"),
        (356.01, [(356.01, 62.0), (383.85, 0.0)], r"positive energies and photons, but has 0\.0"),
        (356.01, [(356.01, 62.0), (np.nan, 9.0)], "positive energies and photons, but has nan"),
        (344.28, [(356.01, 62.0), (383.85, 8.94)], r"one of the group's, \[356\.01, 383\.85\] keV, but is 344\.28"),
    ],
)
def test_blends_that_are_none(energy, group, message):
    with pytest.raises(ValueError, match=message):
        sipm.blend_shift(sipm.fit_lines(sipm.stack(spectra()), [(40, 70)]).isel(line=0), energy, group)


def test_a_blend_is_of_one_line():
    with pytest.raises(ValueError, match="`line` must be one line, but there are 2"):
        sipm.blend_shift(sipm.fit_lines(sipm.stack(spectra()), [(40, 70)] * 2), 81.0, [(81.0, 33.0), (79.6, 2.6)])


def test_all_points_in_one_group():
    with pytest.raises(ValueError, match=r"all 12 points lie in one of 5\.0 d"):
        sipm.fit_trends(groups_of([10]), "dcr")


def test_no_crossing_anywhere():
    flat = spectra(np.full(256, 300.0))
    with pytest.raises(ValueError, match=r"must sink through 10\.0 cnt/s above the template, but none of 1 does"):
        flat.pipe(sipm.threshold, sipm.build_template(spectra()))


@pytest.mark.parametrize(
    ("window", "words"), [((0, 20), "within channels"), ((20, 25), "10 channels"), ((30, 20), "within")]
)
def test_windows(window, words):
    with pytest.raises(ValueError, match=words):
        sipm.fit_lines(sipm.stack(spectra()), [window])


@pytest.fixture
def run(call):
    """A subcommand of `xcal-jax sipm` in this process, in an empty folder: exit code, stdout, stderr."""
    return lambda *arguments: call("sipm", *map(str, arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small):
    path = tmp_path_factory.mktemp("mission")
    for name, data in small._asdict().items():
        save(data, path / f"{name}.nc")
    return path


def test_synthesize_command(run, tmp_path):
    _, out, _ = run("synthesize", "grbalpha", "-o", tmp_path / "g", "--seed", 3, "--csv", "--json")
    summary = json.loads(out)
    assert summary["synthetic"] and summary["seed"] == 3 and summary["spectra"] == 928
    files = sorted(path.name for path in (tmp_path / "g").iterdir())
    assert files == ["activation.csv", "ground.nc", "spectra.csv", "template.csv", "truth.nc"]


def test_threshold_command(run, folder, tmp_path):
    out = tmp_path / "out.nc"
    _, text, problem = run(
        "threshold", folder / "spectra.nc", "--template", folder / "template.nc", "-o", out, "--json"
    )
    assert json.loads(text)["flagged"] == 0, problem
    with xr.open_dataset(out) as values, xr.open_dataset(folder / "truth.nc") as truth:
        assert values.attrs["synthetic"] == 1
        assert abs((values["threshold_adu"].values - truth["threshold_adu"].values).mean()) < 0.1


@pytest.mark.slow
def test_lines_command(run, folder, tmp_path, small):
    path = tmp_path / "am.csv"
    write_csv(small.ground.isel(spectrum=[0]).drop_vars(["source", "line_energy", "window"]), path)
    first, second = json.loads(run("lines", path, "--windows", "44-64,100-140", "--json")[1])["lines"]
    assert first["position"] == pytest.approx((59.5 + 154) / 4.08, abs=0.2)
    assert second["position"] is None and second["vetoes"]
    assert "no line" in run("lines", path, "--windows", "44-64,100-140")[1]


@pytest.mark.slow
def test_report_command(run, folder, tmp_path):
    out = tmp_path / "report.html"
    series = tmp_path / "series.csv"
    days = np.arange(100, 1400, 5)
    rows = "".join(f"{d},{np.sin(d)}\n" for d in days)
    series.write_text("days,made_up\n" + rows)
    fluence = tmp_path / "fluence.csv"
    fluence.write_text("days,fluence\n" + "".join(f"{d},{1e6 * d}\n" for d in days))
    code, text, problem = run("report", folder, "-o", out, "--json", "--series", series, "--fluence", fluence)
    assert code == 0, problem
    page = out.read_text()
    assert page.count("data:image/png;base64,") == 12
    assert 'src="http' not in page and "<script" not in page
    assert "nothing here was measured" in page and "made_up" in page and "damage kernel" in page
    assert json.loads(text)["synthetic"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("synthesize", "hubble", "-o", "{out}"), "must be one of grbalpha, vzlusat2"),
        (("threshold", "{folder}/none.nc", "--template", "{folder}/template.nc", "-o", "{out}.nc"), "must exist"),
        (
            (
                "threshold",
                "{folder}/spectra.nc",
                "--template",
                "{folder}/template.nc",
                "-o",
                "{out}.nc",
                "--mission",
                "vzlusat2",
            ),
            "must be of VZLUSAT-2, but are of GRBAlpha",
        ),
        (
            (
                "threshold",
                "{folder}/spectra.nc",
                "--template",
                "{folder}/template.nc",
                "-o",
                "{out}.nc",
                "--level",
                "1e9",
            ),
            "must sink through",
        ),
        (("lines", "{folder}/ground.nc", "--windows", "20:40"), "must look like 20-40"),
        (("lines", "{folder}/ground.nc", "--windows", "44-64", "--energies", "59.5,81"), "one per window"),
        (("lines", "{folder}/ground.nc", "--windows", "44-64", "--shape", "linear"), "no effect without `energies`"),
        (("report", "{folder}/spectra.nc", "-o", "{out}.html"), "needs --template"),
        (("report", "{folder}", "-o", "{out}.html", "--template", "{folder}/template.nc"), "no effect with a folder"),
        (("report", "{folder}", "-o", "{out}.html", "--format", "fits"), "no effect without `tables`"),
        (("report", "{empty}", "-o", "{out}.html"), "must hold spectra.nc or spectra.csv"),
        (("report", "{folder}", "-o", "{empty}/none/report.html"), "output folder must exist"),
        (("report", "{folder}", "-o", "{out}.html", "--fluence", "{folder}/truth.nc"), "must have `fluence`"),
    ],
)
def test_the_door_says_one_sentence_and_leaves_nothing(run, folder, tmp_path, arguments, words):
    empty = tmp_path / "empty"
    empty.mkdir()
    names = {"folder": folder, "empty": empty, "out": tmp_path / "out"}
    code, _, problem = run(*(a.format(**names) for a in arguments))
    assert code == 2
    assert words in problem and problem.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["empty"] and not list(empty.iterdir())
