"""The energy resolution of a detector, and how wide lines look through the rows and channels of a matrix."""

import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from xcal_jax.absorber.source import read_spectrum
from xcal_jax.constants import FWHM_PER_SIGMA
from xcal_jax.io.arguments import checked
from xcal_jax.units import parse_quantity, shown_path


@dataclass(frozen=True)
class Resolution:
    """Full width at half maximum (F,) eV at energies (F,) eV, linear between them and constant beyond the ends."""

    energy: np.ndarray
    fwhm: np.ndarray

    @classmethod
    @checked
    def build(cls, fwhm: str | float | None = None, file: str | os.PathLike | None = None) -> "Resolution":
        """One width for all energies, or those of a two-column ``file`` (energy, FWHM, both eV).

        Raises ValueError unless exactly one is given and all widths are positive.
        """
        if fwhm is not None and file is not None:
            raise ValueError("a resolution needs `fwhm` or `fwhm_file`, and not both")
        if fwhm is not None:
            energy, width = np.zeros(1), np.array([parse_quantity(fwhm, "eV", "--fwhm")])
        elif file is not None:
            energy, width = read_spectrum(file)
            if not np.all(np.isfinite(energy)) or np.any(np.diff(energy) <= 0):
                raise ValueError(f"energies in {shown_path(file)} must be finite and ascend")
        else:
            raise ValueError("a resolution needs `fwhm` or `fwhm_file`, or an absorber that states its `fwhm`")
        if not np.all(np.isfinite(width) & (width > 0)):
            worst = width[~(np.isfinite(width) & (width > 0))][0]
            raise ValueError(f"the FWHM must be positive and finite, but is {worst:g} eV")
        return cls(energy, width)

    def at(self, energy: np.ndarray | float) -> np.ndarray:
        """Full width at half maximum in eV at ``energy`` in eV."""
        return np.interp(energy, self.energy, self.fwhm)

    def sigma(self, energy: np.ndarray | float) -> np.ndarray:
        """Standard deviation in eV at ``energy`` in eV."""
        return self.at(energy) / FWHM_PER_SIGMA

    def through(self, rows: Float[np.ndarray, " B"], channels: Float[np.ndarray, " C"]) -> Float[np.ndarray, " R"]:
        """Full width (R,) eV of a line of each row, seen through ``rows`` and ``channels`` with these boundaries (eV).

        A row or channel of width w adds w^2 / 12, the variance of an even distribution, to that of the Gaussian.
        """
        middle = 0.5 * (rows[1:] + rows[:-1])
        at = np.clip(np.searchsorted(channels, middle, side="right") - 1, 0, channels.size - 2)
        added = (np.diff(rows) ** 2 + np.diff(channels)[at] ** 2) / 12.0
        return FWHM_PER_SIGMA * np.sqrt(self.sigma(middle) ** 2 + added)

    def __str__(self) -> str:
        """In words."""
        widths = sorted({f"{width:g}" for width in (self.fwhm[0], self.fwhm[-1])})
        return f"{' to '.join(widths)} eV FWHM"
