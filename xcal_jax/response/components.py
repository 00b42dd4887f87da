"""What an absorber does to photons of every energy: full-energy peak, escape peaks, loss continuum, as smooth curves.

Counts at the nodes become shares of the interacting photons at every row of a matrix (`share_of_nodes`): intensities
of escape peaks, whose places are known exactly, and the loss continuum in cells of the deposited share of the energy.
Detector resolution comes later, in `matrix`. Errors are those of the counts alone; `uncertainty` has the rest.
"""

import os

import numpy as np
import xarray as xr

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter, elements_of, interaction_by_layer
from xcal_jax.atomic import table_hash
from xcal_jax.compute.devices import Executor, in_parallel
from xcal_jax.constants import VERSION
from xcal_jax.io.files import replacing
from xcal_jax.response.energy_grid import adapt, edges_between, leverage, nodes_between, share_of_nodes
from xcal_jax.response.nodes import CELL_SHARES, Node, Settings, simulate_nodes
from xcal_jax.simulation.results import line_names

KIND = "xcal_jax absorber response"
SMOOTHED = (0.003, 0.02)  # width of the continuum's smoothing: share of the energy, and of the way to the nearer end


def rows_of(absorber: Absorber, boundaries: np.ndarray) -> np.ndarray:
    """``boundaries`` of rows (R + 1,) eV with the absorber's edges among them.

    Raises ValueError where they leave the atomic tables, or the absorber is an array.
    """
    absorber.check_alone("a matrix")
    return adapt(boundaries, edges_between(elements_of(absorber), boundaries[0], boundaries[-1]))


def simulate_response(
    absorber: Absorber,
    boundaries: np.ndarray,
    settings: Settings | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = True,
    progress: bool = False,
    executor: Executor = in_parallel,
) -> xr.Dataset:
    """The components of ``absorber``'s response in rows between ``boundaries`` (R + 1,) eV, as from `rows_of`.

    checkpoint, resume, progress, executor: see `simulate_nodes`.
    """
    settings = settings or Settings()
    edges = edges_between(elements_of(absorber), boundaries[0], boundaries[-1])
    energy, stretch = nodes_between(boundaries[0], boundaries[-1], edges)
    weight = leverage(energy, stretch, edges)
    nodes = simulate_nodes(absorber, energy, weight, settings, checkpoint, resume, progress, executor)
    weights = share_of_nodes(0.5 * (boundaries[1:] + boundaries[:-1]), energy, stretch, edges)
    return to_components(absorber, boundaries, edges, energy, nodes, weights, settings)


