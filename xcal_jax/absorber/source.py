"""Photons before they meet the absorber: energy, impact and direction.

Energies are bins, each with a density that is linear from its lower to its upper edge. A line is a bin of no width, and
a tabulated spectrum is sampled exactly. Natural lines have bins of their own kind (`natural_lines`). By default photons
are sampled *given that they interact*: the source is weighted with the interaction probability at each energy
(`given_interaction`), and each first flight ends before the far side. Histories then need no weights, and event lists
are samples of what a detector registers.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Protocol, cast, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Float
from numpy.typing import ArrayLike

from xcal_jax.absorber.absorber import Absorber, double, made_by, same
from xcal_jax.absorber.natural_lines import Lorentzians, NaturalBins, natural_bins, weighted_bins
from xcal_jax.absorber.photon_list import ListedEnergies
from xcal_jax.absorber.photon_list import photon_list as read_photons
from xcal_jax.atomic import check_energies
from xcal_jax.atomic.lines import LineShape, load_line, parse_line_names, radioactive_lines
from xcal_jax.compute.lanes import choose
from xcal_jax.compute.random import COUNTERS, Key, uniforms
from xcal_jax.compute.shapes import Real, Whole
from xcal_jax.io.arguments import checked
from xcal_jax.io.tables import read_pairs
from xcal_jax.physics.discrete import Discrete
from xcal_jax.physics.geometry import Direction, Pixels, Site, Stack, circle, isotropic
from xcal_jax.physics.parts import next_part
from xcal_jax.units import (
    Quantity,
    as_numbers,
    parse_each,
    parse_lines,
    parse_list,
    parse_quantity,
    shown,
    shown_path,
)

FEW = 16  # lines, whose photons are counted line by line
WIDEST_SPOT = 100  # times the absorber's side: single precision resolves no wider spot's profile across it
ENERGY, IMPACT, DIRECTION = range(3)  # counters of the random numbers of a source photon
SOURCE_COUNTERS = 3
PIXEL = COUNTERS - 1  # the last counter, which no history takes
Edges = Float[Array | np.ndarray, " K"]


@runtime_checkable
class PhotonSource(Protocol):
    """The interface of a source for the Monte Carlo: single photons, and whether they are given to interact."""

    @property
    def forced(self) -> bool:
        """Whether photons are sampled given that they interact."""

    def photon(self, stack: Stack, key: Key) -> tuple[Real, Whole, Site, Direction]:
        """Energy in eV, source line, site where it meets the stack and direction of the photon of ``key``."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EnergyBins:
    """K energy bins: low, high: (K,) eV; at_low, at_high: (K,) density at the edges; law: one row, which bin it is.

    With ``natural``, low and high are angles in rad, and the Lorentzians turn them into energies.
    """

    low: Array
    high: Array
    at_low: Array
    at_high: Array
    law: Discrete
    natural: Lorentzians | None = None

    @classmethod
    def build(
        cls,
        low: Edges,
        high: Edges,
        at_low: Edges,
        at_high: Edges,
        weight: Edges,
        natural: Lorentzians | None = None,
    ) -> "EnergyBins":
        """Bins that are sampled in proportion to ``weight``."""
        edges = (double(low), double(high), double(at_low), double(at_high))
        if natural is not None:
            natural = replace(natural, centre=double(natural.centre), half_width=double(natural.half_width))
        return cls(*edges, Discrete.build(np.asarray(weight)[None, :]), natural)

    def sample(self, u_bin: Real, u_inside: Real) -> tuple[Real, Whole]:
        """An energy in eV and its bin, for two uniform numbers."""
        k = self.law.pick(jnp.zeros((), jnp.int32), u_bin)
        f, g = self.at_low[k], self.at_high[k]
        inside = u_inside * (f + g) / (f + jnp.sqrt(f * f + u_inside * (g * g - f * f)))
        place = self.low[k] + (self.high[k] - self.low[k]) * inside
        return (place if self.natural is None else self.natural.energy(place, k)), k

    def at(self, edge: Edges) -> Float[np.ndarray, " K"]:
        """Energies in eV at one ``edge`` of the bins, `low` or `high`."""
        natural = self.natural
        return np.asarray(edge if natural is None else natural.centre + natural.half_width * np.tan(edge))


