"""What a detector makes of deposits: energies with its resolution and trapped heat, in the channels of a matrix.

The absorber's losses are in the deposits already, so that only the core of the matrix broadens them: its `FWHM` and
`TRAPPING` stand in the header of a matrix of `xcal-jax rmf`.
"""

import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

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
                raise ValueError(f"{shown_path(rmf)} does not state its FWHM: give `--fwhm` or `--fwhm-file`")
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
        self, deposit: Float[np.ndarray, " n"], number: int
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Measured energies in eV of ``deposit`` (n,) eV, and channels, `OUTSIDE` where there is none.

        number: of the first photon; each block of photons has random numbers of its own.
        """
        random = np.random.default_rng((self.seed, number))
        heat = np.where(random.random(deposit.size) < self.trapping.fraction, self.trapping.scale, 0.0)
        energy = deposit + self.resolution.sigma(deposit) * random.standard_normal(deposit.size)
        energy = energy - heat * random.standard_exponential(deposit.size)
        at = np.searchsorted(self.layout.channels, energy, side="right") - 1
        inside = (at >= 0) & (at < self.layout.channels.size - 1)
        return energy, np.where(inside, at + self.layout.first, OUTSIDE)
