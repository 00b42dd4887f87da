import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import xarray as xr

FLIGHT = "Al:1mm,Pb:2.5mm"
NUMBERS = {"tid_rad", "tid_rad_proton", "tid_rad_electron", "tid_rad_band", "days", "segments"}
NUMBERS |= {"neq_cm2", "neq_cm2_proton", "neq_cm2_electron", "neq_cm2_band"}
SEGMENT = {"start", "end", "altitude_km", "tid_rad", "neq_cm2", "flux"}
FLUX = {"p>10MeV", "p>50MeV", "p>100MeV", "e>1MeV"}


@pytest.fixture
def command(call):
    """A command in this process, in an empty folder."""

    def run(*arguments):
        return SimpleNamespace(**dict(zip(("returncode", "stdout", "stderr"), call(*map(str, arguments)), strict=True)))

    return run


def another_process(*arguments, before):
    """A command in a process of its own, after the program ``before``."""
    code = f"{before}\nimport sys; sys.argv[0] = 'xcal-jax'\nfrom xcal_jax.cli.main import main\nmain()"
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)


def test_json_is_the_schema(command, grbalpha_tle, tmp_path):
    output = tmp_path / "o.nc"
    options = ["--start", "2021-05-30", "--end", "2021-06-02", "--plot", "--json", "-o", output]
    done = command("dose", "--tle", grbalpha_tle, "--shield", FLIGHT, *options)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert set(numbers) == NUMBERS
    assert numbers["days"] == 3.0
    assert numbers["tid_rad"] == pytest.approx(numbers["tid_rad_proton"] + numbers["tid_rad_electron"])
    assert numbers["tid_rad_band"] == pytest.approx([numbers["tid_rad"] / 2, numbers["tid_rad"] * 2])
    assert numbers["neq_cm2"] == pytest.approx(numbers["neq_cm2_proton"] + numbers["neq_cm2_electron"])
    assert numbers["neq_cm2_band"] == pytest.approx([numbers["neq_cm2"] / 2, numbers["neq_cm2"] * 2])
    assert len(numbers["segments"]) == 2
    for segment in numbers["segments"]:
        assert set(segment) == SEGMENT
        assert set(segment["flux"]) == FLUX
        assert segment["altitude_km"] == pytest.approx(549.5, abs=0.1)
    assert [s["start"] for s in numbers["segments"]] == ["2021-05-30T00:00:00", "2021-06-01T00:00:00"]
    assert numbers["tid_rad"] == pytest.approx(sum(s["tid_rad"] for s in numbers["segments"]))
    with xr.open_dataset(output) as result:
        assert float(result.tid.sum()) == pytest.approx(numbers["tid_rad"])
    assert (tmp_path / "o.png").stat().st_size > 10_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.nc", "o.png"]


@pytest.mark.filterwarnings("always:electrons dominate")
def test_altitude_table_sphere_and_words(command, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("date,altitude_km,inclination_deg\n2022-08-31,550,97.5\n2022-09-02,550,97.5\n")
    options = ["--geometry", "sphere", "-o", tmp_path / "o.nc", "--plot", tmp_path / "p.png"]
    options += ["--spectra", tmp_path / "s.png"]
    done = command("dose", "--altitudes", table, "--shield", "Al:1mm", *options)
    assert done.returncode == 0, done.stderr
    assert "TID (rad in Si)" in done.stdout
    assert "warning: electrons dominate behind Al:1mm" in done.stderr
    with xr.open_dataset(tmp_path / "o.nc") as result:
        assert list(result.solar.values) == ["min", "max"]
        assert result.attrs["geometry"] == "sphere"
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("p.png", "s.png"))


def test_sectors_and_factor(command, tmp_path):
    dates = ["--start", "2021-04-01", "--end", "2021-04-02"]
    shield = ["--shield", "0.5*Al:5mm; 0.5*Pb:5mm", "--geometry", "sphere", "--reactions"]
    done = command("dose", "--satellite", "GRBAlpha", *shield, *dates, "-o", tmp_path / "o.nc", "--json")
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(tmp_path / "o.nc") as result:
        assert result.attrs["reactions"] == 1


