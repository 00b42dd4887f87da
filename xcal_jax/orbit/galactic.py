"""Galactic nuclei, an optional term: their ionising dose in silicon, without a shield.

Spectra of hydrogen to nickel by D. Matthia, T. Berger, A.I. Mrigakshi and G. Reitz, Adv. Space Res. 51 (2013) 329 (with
the constants of ISO 15390), as the public program GCRs_Spectra has them: one parameter W, on the scale of the old
sunspot number. W is taken from the smoothed F10.7 of the month, by F10.7 = 63.7 + 0.728 W + 0.00089 W^2 (ITU-R, IRI).
The protons are those of AMS-02 within 8 % from 0.5 to 10 GeV (M. Aguilar et al., Phys. Rev. Lett. 114 (2015) 171103).

Every nucleus above 0.3 GV, protons above 47 MeV, is slowed down as Z^2 protons of its speed are. What stops or breaks
up in a shield is not followed, since the dose hardly changes within some 10 g/cm2; the band of 30 % either way is a
guess. That the nuclei follow the Sun with a lag of some months, and their displacement damage, are left out.
"""

import numpy as np
from jaxtyping import Float

from xcal_jax.orbit.material_tables import log_interpolated, matter
from xcal_jax.orbit.shielding import RAD

NUCLEI = np.array(  # Z, A, C, gamma, alpha
    [
        (1, 1.0, 18.5, 2.74, 2.85),
        (2, 4.0, 3.69, 2.77, 3.12),
        (3, 6.9, 0.0195, 2.82, 3.41),
        (4, 9.0, 0.0177, 3.05, 4.30),
        (5, 10.8, 0.0492, 2.96, 3.93),
        (6, 12.0, 0.103, 2.76, 3.18),
        (7, 14.0, 0.0367, 2.89, 3.77),
        (8, 16.0, 0.0874, 2.70, 3.11),
        (9, 19.0, 0.00319, 2.82, 4.05),
        (10, 20.2, 0.0164, 2.76, 3.11),
        (11, 23.0, 0.00443, 2.84, 3.14),
        (12, 24.3, 0.0193, 2.70, 3.65),
        (13, 27.0, 0.00417, 2.77, 3.46),
        (14, 28.1, 0.0134, 2.66, 3.00),
        (15, 31.0, 0.00115, 2.89, 4.04),
        (16, 32.1, 0.00306, 2.71, 3.30),
        (17, 35.4, 0.0013, 3.00, 4.40),
        (18, 39.9, 0.00233, 2.93, 4.33),
        (19, 39.1, 0.00187, 3.05, 4.49),
        (20, 40.1, 0.00217, 2.77, 2.93),
        (21, 44.9, 0.00074, 2.97, 3.78),
        (22, 47.9, 0.00263, 2.99, 3.79),
        (23, 50.9, 0.00123, 2.94, 3.50),
        (24, 52.0, 0.00212, 2.89, 3.28),
        (25, 54.9, 0.00114, 2.74, 3.29),
        (26, 55.8, 0.00932, 2.63, 3.01),
        (27, 58.9, 0.0001, 2.63, 4.25),
        (28, 58.7, 0.00048, 2.63, 3.52),
    ]
)
REST = 0.938272  # GeV, of a nucleon
RIGIDITY = np.geomspace(0.3, 200.0, 300)  # GV
GALACTIC_FACTOR = 1.3
MODEL = "galactic nuclei of Matthia et al. 2013, without a shield, by F10.7"
CM2 = 1e-4  # m2
DAY = 86_400.0


def wolf_number(flux: float) -> float:
    """W of a smoothed F10.7 in 1e-22 W/(m2 Hz), zero below 63.7."""
    return float((-0.728 + np.sqrt(0.728**2 + 4 * 0.00089 * max(flux - 63.7, 0.0))) / (2 * 0.00089))


def nuclei_flux(
    energy: Float[np.ndarray, " E"], nucleus: Float[np.ndarray, "5"], wolf: float
) -> Float[np.ndarray, " E"]:
    """Flux of a row of `NUCLEI` far from Earth's field, 1/(m2 s sr GeV/n). energy: GeV per nucleon."""
    charge, mass, constant, gamma, alpha = nucleus
    momentum = np.sqrt(energy * (energy + 2 * REST))
    rigidity, speed = mass / charge * momentum, momentum / (energy + REST)
    modulation = (rigidity / (rigidity + 0.37 + 3e-4 * wolf**1.45)) ** (0.02 * wolf + 4.7)
    return 1e3 * constant * speed ** (alpha - 1) / rigidity**gamma * modulation * mass / charge


def galactic_dose(flux: float, transmitted: Float[np.ndarray, " R"]) -> float:
    """Ionising dose in silicon, rad per day, in a month with the smoothed F10.7 ``flux``.

    transmitted: share of what is far from Earth that arrives at each `RIGIDITY`.
    """
    wolf, silicon, total = wolf_number(flux), matter("Si"), 0.0
    for nucleus in NUCLEI:
        charge, mass = nucleus[:2]
        energy = np.sqrt((charge / mass * RIGIDITY) ** 2 + REST**2) - REST
        highest = float(silicon.proton_energy.values[-1])
        stopping = log_interpolated(np.minimum(1e3 * energy, highest), silicon.proton_stopping)
        per_second = (
            4
            * np.pi
            * CM2
            * np.trapezoid(transmitted * nuclei_flux(energy, nucleus, wolf) * np.asarray(stopping), energy)
        )
        total += RAD * charge**2 * per_second * DAY
    return float(total)
