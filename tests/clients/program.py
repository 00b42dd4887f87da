"""Run by the Python of a client: its fold of a power law with a line, and a fit through it. Knows nothing of xcal_jax.

python program.py CLIENT, in a folder with t.rmf, t.arf, t.pha and edges.npy (boundaries of the rows, keV). It writes
CLIENT.npz: counts expected of TRUTH, and the fitted parameters with their errors.
"""

import sys

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

TRUTH = np.array([2.0, 7.0002, 0.006, 0.02])  # photons/keV/s/cm2 at 7 keV; line: place and FWHM (keV), photons/s/cm2
START = np.array([1.5, 7.001, 0.004, 0.01])
SIGMA = 1.0 / 2.3548200450309493


def photons(parameters, edges):
    """Photons per cm2 and s in the rows between ``edges`` keV."""
    norm, place, fwhm, line = parameters
    index = -1.7
    power = norm * 7.0**-index * np.diff(edges ** (index + 1.0)) / (index + 1.0)
    return power + line * np.diff(ndtr((edges - place) / (SIGMA * fwhm)))


def sherpa(exposure):
    from sherpa.astro import io

    rmf, arf = io.read_rmf("t.rmf"), io.read_arf("t.arf")
    return lambda flux: exposure * rmf.apply_rmf(arf.apply_arf(flux))


def soxs(exposure):
    from soxs import AuxiliaryResponseFile, RedistributionMatrixFile

    rmf, arf = RedistributionMatrixFile("t.rmf"), AuxiliaryResponseFile("t.arf")
    return lambda flux: rmf.convolve_spectrum(flux * arf.eff_area, exposure, noisy=False)


def jaxspec(exposure):
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxspec.data import ObsConfiguration

    seen = ObsConfiguration.from_pha_file("t.pha")
    matrix = seen.transfer_matrix.data
    return lambda flux: np.asarray(matrix @ flux)


def main():
    from astropy.io import fits

    name = sys.argv[1]
    with fits.open("t.pha") as file:
        observed, exposure = file["SPECTRUM"].data["COUNTS"].astype(float), file["SPECTRUM"].header["EXPOSURE"]
    edges = np.load("edges.npy")
    fold = globals()[name](exposure)

    def residuals(scaled):
        expected = np.maximum(fold(photons(START * scaled, edges)), 1e-12)
        surplus = np.where(observed > 0, observed * np.log(np.maximum(observed, 1.0) / expected), 0.0)
        return np.sign(observed - expected) * np.sqrt(np.maximum(2.0 * (expected - observed + surplus), 0.0))

    fit = least_squares(residuals, np.ones(4), x_scale=[1.0, 1e-4, 1.0, 1.0], diff_step=1e-6)
    errors = np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
    np.savez(f"{name}.npz", counts=fold(photons(TRUTH, edges)), found=START * fit.x, errors=START * errors)


if __name__ == "__main__":
    main()
