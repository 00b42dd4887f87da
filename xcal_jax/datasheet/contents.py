"""The contents of a data sheet, computed: spectra, losses by position, derivatives, efficiency, heat capacity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import elements_of, interaction_by_layer
from xcal_jax.absorber.source import Source
from xcal_jax.compute.progress import Bar
from xcal_jax.design.heat import heat_capacity
from xcal_jax.expected.sensitivity import Sensitivity, sensitivity
from xcal_jax.io.datasets import variable
from xcal_jax.response.energy_grid import edges_between
from xcal_jax.simulation import vocabulary
from xcal_jax.simulation.results import partial_count
from xcal_jax.simulation.simulate import simulate

ENERGIES = ("7 keV", "3 keV", "5 keV", "10 keV")  # where straight electrons hold
PLACES = 12  # along each side of the map, from the edge to the centre
NEAREST = 1e-4  # of half a side: the place that is nearest to the edge
HERE = 2**15  # photons at each place
HISTORIES = 2**14  # of the derivatives
STEPS = 400  # energies of the efficiency, beside those of absorption edges
WIDEST = (200.0, 20_000.0)  # eV, of the efficiency, at least
BESIDE = 1e-6  # of an edge's energy: how far from it the efficiency is looked up


@dataclass(frozen=True)
class Contents:
    """The contents of a data sheet of an ``absorber``.

    fwhm: eV of its detector, or None; temperature: K of the heat capacity. results: of `simulate`, one an energy,
    ascending; main: eV, of the places and the derivatives; places: see `losses_by_place`; changes: derivatives,
    None where a dead layer or a gap parts layers that count; efficiency: see `efficiency`; heat: (L,) pJ/K a layer,
    NaN if not known.
    """

    absorber: Absorber
    fwhm: float | None
    temperature: float
    results: list[xr.Dataset]
    main: float
    places: xr.Dataset
    changes: Sensitivity | None
    efficiency: xr.Dataset
    heat: Float[np.ndarray, " L"]

    @property
    def energies(self) -> list[float]:
        """Photon energies of the results, eV."""
        return [float(result.source_energy[0]) for result in self.results]


def contents(
    absorber: Absorber,
    energies: Sequence[float],
    n: int,
    seed: int,
    yields: str,
    fwhm: float | None,
    temperature: float,
    progress: bool,
) -> Contents:
    """The contents of the sheet of ``absorber`` at ``energies`` eV, with ``n`` photons each."""
    main = energies[0]
    Source.build(energies)
    results = [
        simulate(absorber, energy, n, seed, yields=yields, progress=progress) for energy in sorted(set(energies))
    ]
    return Contents(
        absorber,
        fwhm,
        temperature,
        results,
        main,
        losses_by_place(absorber, main, seed, yields, progress),
        None
        if absorber.parted_by is not None or absorber.substrate is not None
        else sensitivity(absorber, main, n=HISTORIES, seed=seed, yields=yields, progress=progress),
        efficiency(absorber, max(energies)),
        heat_capacity(absorber, temperature),
    )


def losses_by_place(absorber: Absorber, energy: float, seed: int, yields: str, progress: bool) -> xr.Dataset:
    """Fractions of photons of ``energy`` eV that lose energy, by the distances (um) of the impact to two edges.

    `partial` and `partial_err` over `from_x` and `from_y`: of a quarter of the absorber, to which the others are alike.
    """
    halves = 0.5 * float(absorber.width), 0.5 * float(absorber.length)
    distances = [half * np.geomspace(NEAREST, 1.0, PLACES) for half in halves]
    shape = len(distances[0]), len(distances[1])
    lost, error = np.zeros(shape), np.zeros(shape)
    with Bar(lost.size * HERE, " photons", progress) as bar:
        for i, j in np.ndindex(*shape):
            at = halves[0] - distances[0][i], halves[1] - distances[1][j]
            result = simulate(absorber, Source.build(energy, at=at), HERE, seed, yields=yields)
            count, met = partial_count(result), int(result.interacting)
            lost[i, j], error[i, j] = vocabulary.fraction(count, met), vocabulary.fraction_error(count, met)
            bar.update(HERE)
    sides = zip(("from_x", "from_y"), distances, ("x", "y"), strict=True)
    return xr.Dataset(
        {
            "partial": vocabulary.variable("partial", ("from_x", "from_y"), lost),
            "partial_err": vocabulary.error("partial", ("from_x", "from_y"), error),
        },
        coords={
            name: variable(name, values, "um", f"distance to the edge along {axis}") for name, values, axis in sides
        },
    )


def efficiency(absorber: Absorber, highest: float) -> xr.Dataset:
    """`interaction_by_layer` over `energy`, which has the absorption edges, to ``highest`` eV at least."""
    low, high = WIDEST[0], max(WIDEST[1], 1.2 * highest)
    edges = edges_between(elements_of(absorber), low, high)
    energy = np.unique([*np.geomspace(low, high, STEPS), *edges * (1.0 - BESIDE), *edges * (1.0 + BESIDE)])
    layers = np.arange(len(absorber.formulas))
    return xr.Dataset(
        {
            "interaction_by_layer": vocabulary.variable(
                "interaction_by_layer", ("energy", "layer"), interaction_by_layer(absorber, energy)
            )
        },
        coords={
            "energy": variable("energy", energy, "eV", "photon energy"),
            "layer": variable("layer", layers, "", "layer, from the top"),
        },
    )
