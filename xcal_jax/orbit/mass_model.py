"""A satellite of boxes and plates: a TOML file -> axis-parallel solids whose faces move with their thicknesses, in JAX.

A box is solid, or has a `wall`: then `size` is what it holds, and six plates of that thickness stand around it. A plate
has its inner face at `centre` and grows along `normal` by its `thickness`. Lengths are in mm, x, y and z those of the
file. Nothing overlaps, so that the path in a material is the sum of the paths in its solids.
"""

import os
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from xcal_jax.io import toml
from xcal_jax.orbit.material_tables import known_density
from xcal_jax.units import parse_quantity

KEYS = ("name", "remarks", "detector", "boxes", "plates")
BOX_KEYS = ("name", "material", "density", "centre", "size", "wall")
PLATE_KEYS = ("name", "material", "density", "centre", "size", "normal", "thickness")
AXES = {"x": 0, "y": 1, "z": 2}
SHIPPED = {"GRBAlpha": "grbalpha.toml", "VZLUSAT-2": "vzlusat2.toml"}
CORNERS = ("low", "high", "low_slope", "high_slope")
TOUCH = 1e-6  # mm that neighbours may share


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MassModel:
    """B axis-parallel solids around a detector.

    thickness: (T,) mm, of walls and plates. low, high: (B, 3) mm, corners where all thicknesses are zero. low_slope,
    high_slope: (B, 3), how far they move with the thickness that each solid follows. density: (B,) g/cm3.
    detector: (3,) mm, its centre. detector_size: (3,) mm, zero for a point. Static: name; materials, of which the
    solids are made, the outermost first; made_of, the one of each solid; follows, the thickness of each solid (-1:
    none); parts, the names of the thicknesses; solids, the names of the solids.
    """

    thickness: jax.Array
    low: jax.Array
    high: jax.Array
    low_slope: jax.Array
    high_slope: jax.Array
    density: jax.Array
    detector: jax.Array
    detector_size: jax.Array
    name: str = field(metadata={"static": True})
    materials: tuple[str, ...] = field(metadata={"static": True})
    made_of: tuple[int, ...] = field(metadata={"static": True})
    follows: tuple[int, ...] = field(metadata={"static": True})
    parts: tuple[str, ...] = field(metadata={"static": True})
    solids: tuple[str, ...] = field(metadata={"static": True})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "MassModel":
        """The model in a TOML file, or the shipped one of "GRBAlpha" or "VZLUSAT-2" (partly chosen: see the files).

        Raises ValueError as `build`, and for what is no TOML.
        """
        shipped = SHIPPED.get(str(path))
        file = files("xcal_jax.orbit") / "satellites" / shipped if shipped else path
        return cls.build(toml.read(str(file), "mass model"), f"mass model {str(path)!r}")

    @classmethod
    def build(cls, table: dict[str, Any], where: str = "mass model") -> "MassModel":
        """The model that ``table`` describes; where: what errors call it.

        Raises ValueError for unknown or missing keys, what is no length, sizes not positive, unknown materials, solids
        that overlap, and a detector that lies in one.
        """
        toml.check_keys(table, KEYS, ("detector",), where)
        solids: list[dict] = []
        parts: dict[str, float] = {}
        for kind, read in (("boxes", _read_box), ("plates", _read_plate)):
            for number, entry in enumerate(toml.table_list(table.get(kind, []), kind, where), 1):
                name = str(entry.get("name", f"{kind} {number}"))
                if name in {solid["name"] for solid in solids}:
                    raise ValueError(f"names must differ, but {where} has two {name!r}")
                solids += read(entry, name, f"{name!r} in {where}", parts)
        if not solids:
            raise ValueError(f"{where} must have [[boxes]] or [[plates]], but has none")
        centre, size = _read_detector(table["detector"], f"detector in {where}")
        names = _outermost_first(solids, centre)
        listed = list(parts)
        corners = {key: jnp.asarray([solid[key] for solid in solids], float) for key in CORNERS}
        model = cls(
            **corners,
            thickness=jnp.asarray(list(parts.values()), float).reshape(-1),
            density=jnp.asarray([solid["density"] for solid in solids], float),
            detector=jnp.asarray(centre, float),
            detector_size=jnp.asarray(size, float),
            name=str(table.get("name", where)),
            materials=names,
            made_of=tuple(names.index(solid["material"]) for solid in solids),
            follows=tuple(listed.index(solid["part"]) if solid["part"] else -1 for solid in solids),
            parts=tuple(parts),
            solids=tuple(solid["name"] for solid in solids),
        )
        _check_places(model, where)
        return model

    def with_thickness(self, thickness: Any) -> "MassModel":
        """The same model with other thicknesses, (T,) mm."""
        return replace(self, thickness=jnp.asarray(thickness))

    def part(self, name: str) -> int:
        """Index of the thickness of the wall or plate ``name``. Raises ValueError where there is none."""
        if name not in self.parts:
            raise ValueError(f"thickness must be of one of {', '.join(self.parts)}, but is of {name!r}")
        return self.parts.index(name)

    def corners(self) -> tuple[Float[jax.Array, "B 3"], Float[jax.Array, "B 3"]]:
        """Lower and upper corners of the solids, mm."""
        padded = jnp.append(self.thickness, jnp.zeros((), self.thickness.dtype))
        thickness = padded[np.array(self.follows)][:, None]
        return self.low + self.low_slope * thickness, self.high + self.high_slope * thickness

    def __str__(self) -> str:
        """Name and number of solids."""
        return f"{self.name} ({len(self.solids)} solids)"


