"""The wheel: built, opened, and run from an empty folder without the repository."""

import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, root):
    """Built without the network: the build tool's requirements come from this environment where it has them."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("xcal_jax-*.whl"))


def test_the_data_travel_inside(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {"atomic/elements.nc", "atomic/electrons.nc", "atomic/compounds.toml", "atomic/CREDITS.md"}
    needed |= {f"absorber/presets/{name}.toml" for name in ("xifu", "xifu-thick", "xifu-membrane", "resolve", "gold")}
    needed |= {f"sipm/missions/{name}.toml" for name in ("grbalpha", "vzlusat2")} | {"orbit/data/matter.nc"}
    needed |= {f"orbit/satellites/{name}.toml" for name in ("grbalpha", "vzlusat2")} | {"orbit/data/penelope.nc"}
    assert {f"xcal_jax/{name}" for name in needed} <= names
    assert not [name for name in names if name.split("/")[0] in ("tests", "data", "analysis", "notebooks")]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_runs_from_an_empty_folder(wheel, tmp_path):
    """In a fresh environment that sees the dependencies of this one, but not the repository."""
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    venv.create(environment, with_pip=False)
    scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
    site = sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)})
    install = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--no-index", str(wheel)], check=True, timeout=200)
    with open(f"{site}/dependencies.pth", "w") as file:
        file.write(sysconfig.get_path("purelib"))
    where = "import xcal_jax; print(xcal_jax.__file__)"
    found = subprocess.run([scripts / "python", "-c", where], cwd=empty, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(environment))
    listed = subprocess.run([scripts / "xcal-jax", "absorbers"], cwd=empty, capture_output=True, text=True, check=True)
    assert "resolve" in listed.stdout
    run = [scripts / "xcal-jax", "simulate", "xifu", "--energy", "7keV", "--at", "0,0", "-n", "1000", "-o", "out.nc"]
    subprocess.run(run, cwd=empty, check=True, timeout=200, capture_output=True)
    assert [path.name for path in empty.iterdir()] == ["out.nc"]
