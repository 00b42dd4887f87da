"""An official matrix with this program's losses: (1 - partial) times its rows, and the losses.

An official matrix has the detector's line shape from calibration, this program what the absorber loses. Where the
official matrix has losses of its own, they would be counted twice: it must hold the core alone.
"""

import os

import numpy as np
from astropy.io import fits
from jaxtyping import Float
from scipy.sparse import diags_array

from xcal_jax.io.files import check_kept
from xcal_jax.response.ogip import Header, write_rmf
from xcal_jax.response.ogip_reader import CARDS, read_matrix
from xcal_jax.response.rows import Row
from xcal_jax.units import shown_path

SAME = 1e-6  # relative difference of energies in single precision


def combine(
    official: str | os.PathLike, losses: str | os.PathLike, output: str | os.PathLike, cards: dict | None = None
) -> Float[np.ndarray, " R"]:
    """Write the matrix ``official`` with the ``losses``, both files, to ``output``; the partial fraction of each row.

    Rows sum to 1. A file at ``output`` is replaced. Raises ValueError where that is one of the two; unless both have
    the same rows and channels and one MATRIX extension, rows of ``official`` sum to 1, and those of ``losses`` to less.
    """
    check_kept([official, losses], [output])
    (layout, [core]), (other, [lost]) = (_single(path) for path in (official, losses))
    for what in ("rows", "channels"):
        one, two = getattr(layout, what), getattr(other, what)
        if one.size != two.size or np.any(np.abs(one - two) > SAME * one):
            raise ValueError(
                f"{shown_path(losses)} must have the {what} of {shown_path(official)}: make it with `rmf --like`"
            )
    sums, partial = core.values.sum(axis=1), lost.values.sum(axis=1)
    if np.any(np.abs(sums - 1.0) > 1e-3):
        worst = sums[np.argmax(np.abs(sums - 1.0))]
        raise ValueError(f"rows of {shown_path(official)} must sum to 1, but one sums to {worst:.4g}")
    if np.any(partial > 1.0 - 1e-3):
        raise ValueError(
            f"{shown_path(losses)} must be of `rmf --losses-only`, but its rows sum to {partial.max():.4g}"
        )
    values = (diags_array((1.0 - partial) / sums) @ core.values + lost.values).tocsr()
    values.sort_indices()
    rows = []
    for low, high in zip(values.indptr[:-1], values.indptr[1:], strict=True):
        dense = np.zeros(layout.channels.size - 1)
        dense[values.indices[low:high]] = values.data[low:high]
        rows.append(Row.build(dense, dense > 0.0, 1.0))
    header = fits.getheader(losses, "MATRIX")
    known = {name: layout.cards[name] for name in CARDS if name in layout.cards}
    own = {name: header[name] for name in ("ELECTRON", "YIELDS", "ATOMIC", "SEED") if name in header}
    history = [
        "Each row sums to 1: (1 - partial) times the official core, and the losses.",
        f"Core: {os.path.basename(official)}; losses: {os.path.basename(losses)}, of xcal-jax rmf --losses-only.",
    ]
    comments = [str(line) for line in header.get("COMMENT", [])]
    write_rmf(
        output,
        [(layout.rows, rows)],
        layout.channels,
        Header(layout.first, known | own | (cards or {}), history, comments),
    )
    return partial


def _single(path):
    layout, parts = read_matrix(path)
    if len(parts) != 1:
        raise ValueError(f"{shown_path(path)} must have one MATRIX extension, but has {len(parts)}")
    return layout, parts