BAD = [
    (["--tle", "broken.tle"], "line 2 of 'broken.tle' must have the 69 characters of line 1"),
    (["--tle", "missing.tle"], "missing.tle"),
    (["--tle", "TLE", "--start", "2023-01-01", "--end", "2023-01-02"], "within 45 days of 2023-01-01"),
    (["--altitudes", "low.csv"], "line 2 of 'low.csv' must have an altitude in 200 to 36000 km"),
    (["--satellite", "Sputnik"], "`satellite` must be one of GRBAlpha, VZLUSAT-2"),
    ([], "orbit must come from one of tle, altitudes, satellite, but 0 are given"),
    (["--altitudes", "low.csv", "--satellite", "GRBAlpha"], "but 2 are given"),
    (["--tle", "TLE", "--satellite", "VZLUSAT-2"], "`satellite` must be one of"),
    (["--tle", "TLE", "--max-age", "-1"], "`max_age` must be at least 0 d and at most 36525 d, but is -1 d"),
    (["--tle", "TLE", "--max-age", "5", "--start", "2021-06-01", "--end", "2021-06-02"], "within 5 days of 2021-06-01"),
    (["--satellite", "GRBAlpha", "--shield", "Kryptonite:1mm"], "but is 'Kryptonite'"),
    (["--satellite", "GRBAlpha", "--shield", "Al:-1mm"], "`shield layer 1 (Al)` must be at least 0 mm, but is -1 mm"),
    (
        ["--satellite", "GRBAlpha", "--model", "GRBAlpha", "--shield", "Al:1mm"],
        "give one of shield and model, but both are given",
    ),
    (["--satellite", "GRBAlpha", "--model", "Sputnik"], "must be one of GRBAlpha, VZLUSAT-2, or a TOML file"),
    (["--satellite", "GRBAlpha", "--model", "GRBAlpha", "--rays", "0"], "`rays` must be at least 1"),
    (["--satellite", "GRBAlpha", "--rays", "50"], "`rays` has no effect without `model`, but is 50"),
    (["--satellite", "GRBAlpha", "--start", "today-ish"], "`start` must be a date"),
    (["--satellite", "GRBAlpha", "--step", "-5"], "`step` must be at least 1 s and at most 600 s, but is -5 s"),
]


@pytest.mark.parametrize(("options", "sentence"), BAD)
def test_bad_input_is_one_sentence_and_no_file(command, options, sentence, grbalpha_tle, tmp_path):
    (tmp_path / "broken.tle").write_text("1 47959U 21022AD  21136.80882950  .00001202  00000-0  87027-4 0\n2 47959\n")
    (tmp_path / "low.csv").write_text("date,altitude_km,inclination_deg\n2021-01-01,120,97\n2021-02-01,110,97\n")
    options = [str(grbalpha_tle) if option == "TLE" else option for option in options]
    shield = [] if {"--shield", "--model"} & set(options) else ["--shield", FLIGHT]
    done = command("dose", *options, *shield, "-o", "o.nc")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.tle", "low.csv"]


@pytest.mark.filterwarnings("always:2 of 2 months")
def test_two_sets_three_years_apart_fly(command, vzlusat_tle, tmp_path):
    options = ["--step", "600", "--start", "2023-01-15", "--end", "2023-02-15", "-o", tmp_path / "o.nc", "--json"]
    done = command("dose", "--tle", vzlusat_tle, "--satellite", "vzlusat-2", "--shield", FLIGHT, *options)
    assert done.returncode == 0, done.stderr
    assert "warning: 2 of 2 months have no element set within 45 days" in done.stderr
    done = command("dose", "--tle", vzlusat_tle, "--strict", "--shield", FLIGHT, *options)
    assert done.returncode == 2
    assert "must have an epoch within 45 days of 2023-01-15" in done.stderr


