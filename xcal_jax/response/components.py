"""The response of an absorber at every energy: full-energy peak, escape peaks, loss continuum, as smooth curves.

Counts at the nodes become fractions of the interacting photons at every row of a matrix: intensities of escape peaks,
whose places are known exactly, and the loss continuum in cells of the deposited fraction of the energy. `matrix` adds
the detector's resolution. The quantum efficiency is a closed form, times what Rayleigh scattering changes (the share of
the photons given to collide that deposit anything), if the absorber has it. Errors are those of the counts
alone; `uncertainty` has the others.
"""

import os

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.sparse import csr_array

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import collision_probability, elements_of, interaction_by_layer, quantum_efficiency
from xcal_jax.compute.devices import Executor, in_parallel
from xcal_jax.compute.fingerprint import provenance
from xcal_jax.io import datasets
from xcal_jax.io.datasets import variable
from xcal_jax.response.energy_grid import adapt, edges_between, leverage, node_weights, nodes_between
from xcal_jax.response.nodes import CELL_EDGES, Node, Settings, simulate_nodes
from xcal_jax.simulation import vocabulary
from xcal_jax.simulation.counting import matter_of
from xcal_jax.simulation.results import line_names

KIND = "xcal_jax absorber response"
NEEDED = ("interaction_probability", "interaction_by_layer", "photon_escape", "continuum", "deposited_fraction")
SMOOTHED = (0.003, 0.02)  # width of the continuum's smoothing: part of the energy, and of the way to the nearer end


def rows_of(absorber: Absorber, boundaries: Float[np.ndarray, " B"], keep: bool = False) -> Float[np.ndarray, " R"]:
    """Boundaries of the rows of a response, eV: those given, which may ``keep`` their places, and the absorber's edges.

    Raises ValueError where they leave the atomic tables, or the absorber is an array.
    """
    absorber.check_alone("a matrix")
    return adapt(boundaries, edges_between(elements_of(absorber), boundaries[0], boundaries[-1]), keep)


def simulate_response(
    absorber: Absorber,
    boundaries: Float[np.ndarray, " B"],
    settings: Settings | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = True,
    progress: bool = False,
    executor: Executor = in_parallel,
) -> xr.Dataset:
    """The components of the response of ``absorber`` in rows between ``boundaries`` eV, as from `rows_of`.

    checkpoint, resume, progress, executor: see `simulate_nodes`.
    """
    settings = settings or Settings()
    edges = edges_between(elements_of(absorber), boundaries[0], boundaries[-1])
    energy, stretch = nodes_between(boundaries[0], boundaries[-1], edges)
    weight = leverage(energy, stretch, edges)
    nodes = simulate_nodes(absorber, energy, weight, settings, checkpoint, resume, progress, executor)
    weights = node_weights(0.5 * (boundaries[1:] + boundaries[:-1]), energy, stretch, edges)
    return to_components(absorber, boundaries, edges, energy, nodes, weights, settings)


