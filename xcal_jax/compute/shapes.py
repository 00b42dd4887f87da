"""Shapes of what the laws of one photon take and return: () each, since `jax.vmap` makes the batch.

They stand in the types of arguments, and the tests check them wherever a function is called (jaxtyping, beartype).
"""

from typing import TypeVar

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int, UInt32

Real = Float[Array, ""]
Whole = Int[Array, ""]
Flag = Bool[Array, ""]
Word = UInt32[Array, ""]
Seed = UInt32[Array, "2"]  # low word first
Numbers = TypeVar("Numbers", Array, np.ndarray)  # of formulas that serve tables and kernels alike