@jax.tree_util.register_dataclass
@made_by("Source.build('7 keV')")
@dataclass(frozen=True, eq=False)
class Source:
    """Photons on the top face: energy bins with their weights (K,), an impact, a direction of flight.

    impact: "uniform", "point", "spot", "disc", "list" or "around", on and beside the absorber; x, y, spread: () um,
    centre, and standard deviation of the spot, radius of the disc or side of the square around the absorber, infinite
    for its whole substrate. Of a list of K photons, energies are those of its rows, as are x, y and direction, (K,).
    isotropic: whether directions are uniform over the upper half space; forced: whether photons are sampled given an
    interaction; lines: whether all bins are lines of no width. names: of the natural lines, () without them.
    pixel: row and column, () int32, of the only pixel of an array that is illuminated, or None for all of them.
    """

    energies: EnergyBins | ListedEnergies
    weight: Array
    x: Array
    y: Array
    spread: Array
    direction: Direction
    impact: str = field(metadata={"static": True})
    isotropic: bool = field(metadata={"static": True})
    forced: bool = field(metadata={"static": True})
    lines: bool = field(metadata={"static": True})
    pixel: tuple[Array, Array] | None = None
    names: tuple[str, ...] = field(default=(), metadata={"static": True})

    @classmethod
    @checked
    def build(
        cls,
        energy: Quantity | Sequence[Quantity] | None = None,
        weights: Sequence[float] | None = None,
        spectrum: str | os.PathLike[str] | tuple[Any, Any] | None = None,
        at: str | Sequence[Quantity] | None = None,
        spot: str | Sequence[Quantity] | None = None,
        disc: str | Sequence[Quantity] | None = None,
        angle: Quantity = 0.0,
        azimuth: Quantity = 0.0,
        isotropic: bool = False,
        forced: bool = True,
        pixel: tuple[int, int] | None = None,
        line: str | None = None,
        radioactive: str | None = None,
        line_table: str | os.PathLike[str] | None = None,
        photon_list: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        illuminate: Quantity | None = None,
    ) -> "Source":
        """A source of lines at ``energy`` (eV, one or several, with ``weights``), of a ``spectrum``, or natural lines.

        energy: numbers, quantities with units, or text like "5.9keV:2,6.49keV:1", lines with their weights.
        spectrum: energies (K,) in eV and photons per eV (K,), interpolated linearly, or a text file with two columns of
        them. at: (x, y) um, point of impact; spot: (x, y, standard deviation) um of a Gaussian spot, cut at the rim;
        disc: (x, y, radius) um of an even one, such as an aperture lets through; without any of them the impact is
        uniform over the top. angle, azimuth: deg, of incidence from the normal; isotropic:
        directions uniform over the upper half space. forced: whether photons are sampled given that they interact;
        otherwise many pass through. pixel: row and column, from 0, of the only pixel of an array to be illuminated;
        without it, all pixels are. line: natural lines by name with their photons, such as "MnKa" or
        "MnKa:2,MnKb:0.3" (`atomic.lines.load_line`); line_table: a CSV file with lines of the user. radioactive: the
        lines and gammas of a nuclide, such as "Fe55". Their Lorentzians end `natural_lines.CUT` FWHM from the centre.
        photon_list: photons one by one, from a file or columns by name (`photon_list.photon_list`), with places on the
        top, from the centre of the pixel that is hit in an array. illuminate: "all" for photons on all of a substrate
        that is wider than the absorber, or the side of a square around the absorber or its array; they may pass, as
        without ``forced``.
        Raises ValueError where a number makes no sense or an energy is outside the tables.

        >>> Source.build("7 keV", at=("134.7 um", "0 um")).highest_energy
        7000.0
        """
        if sum(given is not None for given in (energy, spectrum, line, radioactive, photon_list)) != 1:
            raise ValueError(
                "a source needs one of `energy`, `spectrum`, `line`, `radioactive` and `photon_list`, "
                "and not both of two"
            )
        if line_table is not None and line is None:
            raise ValueError("`line_table` goes with `line`")
        impacts: dict[str, tuple[str, Any, int]] = {
            "point": ("at", at, 2),
            "spot": ("spot", spot, 3),
            "disc": ("disc", disc, 3),
            "around": ("illuminate", illuminate, 0),
        }
        asked = {kind: of for kind, of in impacts.items() if of[1] is not None}
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(f'`{name}`' for name, *_ in asked.values())} exclude each other")
        impact, x, y, spread = "uniform", 0.0, 0.0, 1.0
        if illuminate is not None:
            impact = "around"
            spread = np.inf if illuminate == "all" else parse_quantity(illuminate, "um", "illuminate", above=0.0)
            if pixel is not None:
                raise ValueError("`illuminate` and `pixel` exclude each other")
        for impact, (name, given, count) in asked.items():
            if impact == "around":
                continue
            x, y, spread = (*parse_each(given, ("um",) * count, name), 1.0)[:3]
            if not (np.isfinite(spread) and spread > 0.0):
                size = "standard deviation" if impact == "spot" else "radius"
                raise ValueError(f"`{name}` must have a positive {size}, but has {spread:g} um")
        angle, azimuth = parse_quantity(angle, "deg", "angle"), parse_quantity(azimuth, "deg", "azimuth")
        if not 0.0 <= angle < 90.0:
            raise ValueError(f"`angle` must be at least 0 and below 90 deg, but is {angle:g}")
        if isotropic and (angle or azimuth):
            raise ValueError("`isotropic` and `angle` exclude each other")
        if pixel is not None and not (len(pixel) == 2 and all(isinstance(n, int) and n >= 0 for n in pixel)):
            raise ValueError(f"`pixel` must be two whole numbers, row and column from 0, but is {shown(pixel)}")
        number = cast(tuple[Array, Array] | None, pixel and (np.int32(pixel[0]), np.int32(pixel[1])))
        if photon_list is not None:
            if asked or weights is not None or angle or azimuth or isotropic:
                raise ValueError("`photon_list` has the places, directions and weights of its photons: give no others")
            listed, way, weight = read_photons(photon_list)
            return cls(
                ListedEnergies.build(listed["energy"], weight),
                double(weight),
                double(listed["x"]),
                double(listed["y"]),
                double(1.0),
                Direction(*map(double, way.T)),
                impact="list",
                isotropic=False,
                forced=forced,
                lines=False,
                pixel=number,
            )
        natural: Lorentzians | None = None
        names: tuple[str, ...] = ()
        if line is not None or radioactive is not None:
            if weights is not None:
                raise ValueError("`weights` go with `energy`; those of lines stand in `line`, as in MnKa:2,MnKb:0.3")
            shapes = source_lines(line, radioactive, line_table)
            low, high, at_low, at_high, weight, natural = natural_bins(shapes)
            names = tuple(shape.name for shape, _ in shapes)
        elif spectrum is None:
            if isinstance(energy, str):
                energies, told = parse_lines(energy, "energy")
                weights = told if weights is None else weights
            else:
                energies = parse_list(energy, "eV", "energy")
            low = high = check_energies(np.array(energies))
            at_low = at_high = np.ones_like(low)
            weight = _checked_weights(np.ones_like(low) if weights is None else weights, low.size, "weights")
        elif weights is not None:
            raise ValueError("`weights` go with `energy`, not with `spectrum`")
        else:
            nodes, density = read_spectrum(spectrum) if isinstance(spectrum, str | os.PathLike) else spectrum
            low, high, at_low, at_high, weight = _bins_between(*_checked_spectrum(nodes, density))
        polar, turn = np.radians(angle), np.radians(azimuth)
        flight = np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), -np.cos(polar)
        return cls(
            EnergyBins.build(low, high, at_low, at_high, weight, natural),
            double(weight),
            double(x),
            double(y),
            double(spread),
            Direction(*map(double, flight)),
            impact=impact,
            isotropic=isotropic,
            forced=forced and not (isotropic or impact == "around"),
            lines=energy is not None,
            pixel=number,
            names=names,
        )

    @classmethod
    def of(cls, what: "Source | Quantity | Sequence[Quantity]") -> "Source":
        """The source itself, or one of lines at those energies that illuminates the top uniformly.

        >>> Source.of("7 keV") == Source.build(7000.0)
        True
        """
        if isinstance(what, Source):
            return what
        try:
            return cls.build(what)
        except ValueError as problem:
            if isinstance(what, str) and what[:1].isalpha():
                raise ValueError(f"{problem}: for a natural line take Source.build(line={shown(what)})") from problem
            raise

    def __repr__(self) -> str:
        """One line: energies or lines, and the impact."""
        low, high = self.energies.low, self.energies.high
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(self)):
            what = "traced"
        elif self.impact == "list":
            what = f"list of {low.shape[0]} photons"
        elif self.names:
            what = ", ".join(self.names)
        elif self.lines:
            what = f"{', '.join(f'{line:g}' for line in low[:FEW])}{' ...' if low.size > FEW else ''} eV"
        else:
            what = f"spectrum from {low[0]:g} to {high[-1]:g} eV"
        return f"<Source: {what}, {'isotropic' if self.isotropic else self.impact}>"

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is the same source, number by number."""
        return same(self, other)

    def __hash__(self) -> int:
        """That of its description."""
        return hash(self.describe())

    @property
    def few_lines(self) -> bool:
        """Whether all photons have one of at most FEW energies."""
        return self.lines and self.energies.low.size <= FEW

    @property
    def highest_energy(self) -> float:
        """Highest energy of a photon, eV."""
        return float(np.max(self.energies.at(self.energies.high)))

    @property
    def lowest_energy(self) -> float:
        """Lowest energy of a photon, eV."""
        return float(np.min(self.energies.at(self.energies.low)))

    @property
    def line_count(self) -> int:
        """How many lines photons are told apart by; 1 for a spectrum."""
        return self.energies.low.shape[0] if self.lines else max(1, len(self.names))

    @property
    def line_energies(self) -> Float[np.ndarray, " K"]:
        """Energies of the lines, eV, of a natural line the mean of its components; NaN for a spectrum."""
        if self.lines:
            return np.asarray(self.energies.low, dtype=np.float64)
        natural = self.energies.natural
        if natural is None:
            return np.array([np.nan])
        whole, part = (np.bincount(natural.line, self.weight * by) for by in (natural.centre, 1.0))
        return whole / part

    def describe(self) -> str:
        """Complete description of the source, as JSON."""
        nodes, natural = self.energies, self.energies.natural
        where: dict[str, Any] = {} if self.pixel is None else {"pixel": [int(n) for n in self.pixel]}
        if isinstance(nodes, ListedEnergies):
            rows = b"".join(np.asarray(leaf, dtype=float).tobytes() for leaf in jax.tree.leaves(self))
            return json.dumps({"photon_list": nodes.low.shape[0], "sha256": sha256(rows).hexdigest(), **where})
        if natural is not None:
            centre, fwhm = (
                np.asarray(part, dtype=float).tolist() for part in (natural.centre, 2.0 * natural.half_width)
            )
            energies = {"line": self.names, "component_ev": centre, "fwhm_ev": fwhm, "of_line": natural.line.tolist()}
        elif self.lines:
            energies = {"energy_ev": np.asarray(nodes.low, dtype=float).tolist(), "spectrum_ev": None}
        else:
            energies = {"energy_ev": None, "spectrum_ev": np.append(nodes.low, nodes.high[-1]).tolist()}
        where |= {"radius_um": float(self.spread)} if self.impact == "disc" else {}
        if self.impact == "around":
            where["side_um"] = float(self.spread) if np.isfinite(self.spread) else "all"
        return json.dumps(
            {
                **where,
                **energies,
                "weight": np.asarray(self.weight, dtype=float).tolist(),
                "impact": self.impact,
                "x_um": float(self.x),
                "y_um": float(self.y),
                "spread_um": float(self.spread) if self.impact == "spot" else None,
                "direction": "isotropic" if self.isotropic else [float(d) for d in jax.tree.leaves(self.direction)],
                "forced": self.forced,
            }
        )

    def check_fits(self, absorber: Absorber) -> None:
        """Raise ValueError unless the impact is on the absorber's top, and the pixel in its array."""
        if self.pixel is not None:
            if absorber.array is None:
                raise ValueError(f"`pixel` needs an absorber with an [array], which {absorber.name!r} has not")
            for name, place, size in zip(("row", "column"), self.pixel, absorber.array.shape, strict=True):
                if place >= size:
                    rule = f"below {size} in the array of absorber {absorber.name!r}"
                    raise ValueError(f"{name} of `pixel` must be {rule}, but is {place}")
        if self.impact == "around":
            self._check_around(absorber)
        if self.impact in ("uniform", "around"):
            return
        if self.impact == "list":
            for name, places, side in (("x", self.x, absorber.width), ("y", self.y, absorber.length)):
                row = int(np.argmax(np.abs(places)))
                if abs(places[row]) > side / 2:
                    rule = f"within {side / 2:g} um of the centre of absorber {absorber.name!r}"
                    raise ValueError(f"{name} of photon {row} of the list must be {rule}, but is {places[row]:g} um")
            return
        widest = WIDEST_SPOT * float(max(absorber.width, absorber.length))
        if self.impact == "spot" and self.spread > widest:
            rule = f"at most {widest:g} um on absorber {absorber.name!r} (leave it out for a uniform impact)"
            raise ValueError(f"`spot` must have a standard deviation of {rule}, but has {self.spread:g} um")
        reach = float(self.spread) if self.impact == "disc" else 0.0
        for name, place, side in (("x", self.x, absorber.width), ("y", self.y, absorber.length)):
            if reach > side / 2:
                rule = f"at most {side / 2:g} um on absorber {absorber.name!r}"
                raise ValueError(f"`disc` must have a radius of {rule}, but has {reach:g} um")
            if not abs(place) + reach <= side / 2:
                rule = f"within {side / 2 - reach:g} um of the centre of absorber {absorber.name!r}"
                disc = f" for a disc of {reach:g} um" if reach else ""
                raise ValueError(f"impact {name} must be {rule}{disc}, but is {place:g} um")

    def _check_around(self, absorber: Absorber) -> None:
        wide = absorber.substrate
        if wide is None:
            rule = f"a substrate wider than the absorber, which {absorber.name!r} has not"
            raise ValueError(f"`illuminate` needs {rule}: give one of its dead layers a `width`")
        if np.isinf(self.spread) and np.isinf(max(wide.width, wide.length)):
            rule = f"a substrate with an end, which {absorber.name!r} has not"
            raise ValueError(f"`illuminate` of all needs {rule}: give the side of a square around it, such as '1 mm'")

    def photon(self, stack: Stack, key: Key) -> tuple[Real, Whole, Site, Direction]:
        """Energy in eV, source line, site where it meets the stack and direction of the photon of ``key``."""
        energy, bin_ = self.energies.sample(*uniforms(key, jnp.uint32(ENERGY)))
        natural = self.energies.natural
        line = bin_ if self.lines else jnp.zeros_like(bin_) if natural is None else natural.line[bin_]
        u_x, u_y = uniforms(key, jnp.uint32(IMPACT))
        if self.impact == "list":
            place = self.x[bin_], self.y[bin_]
        elif self.impact == "disc":
            radius, (cosine, sine) = self.spread * jnp.sqrt(u_x), circle(u_y)
            place = self.x + radius * cosine, self.y + radius * sine
        else:
            place = self._impact(u_x, self.x, stack.width), self._impact(u_y, self.y, stack.length)
        site = Site(
            *place,
            jnp.zeros_like(energy),
            jnp.zeros_like(bin_),
            self._pixel(stack.pixels, key),
        )
        if self.impact == "list":
            return energy, line, site, jax.tree.map(lambda part: part[bin_], self.direction)
        direction = self.direction
        if self.isotropic:
            u_cosine, u_azimuth = uniforms(key, jnp.uint32(DIRECTION))
            direction = isotropic(0.5 * u_cosine, u_azimuth)
        if self.impact == "around":
            site = self._first_part(stack, site, direction, u_x, u_y)
        return energy, line, site, direction

    def _first_part(self, stack: Stack, site: Site, direction: Direction, u_x: Real, u_y: Real) -> Site:
        """Where a photon enters an absorber or the substrate, from the height of their top; ``site``: of any on it.

        One that meets neither starts at the bottom of the substrate, and leaves it at once.
        """
        wide = stack.substrate
        assert wide is not None
        everywhere = jnp.isinf(self.spread)
        x = jnp.where(everywhere, wide.x + wide.width * (u_x - 0.5), self.spread * (u_x - 0.5))
        y = jnp.where(everywhere, wide.y + wide.length * (u_y - 0.5), self.spread * (u_y - 0.5))
        if stack.pixels is not None:
            pixel = stack.pixels.nearest(x, y)
            centre_x, centre_y = stack.pixels.centre(pixel)
            site, x, y = replace(site, pixel=pixel), x - centre_x, y - centre_y
        site = replace(site, x=x, y=y)
        meets, entry = next_part(stack, site, direction, jnp.ones_like(everywhere), beside=True)
        last = stack.thickness.shape[0] - 1
        bottom = replace(site, depth=site.depth + stack.thickness[last], layer=jnp.full_like(site.layer, last))
        return choose(meets, entry, bottom)

    def _pixel(self, pixels: Pixels | None, key: Key) -> Array | None:
        """The pixel to be hit, () int32."""
        if pixels is None:
            return None
        if self.pixel is not None:
            return self.pixel[0] * pixels.columns + self.pixel[1]
        u_row, u_column = uniforms(key, jnp.uint32(PIXEL))
        row, column = (u * n for u, n in zip((u_row, u_column), pixels.shape, strict=True))
        return row.astype(jnp.int32) * pixels.columns + column.astype(jnp.int32)

    def _impact(self, u: Array, centre: Array, side: Array) -> Array:
        if self.impact == "point":
            return jnp.broadcast_to(centre, u.shape)
        if self.impact in ("uniform", "around"):
            return side * (u - 0.5)
        low, high = ndtr((-0.5 * side - centre) / self.spread), ndtr((0.5 * side - centre) / self.spread)
        return jnp.clip(centre + self.spread * ndtri(low + u * (high - low)), -0.5 * side, 0.5 * side)