def _outermost_first(solids: list[dict], centre: np.ndarray) -> tuple[str, ...]:
    """Materials by the mean distance of their solids from ``centre``, the farthest first."""
    distances: dict[str, list[float]] = {}
    for solid in solids:
        away = float(np.linalg.norm((solid["low"] + solid["high"]) / 2 - centre))
        distances.setdefault(solid["material"], []).append(away)
    return tuple(sorted(distances, key=lambda name: -float(np.mean(distances[name]))))


def _length(value: Any, name: str, where: str, least: float = -np.inf) -> float:
    number = parse_quantity(value, "mm", f"{name} of {where}")
    if not number > least:
        raise ValueError(f"`{name}` must be positive, but that of {where} has {number:g} mm")
    return number


def _lengths(value: Any, name: str, where: str, count: int, least: float = -np.inf) -> np.ndarray:
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"`{name}` of {where} must be {count} lengths, but is {value!r}")
    return np.array([_length(one, name, where, least) for one in value])


def _matter(entry: dict, where: str) -> tuple[str, float]:
    material = str(entry["material"])
    if "density" not in entry:
        return material, known_density(material, where)
    known_density(material, where, needed=False)
    density = parse_quantity(entry["density"], "g/cm3", f"density of {where}")
    if not density > 0:
        raise ValueError(f"`density` must be positive, but that of {where} has {density:g} g/cm3")
    return material, density


def _solid(name: str, matter: tuple[str, float], low: np.ndarray, high: np.ndarray, part: str = "") -> dict:
    nothing = np.zeros(3)
    solid = {"name": name, "low": low, "high": high, "low_slope": nothing, "high_slope": nothing, "part": part}
    return solid | {"material": matter[0], "density": matter[1]}


def _read_box(entry: Any, name: str, where: str, parts: dict[str, float]) -> list[dict]:
    """One solid, or the six plates around a hollow box."""
    toml.check_keys(entry, BOX_KEYS, ("material", "centre", "size"), where)
    centre, size = _lengths(entry["centre"], "centre", where, 3), _lengths(entry["size"], "size", where, 3, 0.0)
    matter, low, high = _matter(entry, where), centre - size / 2, centre + size / 2
    if "wall" not in entry:
        return [_solid(name, matter, low, high)]
    parts[name] = _length(entry["wall"], "wall", where, 0.0)
    plates = []
    for axis, letter in enumerate("xyz"):
        around = (np.arange(3) < axis).astype(float)  # the faces before it have their corners: no place is taken twice
        beside = (np.arange(3) == axis).astype(float)
        for sign, side in ((1, "+"), (-1, "-")):
            plate = _solid(f"{name} {side}{letter}", matter, low.copy(), high.copy(), name)
            plate["low" if sign > 0 else "high"][axis] = (high if sign > 0 else low)[axis]
            plate["low_slope"], plate["high_slope"] = -around, around
            moving = "high_slope" if sign > 0 else "low_slope"
            plate[moving] = plate[moving] + sign * beside
            plates.append(plate)
    return plates


def _read_plate(entry: Any, name: str, where: str, parts: dict[str, float]) -> list[dict]:
    toml.check_keys(entry, PLATE_KEYS, ("material", "centre", "size", "normal", "thickness"), where)
    normal = str(entry["normal"])
    if normal[:1] not in ("+", "-") or normal[1:] not in AXES:
        raise ValueError(f"`normal` of {where} must be one of +x, -x, +y, -y, +z, -z, but is {normal!r}")
    axis, sign = AXES[normal[1]], 1 if normal[0] == "+" else -1
    centre, across = _lengths(entry["centre"], "centre", where, 3), _lengths(entry["size"], "size", where, 2, 0.0)
    half = np.insert(across / 2, axis, 0.0)
    parts[name] = _length(entry["thickness"], "thickness", where, 0.0)
    plate = _solid(name, _matter(entry, where), centre - half, centre + half, name)
    plate["high_slope" if sign > 0 else "low_slope"] = sign * (np.arange(3) == axis).astype(float)
    return [plate]


def _read_detector(entry: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    toml.check_keys(entry, ("centre", "size"), ("centre",), where)
    size = _lengths(entry["size"], "size", where, 3, 0.0) if "size" in entry else np.zeros(3)
    return _lengths(entry["centre"], "centre", where, 3), size


def _check_places(model: MassModel, where: str) -> None:
    """Raise ValueError where two solids overlap, or the detector lies in one."""
    low, high = (np.asarray(corner, float) for corner in model.corners())
    for one, other in combinations(range(len(low)), 2):
        shared = np.minimum(high[one], high[other]) - np.maximum(low[one], low[other])
        if (shared > TOUCH).all():
            raise ValueError(
                f"solids must not overlap, but {model.solids[one]!r} and {model.solids[other]!r} in {where} share "
                f"{' x '.join(f'{s:g}' for s in shared)} mm"
            )
    half, centre = np.asarray(model.detector_size, float) / 2, np.asarray(model.detector, float)
    half = np.maximum(half - TOUCH, 0.0)
    for number in range(len(low)):
        if ((high[number] > centre - half) & (low[number] < centre + half)).all():
            raise ValueError(
                f"the detector must lie in free space, but in {where} it is in {model.solids[number]!r}, "
                f"of {model.materials[model.made_of[number]]}"
            )
