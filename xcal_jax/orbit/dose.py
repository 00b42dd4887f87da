"""Total ionising dose and displacement damage of the silicon behind a mission's shield, month by month.

Not covered, as every file states: straggling; behind layers, the rest of the satellite. Solar protons, galactic nuclei
and nuclear reactions of protons must be asked for.
"""

import warnings
from collections.abc import Sequence
from functools import partial
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
from xcal_jax.orbit.fluence import mission_fluence
from xcal_jax.orbit.galactic import GALACTIC_FACTOR
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
from xcal_jax.units import shown

GEOMETRIES = ("slab", "sphere")
PARTICLES = {"proton": proton_doses, "electron": electron_doses}
BEYOND_CUTOFF = 10_000.0  # km: solar particles reach these orbits without a geomagnetic cut-off
NOT_COVERED = (
    "nuclear reactions of protons (5 % of their TID) unless reactions are set, and then neutrons from the shield; "
    "straggling; galactic particles and solar protons unless galactic and solar_protons are set; what is not in the "
    "shield; electrons in lead and tungsten are some ten per cent too few"
)


def check_geometry(geometry: str, sides: int, sectors: Sequence) -> None:
    """Raise ValueError for an unknown geometry, other sides than 1 or 2, or several sectors in a slab."""
    if geometry not in GEOMETRIES:
        raise ValueError(f"`geometry` must be slab or sphere, but is {shown(geometry)}")
    if sides not in (1, 2):
        raise ValueError(f"`sides` of a slab must be 1 or 2, but is {sides}")
    if len(sectors) > 1 and geometry != "sphere":
        raise ValueError(f"`geometry` of a shield in {len(sectors)} sectors must be sphere, but is {geometry}")


