"""What a detector makes of deposits: energies with its resolution and trapped heat, in the channels of a matrix.

The absorber's losses are in the deposits already, so that only the core of the matrix broadens them: its `FWHM` and
`TRAPPING` stand in the header of a matrix of `xcal-jax rmf`.
"""

import os
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri

from xcal_jax.compute.random import threefry
from xcal_jax.response.matrix import NO_TRAPPING
from xcal_jax.response.ogip_reader import CARDS, Layout, read_layout
from xcal_jax.response.resolution import Resolution
from xcal_jax.simulation.trapping import Trapping
from xcal_jax.units import shown_path

OUTSIDE = -1  # in place of a channel


@dataclass(frozen=True)
class Measurement:
    """A detector with the channels of a matrix. rmf: the matrix's file, its name alone; seed: of the random numbers."""

    rmf: str
    layout: Layout
    resolution: Resolution
    trapping: Trapping
    seed: int

    @classmethod
    def build(
        cls,
        rmf: str | os.PathLike,
        fwhm: str | float | None = None,
        fwhm_file: str | os.PathLike | None = None,
        trapping: str | None = None,
        seed: int = 1,
    ) -> "Measurement":
        """The detector of the matrix in the file ``rmf``; a resolution or a trapping given here goes before its own.

        Raises ValueError where the file is no matrix, or does not state the resolution.
        """
        layout = read_layout(rmf)
        if fwhm is None and fwhm_file is None:
            fwhm = layout.cards.get("FWHM")
            if fwhm is None:
                raise ValueError(f"{shown_path(rmf)} does not state its FWHM: give `fwhm` or `fwhm_file`")
        tail = trapping or layout.cards.get("TRAPPING")
        return cls(
            os.path.basename(rmf),
            layout,
            Resolution.build(fwhm, fwhm_file),
            Trapping.build(tail) if tail else NO_TRAPPING,
            seed,
        )

    @property
    def cards(self) -> dict:
        """The header's words for the instrument."""
        return {name: self.layout.cards[name] for name in CARDS if name in self.layout.cards}

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of the first channel and the last."""
        return self.layout.first, self.layout.first + self.layout.channels.size - 2

    def measure(
        self, deposit: Float[np.ndarray, " n"], photon: Int[np.ndarray, " n"], pixel: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Measured energies in eV of ``deposit`` (n,) eV, and channels, `OUTSIDE` where there is none.

        photon, pixel: numbers of the photon and of the pixel with the deposit. Random numbers are theirs, whatever else
        is measured with it.
        """
        random = uniforms_of(self.seed, photon, pixel, 3)
        heat = np.where(random[0] < self.trapping.fraction, self.trapping.scale, 0.0)
        energy = deposit + self.resolution.sigma(deposit) * ndtri(random[1]) + heat * np.log(random[2])
        at = np.searchsorted(self.layout.channels, energy, side="right") - 1
        inside = (at >= 0) & (at < self.layout.channels.size - 1)
        return energy, np.where(inside, at + self.layout.first, OUTSIDE)


def uniforms_of(
    seed: int, photon: Int[np.ndarray, " n"], pixel: Int[np.ndarray, " n"], many: int
) -> Float[np.ndarray, "many n"]:
    """So many numbers, uniform on the open interval (0, 1), of each ``photon`` (n,) in a ``pixel`` (n,).

    They are independent of those with which the same ``seed`` simulates photons.
    """
    low, high = np.random.SeedSequence(seed).generate_state(2)
    key = jnp.uint32(low), jnp.uint32(high) + jnp.asarray(pixel.astype(np.uint32))
    two_words = jax.vmap(threefry, (None, 0, 0, 0))
    below, above = (jnp.asarray(word.astype(np.uint32)) for word in (photon & 0xFFFFFFFF, photon >> 32 << 12))
    rows = []
    for counter in range(many):
        first, second = (np.asarray(word, np.uint64) for word in two_words(*key, below, above | jnp.uint32(counter)))
        rows.append((((first << 32 | second) >> 11) + 0.5) * 2.0**-53)
    return np.array(rows)
