"""Total ionising dose and displacement damage of the silicon behind a mission's shield, month by month.

Not covered, as every file states: nuclear secondaries (5-6 %; `nuclear_factor` multiplies the protons' ionising dose
by a number the user gives), straggling, galactic and solar particles; behind layers, the rest of the satellite.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from xcal_jax.io.arguments import checked
from xcal_jax.io.datasets import variable
from xcal_jax.orbit.bremsstrahlung import photon_doses
from xcal_jax.orbit.electrons import electron_doses
from xcal_jax.orbit.elements import Altitudes, Elements
from xcal_jax.orbit.fluence import NAMED, mission_fluence
from xcal_jax.orbit.mass_model import MassModel
from xcal_jax.orbit.rays import RAYS, check_rays, rays_of
from xcal_jax.orbit.shielding import (
    Paths,
    Shield,
    arriving_doses,
    arriving_grid,
    arriving_spectra,
    parse_sectors,
    paths_through,
    proton_doses,
)
from xcal_jax.units import parse_quantity, shown

GEOMETRIES = ("slab", "sphere")
PARTICLES = {"proton": proton_doses, "electron": electron_doses}
BEYOND_CUTOFF = 10_000.0  # km: solar particles reach these orbits without a geomagnetic cut-off
NOT_COVERED = (
    "nuclear secondaries (5-6 %) unless nuclear_factor is set; straggling; galactic and solar particles; "
    "what is not in the shield; electrons in lead and tungsten are some ten per cent too few"
)


def check_geometry(geometry: str, sides: int, sectors: Sequence) -> None:
    """Raise ValueError for an unknown geometry, other sides than 1 or 2, or several sectors in a slab."""
    if geometry not in GEOMETRIES:
        raise ValueError(f"`geometry` must be slab or sphere, but is {shown(geometry)}")
    if sides not in (1, 2):
        raise ValueError(f"`sides` of a slab must be 1 or 2, but is {sides}")
    if len(sectors) > 1 and geometry != "sphere":
        raise ValueError(f"`geometry` of a shield in {len(sectors)} sectors must be sphere, but is {geometry}")


def dose(
    particle: str,
    shield: Shield | MassModel,
    energy: Float[ArrayLike, " E"],
    fluence: Float[ArrayLike, " E"],
    geometry: str = "slab",
    sides: int = 2,
    rays: int = RAYS,
) -> Float[Array, "2"]:
    """Ionising dose, rad, and displacement damage, 1 MeV neutrons/cm2, in silicon behind ``shield``.

    particle: "proton" or "electron" (without its photons). energy: MeV. fluence: omnidirectional, 1/(cm2 MeV).
    geometry, sides: of layers, as in `paths_through`. rays: of a mass model. Differentiable in ``shield.thickness``
    and ``fluence``. Raises ValueError for another particle, and as `check_geometry` and `check_rays`.
    """
    if particle not in PARTICLES:
        raise ValueError(f"`particle` must be one of {', '.join(PARTICLES)}, but is {shown(particle)}")
    return PARTICLES[particle](
        _paths(shield, geometry, sides, rays), jnp.asarray(energy), jnp.asarray(fluence)[None, :]
    )[0]


def bremsstrahlung_dose(
    shield: Shield | MassModel,
    energy: Float[ArrayLike, " E"],
    fluence: Float[ArrayLike, " E"],
    geometry: str = "slab",
    sides: int = 2,
    rays: int = RAYS,
) -> Float[Array, ""]:
    """Dose in silicon from the photons that a fluence of electrons makes in ``shield``, rad; the rest as in `dose`."""
    return photon_doses(_paths(shield, geometry, sides, rays), jnp.asarray(energy), jnp.asarray(fluence)[None, :])[0]


def _paths(shield: Shield | MassModel, geometry: str, sides: int, rays: int) -> Paths:
    if isinstance(shield, MassModel):
        return rays_of(shield, rays)
    check_geometry(geometry, sides, [shield])
    return paths_through(shield, geometry, sides)


@jax.jit
def _doses(paths: Paths, proton_energy, protons, electron_energy, electrons):
    """Doses of S segments: protons and electrons, (S, 2) rad and 1 MeV neutrons/cm2 each; photons, (S,) rad.

    The fourth is the fluence of protons behind the shield, (S, A).
    """
    arriving = arriving_spectra(paths, proton_energy, protons)
    return (
        arriving_doses(arriving),
        electron_doses(paths, electron_energy, electrons),
        photon_doses(paths, electron_energy, electrons),
        arriving,
    )


@checked
def dose_behind(
    fluence: xr.Dataset,
    shield: Shield | MassModel | Sequence[tuple[float, Shield]],
    geometry: str = "slab",
    sides: int = 2,
    nuclear_factor: float = 1.0,
    rays: int = RAYS,
) -> xr.Dataset:
    """The mission's ``fluence`` (of `mission_fluence`) with dose and damage behind ``shield``.

    shield: layers; solid-angle fractions with layers each (solid sphere); or a mass model, looked at along so many
    ``rays``. nuclear_factor: multiplies the ionising dose of protons, and not their displacement damage.

    Adds per ``segment`` `tid_proton`, `tid_electron` (with `tid_bremsstrahlung`, its part by photons) and `tid` in Si,
    cGy (1 cGy = 1 rad); `neq_proton`, `neq_electron` and `neq` in 1 MeV neutrons/cm2; `tid` and `neq` also per day;
    accumulated: `tid_accumulated` and `fluence`, which `xcal_jax.sipm` reads against `days`, and the band of the models
    around them: `tid_lower`, `tid_upper`, `neq_lower`, `neq_upper`; the protons behind the shield,
    `proton_fluence_behind`. Warns where electrons dominate.
    Raises ValueError as `check_geometry` and `check_rays`, and for a ``nuclear_factor`` that is not from 0 to 10.
    """
    sectors = [(1.0, shield)] if isinstance(shield, Shield | MassModel) else list(shield)
    check_geometry(geometry, sides, sectors)
    check_rays(rays)
    parse_quantity(nuclear_factor, "", "nuclear_factor", least=0.0, most=10.0)
    spectra = [
        jnp.asarray(fluence[name].values)
        for name in ("proton_energy", "proton_fluence", "electron_energy", "electron_fluence")
    ]
    size, days = fluence.sizes["segment"], fluence.length.values
    energy = np.exp(arriving_grid())
    proton, electron, photons = np.zeros((size, 2)), np.zeros((size, 2)), np.zeros(size)
    arriving = np.zeros((size, energy.size))
    for fraction, one in sectors:
        parts = [np.asarray(part, float) for part in _doses(_paths(one, geometry, sides, rays), *spectra)]
        proton += fraction * parts[0]
        electron += fraction * parts[1]
        photons += fraction * parts[2]
        arriving += fraction * parts[3]
    proton[:, 0] *= nuclear_factor
    electron[:, 0] += photons
    total = proton + electron
    factor = float(fluence.attrs["model_factor"])
    ionising, displacing = "total ionising dose in Si", "1 MeV neutron equivalent fluence"
    columns = {
        "tid_proton": (proton[:, 0], "cGy", f"{ionising} by protons"),
        "tid_electron": (electron[:, 0], "cGy", f"{ionising} by electrons and their photons"),
        "tid_bremsstrahlung": (photons, "cGy", f"{ionising} by bremsstrahlung"),
        "tid": (total[:, 0], "cGy", ionising),
        "tid_per_day": (total[:, 0] / days, "cGy/d", f"{ionising} per day"),
        "tid_accumulated": (np.cumsum(total[:, 0]), "cGy", f"{ionising}, accumulated"),
        "tid_lower": (np.cumsum(total[:, 0]) / factor, "cGy", f"{ionising}, accumulated, if the models are high"),
        "tid_upper": (np.cumsum(total[:, 0]) * factor, "cGy", f"{ionising}, accumulated, if the models are low"),
        "neq_proton": (proton[:, 1], "1/cm2", f"{displacing} of protons"),
        "neq_electron": (electron[:, 1], "1/cm2", f"{displacing} of electrons"),
        "neq": (total[:, 1], "1/cm2", displacing),
        "neq_per_day": (total[:, 1] / days, "1/(cm2 d)", f"{displacing} per day"),
        "fluence": (np.cumsum(total[:, 1]), "1/cm2", f"{displacing}, accumulated"),
        "neq_lower": (np.cumsum(total[:, 1]) / factor, "1/cm2", f"{displacing}, accumulated, if the models are high"),
        "neq_upper": (np.cumsum(total[:, 1]) * factor, "1/cm2", f"{displacing}, accumulated, if the models are low"),
    }
    result = fluence.assign({name: variable("segment", *column) for name, column in columns.items()})
    result = result.assign_coords(
        arriving_energy=variable("arriving_energy", energy, "MeV", "energy behind the shield")
    )
    result["proton_fluence_behind"] = variable(
        ("segment", "arriving_energy"), arriving, "1/(cm2 MeV)", "proton fluence of the segment behind the shield"
    )
    described = str(sectors[0][1]) if len(sectors) == 1 else "; ".join(f"{f:g}*{one}" for f, one in sectors)
    result.attrs |= {
        "title": "Ionising dose and displacement damage of silicon in orbit",
        "shield": described,
        "geometry": _geometry(shield, geometry, sides, rays),
        "nuclear_factor": nuclear_factor,
        "not_covered": NOT_COVERED,
    }
    highest = float(fluence.altitude.max())
    if highest > BEYOND_CUTOFF:
        warnings.warn(
            f"solar and galactic particles are left out, and may lead at {highest:.0f} km: solar protons above all",
            stacklevel=2,
        )
    by_electrons, by_protons = electron[:, 0].sum(), proton[:, 0].sum()
    if by_electrons > by_protons:
        message = (
            f"electrons dominate behind {described or 'no shield'}: {by_electrons:.3g} of "
            f"{by_electrons + by_protons:.3g} rad"
        )
        result.attrs["warning"] = message
        warnings.warn(message, stacklevel=2)
    return result


def _geometry(shield: Any, geometry: str, sides: int, rays: int) -> str:
    """The geometry in words."""
    if isinstance(shield, MassModel):
        return f"boxes, {rays} rays"
    return geometry if geometry == "sphere" else f"slab, {'both sides' if sides == 2 else 'one side'}"


@checked
def mission_dose(
    orbit: Elements | Altitudes,
    shield: str | Shield | MassModel | Sequence[tuple[float, Shield]],
    geometry: str = "slab",
    sides: int = 2,
    nuclear_factor: float = 1.0,
    rays: int = RAYS,
    **flight: Any,
) -> xr.Dataset:
    """Dose and damage on ``orbit`` behind ``shield``: `mission_fluence`, then `dose_behind`.

    shield: as there, or text like ``"Al:1mm,Pb:2.5mm"``. flight: `start`, `end`, `activity`, `step` and `progress` of
    `mission_fluence`. Raises ValueError as these two do, for a wrong geometry or number of rays before any work.
    """
    sectors = parse_sectors(shield) if isinstance(shield, str) else shield
    check_geometry(geometry, sides, [] if isinstance(sectors, Shield | MassModel) else sectors)
    check_rays(rays)
    return dose_behind(mission_fluence(orbit, **flight), sectors, geometry, sides, nuclear_factor, rays)


@checked
def report(result: xr.Dataset) -> dict:
    """Doses and fluxes of a result of `dose_behind` as plain values, for JSON."""
    segments = []
    for i in range(result.sizes["segment"]):
        one = result.isel(segment=i)
        segments.append(
            {
                "start": str(one.start.values.astype("M8[s]")),
                "end": str(one.end.values.astype("M8[s]")),
                "altitude_km": float(one.altitude),
                "tid_rad": float(one.tid),
                "neq_cm2": float(one.neq),
                "flux": {name: float(one.named_flux.sel(named=name)) for name in NAMED},
            }
        )
    return {
        "tid_rad": float(result.tid.sum()),
        "tid_rad_proton": float(result.tid_proton.sum()),
        "tid_rad_electron": float(result.tid_electron.sum()),
        "tid_rad_band": [float(result.tid_lower[-1]), float(result.tid_upper[-1])],
        "neq_cm2": float(result.neq.sum()),
        "neq_cm2_proton": float(result.neq_proton.sum()),
        "neq_cm2_electron": float(result.neq_electron.sum()),
        "neq_cm2_band": [float(result.neq_lower[-1]), float(result.neq_upper[-1])],
        "days": float(result.length.sum()),
        "segments": segments,
    }
