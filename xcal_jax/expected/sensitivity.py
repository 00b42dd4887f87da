"""Figures by name, with units, errors and derivatives: what `xcal-jax sensitivity` prints, and what follows from them.

Uncertainties of the parameters are taken as independent: the variance of a figure is the sum over them of
(derivative x uncertainty)^2.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jax import Array

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter
from xcal_jax.expected.estimate import Estimate, mean_and_error
from xcal_jax.expected.parameters import UNITS, Parameters, parameter_values
from xcal_jax.io.files import read_toml
from xcal_jax.simulation.results import line_names
from xcal_jax.units import parse_quantity

FIELDS = {
    "interaction_probability": ("interaction_probability", "1"),
    "partial": ("partial", "1"),
    "photon_escape": ("photon_escape", "1"),
    "electron_escape": ("electron_escape", "1"),
    "both": ("both", "1"),
    "mean_loss_ev": ("mean_loss", "eV"),
    "mean_deposited_ev": ("mean_deposit", "eV"),
    "mean_square_loss_ev2": ("mean_square_loss", "eV^2"),
}
PEAKS = 6


@dataclass(frozen=True)
class Figure:
    """One number of R replicates: unit; values: (R,); derivatives: (R, K)."""

    unit: str
    values: Array
    derivatives: Array


def by_name(found: Estimate, absorber: Absorber, peaks: int = PEAKS) -> dict[str, Figure]:
    """All scalar figures, the layers' shares, losses above thresholds and the most intense escape ``peaks``."""
    value, slope = found.values, found.derivatives
    figures = {
        name: Figure(unit, getattr(value, field), getattr(slope, field)) for name, (field, unit) in FIELDS.items()
    }
    for n in range(value.interaction_by_layer.shape[1]):
        figures[f"interaction_probability[{n}]"] = Figure(
            "1", value.interaction_by_layer[:, n], slope.interaction_by_layer[..., n]
        )
    for n, threshold in enumerate(found.thresholds):
        if threshold > 0:
            figures[f"loss_gt_{threshold:g}ev"] = Figure("1", value.loss_above[:, n], slope.loss_above[..., n])
    labels, _ = line_names(absorber, Matter.build(absorber))
    mean = value.peaks.mean(axis=0)
    for line in np.argsort(-mean, kind="stable")[:peaks]:
        if mean[line] > 0:
            figures[f"peak {labels[line]}"] = Figure("1", value.peaks[:, line], slope.peaks[..., line])
    return figures


def as_json(figures: dict[str, Figure], parameters: Sequence[str]) -> dict:
    """``{figures: {name: {value, err}}, derivatives: {name: {parameter: {value, err, unit}}}}``."""
    facts: dict = {"figures": {}, "derivatives": {}}
    for name, figure in figures.items():
        value, error = mean_and_error(figure.values)
        facts["figures"][name] = {"value": float(value), "err": float(error)}
        slopes, errors = mean_and_error(figure.derivatives)
        facts["derivatives"][name] = {
            parameter: {
                "value": float(slope),
                "err": float(slope_error),
                "unit": derivative_unit(figure.unit, UNITS[parameter.split("[")[0]]),
            }
            for parameter, slope, slope_error in zip(parameters, slopes, errors, strict=True)
        }
    return facts


def derivative_unit(figure: str, parameter: str) -> str:
    """``eV/um``, ``1/eV``, ``1/(g/cm3)``."""
    if parameter == "1":
        return figure
    return f"{figure}/({parameter})" if "/" in parameter else f"{figure}/{parameter}"


def relative(figures: dict[str, Figure], parameters: Sequence[str], at: Parameters):
    """Percent by which a figure changes for a percent of a parameter: {figure: (value (K,), error (K,))}."""
    flat = parameter_values(at)
    scale = np.array([flat[name] for name in parameters])
    found = {}
    for name, figure in figures.items():
        value = figure.values.mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes, errors = mean_and_error(figure.derivatives)
            found[name] = slopes * scale / value, errors * np.abs(scale / value)
    return found


def propagate(figures: dict[str, Figure], parameters: Sequence[str], sigma: dict[str, float]) -> dict:
    """``{figure: {total, by_parameter: {parameter: ...}}}``, standard deviations in the figure's unit."""
    found = {}
    for name, figure in figures.items():
        slopes = figure.derivatives.mean(axis=0)
        parts = {p: abs(float(slope)) * sigma[p] for p, slope in zip(parameters, slopes, strict=True) if p in sigma}
        found[name] = {"total": float(np.sqrt(sum(part**2 for part in parts.values()))), "by_parameter": parts}
    return found


def read_uncertainties(path: str | os.PathLike, at: Parameters) -> dict[str, float]:
    """Standard deviations by parameter from a TOML file: ``"thickness[1]" = "0.05 um"``, ``yield = "10 %"``.

    A name without a layer stands for every layer, each on its own. Raises ValueError for an unknown name, a number that
    is no length, density or percentage, or is negative.
    """
    where = f"uncertainties {str(path)!r}"
    table = read_toml(path, where)
    values = parameter_values(at)
    sigma: dict[str, float] = {}
    for name, given in table.items():
        places = [known for known in values if known == name or known.split("[")[0] == name]
        if not places:
            raise ValueError(f"unknown parameter {name!r} in {where}; parameters are {', '.join(values)}")
        for place in places:
            sigma[place] = _deviation(given, place, values[place], where)
    if not sigma:
        raise ValueError(f"{where} must name at least one parameter, but is empty")
    return sigma


def _deviation(given, name: str, value: float, where: str) -> float:
    unit = UNITS[name.split("[")[0]]
    text = f"{name} in {where}"
    if isinstance(given, str) and given.strip().endswith("%"):
        found = abs(value) * parse_quantity(given.strip()[:-1], "", text) / 100.0
    else:
        found = parse_quantity(given, "" if unit == "1" else unit.replace("cm3", "cm^3"), text)
    if found < 0.0:
        raise ValueError(f"`{text}` must not be negative, but is {given!r}")
    return found
