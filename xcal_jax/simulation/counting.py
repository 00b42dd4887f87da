"""One run described in full, and any range of its photons counted: what is counted never depends on who counts it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial, reduce
from math import isfinite
from threading import Lock
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.filters import Filter, edges, transmission
from xcal_jax.absorber.matter import Matter
from xcal_jax.absorber.padding import lines_of, padded, up
from xcal_jax.absorber.source import Source, given_interaction
from xcal_jax.compute.devices import local_devices, packing
from xcal_jax.compute.fingerprint import check_compatible, environment
from xcal_jax.compute.kept import kept
from xcal_jax.compute.random import SEEDS
from xcal_jax.constants import YIELDS
from xcal_jax.montecarlo.batch import LEAST_LANES, MOST_LANES, Event, counted, listed
from xcal_jax.montecarlo.ledger import SHARING
from xcal_jax.montecarlo.state import Medium
from xcal_jax.montecarlo.tally import Tally
from xcal_jax.simulation.loss_thresholds import loss_thresholds
from xcal_jax.units import Quantity, parse_quantity, parse_whole, shown

MOST_BINS = 2**24
MODELS = ("electrons", "compton", "rayleigh", "coster_kronig")  # of an absorber, on which its tables depend
MOST_PHOTONS = 10**13
ALMOST_ONE = 1.0 - 2.0**-53
BINS = 2**14  # spectra are padded to a multiple, so that one compiled program serves many energies


@dataclass(frozen=True, eq=False)
class Run:
    """All that the counts of a photon depend on.

    bin_width: eV; bins: of the spectrum; lanes: photons to a block; loss_above: (A,) eV, thresholds of the loss;
    electron_range: factor on all electron ranges; layer_spectra: whether dead layers have spectra; environment: that of
    the process which asks. A run is small and can be sent to another process; `count` makes its tables there.
    """

    absorber: Absorber
    source: Source
    seed: int
    bin_width: float
    yields: str
    bins: int
    lanes: int | None
    loss_above: tuple[float, ...]
    electron_range: float
    layer_spectra: bool
    environment: dict[str, str]

    @classmethod
    def build(
        cls,
        absorber: Absorber,
        source: Source | Quantity,
        seed: int = 1,
        bin_width: Quantity = 1.0,
        yields: str = "eadl",
        lanes: int | None = None,
        highest_energy: float | None = None,
        loss_above: Sequence[Quantity] | str | None = None,
        electron_range: float = 1.0,
        layer_spectra: bool = False,
    ) -> "Run":
        """A run, checked. highest_energy: eV, that the spectrum is to reach, if not the source's.

        Raises ValueError where a number makes no sense, or the source does not fit the absorber.
        """
        source = Source.of(source)
        source.check_fits(absorber)
        many = "an isotropic source" if source.isotropic else "a list of photons" if source.impact == "list" else ""
        if many and absorber.filters:
            raise ValueError(f"{many} needs an absorber without `filters`, which {absorber.name!r} has")
        seed = parse_whole(seed, "seed", least=0, below=SEEDS)
        if yields not in YIELDS:
            raise ValueError(f"`yields` must be one of {', '.join(YIELDS)}, but is {shown(yields)}")
        highest = highest_energy or source.highest_energy
        width = parse_quantity(bin_width, "eV", "bin_width")
        bins = _bins(width, highest)
        if lanes is not None and parse_whole(lanes, "lanes", least=1, most=MOST_LANES) % LEAST_LANES:
            raise ValueError(f"`lanes` must be a multiple of {LEAST_LANES}, but is {lanes}")
        if not (isfinite(electron_range) and electron_range > 0):
            raise ValueError(f"`electron_range` must be positive and finite, but is {electron_range}")
        thresholds = loss_thresholds(loss_above, highest)
        if layer_spectra and not absorber.dead:
            raise ValueError(f"`layer_spectra` needs an absorber with dead layers, which {absorber.name!r} has not")
        numbers = width, yields, bins, lanes, thresholds, electron_range
        return cls(absorber, source, seed, *numbers, layer_spectra, environment())

    @property
    def block(self) -> int:
        """Photons to a block, on each device."""
        return self.lanes or packing().block

    def facts(self) -> dict[str, str]:
        """The facts, by name, that two runs must have in common to count the same, bit by bit: for a checkpoint."""
        leaves = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(self.source))
        return {
            "absorber": self.absorber.to_toml(),
            "source": f"{self.source.describe()} {hashlib.sha256(leaves).hexdigest()}",
            "seed": str(self.seed),
            "bin width": repr(self.bin_width),
            "yields": self.yields,
            "loss thresholds": repr(self.loss_above),
            "electron ranges": repr(self.electron_range),
            "spectra of layers": repr(self.layer_spectra),
            **self.environment,
        }


@dataclass(frozen=True)
class Prepared:
    """A run's tables.

    matter: on the host; medium: on the device; drawn: the source that photons are drawn from, on the device;
    probability: the mean probability that a photon of `run.source`, before all filters, is drawn.
    """

    run: Run
    matter: Matter
    medium: Medium
    drawn: Source
    probability: float

    @classmethod
    def build(cls, run: Run) -> "Prepared":
        """The tables of ``run``."""
        matter = matter_of(run.absorber, run.yields, run.electron_range)
        drawn, probability = run.source, 1.0
        energy, filters = np.asarray(matter.attenuation.energy, dtype=float), run.absorber.filters
        if drawn.forced or filters:
            cosine = 1.0 if drawn.impact == "list" else abs(float(drawn.direction.z))
            depth = matter.optical_depth(run.absorber) / cosine
            if filters:
                interacts = -np.expm1(-depth) if drawn.forced else np.ones_like(energy)
                energy, depth = behind(filters, energy, interacts, cosine)
            drawn, probability = given_interaction(drawn, energy, depth)
        medium = medium_of(run.absorber, run.yields, run.electron_range)
        return cls(run, matter, medium, jax.device_put(drawn), probability)

    def tally(self, first: int, stop: int) -> Tally:
        """Photons ``first`` to ``stop`` counted, int64 on the host."""
        run = self.run
        step = run.block * local_devices().size
        total = sum_of(
            counted(
                self.medium,
                self.drawn,
                run.seed,
                n,
                min(n + step, stop),
                run.bin_width,
                lanes=run.block,
                bins=run.bins,
                loss_above=run.loss_above,
                dead_bins=run.bins if run.layer_spectra else 0,
            )
            for n in range(first, stop, step)
        )
        return replace(total, peaks=lines_of(self.matter.relaxation.energy.shape, total.peaks))

    def events(self, first: int, stop: int) -> Event:
        """The rows of at most a block a device of photons ``first`` to ``stop``, on the host."""
        return listed(self.medium, self.drawn, self.run.seed, first, stop, lanes=self.run.block)


def behind(
    filters: Sequence[Filter], energy: Float[np.ndarray, " R"], probability: Float[np.ndarray, " R"], cosine: float
) -> tuple[Float[np.ndarray, " Q"], Float[np.ndarray, " Q"]]:
    """Rows of energy, eV, and the optical depths with which as many photons would interact as do behind ``filters``.

    energy, probability: rows, and the probability of an interaction in each without filters; the edges of the filters
    become rows too, one just below and one above each. cosine: of the angle of incidence.
    """
    at = edges(filters)
    at = at[(at > energy[0]) & (at < energy[-1]) & ~np.isin(at, energy)]
    rows = np.sort(np.concatenate([energy, np.nextafter(at, 0.0), at]), kind="stable")
    own = np.searchsorted(rows, energy, side="left") + np.append(False, np.diff(energy) == 0.0)
    passed = np.interp(rows, energy, probability)
    passed[own] = probability
    passed *= transmission(filters, rows, cosine)
    return rows, np.clip(-np.log1p(-np.minimum(passed, ALMOST_ONE)), np.finfo(float).tiny, None)


def sum_of(tallies: Iterable[Tally]) -> Tally:
    """Tallies added up.

    Raises ValueError where pixels of an array are so small that too many share a photon, RuntimeError where histories
    did not balance.
    """
    total = reduce(partial(jax.tree.map, np.add), tallies)
    if total.pixels is not None and 0 < total.overflow >= total.unbalanced:
        raise ValueError(
            f"at most {SHARING} pixels beside the one hit may share a photon, but {int(total.overflow)} photons were "
            "shared by more: take larger pixels, or lower energies"
        )
    if total.overflow or total.unbalanced:
        raise RuntimeError(
            f"{int(total.overflow)} histories ran out of their counters and {int(total.unbalanced)} did not balance: "
            "this is a fault of the program, not of the input"
        )
    return total


def bins_up_to(energy: float, bin_width: float) -> int:
    """How many bins hold deposits up to ``energy``, which float32 may round up: 6999.9999 eV to 7000 eV."""
    return int(energy * (1.0 + 1e-6) / bin_width) + 1


def _bins(bin_width: float, highest: float) -> int:
    if not (isfinite(bin_width) and bin_width > 0):
        raise ValueError(f"`bin_width` must be positive and finite, but is {bin_width} eV")
    bins = bins_up_to(highest, bin_width)
    if bins > MOST_BINS:
        raise ValueError(
            f"`bin_width` must leave at most {MOST_BINS} bins below {highest:g} eV, but is {bin_width:g} eV"
        )
    return up(bins, BINS)


class Task(NamedTuple):
    """Photons ``first`` to ``stop`` of a run, to be counted in any process."""

    run: Run
    first: int
    stop: int


def count(task: Task) -> Tally:
    """The photons of ``task``, int64 on the host.

    Raises ValueError where this process would count them differently: with other physics, tables or JAX.
    """
    with jax.enable_x64(task.run.environment["precision"] == "float64"):
        check_compatible(task.run.environment)
        return _prepared(task.run).tally(task.first, task.stop)


@lru_cache(maxsize=16)
def _prepared(run: Run) -> Prepared:
    return Prepared.build(run)


def matter_of(absorber: Absorber, yields: str = "eadl", electron_range: float = 1.0) -> Matter:
    """The tables of an absorber, kept by what they depend on: geometry and densities do not matter.

    yields: fluorescence yields; electron_range: factor on all electron ranges.
    """
    with _building:
        return _matter(*_what_matters(absorber, yields, electron_range))


def medium_of(absorber: Absorber, yields: str = "eadl", electron_range: float = 1.0) -> Medium:
    """The absorber and its tables, see `matter_of`, on the device and `padded`."""
    with _building:
        matter = _on_device(*_what_matters(absorber, yields, electron_range))
    stack, density = jax.device_put((absorber.stack, absorber.density))
    return Medium(stack, density, matter)


_building = Lock()  # threads that ask for the same tables wait for the first


def _what_matters(absorber: Absorber, yields: str, electron_range: float) -> tuple[Any, ...]:
    models = tuple(getattr(absorber, model) for model in MODELS)
    return absorber.formulas, models, yields, electron_range, str(jnp.result_type(float))


@lru_cache(maxsize=4)
def _matter(
    formulas: tuple[str, ...], models: tuple[str | bool, ...], yields: str, electron_range: float, precision: str
) -> Matter:
    chosen: dict[str, Any] = dict(zip(MODELS, models, strict=True))
    matter: Matter = kept(
        lambda: Matter.build(Absorber.of_units(formulas, **chosen), yields),
        "matter",
        repr((formulas, models, yields, precision)),
    )
    return replace(matter, electrons=matter.electrons.stretched(electron_range))


@lru_cache(maxsize=4)
def _on_device(*what: Any) -> Matter:
    matter: Matter = jax.device_put(padded(_matter(*what)))
    return matter
