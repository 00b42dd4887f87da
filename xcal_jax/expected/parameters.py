"""The parameters that the expected observables are functions of, and are differentiated with respect to.

The fields of `Parameters` are the one list of their names, units and order. A number has a name of its own: that of its
field, or, where the field has a value a layer, the field and the layer, ``thickness[1]``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.lax import stop_gradient
from jaxtyping import Num

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.compute.shapes import Flag, Whole
from xcal_jax.physics.geometry import Stack
from xcal_jax.units import shown


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Parameters:
    """Layers, sides, photons and scales.

    thickness: (L,) um, from the top; density: (L,) g/cm3; width, length: () um; energy: () eV of the photons, or (K,)
    of K lines; weight: (K,) photons of each line in front of the absorber, in any scale, or None for one energy; angle:
    () deg, of incidence against the normal, or None for normal incidence and isotropic light; x, y: () um, the impact
    (without effect if it is uniform); yield_scale: () factor on every fluorescence yield; range_scale: () factor on
    every electron's range. uniform: whether the impact is spread over the top; azimuth: deg, of the direction of
    flight; isotropic: whether directions are uniform over the upper half space. choices: name of the axis of a
    `jax.vmap` over parameters, along which every sampling decision is the one that the first parameters make. dead:
    numbers of the layers that do not count.
    """

    thickness: Array = field(metadata={"unit": "um"})
    density: Array = field(metadata={"unit": "g/cm3"})
    width: Array = field(metadata={"unit": "um"})
    length: Array = field(metadata={"unit": "um"})
    energy: Array = field(metadata={"unit": "eV"})
    weight: Array | None = field(metadata={"unit": "1"})
    angle: Array | None = field(metadata={"unit": "deg"})
    x: Array = field(metadata={"unit": "um"})
    y: Array = field(metadata={"unit": "um"})
    yield_scale: Array = field(metadata={"unit": "1", "name": "yield"})
    range_scale: Array = field(metadata={"unit": "1", "name": "range"})
    uniform: bool = field(default=True, kw_only=True, metadata={"static": True})
    azimuth: float = field(default=0.0, kw_only=True, metadata={"static": True})
    isotropic: bool = field(default=False, kw_only=True, metadata={"static": True})
    choices: str | None = field(default=None, kw_only=True, metadata={"static": True})
    dead: tuple[int, ...] = field(default=(), kw_only=True, metadata={"static": True})

    @classmethod
    def of(
        cls,
        absorber: Absorber,
        energy: float | Array,
        at: tuple[float, float] | tuple[Array, Array] | None = None,
        yield_scale: float | Array = 1.0,
        range_scale: float | Array = 1.0,
        weight: Array | None = None,
        angle: float | Array | None = None,
        azimuth: float = 0.0,
        isotropic: bool = False,
    ) -> "Parameters":
        """The parameters of ``absorber`` for photons of ``energy`` eV, at ``at`` (x, y) um or uniform over the top.

        Others: as in the class.
        """
        x, y = (0.0, 0.0) if at is None else at
        sizes = absorber.thickness, absorber.density, absorber.width, absorber.length
        numbers: Any = (*sizes, energy, weight, angle, x, y, yield_scale, range_scale)
        leaves: Any = [None if number is None else jnp.asarray(number, float) for number in numbers]
        return cls(
            *leaves,
            uniform=at is None,
            azimuth=azimuth,
            isotropic=isotropic,
            dead=absorber.dead,
        )

    @classmethod
    def of_source(
        cls,
        absorber: Absorber,
        source: Source,
        yield_scale: float | Array = 1.0,
        range_scale: float | Array = 1.0,
    ) -> "Parameters":
        """The parameters of ``absorber`` for the photons of ``source``.

        Raises ValueError unless the source is of lines that hit a point or all of the top, and behind filters for
        several lines and isotropic light.
        """
        if not source.lines:
            raise ValueError("derivatives are of photons of one `energy` or of several lines of no width")
        if source.impact not in ("uniform", "point"):
            raise ValueError(f"derivatives are of an impact at one point or uniform, not of a {source.impact}")
        lines: Any = np.asarray(source.line_energies)
        weight: Any = np.asarray(source.weight, dtype=float)
        vertical = float(source.direction.z) == -1.0
        if (lines.size > 1 or source.isotropic) and absorber.filters:
            many = "isotropic light" if source.isotropic else "several lines (give their weights behind the filters)"
            raise ValueError(f"derivatives with {many} need an absorber without `filters`, which {absorber.name!r} has")
        x, y, z = (float(part) for part in jax.tree.leaves(source.direction))
        return cls.of(
            absorber,
            lines[0] if lines.size == 1 else lines,
            (float(source.x), float(source.y)) if source.impact == "point" else None,
            yield_scale,
            range_scale,
            None if lines.size == 1 else weight,
            None if source.isotropic or vertical else float(np.degrees(np.arctan2(np.hypot(x, y), -z))),
            float(np.degrees(np.arctan2(y, x))),
            source.isotropic,
        )

    @property
    def slants(self) -> bool:
        """Whether photons come in at an angle."""
        return self.isotropic or self.angle is not None

    @property
    def highest_energy(self) -> Array:
        """That of the photons, () eV."""
        return jnp.max(self.energy)

    def fixed(self, number: Num[Array, "..."]) -> Num[Array, "..."]:
        """``number`` as used for sampling decisions.

        The gradient is stopped; under a vmap named ``choices`` it is the value of the first element.
        """
        number = stop_gradient(number)
        return number if self.choices is None else jax.lax.all_gather(number, self.choices)[0]

    @property
    def frozen(self) -> "Parameters":
        """All parameters as used for sampling decisions: see `fixed`."""
        return jax.tree.map(self.fixed, self)

    @property
    def stack(self) -> Stack:
        """The geometry alone."""
        return Stack(self.thickness, self.width, self.length, dead=self.dead)

    @property
    def counting(self) -> slice:
        """Numbers of the layers that count, which touch (`Absorber.check_touching`)."""
        counting = [n for n in range(self.thickness.size) if n not in self.dead]
        return slice(counting[0], counting[-1] + 1)

    @property
    def signal(self) -> "Parameters":
        """These parameters with the layers that count alone."""
        if not self.dead:
            return self
        return replace(self, thickness=self.thickness[self.counting], density=self.density[self.counting], dead=())

    def counts(self, layer: Whole) -> Flag:
        """Whether ``layer`` counts."""
        return (layer >= self.counting.start) & (layer < self.counting.stop)

    def changed(self, numbers: Mapping[str, float]) -> "Parameters":
        """These parameters with other values of some ``numbers``, each by its own name.

        Raises ValueError where a name is unknown.
        """
        flat, unravel = ravel_pytree(self)
        for name, value in numbers.items():
            flat = flat.at[names(self).index(name)].set(value)
        return unravel(flat)


UNITS = {f.metadata.get("name", f.name): f.metadata["unit"] for f in fields(Parameters) if "unit" in f.metadata}


def names(parameters: Parameters) -> list[str]:
    """The name of every number, in the order of the leaves: ``thickness[0]`` ... ``range``."""
    found: list[str] = []
    leaves = [getattr(parameters, f.name) for f in fields(parameters) if "unit" in f.metadata]
    for name, leaf in zip(UNITS, leaves, strict=True):
        if leaf is not None:
            found += [f"{name}[{n}]" for n in range(leaf.size)] if np.ndim(leaf) else [name]
    return found


def stem(name: str) -> str:
    """A parameter's name without its layer: "thickness" of "thickness[0]"."""
    return name.split("[")[0]


def parameter_values(parameters: Parameters) -> dict[str, float]:
    """Every number by its name."""
    flat = np.concatenate([np.ravel(np.asarray(leaf, dtype=float)) for leaf in jax.tree.leaves(parameters)])
    return dict(zip(names(parameters), flat.tolist(), strict=True))


def resolve(wrt: Sequence[str], parameters: Parameters) -> dict[str, int]:
    """The place among the leaves of every number that ``wrt`` names; a field's name stands for all of its numbers.

    Raises ValueError where a name is unknown.
    """
    known = names(parameters)
    chosen: dict[str, int] = {}
    for name in wrt:
        found = [k for k in known if k == name or stem(k) == name]
        if not found:
            rule = f"of {', '.join(dict.fromkeys(map(stem, known)))}, or one of a layer like {known[0]}"
            raise ValueError(f"derivatives are with respect to one {rule}, but {shown(name)} is asked")
        chosen |= {k: known.index(k) for k in found}
    return chosen
