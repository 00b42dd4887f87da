"""No command writes over a file that it reads, by whatever name, nor over that of another program unasked."""

from pathlib import Path

import pytest

CONTENT = "what was measured"
LINKS = ("link.nc", "link.png", "link.html")  # to the input
CASES = [
    "simulate INPUT --energy 7keV -o OUTPUT",
    "simulate xifu --spectrum INPUT -o OUTPUT",
    "simulate xifu --spectrum INPUT --events OUTPUT -o out.nc",
    "simulate INPUT --energy 7keV --plot link.png -o out.nc",
    "sweep INPUT -o OUTPUT",
    "show INPUT --plot link.png",
    "rmf INPUT -o OUTPUT",
    "rmf xifu --fwhm-file INPUT -o OUTPUT",
    "rmf xifu --fwhm-file INPUT --arf OUTPUT -o out.rmf",
    "rmf xifu --fwhm-file INPUT --nc OUTPUT -o out.rmf",
    "rmf xifu --fwhm-file INPUT --uncertainty OUTPUT -o out.rmf",
    "impacts INPUT OUTPUT --absorber xifu",
    "impacts in.fits OUTPUT --absorber INPUT",
    "tail INPUT --plot link.png",
    "plot INPUT -o link.png",
    "sensitivity INPUT --energy 7keV --plot link.png",
    "sensitivity xifu --energy 7keV --uncertainties INPUT --plot link.png",
    "design INPUT -o OUTPUT",
    "linefit INPUT --absorber xifu --energy 7keV --fwhm 2.5eV --plot link.png",
    "linefit s.csv --line MnKa --background-table INPUT -o OUTPUT",
    "dose --tle INPUT --shield Al:1mm -o OUTPUT",
    "dose --altitudes INPUT --shield Al:1mm -o OUTPUT",
    "dose --tle INPUT --shield Al:1mm -o out.nc --plot link.png",
    "dose --tle INPUT --shield Al:1mm -o out.nc --spectra link.png",
    "dose --fluxes INPUT --shield Al:1mm -o OUTPUT",
    "dose --fluxes INPUT --shield Al:1mm -o out.nc --plot link.png",
    "dose --satellite GRBAlpha --model INPUT -o OUTPUT",
    "dose --satellite GRBAlpha --model INPUT -o out.nc --plot link.png",
    "orbit shielding --model INPUT -o OUTPUT",
    "orbit shielding --model INPUT --plot link.png -o out.nc",
    "sipm threshold INPUT --template t.nc -o OUTPUT",
    "sipm threshold s.nc --template INPUT -o OUTPUT",
    "sipm report INPUT --template t.nc -o link.html",
    "sipm report s.nc --template t.nc --series INPUT -o link.html",
    "sipm report s.nc --template t.nc --fluence INPUT -o link.html",
]


@pytest.mark.parametrize("name", ["./input.nc", "link.nc"])
@pytest.mark.parametrize("case", CASES)
def test_the_input_is_kept(call, tmp_path, case, name):
    for link in LINKS:
        (tmp_path / link).symlink_to("input.nc")
    (tmp_path / "input.nc").write_text(CONTENT)
    words = case.replace("INPUT", "input.nc").replace("OUTPUT", name).split()
    code, _, err = call(*words)
    assert code == 2 and err.count("\n") == 1 and "must be another file than the input" in err, err
    assert (tmp_path / "input.nc").read_text() == CONTENT
    assert not (tmp_path / "input.nc").is_symlink()


def test_an_option_is_no_output(call, tmp_path):
    code, _, err = call("rmf", "xifu", "--split", "--overwrite", "-o", "out.rmf")
    assert code == 2 and "the name of a file must follow, but '--overwrite' does" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_design_does_not_replace_its_description(call, tmp_path):
    (tmp_path / "best.toml").write_text(CONTENT)
    code, _, err = call("design", "best.toml", "-o", "best.nc")
    assert code == 2 and "must be another file than the input" in err
    assert (tmp_path / "best.toml").read_text() == CONTENT


@pytest.mark.parametrize("pictures", ["--plot a.png --spectra a.png", "--plot --spectra ./d.png"])
def test_two_pictures_of_a_dose_are_two_files(call, tmp_path, pictures):
    code, _, err = call("dose", "--satellite", "GRBAlpha", "--shield", "Al:1mm", "-o", "d.nc", *pictures.split())
    assert code == 2 and "must be another file than the output" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:electrons dominate")
def test_files_of_other_programs_are_replaced_only_where_asked(call):
    for name in ("thesis.nc", "figure.png"):
        Path(name).write_text(CONTENT)
    words = "dose --satellite GRBAlpha --shield Al:1mm,Pb:2.5mm --start 2022-01-01 --end 2022-01-03 -o".split()
    asked = [*words, "thesis.nc"], [*words, "new.nc", "--plot", "figure.png"]
    for command in asked:
        code, _, err = call(*command)
        assert code == 2 and "must be new or a file of this program: --overwrite replaces it" in err, err
        assert Path(command[-1]).read_text() == CONTENT and not Path("new.nc").exists()
    for command in asked:
        assert call(*command, "--overwrite")[0] == 0
        assert call(*command)[0] == 0  # it is of this program now


@pytest.mark.parametrize("as_csv", [[], ["--csv"]])
def test_a_folder_with_files_of_other_programs_is_kept(call, as_csv):
    words = ["sipm", "synthesize", "grbalpha", "-o", "mission", *as_csv]
    assert call(*words)[0] == call(*words)[0] == 0
    mine = Path("mission/template.csv" if as_csv else "mission/template.nc")
    mine.write_text(CONTENT)
    code, _, err = call(*words)
    assert code == 2 and "template" in err and mine.read_text() == CONTENT


def test_a_mission_that_may_be_filled_in_is_kept(call):
    words = ["sipm", "new", "MySat", "-o", "mysat.toml"]
    assert call(*words)[0] == 0
    code, _, err = call(*words)
    assert code == 2 and "--overwrite replaces it" in err
    assert call(*words, "--overwrite")[0] == 0