def given_interaction(
    source: Source, energy: Float[Array | np.ndarray, " R"], optical_depth: Float[np.ndarray, " R"]
) -> tuple[Source, float]:
    """The source weighted with the probability of an interaction, and the mean of that probability.

    optical_depth: of the whole stack along the source's direction, along the normal for a list of photons, at
    ``energy`` in eV, between which it is interpolated log-log; two rows at one energy are an absorption edge.
    """
    energy = np.asarray(energy, dtype=np.float64)

    def probability(at: Array | np.ndarray, slope: ArrayLike = 1.0) -> np.ndarray:
        return -np.expm1(-np.exp(np.interp(np.log(at), np.log(energy), np.log(optical_depth))) / slope)

    bins = source.energies
    weighted: EnergyBins | ListedEnergies
    if isinstance(bins, ListedEnergies):
        weight = np.asarray(source.weight * probability(bins.low, np.abs(source.direction.z)))
        weighted = ListedEnergies.build(bins.low, weight)
    elif source.lines:
        weight = np.asarray(source.weight * probability(bins.low))
        weighted = EnergyBins.build(bins.low, bins.high, bins.at_low, bins.at_high, weight)
    elif bins.natural is not None:
        edges = (bins.low, bins.high, bins.at_low, bins.at_high, source.weight)
        columns: Any = [*map(np.asarray, edges), bins.natural]
        given = NaturalBins(*columns)
        cut = weighted_bins(given, energy, -np.expm1(-optical_depth), probability)
        weight, weighted = cut.weight, EnergyBins.build(*cut)
    else:
        nodes = np.append(bins.low, bins.high[-1])
        density = np.append(bins.at_low, bins.at_high[-1])
        rows = (energy > nodes[0]) & (energy < nodes[-1])
        merged = np.concatenate([nodes, energy[rows]])
        order = np.argsort(merged, kind="stable")
        at_rows = np.interp(energy[rows], nodes, density) * -np.expm1(-optical_depth[rows])
        at_nodes = np.concatenate([density * probability(nodes), at_rows])[order]
        low, high, at_low, at_high, weight = _bins_between(merged[order], at_nodes)
        weighted = EnergyBins.build(low, high, at_low, at_high, weight)
    mean = float(weight.sum() / np.sum(source.weight))
    return replace(source, energies=weighted, weight=double(weight)), mean


