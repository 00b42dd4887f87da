"""A satellite of boxes and plates: a TOML file -> axis-parallel solids whose faces move with their thicknesses, in JAX.

A box is solid, or has a `wall`: then `size` is what it holds, and six plates of that thickness stand around it. A plate
has its inner face at `centre` and grows along `normal` by its `thickness`. Lengths are in mm, x, y and z those of the
file. Nothing overlaps, so that the path in a material is the sum of the paths in its solids.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, NotRequired

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from typing_extensions import TypedDict

from xcal_jax.io import toml
from xcal_jax.io.arguments import checked
from xcal_jax.io.schema import Density, listed, one_of, quantity
from xcal_jax.orbit.material_tables import known_density
from xcal_jax.units import shown, shown_path

LARGEST = 1e7  # mm; ten kilometres of satellite are a typing error
NORMALS = {"+x": (0, 1), "-x": (0, -1), "+y": (1, 1), "-y": (1, -1), "+z": (2, 1), "-z": (2, -1)}
SHIPPED = {"GRBAlpha": "grbalpha.toml", "VZLUSAT-2": "vzlusat2.toml"}
CORNERS = ("low", "high", "low_slope", "high_slope")
TOUCH = 1e-6  # mm that neighbours may share

Place = Annotated[float, quantity("mm", least=-LARGEST, most=LARGEST)]
Size = Annotated[float, quantity("mm", above=0.0, most=LARGEST)]


class DetectorTable(TypedDict):
    """The table [detector] of a TOML file: a point, or a volume."""

    centre: Annotated[list[Place], listed(3, 3)]
    size: NotRequired[Annotated[list[Size], listed(3, 3)]]


class PartTable(TypedDict):
    """The keys that the tables [[boxes]] and [[plates]] of a TOML file have in common."""

    name: NotRequired[str]
    material: str
    density: NotRequired[Density]
    centre: Annotated[list[Place], listed(3, 3)]


class BoxTable(PartTable):
    """A table [[boxes]]: solid, or hollow with a wall."""

    size: Annotated[list[Size], listed(3, 3)]
    wall: NotRequired[Size]


class PlateTable(PartTable):
    """A table [[plates]]."""

    size: Annotated[list[Size], listed(2, 2)]
    normal: Annotated[str, one_of(*NORMALS)]
    thickness: Size


class ModelTable(TypedDict):
    """The TOML file of a satellite."""

    name: NotRequired[str]
    remarks: NotRequired[str]
    detector: DetectorTable
    boxes: NotRequired[list[BoxTable]]
    plates: NotRequired[list[PlateTable]]


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
    @checked
    def load(cls, path: str | os.PathLike[str]) -> "MassModel":
        """The model in a TOML file, or the shipped one of "GRBAlpha" or "VZLUSAT-2" (partly chosen: see the files).

        Raises ValueError as `build`, and for what is no TOML.
        """
        shipped = SHIPPED.get(str(path))
        file = Path(str(files("xcal_jax.orbit") / "satellites" / shipped)) if shipped else Path(path)
        if not file.is_file():
            raise ValueError(
                f"mass model must be one of {', '.join(SHIPPED)}, or a TOML file, but is {shown_path(path)}"
            )
        return cls._of(toml.read(file, "mass model", ModelTable), f"mass model {shown_path(path)}")

    @classmethod
    @checked
    def build(cls, table: Mapping[str, Any], where: str = "mass model") -> "MassModel":
        """The model that ``table`` describes, as a TOML file would; where: what errors call it.

        Raises ValueError for unknown or missing keys, what is no length, sizes not positive, unknown materials, solids
        that overlap, and a detector that lies in one.
        """
        return cls._of(toml.check(table, where, ModelTable), where)

    @classmethod
    def _of(cls, table: ModelTable, where: str) -> "MassModel":
        solids: list[dict] = []
        parts: dict[str, float] = {}
        boxes, plates = table.get("boxes", []), table.get("plates", [])
        titles = _names(boxes, plates, where)
        for name, box in zip(titles, boxes, strict=False):
            solids += _read_box(box, name, f"{shown(name)} in {where}", parts)
        for name, plate in zip(titles[len(boxes) :], plates, strict=True):
            solids += _read_plate(plate, name, f"{shown(name)} in {where}", parts)
        if not solids:
            raise ValueError(f"{where} must have [[boxes]] or [[plates]], but has none")
        centre = np.array(table["detector"]["centre"])
        names = _outermost_first(solids, centre)
        listed = list(parts)
        corners = {key: jnp.asarray([solid[key] for solid in solids], float) for key in CORNERS}
        model = cls(
            **corners,
            thickness=jnp.asarray(list(parts.values()), float).reshape(-1),
            density=jnp.asarray([solid["density"] for solid in solids], float),
            detector=jnp.asarray(centre, float),
            detector_size=jnp.asarray(table["detector"].get("size", [0.0] * 3), float),
            name=table.get("name", where),
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
            raise ValueError(f"thickness must be of one of {', '.join(self.parts)}, but is of {shown(name)}")
        return self.parts.index(name)

    def corners(self) -> tuple[Float[jax.Array, "B 3"], Float[jax.Array, "B 3"]]:
        """Lower and upper corners of the solids, mm."""
        padded = jnp.append(self.thickness, jnp.zeros((), self.thickness.dtype))
        thickness = padded[np.array(self.follows)][:, None]
        return self.low + self.low_slope * thickness, self.high + self.high_slope * thickness

    def __str__(self) -> str:
        """Name and number of solids."""
        return f"{self.name} ({len(self.solids)} solids)"


def _names(boxes: Sequence[PartTable], plates: Sequence[PartTable], where: str) -> list[str]:
    """Names of boxes and plates, in this order; one without has its place. Raises ValueError where two are the same."""
    names = [box.get("name", f"boxes.{n}") for n, box in enumerate(boxes)]
    names += [plate.get("name", f"plates.{n}") for n, plate in enumerate(plates)]
    for n, name in enumerate(names):
        if name in names[:n]:
            raise ValueError(f"names must differ, but {where} has two {shown(name)}")
    return names


def _outermost_first(solids: list[dict], centre: np.ndarray) -> tuple[str, ...]:
    """Materials by the mean distance of their solids from ``centre``, the farthest first."""
    distances: dict[str, list[float]] = {}
    for solid in solids:
        away = float(np.linalg.norm((solid["low"] + solid["high"]) / 2 - centre))
        distances.setdefault(solid["material"], []).append(away)
    return tuple(sorted(distances, key=lambda name: -float(np.mean(distances[name]))))


def _matter(entry: PartTable, where: str) -> tuple[str, float]:
    """Material and density, g/cm3."""
    density = entry.get("density")
    known = known_density(entry["material"], where, needed=density is None)
    return entry["material"], known if density is None else density


def _solid(name: str, matter: tuple[str, float], low: np.ndarray, high: np.ndarray, part: str = "") -> dict:
    nothing = np.zeros(3)
    solid = {"name": name, "low": low, "high": high, "low_slope": nothing, "high_slope": nothing, "part": part}
    return solid | {"material": matter[0], "density": matter[1]}


def _read_box(entry: BoxTable, name: str, where: str, parts: dict[str, float]) -> list[dict]:
    """One solid, or the six plates around a hollow box."""
    centre, size = np.array(entry["centre"]), np.array(entry["size"])
    matter, low, high = _matter(entry, where), centre - size / 2, centre + size / 2
    if "wall" not in entry:
        return [_solid(name, matter, low, high)]
    parts[name] = entry["wall"]
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


def _read_plate(entry: PlateTable, name: str, where: str, parts: dict[str, float]) -> list[dict]:
    axis, sign = NORMALS[entry["normal"]]
    centre, half = np.array(entry["centre"]), np.insert(np.array(entry["size"]) / 2, axis, 0.0)
    parts[name] = entry["thickness"]
    plate = _solid(name, _matter(entry, where), centre - half, centre + half, name)
    plate["high_slope" if sign > 0 else "low_slope"] = sign * (np.arange(3) == axis).astype(float)
    return [plate]


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
