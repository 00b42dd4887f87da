"""The studies of the absorber run from the project's root, print their tables and write their files."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from xcal_jax import Absorber, simulate, summary

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def run(script: str, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, f"analysis/{script}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def module(name: str, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "analysis")
    spec = spec_from_file_location(Path(name).name, ROOT / "analysis" / f"{name}.py")
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def refused(monkeypatch, capsys):
    """The one sentence with which a study refuses its arguments."""

    def sentence(name: str, *arguments) -> str:
        study = module(name, monkeypatch)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            study.main()
        said = capsys.readouterr().err
        assert stop.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1
        return said

    return sentence


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    out = tmp_path_factory.mktemp("figures")
    done = run("paper_figures.py", "--out", out, "-n", "2e5")
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_figures_are_written_and_the_six_numbers_agree(figures):
    out, text = figures
    for name in ("figure_2.png", "figure_3.png"):
        image = matplotlib.image.imread(out / name)
        assert image.shape[1] == 1650 and np.ptp(image) > 0.5
    assert len(re.findall(r" agrees$", text, re.MULTILINE)) == 6
    assert "DIFFERS" not in text


def test_steps_near_the_corner_follow_the_cross_sections(figures):
    """Chi-square of seven steps without a free parameter: one false alarm in 1e4 above 29.9."""
    chi_square = float(re.search(r"chi-square ([\d.]+) for 7 steps", figures[1])[1])
    assert 0.2 < chi_square < 29.9


def test_steps_with_wrong_cross_sections_are_noticed(figures, monkeypatch):
    study = module("paper_figures", monkeypatch)
    result = study.load(figures[0] / "figure_3_134.7um.nc")
    expected = study.expected_below
    monkeypatch.setattr(study, "expected_below", lambda *a: 1.5 * expected(*a))
    text = study.step_table(result, Absorber.preset("xifu"), 134.7)
    assert float(re.search(r"chi-square ([\d.]+)", text)[1]) > 29.9


def test_kept_runs_are_read_again_only_if_they_are_the_same(figures, monkeypatch, capsys):
    study = module("paper_figures", monkeypatch)
    monkeypatch.setattr(study, "simulate", lambda *a, **k: pytest.fail("ran"))
    path, absorber, source = figures[0] / "figure_2_3000eV.nc", Absorber.preset("xifu"), study.Source.build(3000.0)
    assert int(study.kept(path, absorber, source, 200_000).photons) == 200_000
    for other in ((absorber, source, 100_000), (absorber, study.Source.build(3001.0), 200_000)):
        with pytest.raises(pytest.fail.Exception):
            study.kept(path, *other)
    with pytest.raises(pytest.fail.Exception):
        study.kept(path, Absorber.preset("xifu-thick"), source, 200_000)


def test_table_beside_the_paper(figures):
    done = run("paper_table.py", figures[0] / "figure_2_7000eV.nc")
    assert done.returncode == 0, done.stderr
    for energy in ("4582.2", "4475.9", "4881.2", "4796.7", "4577.5", "4474.8", "4878.4"):
        assert energy in done.stdout
    assert done.stdout.splitlines()[-1] == "Fractions: all agree within 3 % + 3 standard errors."


def test_agreement_is_two_sided_and_counts_errors(monkeypatch):
    agrees = module("paper_table", monkeypatch).agrees
    n = 10_000_000
    for sign in (-1, 1):
        assert agrees(0.0086 + sign * 0.00034, 0.0086, n)
        assert not agrees(0.0086 + sign * 0.00036, 0.0086, n)
        assert agrees(0.0086 + sign * 0.00036, 0.0086, n // 100)


def test_table_refuses_another_case_with_one_sentence(figures, tmp_path, refused):
    assert "3000.0 eV" in refused("paper_table", figures[0] / "figure_2_3000eV.nc")
    assert "does not exist" in refused("paper_table", tmp_path / "none.nc")


def test_figures_refuse_nonsense(tmp_path, refused):
    assert "no/folder" in refused("paper_figures", "--out", tmp_path / "no" / "folder", "-n", "1e3")
    assert "`n` must be" in refused("paper_figures", "--out", tmp_path, "-n", "-5").replace("-n", "n")


@pytest.mark.parametrize(("energy", "n", "rejecting"), [(3000.0, 3e6, True), (7000.0, 3e6, True), (7000.0, 3e5, False)])
def test_the_scalar_program_of_the_benchmark_has_our_physics(monkeypatch, agrees, energy, n, rejecting):
    """Partial fractions and spectra, from every cascade walked and every electron tracked, or those that matter."""
    monkeypatch.syspath_prepend(ROOT / "analysis" / "benchmarks")
    scalar = import_module("scalar")
    absorber, n, bins = Absorber.preset("xifu"), int(n), int(energy) + 1
    ours = simulate(absorber, energy, n=n)
    spectrum, partial = scalar.run(scalar.tables_of(absorber, rejecting), energy, n, 1, bins)
    assert spectrum.sum() == n
    agrees(partial / n, summary(ours)["partial"], np.sqrt(2 * partial) / n)
    edges = np.arange(0, bins - 1, 250)
    counts, expected = (np.add.reduceat(s[:-1], edges) for s in (spectrum, ours.spectrum.values))
    agrees(counts, expected, np.sqrt(counts + expected + 1))


@pytest.mark.exhaustive
def test_electrons_come_back_from_thick_blocks(tmp_path):
    """A table of 55 rows and a figure; few electrons, so that 4 sigmas of them are 4 % of Au's."""
    done = run("electron_backscatter.py", "--out", tmp_path, "-n", 4096)
    assert done.returncode == 0, done.stderr
    assert np.ptp(matplotlib.image.imread(tmp_path / "electron_backscatter.png")) > 0.5
    rows = [line.split() for line in done.stdout.splitlines() if " ±" in line]
    assert len(rows) == 55
    gold = {float(row[1]): float(row[2]) for row in rows if row[0] == "Au"}
    assert gold[5.0] == pytest.approx(45.0, abs=3.2) and gold[0.5] < gold[1.0] < gold[3.0]
    verdicts = [line for line in done.stdout.splitlines() if "within the limits" in line]
    assert [line.split(":")[0] for line in verdicts] == ["Au", "Bi", "Cu", "Al", "C"]


