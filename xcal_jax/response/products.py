"""A detector's response in one call: redistribution matrices and effective areas of an absorber, as files take them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.compute.devices import Executor, in_parallel
from xcal_jax.io.arguments import checked
from xcal_jax.response import split as splitting
from xcal_jax.response.area import effective_area, parse_filter
from xcal_jax.response.components import in_rows, rows_of, simulate_response
from xcal_jax.response.layout import layout
from xcal_jax.response.matrix import (
    ALL,
    LOSSES,
    NO_TRAPPING,
    Part,
    check_covers,
    check_trapping,
    fold,
    row_ends,
    without_losses,
)
from xcal_jax.response.nodes import Settings
from xcal_jax.response.ogip import Header, check_fits_memory, matrix_bytes, stored_bytes, write_arf, write_rmf
from xcal_jax.response.ogip_reader import read_area
from xcal_jax.response.resolution import Resolution
from xcal_jax.response.rows import Above, Row, Thinning, whole
from xcal_jax.response.uncertainty import relative_errors
from xcal_jax.simulation.trapping import Trapping
from xcal_jax.simulation.validity import validity
from xcal_jax.units import Quantity, parse_quantity, shown

BROADER = 1.02  # above which there is a warning
LARGE = 250e6  # bytes, above which rows are thinned
THIN = 4e-5  # of the photons
PARTS = ("all", "core", "losses", "split")
Matrix = tuple[Float[np.ndarray, " _"], list[Row]]  # boundaries of the rows, eV, and the rows


@dataclass(frozen=True)
class Response:
    """An absorber's redistribution matrices and effective areas, and what they are made of.

    components: before the resolution; uncertainty: their relative errors, or None; matrices: one, or two of a split
    response; areas: cm2 in the rows of each; channels: (C + 1,) boundaries, eV; header: of their files.
    """

    components: xr.Dataset
    uncertainty: xr.Dataset | None
    matrices: tuple[Matrix, ...]
    areas: tuple[Float[np.ndarray, " _"], ...]
    channels: np.ndarray
    header: Header

    def __repr__(self) -> str:
        """What it is, and the lines about it."""
        rows = sum(len(rows) for _, rows in self.matrices)
        title = f"<Response of {Absorber.from_toml(self.components.attrs['absorber']).name!r}"
        return "\n".join([f"{title}: {rows} rows, {self.channels.size - 1} channels>", *self.header.history])

    def save(
        self,
        rmf: str | os.PathLike[str],
        arf: str | os.PathLike[str] | None = None,
        second: str | os.PathLike[str] | None = None,
        second_arf: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write OGIP files: the matrix, and the effective area as ``arf``. Files of these names are replaced.

        second, second_arf: for the second part of a split response, which else stands in the same file as the first.
        """
        together = second is None
        write_rmf(rmf, self.matrices if together else self.matrices[:1], self.channels, self.header)
        if second is not None:
            write_rmf(second, self.matrices[1:], self.channels, self.header)
        for path, (boundaries, _), area in zip((arf, second_arf), self.matrices, self.areas, strict=False):
            if path:
                write_arf(path, boundaries, area, self.header)