def to_components(
    absorber: Absorber,
    boundaries: Float[np.ndarray, " B"],
    edges: Float[np.ndarray, " E"],
    node_energy: Float[np.ndarray, " N"],
    nodes: list[Node],
    weights: csr_array,
    settings: Settings,
) -> xr.Dataset:
    """Fractions in rows and their standard errors, from counts at the nodes and the rows' ``weights`` (R, N)."""
    middle = 0.5 * (boundaries[1:] + boundaries[:-1])
    photons = np.array([node.photons for node in nodes])
    names, line_energy = line_names(absorber, matter_of(absorber, settings.yields))
    seen = np.unique(np.concatenate([node.line for node in nodes]))
    peaks = np.zeros((len(nodes), seen.size))
    for n, node in enumerate(nodes):
        peaks[n, np.searchsorted(seen, node.line)] = node.count
    kinds = ("partial", "photon_escape", "electron_escape")
    counted = {name: np.array([float(getattr(node, name)) for node in nodes]) for name in kinds}
    counted["both"] = counted["partial"] - counted["photon_escape"] - counted["electron_escape"]
    counted["peaks"], counted["continuum"] = peaks, np.array([node.cells for node in nodes], dtype=float) @ smoothing()
    counted["peak_total"] = counted["peaks"].sum(axis=1)
    counted["continuum_total"] = counted["continuum"].sum(axis=1)
    fraction = {name: (counts.T / photons).T for name, counts in counted.items()}
    rows = {name: np.maximum(weights @ values, 0.0) for name, values in fraction.items()}
    variance = {name: (values * (1.0 - values)).T / photons for name, values in fraction.items() if name != "continuum"}
    errors = {name: np.sqrt(weights.multiply(weights) @ values.T) for name, values in variance.items()}
    rows["peaks"] *= _ratio(rows["peak_total"], rows["peaks"].sum(axis=1))[:, None]
    rows["continuum"] *= _ratio(rows["continuum_total"], rows["continuum"].sum(axis=1))[:, None]
    rows["partial"] = rows["peak_total"] + rows["continuum_total"]
    drawn = np.array([node.drawn for node in nodes])
    collided = collision_probability(absorber, node_energy) * photons / drawn
    deflected = weights @ (collided / quantum_efficiency(absorber, node_energy))
    rows["interaction_by_layer"] = interaction_by_layer(absorber, middle) * deflected[:, None]
    rows["interaction_probability"] = rows["interaction_by_layer"].sum(axis=1)

    across = {"peaks": "line", "continuum": "deposited_fraction", "interaction_by_layer": "layer"}
    dims = {name: ("energy", across[name]) if name in across else ("energy",) for name in rows}
    cell, layers = 0.5 * (CELL_EDGES[1:] + CELL_EDGES[:-1]), np.arange(len(absorber.formulas))
    return xr.Dataset(
        {
            **{name: vocabulary.variable(name, dims[name], values) for name, values in rows.items()},
            **{f"{name}_err": vocabulary.error(name, dims[name], values) for name, values in errors.items()},
            "line_energy": vocabulary.variable("line_energy", "line", line_energy[seen]),
            "photons": vocabulary.variable("photons", "node", photons),
            "low": variable("energy", boundaries[:-1], "eV", "lower end of the row"),
            "high": variable("energy", boundaries[1:], "eV", "upper end of the row"),
            "cell_low": variable("deposited_fraction", CELL_EDGES[:-1], "1", "lower end of the cell"),
            "cell_high": variable("deposited_fraction", CELL_EDGES[1:], "1", "upper end of the cell"),
            "edge": variable("edge", edges, "eV", "absorption edge between the rows"),
        },
        coords={
            "energy": variable("energy", middle, "eV", "photon energy, middle of the row"),
            "line": variable("line", names[seen], "", "fluorescence line that escapes"),
            "deposited_fraction": variable(
                "deposited_fraction", cell, "1", "deposited fraction of the photon energy, middle of the cell"
            ),
            "node": variable("node", node_energy, "eV", "simulated photon energy"),
            "layer": variable("layer", layers, "", "layer, from the top"),
        },
        attrs={
            "kind": KIND,
            "title": f"Response of absorber {absorber.name!r} per interacting photon, before the detector's resolution",
            **provenance(),
            "absorber": absorber.to_toml(),
            "models": absorber.physics,
            "electrons": absorber.electrons,
            "compton": absorber.compton,
            "rayleigh": int(absorber.rayleigh),
            "yields": settings.yields,
            "electron_range": settings.electron_range,
            "tolerance": settings.tolerance if settings.photons is None else "",
            "seed": str(settings.seed),
        },
    )


def in_rows(response: xr.Dataset, boundaries: Float[np.ndarray, " B"]) -> xr.Dataset:
    """A ``response``, in the mean over its interacting photons, in wider rows: some of its ``boundaries``, eV."""
    if boundaries.size == response.sizes["energy"] + 1:
        return response
    width = (response.high - response.low).values
    starts = np.searchsorted(response.low.values, boundaries[:-1] * (1.0 - 1e-12))
    photons = width * response.interaction_probability.values

    def mean(values: xr.DataArray, weight: np.ndarray) -> xr.Variable:
        each = weight.reshape(-1, *(1,) * (values.ndim - 1))
        total = np.add.reduceat(each * values.values, starts) / np.add.reduceat(each, starts)
        return xr.Variable(values.dims, total, values.attrs)

    made = {}
    for name, values in response.data_vars.items():
        by_energy = values.dims[:1] == ("energy",)
        of_all = name in ("interaction_probability", "interaction_by_layer")
        made[name] = mean(values, width if of_all else photons) if by_energy else values
    made["low"] = response.low.variable[starts]
    made["high"] = response.high.variable[np.append(starts[1:], width.size) - 1]
    middle = response.energy.variable[starts].copy(data=0.5 * (boundaries[1:] + boundaries[:-1]))
    others = {name: values for name, values in response.coords.items() if name != "energy"}
    return xr.Dataset(made, {"energy": middle, **others}, response.attrs)


def load_response(path: str | os.PathLike) -> xr.Dataset:
    """The response in the file ``path``. Raises ValueError when it is none of this program."""
    return datasets.read(path, "a response of `xcal-jax rmf --nc`", (KIND,), NEEDED)


def smoothing() -> Float[np.ndarray, "K K"]:
    """Matrix that spreads each cell of the loss continuum over its neighbours by a Gaussian and keeps the sum."""
    middle, width = 0.5 * (CELL_EDGES[1:] + CELL_EDGES[:-1]), np.diff(CELL_EDGES)
    sigma = SMOOTHED[0] + SMOOTHED[1] * np.minimum(middle, 1.0 - middle)
    kernel = width * np.exp(-0.5 * ((middle - middle[:, None]) / sigma[:, None]) ** 2)
    return kernel / kernel.sum(axis=1, keepdims=True)


def _ratio(total: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Factors (R,) by which the ``parts`` add up to their ``total``, where noise had made some negative."""
    return np.divide(total, parts, out=np.zeros_like(total), where=parts > 0)
