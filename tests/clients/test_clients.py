"""Programs of others open our files: they fold as a plain sum does, and a fit through them finds what was put in.

soxs is in the extra `test`. jaxspec wants an older JAX, and sherpa is built from source (gfortran, bison, flex, byacc,
FFTW): `make test` puts the first into .venv-clients, `make clients` the second. What is not there is skipped.
"""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from astropy.io import fits

from tests.clients.program import TRUTH, photons
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.response.ogip_reader import read_area, read_matrix
from xcal_jax.spectra.writers import write_pha

pytestmark = pytest.mark.slow

EXPOSURE = 1e5  # s
TELESCOPE = 300.0  # cm2
KINDS = {"whole": (), "thinned": ("--thin", "5e-5", "--first-channel", "0")}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """For each kind of matrix a folder with it, a telescope's area times our absorber, and a spectrum."""
    from xcal_jax.cli.main import main

    made = {}
    for kind, more in KINDS.items():
        folder = made[kind] = tmp_path_factory.mktemp("clients")
        telescope = np.array([6.0, 7.0, 8.0])
        columns = zip(
            ("ENERG_LO", "ENERG_HI", "SPECRESP"), (telescope[:-1], telescope[1:], [TELESCOPE] * 2), strict=True
        )
        table = [fits.Column(name, "E", "cm2" if name == "SPECRESP" else "keV", array=a) for name, a in columns]
        fits.BinTableHDU.from_columns(table, name="SPECRESP").writeto(folder / "telescope.arf")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            words = "rmf xifu --grid 6.95:7.05 -n 20000 --area-file telescope.arf --arf t.arf -o t.rmf".split()
            patch.setattr("sys.argv", ["xcal-jax", *words, *more])
            main()
        layout, _ = read_matrix(folder / "t.rmf")
        np.save(folder / "edges.npy", 1e-3 * layout.rows)
        counts = np.random.default_rng(1).poisson(reference(folder))
        write_pha(folder / "t.pha", counts, layout.first, EXPOSURE, "t.rmf", "t.arf")
    return made


def reference(folder):
    """The plain sum over rows of photons, area and matrix."""
    layout, [matrix] = read_matrix(folder / "t.rmf")
    _, area = read_area(folder / "t.arf")
    return EXPOSURE * (photons(TRUTH, 1e-3 * layout.rows) * area) @ matrix.values


def python_with(root, client):
    """The Python that can import ``client``: this one, or that of .venv-clients."""
    if find_spec(client):
        return sys.executable
    other = root / ".venv-clients" / "bin" / "python"
    if not other.exists() or subprocess.run([other, "-c", f"import {client}"], capture_output=True).returncode:
        pytest.skip(f"{client} is not installed: make clients")
    return str(other)


@pytest.mark.parametrize(
    ("client", "kind"),
    [("sherpa", "whole"), ("sherpa", "thinned"), ("soxs", "thinned"), ("jaxspec", "thinned")],
)
def test_folds_and_fits(root, folders, client, kind):
    folder = folders[kind]
    program = root / "tests" / "clients" / "program.py"
    done = subprocess.run([python_with(root, client), "-W", "ignore", program, client], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found = np.load(folder / f"{client}.npz")
    expected = reference(folder)
    assert found["counts"].shape == expected.shape
    np.testing.assert_allclose(found["counts"], expected, atol=1e-6 * expected.max())
    pulls = (found["found"] - TRUTH) / found["errors"]
    assert np.all(np.abs(pulls) < 4.4), pulls
    assert np.all(found["errors"] < 0.1 * TRUTH)


def test_area_is_the_telescope_times_the_absorber(folders):
    for folder in folders.values():
        rows, area = read_area(folder / "t.arf")
        efficiency = quantum_efficiency(Absorber.preset("xifu"), 0.5 * (rows[1:] + rows[:-1]))
        np.testing.assert_allclose(area, TELESCOPE * efficiency, rtol=2e-3)  # less what falls below the channels
