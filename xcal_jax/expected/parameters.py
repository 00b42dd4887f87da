"""What the expected figures are functions of, and are differentiated with respect to."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.lax import stop_gradient

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.physics.geometry import Stack

UNITS = {
    "thickness": "um",
    "density": "g/cm3",
    "width": "um",
    "length": "um",
    "energy": "eV",
    "x": "um",
    "y": "um",
    "yield": "1",
    "range": "1",
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Parameters:
    """thickness: (L,) um, from the top; density: (L,) g/cm3; width, length: () um; energy: () eV of the photons;
    x, y: () um, the impact (without effect if it is uniform); yield_scale: () factor on every fluorescence yield;
    range_scale: () factor on every electron's range. choices: name of the axis of a `jax.vmap` over parameters, along
    which chance takes the turns that it takes for the first.
    """

    thickness: Array
    density: Array
    width: Array
    length: Array
    energy: Array
    x: Array
    y: Array
    yield_scale: Array
    range_scale: Array
    choices: str | None = field(default=None, kw_only=True, metadata={"static": True})

    @classmethod
    def of(
        cls, absorber: Absorber, energy, at=None, yield_scale: float = 1.0, range_scale: float = 1.0
    ) -> "Parameters":
        """Those of ``absorber`` for photons of ``energy`` eV, at ``at`` (x, y) um or uniform over the top."""
        x, y = (0.0, 0.0) if at is None else at
        numbers = (absorber.width, absorber.length, energy, x, y, yield_scale, range_scale)
        return cls(
            jnp.asarray(absorber.thickness, float),
            jnp.asarray(absorber.density, float),
            *(jnp.asarray(number, float) for number in numbers),
        )

    def fixed(self, number: Array) -> Array:
        """``number`` as chance goes by it: without derivative, and the first's along the axis of ``choices``."""
        number = stop_gradient(number)
        return number if self.choices is None else jax.lax.all_gather(number, self.choices)[0]

    @property
    def frozen(self) -> "Parameters":
        """All of them as chance goes by them."""
        return jax.tree.map(self.fixed, self)

    @property
    def stack(self) -> Stack:
        """The geometry alone."""
        return Stack(self.thickness, self.width, self.length)


def names(parameters: Parameters) -> list[str]:
    """One name a number, in the order of the leaves: ``thickness[0]`` ... ``range``."""
    found = []
    for name, leaf in zip(UNITS, jax.tree.leaves(parameters), strict=True):
        found += [f"{name}[{n}]" for n in range(leaf.size)] if np.ndim(leaf) else [name]
    return found