def dose_of_spectrum(
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
    """Dose in silicon from the photons that a fluence of electrons makes in ``shield``, rad.

    The rest is as in `dose_of_spectrum`.
    """
    return photon_doses(_paths(shield, geometry, sides, rays), jnp.asarray(energy), jnp.asarray(fluence)[None, :])[0]


def _paths(shield: Shield | MassModel, geometry: str, sides: int, rays: int) -> Paths:
    if isinstance(shield, MassModel):
        return rays_of(shield, rays)
    check_geometry(geometry, sides, [shield])
    return paths_through(shield, geometry, sides)


@partial(jax.jit, static_argnames="reactions")
def _protons(paths: Paths, energy, fluence, reactions: bool):
    """Doses of S segments, (S, 2) rad and 1 MeV neutrons/cm2, and the fluence behind the shield, (S, A)."""
    arriving = arriving_spectra(paths, energy, fluence, reactions)
    return arriving_doses(arriving, reactions), arriving


@jax.jit
def _electrons(paths: Paths, energy, fluence):
    """Doses of S segments, (S, 2) rad and 1 MeV neutrons/cm2; of their photons, (S,) rad."""
    return electron_doses(paths, energy, fluence), photon_doses(paths, energy, fluence)


@checked
def dose_behind(
    fluence: xr.Dataset,
    shield: Shield | MassModel | Sequence[tuple[float, Shield]],
    geometry: str = "slab",
    sides: int = 2,
    reactions: bool = False,
    rays: int = RAYS,
) -> xr.Dataset:
    """The mission's ``fluence`` (of `mission_fluence`) with dose and damage behind ``shield``.

    shield: layers; solid-angle fractions with layers each (solid sphere); or a mass model, looked at along so many
    ``rays``. reactions: count nuclear reactions of protons. Those that react do not arrive; in TID their charged
    secondaries stop where they arise; in TNID no nucleons from the shield take their place, so that it is a lower edge.

    Adds per ``segment`` `tid_proton`, `tid_electron` (with `tid_bremsstrahlung`, its part by photons) and `tid` in Si,
    cGy (1 cGy = 1 rad); `neq_proton`, `neq_electron` and `neq` in 1 MeV neutrons/cm2; `tid` and `neq` also per day;
    accumulated: `tid_accumulated` and `fluence`, which `xcal_jax.sipm` reads against `days`, and the band of the models
    around them: `tid_lower`, `tid_upper`, `neq_lower`, `neq_upper`; the trapped protons behind the shield,
    `proton_fluence_behind`. With solar protons in ``fluence`` also `tid_solar` and `neq_solar`, which are in the sums;
    the lower edges have those of the opposite confidence; and so is `tid_galactic`. Warns where electrons dominate.
    Raises ValueError as `check_geometry` and `check_rays`.
    """
    sectors = [(1.0, shield)] if isinstance(shield, Shield | MassModel) else list(shield)
    check_geometry(geometry, sides, sectors)
    check_rays(rays)
    spectra = [
        jnp.asarray(fluence[name].values)
        for name in ("proton_energy", "proton_fluence", "electron_energy", "electron_fluence")
    ]
    size, days = fluence.sizes["segment"], fluence.length.values
    energy = np.exp(arriving_grid())
    proton, electron, photons = np.zeros((size, 2)), np.zeros((size, 2)), np.zeros(size)
    arriving = np.zeros((size, energy.size))
    for fraction, one in sectors:
        paths = _paths(one, geometry, sides, rays)
        parts = (*_protons(paths, *spectra[:2], reactions), *_electrons(paths, *spectra[2:]))
        for total, part in zip((proton, arriving, electron, photons), parts, strict=True):
            total += fraction * np.asarray(part, float)
    electron[:, 0] += photons
    solar, least = _solar_doses(fluence, sectors, geometry, sides, rays, reactions)
    trapped = proton + electron
    nuclei = np.zeros((size, 2))
    if "tid_galactic" in fluence:
        nuclei[:, 0] = fluence["tid_galactic"]
    total = trapped + solar + nuclei
    factor = float(fluence.attrs["model_factor"])
    lower, upper = (
        np.cumsum(trapped / factor + least + nuclei / GALACTIC_FACTOR, 0),
        np.cumsum(trapped * factor + solar + nuclei * GALACTIC_FACTOR, 0),
    )
    ionising, displacing = "total ionising dose in Si", "1 MeV neutron equivalent fluence"
    columns = {
        "tid_proton": (proton[:, 0], "cGy", f"{ionising} by protons"),
        "tid_electron": (electron[:, 0], "cGy", f"{ionising} by electrons and their photons"),
        "tid_bremsstrahlung": (photons, "cGy", f"{ionising} by bremsstrahlung"),
        "tid": (total[:, 0], "cGy", ionising),
        "tid_per_day": (total[:, 0] / days, "cGy/d", f"{ionising} per day"),
        "tid_accumulated": (np.cumsum(total[:, 0]), "cGy", f"{ionising}, accumulated"),
        "tid_lower": (lower[:, 0], "cGy", f"{ionising}, accumulated, if the models are high"),
        "tid_upper": (upper[:, 0], "cGy", f"{ionising}, accumulated, if the models are low"),
        "neq_proton": (proton[:, 1], "1/cm2", f"{displacing} of protons"),
        "neq_electron": (electron[:, 1], "1/cm2", f"{displacing} of electrons"),
        "neq": (total[:, 1], "1/cm2", displacing),
        "neq_per_day": (total[:, 1] / days, "1/(cm2 d)", f"{displacing} per day"),
        "fluence": (np.cumsum(total[:, 1]), "1/cm2", f"{displacing}, accumulated"),
        "neq_lower": (lower[:, 1], "1/cm2", f"{displacing}, accumulated, if the models are high"),
        "neq_upper": (upper[:, 1], "1/cm2", f"{displacing}, accumulated, if the models are low"),
    }
    if "solar_proton_fluence" in fluence:
        columns["tid_solar"] = (solar[:, 0], "cGy", f"{ionising} by solar protons")
        columns["neq_solar"] = (solar[:, 1], "1/cm2", f"{displacing} of solar protons")
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
        "reactions": int(reactions),
        "not_covered": NOT_COVERED,
    }
    if isinstance(shield, MassModel):
        result.attrs.setdefault("satellite", shield.name)
    highest = float(fluence.altitude.max())
    told = []
    if highest > BEYOND_CUTOFF and "solar_proton_fluence" not in fluence:
        told.append(
            f"solar protons are left out, and may lead at {highest:.0f} km: solar_protons=0.95 (--solar-protons 0.95) "
            "adds those that are not exceeded with 95 %"
        )
    by_electrons, by_protons = electron[:, 0].sum(), proton[:, 0].sum()
    if by_electrons > by_protons:
        told.append(
            f"electrons dominate behind {described or 'no shield'}: {by_electrons:.3g} of "
            f"{by_electrons + by_protons:.3g} rad"
        )
    for message in told:
        warnings.warn(message, stacklevel=2)
    if told:
        result.attrs["warning"] = "; ".join(told)
    return result


def _solar_doses(
    fluence: xr.Dataset, sectors: Sequence, geometry: str, sides: int, rays: int, reactions: bool
) -> Float[np.ndarray, "2 S 2"]:
    """Doses of the solar protons, rad and 1 MeV neutrons/cm2: at their confidence and the opposite one; else zero."""
    found = np.zeros((2, fluence.sizes["segment"], 2))
    if "solar_proton_fluence" not in fluence:
        return found
    names = ("solar_proton_fluence", "solar_proton_fluence_low")
    rows = jnp.concatenate([jnp.asarray(fluence[name].values) for name in names])
    energy = jnp.asarray(fluence["proton_energy"].values)
    for fraction, one in sectors:
        each, _ = _protons(_paths(one, geometry, sides, rays), energy, rows, reactions)
        found += fraction * np.asarray(each, float).reshape(found.shape)
    return found


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
    reactions: bool = False,
    rays: int = RAYS,
    **flight: Any,
) -> xr.Dataset:
    """Dose and damage on ``orbit`` behind ``shield``: `mission_fluence`, then `dose_behind`.

    shield: as there, or text like ``"Al:1mm,Pb:2.5mm"``. flight: `start`, `end`, `activity`, `step`, `progress`,
    `solar_protons` and `galactic` of `mission_fluence`. Raises ValueError as these two do, for a wrong geometry or
    number of rays before any work.
    """
    sectors = parse_sectors(shield) if isinstance(shield, str) else shield
    check_geometry(geometry, sides, [] if isinstance(sectors, Shield | MassModel) else sectors)
    check_rays(rays)
    return dose_behind(mission_fluence(orbit, **flight), sectors, geometry, sides, reactions, rays)