def to_components(absorber, boundaries, edges, node_energy, nodes: list[Node], weights, settings) -> xr.Dataset:
    """Counts at the nodes, and the ``weights`` (R, N) of the rows, as a Dataset of shares with standard errors."""
    middle = 0.5 * (boundaries[1:] + boundaries[:-1])
    photons = np.array([node.photons for node in nodes])
    names, line_energy = line_names(absorber, Matter.build(absorber, settings.yields))
    seen = np.unique(np.concatenate([node.line for node in nodes]))
    peaks = np.zeros((len(nodes), seen.size))
    for n, node in enumerate(nodes):
        peaks[n, np.searchsorted(seen, node.line)] = node.count
    counted = {
        "partial": np.array([float(node.partial) for node in nodes]),
        "photon": np.array([float(node.by_photons) for node in nodes]),
        "electron": np.array([float(node.by_electrons) for node in nodes]),
        "both": np.array([float(node.partial - node.by_photons - node.by_electrons) for node in nodes]),
        "peaks": peaks,
        "continuum": np.array([node.cells for node in nodes], dtype=float),
    }
    counted["continuum"] = counted["continuum"] @ smoothing()
    counted["peak_total"] = counted["peaks"].sum(axis=1)
    counted["continuum_total"] = counted["continuum"].sum(axis=1)
    share = {name: (counts.T / photons).T for name, counts in counted.items()}
    rows = {name: np.maximum(weights @ values, 0.0) for name, values in share.items()}
    variance = {name: (values * (1.0 - values)).T / photons for name, values in share.items() if name != "continuum"}
    errors = {name: np.sqrt(weights.multiply(weights) @ values.T) for name, values in variance.items()}
    rows["peaks"] *= _ratio(rows["peak_total"], rows["peaks"].sum(axis=1))[:, None]
    rows["continuum"] *= _ratio(rows["continuum_total"], rows["continuum"].sum(axis=1))[:, None]
    rows["partial"] = rows["peak_total"] + rows["continuum_total"]

    described = {
        "partial": "deposit less than their energy",
        "photon": "lose energy by photons alone",
        "electron": "lose energy by electrons alone",
        "both": "lose energy by photons and electrons",
        "peak_total": "lose one fluorescence photon and nothing else",
        "continuum_total": "lose energy otherwise",
    }
    result = xr.Dataset(
        coords={
            "energy": ("energy", middle, {"units": "eV", "long_name": "photon energy, middle of the row"}),
            "line": ("line", names[seen], {"units": "", "long_name": "fluorescence line that escapes"}),
            "deposited_share": (
                "deposited_share",
                0.5 * (CELL_SHARES[1:] + CELL_SHARES[:-1]),
                {"units": "1", "long_name": "deposited share of the photon energy, middle of the cell"},
            ),
            "node": ("node", node_energy, {"units": "eV", "long_name": "simulated photon energy"}),
            "layer": ("layer", np.arange(len(absorber.formulas)), {"units": "", "long_name": "layer, from the top"}),
        }
    )
    for name, words in described.items():
        result[name] = ("energy", rows[name], {"units": "1", "long_name": f"share of photons that {words}"})
        result[f"{name}_err"] = ("energy", errors[name], {"units": "1", "long_name": f"standard error of {name}"})
    result["peaks"] = (("energy", "line"), rows["peaks"], {"units": "1", "long_name": "intensity of an escape peak"})
    result["peaks_err"] = (("energy", "line"), errors["peaks"], {"units": "1", "long_name": "standard error of peaks"})
    result["continuum"] = (
        ("energy", "deposited_share"),
        rows["continuum"],
        {"units": "1", "long_name": "share of photons in a cell of the loss continuum"},
    )
    result["line_energy"] = ("line", line_energy[seen], {"units": "eV", "long_name": "energy of the line"})
    result["low"] = ("energy", boundaries[:-1], {"units": "eV", "long_name": "lower end of the row"})
    result["high"] = ("energy", boundaries[1:], {"units": "eV", "long_name": "upper end of the row"})
    result["cell_low"] = ("deposited_share", CELL_SHARES[:-1], {"units": "1", "long_name": "lower end of the cell"})
    result["cell_high"] = ("deposited_share", CELL_SHARES[1:], {"units": "1", "long_name": "upper end of the cell"})
    result["edge"] = ("edge", edges, {"units": "eV", "long_name": "absorption edge between the rows"})
    result["photons"] = ("node", photons, {"units": "1", "long_name": "photons simulated"})
    by_layer = interaction_by_layer(absorber, middle)
    result["by_layer"] = (
        ("energy", "layer"),
        by_layer,
        {"units": "1", "long_name": "probability of a first interaction in the layer"},
    )
    result["quantum_efficiency"] = (
        "energy",
        by_layer.sum(axis=1),
        {"units": "1", "long_name": "probability of an interaction"},
    )
    return result.assign_attrs(
        kind=KIND,
        title=f"Response of absorber {absorber.name!r}, per interacting photon, before the detector's resolution",
        version=VERSION,
        absorber=absorber.to_toml(),
        electrons=absorber.electrons,
        yields=settings.yields,
        electron_range=settings.electron_range,
        tolerance=settings.tolerance if settings.photons is None else "",
        seed=str(settings.seed),
        atomic_tables=table_hash(),
    )


def save_response(response: xr.Dataset, path: str | os.PathLike) -> None:
    """Write ``response`` as netCDF-4, whole or not at all."""
    with replacing(path) as temporary:
        packed = {name: {"zlib": True} for name in ("peaks", "peaks_err", "continuum") if name in response}
        response.to_netcdf(temporary, encoding=packed)


def load_response(path: str | os.PathLike) -> xr.Dataset:
    """Read a response. Raises ValueError when ``path`` is none of `save_response`."""
    try:
        with xr.open_dataset(path, engine="netcdf4") as file:
            response = file.load()
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError) as problem:
        raise ValueError(f"{str(path)!r} must be a netCDF-4 file, but cannot be read") from problem
    if response.attrs.get("kind") != KIND:
        raise ValueError(f"{str(path)!r} must be a response of `xcal-jax rmf --nc`, but is not")
    return response


def smoothing() -> np.ndarray:
    """(K, K) spreads each cell of the loss continuum over its neighbours by a Gaussian; sums stay what they are."""
    middle, width = 0.5 * (CELL_SHARES[1:] + CELL_SHARES[:-1]), np.diff(CELL_SHARES)
    sigma = SMOOTHED[0] + SMOOTHED[1] * np.minimum(middle, 1.0 - middle)
    kernel = width * np.exp(-0.5 * ((middle - middle[:, None]) / sigma[:, None]) ** 2)
    return kernel / kernel.sum(axis=1, keepdims=True)


def _ratio(total: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """What makes the ``parts`` (R,) add up to their ``total`` (R,) where noise had made some negative."""
    return np.divide(total, parts, out=np.zeros_like(total), where=parts > 0)