def test_boxes_from_a_file_and_their_map(command, tmp_path):
    (tmp_path / "m.toml").write_text(
        '[detector]\ncentre = [0, 0, 0]\n[[boxes]]\nmaterial = "Al"\ncentre = [0, 0, 0]\nsize = [9, 9, 9]\nwall = 6\n'
    )
    dates = ["--start", "2021-04-01", "--end", "2021-04-02", "--rays", "50", "--step", "10 min"]
    done = command("dose", "--satellite", "GRBAlpha", "--model", "m.toml", *dates, "-o", "o.nc", "--json")
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(tmp_path / "o.nc") as result:
        assert result.attrs["geometry"] == "boxes, 50 rays"
    done = command("orbit", "shielding", "--model", "m.toml", "--rays", "300", "-o", "s.nc", "--plot", "s.png")
    assert done.returncode == 0, done.stderr
    assert "0 % of the sky is behind at most    1.6" in done.stdout
    assert (tmp_path / "s.png").stat().st_size > 10_000


def test_output_folder_is_asked_for_before_the_work(command, tmp_path):
    output = tmp_path / "nowhere/o.nc"
    done = command("dose", "--satellite", "GRBAlpha", "--shield", FLIGHT, "-o", output)
    assert done.returncode == 2
    assert "output folder must exist" in done.stderr
    assert done.stderr.count("\n") == 1


def test_passes_are_listed(command, grbalpha_tle):
    done = command("orbit", "passes", "--tle", grbalpha_tle, "--day", "2021-05-20", "--drift", "0.3")
    assert done.returncode == 0, done.stderr
    assert "quiet windows" in done.stdout
    assert "going north" in done.stdout
    as_json = command("orbit", "passes", "--tle", grbalpha_tle, "--day", "2021-05-20", "--json")
    found = json.loads(as_json.stdout)
    assert set(found) == {"quiet", "saa_exits_north", "caveat"}
    assert "1960s" in found["caveat"]
    assert set(found["saa_exits_north"][0]) == {"time", "latitude_deg", "longitude_deg", "protons_cm2"}


@pytest.mark.slow
@pytest.mark.parametrize("package", ["aep8", "sgp4"])
def test_missing_package_is_one_sentence(package, grbalpha_tle):
    missing = f"import sys; sys.modules['{package}'] = sys.modules['{package}.api'] = None"
    done = another_process("orbit", "passes", "--tle", grbalpha_tle, "--day", "2021-05-20", before=missing)
    assert done.returncode == 2
    assert f"need the package {package}: pip install 'xcal-jax[orbit]'" in done.stderr
    assert done.stderr.count("\n") == 1


BLOCKED = """
import socket, sys
def refuse(*a, **k):
    print("network asked for", file=sys.stderr, flush=True)
    raise OSError("no network")
class Refused(socket.socket):
    __init__ = refuse
socket.socket, socket.create_connection, socket.getaddrinfo = Refused, refuse, refuse
from astropy.time import Time
from astropy.utils import iers
iers.LeapSeconds._today = classmethod(lambda cls: Time("2090-01-01", scale="tai"))
"""


@pytest.mark.slow
def test_no_network(grbalpha_tle, tmp_path):
    """Sockets refuse, and the tables of leap seconds have run out: nothing asks for new ones."""
    days = ["--start", "2021-05-17", "--end", "2021-05-18"]
    options = ["--shield", FLIGHT, *days, "-o", tmp_path / "o.nc", "--plot", "--json"]
    done = another_process("dose", "--tle", grbalpha_tle, *options, before=BLOCKED)
    assert done.returncode == 0, done.stderr
    assert "network asked for" not in done.stderr
    done = another_process("orbit", "passes", "--tle", grbalpha_tle, "--day", "2021-05-20", before=BLOCKED)
    assert done.returncode == 0, done.stderr
    assert "network asked for" not in done.stderr
