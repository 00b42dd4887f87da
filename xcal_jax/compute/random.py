"""Random numbers by identity: each is a function of (run seed, photon id, counter), whatever the batch or device.

The generator is Threefry-2x32 with 13 rounds, the fastest member of its family that passes BigCrush: Salmon
et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", doi 10.1145/2063384.2063405 (Random123, whose
known-answer vectors are in the tests). Its 64-bit key is the seed. Its 64-bit counter is the photon id (52 bits)
and the photon's own counter (12 bits). At half a nanosecond a number it costs a twentieth of splitting keys.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from xcal_jax.compute.shapes import Real, Seed, Word

COUNTERS = 4096  # of one photon: 12 bits
PHOTONS = 2**52
SEEDS = 2**64
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Key:
    """Who asks for random numbers: the run's seed and one photon's id, two () uint32 words each."""

    seed_low: Array
    seed_high: Array
    photon_low: Array
    photon_high: Array

    def child(self, counter: Word) -> "Key":
        """A key of its own, made from one ``counter`` of this key, for what takes many random numbers."""
        low, high = threefry(self.seed_low, self.seed_high, self.photon_low, (self.photon_high << 12) | counter)
        return Key(low, high, self.photon_low, jnp.zeros_like(self.photon_high))


def photon_key(seed: Seed, first: Seed, offset: Word) -> Key:
    """The key of photon ``first + offset``. seed, first: low word first."""
    low = first[0] + offset
    return Key(seed[0], seed[1], low, first[1] + (low < offset).astype(jnp.uint32))


def words(number: int) -> Seed:
    """A non-negative integer below 2^64 as two words, the low one first."""
    return jnp.array([number & 0xFFFFFFFF, number >> 32], dtype=jnp.uint32)


def uniforms(key: Key, counter: Word) -> tuple[Real, Real]:
    """Two independent numbers, uniform on the open interval (0, 1), for ``counter`` below 4096."""
    low, high = threefry(key.seed_low, key.seed_high, key.photon_low, (key.photon_high << 12) | counter)
    return _unit(low), _unit(high)


def uniform_block(key: Key, counter: Word, counters: int) -> list[Real]:
    """The uniform numbers of ``counters`` counters from ``counter`` on, two each."""
    return [u for n in range(counters) for u in uniforms(key, counter + n)]


def threefry(key0: Word, key1: Word, counter0: Word, counter1: Word, rounds: int = 13) -> tuple[Word, Word]:
    """Threefry-2x32: two random words for a key and a counter of two words each (Salmon et al. 2011, section 4.2)."""
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
