"""Random numbers by identity: each is a function of (run seed, photon id, draw), whatever the batch or device.

The generator is Threefry-2x32 with 13 rounds, the fastest member of its family that passes BigCrush: Salmon
et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", doi 10.1145/2063384.2063405 (Random123, whose
known-answer vectors are in the tests). Its 64-bit key is the seed, its 64-bit counter the photon id (52 bits)
and the number of the draw (12 bits). At half a nanosecond a number it costs a twentieth of splitting keys.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

DRAWS = 4096  # 12 bits of the counter
PHOTONS = 2**52
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Key:
    """Who asks for random numbers: the run's seed and one photon's id, two () uint32 words each."""

    seed_low: Array
    seed_high: Array
    photon_low: Array
    photon_high: Array

    def child(self, draw: Array) -> "Key":
        """A key of its own for what takes numbers without end, at the price of one ``draw`` () uint32 of these."""
        low, high = threefry(self.seed_low, self.seed_high, self.photon_low, (self.photon_high << 12) | draw)
        return Key(low, high, self.photon_low, jnp.zeros_like(self.photon_high))


def photon_key(seed: Array, first: Array, offset: Array) -> Key:
    """The key of photon ``first + offset``. seed, first: (2,) uint32, low word first; offset: () uint32."""
    low = first[0] + offset
    return Key(seed[0], seed[1], low, first[1] + (low < offset).astype(jnp.uint32))


def words(number: int) -> Array:
    """A non-negative integer below 2^64 as (2,) uint32, low word first."""
    return jnp.array([number & 0xFFFFFFFF, number >> 32], dtype=jnp.uint32)


def uniforms(key: Key, draw: Array) -> tuple[Array, Array]:
    """Two independent numbers, uniform on the open interval (0, 1), for ``draw``: () uint32 below 4096."""
    low, high = threefry(key.seed_low, key.seed_high, key.photon_low, (key.photon_high << 12) | draw)
    return _unit(low), _unit(high)


def dice(key: Key, draw: Array, draws: int) -> list[Array]:
    """The numbers of as many ``draws`` from ``draw`` () uint32 on, two each."""
    return [u for n in range(draws) for u in uniforms(key, draw + n)]


def threefry(key0: Array, key1: Array, counter0: Array, counter1: Array, rounds: int = 13):
    """Threefry-2x32: four uint32 words in, two out (Salmon et al. 2011, section 4.2)."""
    keys = (key0, key1, key0 ^ key1 ^ jnp.uint32(0x1BD11BDA))
    x0, x1 = counter0 + key0, counter1 + key1
    for i in range(rounds):
        x0 = x0 + x1
        x1 = x0 ^ _rotate_left(x1, ROTATIONS[i % 8])
        if i % 4 == 3:
            n = i // 4 + 1
            x0 = x0 + keys[n % 3]
            x1 = x1 + keys[(n + 1) % 3] + jnp.uint32(n)
    return x0, x1


def _rotate_left(x: Array, bits: int) -> Array:
    return (x << jnp.uint32(bits)) | (x >> jnp.uint32(32 - bits))


def _unit(word: Array) -> Array:
    """The word's upper 23 bits, centred in their interval: exact in float32, never 0 or 1."""
    return ((word >> 9).astype(jnp.result_type(float)) + 0.5) * 2.0**-23