def source_lines(
    line: str | None, radioactive: str | None, table: str | os.PathLike[str] | None = None
) -> list[tuple[LineShape, float]]:
    """The natural lines that the user names, with their photons; a line of a ``table`` of the user comes first."""
    if radioactive is not None:
        return radioactive_lines(radioactive)
    return [(load_line(name, table), weight) for name, weight in parse_line_names(str(line)).items()]


@checked
def read_spectrum(path: str | os.PathLike[str]) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Energies in eV and photons per eV (in any scale): the two columns of a text file, where '#' starts a comment.

    Raises ValueError where the file does not hold two columns of numbers.
    """
    table = read_pairs(path, f"spectrum {shown_path(path)}")
    return table[:, 0], table[:, 1]


def _bins_between(nodes: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, ...]:
    weight = 0.5 * (density[1:] + density[:-1]) * np.diff(nodes)
    return nodes[:-1], nodes[1:], density[:-1], density[1:], weight


def _checked_spectrum(nodes: ArrayLike, density: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    nodes = check_energies(as_numbers(nodes, "spectrum", "eV"))
    density = _checked_weights(density, nodes.size, "spectrum")
    if nodes.size < 2 or np.any(np.diff(nodes) <= 0):
        raise ValueError("`spectrum` must have at least two energies, each above the one before")
    return nodes, density


def _checked_weights(weight: ArrayLike, size: int, name: str) -> np.ndarray:
    weight = np.asarray(weight, dtype=float)
    if weight.shape != (size,):
        raise ValueError(f"`{name}` must have one number per energy ({size}), but has {weight.size}")
    if not np.all(np.isfinite(weight) & (weight >= 0)) or weight.sum() <= 0:
        raise ValueError(f"`{name}` must be finite, not negative and not all zero")
    return weight