def test_limits_of_backscatter_are_two_sided(monkeypatch):
    study = module("electron_backscatter", monkeypatch)
    assert study.within_penelope(3.0, [1.059, 9.0, 0.941]) and study.within_penelope(1.0, [0.91, 9.0, 1.09])
    for ratios in ([1.061, 1.0, 1.0], [0.939, 1.0, 1.0], [1.0, 1.0, 1.061], [1.0, 1.0, 0.939]):
        assert not study.within_penelope(3.0, ratios)
    assert study.within_measured(0.179, (0.2, 0.3)) and study.within_measured(0.335, (0.2, 0.3))
    assert not study.within_measured(0.175, (0.2, 0.3)) and not study.within_measured(0.337, (0.2, 0.3))


def test_backscatter_refuses_nonsense(tmp_path, refused):
    (tmp_path / "file").write_text("")
    for arguments in (("-n", 5), ("-n", 0), ("--out", tmp_path / "file")):
        refused("electron_backscatter", *arguments)


def test_penelope_beside_ours(monkeypatch, capsys):
    """Its fractions are those of the reference (its own photoelectric cross sections: 89.53 and 1.163 %)."""
    pytest.importorskip("pyPenred", reason="needs the extra: pip install '.[penelope]'")
    study = module("benchmarks/penelope", monkeypatch)
    found = study.in_penelope(Absorber.preset("xifu"), 7000.0, 5000)
    assert found.photons == 5000
    assert found.interacting == pytest.approx(0.89526 * 5000, abs=4.4 * np.sqrt(5000 * 0.895 * 0.105))
    assert found.partial == pytest.approx(0.011633 * found.interacting, abs=4.4 * np.sqrt(0.0116 * found.interacting))


def test_penelope_is_asked_for_in_one_sentence(monkeypatch, capsys):
    study = module("benchmarks/penelope", monkeypatch)
    monkeypatch.setitem(sys.modules, "pyPenred", None)
    monkeypatch.setattr(sys, "argv", ["penelope.py"])
    with pytest.raises(SystemExit) as stop:
        study.main()
    assert stop.value.code == 2 and capsys.readouterr().err == (
        "error: PENELOPE needs the extra: pip install '.[penelope]'\n"
    )


@pytest.mark.exhaustive
def test_windows_about_the_compton_edges(monkeypatch):
    """Si, 60 keV: moving electrons agree with PENELOPE in every window; those at rest do not, just beyond the edge."""
    study = module("compton_edges", monkeypatch)
    case, rows = next(study.cases())
    assert [float(row["low_ev"]) for row in rows] == [8000, 10500, 11400, 12500, 15000]
    assert all(study.agrees(*pair) for pair in study.ratios(case, rows, "impulse", 400_000))
    at_rest = study.ratios(case, rows, "waller-hartree", 100_000)
    assert not study.agrees(*at_rest[2]) and at_rest[2][0] < 0.3
