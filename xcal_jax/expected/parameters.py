"""The parameters that the expected observables are functions of, and are differentiated with respect to.

The fields of `Parameters` are the one list of their names, units and order. A number has a name of its own: that of its
field, or, where the field has a value a layer, the field and the layer, ``thickness[1]``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.lax import stop_gradient
from jaxtyping import Num

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.compute.shapes import Flag, Whole
from xcal_jax.physics.geometry import Stack
from xcal_jax.units import shown


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Parameters:
    """Layers, sides, photons and scales.

    thickness: (L,) um, from the top; density: (L,) g/cm3; width, length: () um; energy: () eV of the photons; x, y: ()
    um, the impact (without effect if it is uniform); yield_scale: () factor on every fluorescence yield; range_scale:
    () factor on every electron's range. uniform: whether the impact is spread over the top. choices: name of the axis
    of a `jax.vmap` over parameters, along which every sampling decision is the one that the first parameters make.
    dead: numbers of the layers that do not count.
    """

    thickness: Array = field(metadata={"unit": "um"})
    density: Array = field(metadata={"unit": "g/cm3"})
    width: Array = field(metadata={"unit": "um"})
    length: Array = field(metadata={"unit": "um"})
    energy: Array = field(metadata={"unit": "eV"})
    x: Array = field(metadata={"unit": "um"})
    y: Array = field(metadata={"unit": "um"})
    yield_scale: Array = field(metadata={"unit": "1", "name": "yield"})
    range_scale: Array = field(metadata={"unit": "1", "name": "range"})
    uniform: bool = field(default=True, kw_only=True, metadata={"static": True})
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
    ) -> "Parameters":
        """The parameters of ``absorber`` for photons of ``energy`` eV, at ``at`` (x, y) um or uniform over the top."""
        x, y = (0.0, 0.0) if at is None else at
        numbers = (absorber.width, absorber.length, energy, x, y, yield_scale, range_scale)
        return cls(
            jnp.asarray(absorber.thickness, float),
            jnp.asarray(absorber.density, float),
            *(jnp.asarray(number, float) for number in numbers),
            uniform=at is None,
            dead=absorber.dead,
        )

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
    for name, leaf in zip(UNITS, jax.tree.leaves(parameters), strict=True):
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
            rule = f"of {', '.join(UNITS)}, or one of a layer like {known[0]}"
            raise ValueError(f"derivatives are with respect to one {rule}, but {shown(name)} is asked")
        chosen |= {k: known.index(k) for k in found}
    return chosen