@checked
def response(
    absorber: Absorber | str | os.PathLike[str],
    grid: str = "0.2:12",
    channels: str | None = None,
    like: str | None = None,
    fwhm: Quantity | None = None,
    fwhm_file: str | None = None,
    trapping: str | Trapping | None = None,
    part: str = "all",
    thin: float | None = None,
    tolerance: float = 1e-4,
    n: int | None = None,
    seed: int = 1,
    yields: str = "eadl",
    electrons: str | None = None,
    physics: str | None = None,
    area: Quantity = 1.0,
    area_file: str | None = None,
    filters: Sequence[str] = (),
    first_channel: int | None = None,
    cards: Mapping[str, str] | None = None,
    uncertainty: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = True,
    progress: bool = False,
    executor: Executor = in_parallel,
    tell: Callable[[str], None] | None = None,
) -> Response:
    """Redistribution matrix and effective area of ``absorber``, what `Absorber.load` takes, seen with a resolution.

    grid, channels: photon and measured energies LOW:HIGH[:STEP], ends in keV and step in eV unless they say so, or
    files; like: an official matrix whose rows and channels are taken. fwhm: eV at all energies, the detector's own if
    nothing is said; or fwhm_file: two columns, energy and FWHM in eV. trapping: a tail such as "0.05:12eV". part:
    "all", "core" or "losses" alone, or "split" in two matrices. thin: a fraction of a row that some rows may leave out.
    tolerance: standard error of each row's partial fraction, or n: photons at every simulated energy. electrons,
    physics: models in place of the absorber's. area: cm2, or area_file: a telescope's; filters: sheets in front,
    "Al:30nm". cards: of the header. uncertainty: whether to find relative errors, for three times the work.
    checkpoint: a folder that keeps what is done, left to the caller to remove; resume: go on from it. executor: who
    does the work; tell: is called with the size before it begins. Raises ValueError where something makes no sense, or
    the matrix is too large, before any work.

    >>> found = response("gold", grid="6.9:7.1:50eV", channels="0.2:7.2:10eV", fwhm="30 eV", n=1000)
    >>> (boundaries, rows), = found.matrices
    >>> len(rows), bool(abs(rows[0].values.sum() - 1) < 1e-5), bool(found.areas[0][0] < 1)
    (4, True, True)
    """
    if part not in PARTS:
        raise ValueError(f"`part` must be one of {', '.join(PARTS)}, but is {shown(part)}")
    if uncertainty and part in ("core", "losses"):
        raise ValueError("an uncertainty is of all components: leave the core or the losses alone out")
    settings = Settings(tolerance, n, seed, yields)
    tail = Trapping.build(trapping) if isinstance(trapping, str) else trapping or NO_TRAPPING
    target = Absorber.load(absorber, electrons, physics)
    target.check_alone("a matrix")
    given = fwhm if fwhm is not None else None if fwhm_file else target.fwhm
    resolution = Resolution.build(given, fwhm_file)
    asked, exact = layout(grid, channels, like, resolution)
    measured = asked.channels
    rows = rows_of(target, asked.rows, exact)
    kept = asked.rows if exact else rows
    check_covers(measured, kept, resolution)
    check_trapping(measured, tail)
    for sheet in filters:
        parse_filter(sheet)
    if area_file:
        read_area(area_file)
    square = parse_quantity(area, "cm^2", "area", above=0.0)
    size = matrix_bytes(row_ends(kept, measured, resolution))
    mass = (THIN if size > LARGE else 0.0) if thin is None else thin
    store = Thinning(max(1, round(float(resolution.fwhm.min() / np.diff(measured).mean()))), mass) if mass else whole
    if tell:
        tell(f"matrix: {kept.size - 1} rows, {measured.size - 1} channels, {size / 1e6:.3g} MB if stored whole")
    if store is whole and part not in ("core", "split"):
        check_fits_memory(size)
    shared = (settings, checkpoint, resume, progress, executor)
    components = in_rows(simulate_response(target, rows, *shared), kept)
    errors = relative_errors(target, components, rows, *shared) if uncertainty else None

    def folded(of: xr.Dataset, part: Part = ALL, store: Any = store) -> Matrix:
        made = list(fold(of, measured, resolution, tail, part, store))
        return np.append(of.low.values, of.high.values[-1]), made

    seen_in = [components]
    if part == "split":
        coarse = splitting.coarsened(components)
        seen_in.append(coarse)
        sharp, smooth = splitting.parts(components, coarse)
        matrices = [folded(components, sharp, Above(splitting.SMALL)), folded(coarse, smooth, whole)]
    elif part == "core":
        matrices = [folded(without_losses(components), store=whole)]
    else:
        matrices = [folded(components, LOSSES if part == "losses" else ALL)]
    for _, made in matrices:
        check_fits_memory(stored_bytes(made))
    known = validity(target, kept[0], kept[-1])
    history = _history(components, resolution, tail, kept, measured, matrices, mass, part)
    history += [f"Compared: {sentence}." for sentence in known.compared] + [f"{outside}." for outside in known.outside]
    width = {"FWHM": (float(resolution.fwhm[0]), "[eV] of the Gaussian core")} if resolution.fwhm.size == 1 else {}
    lossy = {"TRAPPING": f"{tail.fraction!r}:{tail.scale!r} eV"} if tail.fraction else {}
    first = asked.first if first_channel is None else first_channel
    header = Header.of(components, history, first, asked.cards | dict(cards or {}) | width | lossy)
    areas = [
        effective_area(seen, made, area_file or square, filters)
        for seen, (_, made) in zip(seen_in, matrices, strict=True)
    ]
    return Response(components, errors, tuple(matrices), tuple(areas), measured, header)


def _history(
    response: xr.Dataset,
    resolution: Resolution,
    tail: Trapping,
    rows: np.ndarray,
    channels: np.ndarray,
    matrices: Sequence[Matrix],
    mass: float,
    part: str,
) -> list[str]:
    """Lines that describe a matrix, for its header and for the reader."""
    through = resolution.through(rows, channels)
    middle = 0.5 * (rows[1:] + rows[:-1])
    wider = through / resolution.at(middle)
    at = int(wider.argmax())
    outside = 1.0 - min(row.contained for _, made in matrices for row in made)
    lines = [
        "Each row sums to 1: the quantum efficiency is in the ARF.",
        f"Electron model: {response.attrs['electrons']}; fluorescence yields: {response.attrs['yields']}.",
        f"Resolution: {resolution}, Gaussian. Each row is the mean over its photon energies.",
        f"Through rows and channels a line is up to {through[at]:.4g} eV wide, {100 * (wider[at] - 1):.1f} % more.",
        f"{float(response.photons.sum()):.3g} photons at {response.sizes['node']} energies; standard error of the "
        f"partial fraction at most {float(response.partial_err.max()):.2g}.",
        f"Outside the channels, and so in the ARF: at most {outside:.2g} of a row.",
    ]
    if part == "core":
        lines[0] = "Each row sums to 1: the Gaussian core alone, without the absorber's losses."
    if part == "losses":
        lines[0] = "Each row sums to the fraction of photons that lose energy: for `xcal-jax rmf combine`."
    if len(matrices) > 1:
        lines[0] = "TWO MATRICES, which sum to 1: core and escape peaks on fine rows, the continuum on coarse ones."
    elif mass and part != "core":
        lines.append(
            f"Blocks with less than {mass:g} of a row stand in some of the rows, with more: rows keep their sums."
        )
    if tail.fraction > 0.0:
        lines.append(f"Trapping: {tail}.")
    if wider[at] > BROADER:
        lines.append(
            f"WARNING: rows and channels spoil the resolution at {middle[at]:g} eV; take a finer `grid` or `channels`."
        )
    return lines
