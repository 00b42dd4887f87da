"""Observables by name, with units, errors and derivatives, as `xcal-jax sensitivity` prints them; error propagation.

Uncertainties of the parameters are taken as independent: the variance of an observable is the sum over them of
(derivative x uncertainty)^2.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.expected.estimate import Estimate, mean_and_error
from xcal_jax.expected.parameters import UNITS, Parameters, parameter_values
from xcal_jax.io import toml
from xcal_jax.simulation.counting import matter_of
from xcal_jax.simulation.results import line_names
from xcal_jax.simulation.vocabulary import VOCABULARY
from xcal_jax.units import parse_quantity

SCALARS = (
    "interaction_probability",
    "partial",
    "photon_escape",
    "electron_escape",
    "both",
    "mean_loss",
    "mean_deposit",
    "mean_square_loss",
)
PEAKS = 6


@dataclass(frozen=True)
class Scalar:
    """One number and its derivatives with respect to K parameters, from R replicates: unit; (R,); (R, K)."""

    unit: str
    values: Array
    derivatives: Array


def scalars(found: Estimate, absorber: Absorber, peaks: int = PEAKS) -> dict[str, Scalar]:
    """All observables as scalars by name: `SCALARS`, interactions by layer, losses above thresholds, escape peaks.

    An index stands in brackets: ``interaction_by_layer[0]``, ``loss_above[50]`` (eV), ``peaks[Bi M5-N7]``. peaks: how
    many of them, the most intense first.
    """
    values, derivatives = found.values, found.derivatives

    def scalar(name: str, *index: int) -> Scalar:
        value, slope = (getattr(of, name)[(..., *index)] for of in (values, derivatives))
        return Scalar(VOCABULARY[name].unit, value, slope)

    named = {name: scalar(name) for name in SCALARS}
    named |= {f"interaction_by_layer[{n}]": scalar("interaction_by_layer", n) for n in range(len(absorber.formulas))}
    named |= {f"loss_above[{t:g}]": scalar("loss_above", n) for n, t in enumerate(found.thresholds) if t > 0}
    labels, _ = line_names(absorber, matter_of(absorber))
    mean = values.peaks.mean(axis=0)
    strongest = np.argsort(-mean, kind="stable")[:peaks]
    return named | {f"peaks[{labels[line]}]": scalar("peaks", line) for line in strongest if mean[line] > 0}


def facts_of(observables: dict[str, Scalar], parameters: Sequence[str]) -> dict:
    """``{observables: {name: {value, err}}, derivatives: {name: {parameter: {value, err, unit}}}}``, for JSON."""
    facts: dict = {"observables": {}, "derivatives": {}}
    for name, scalar in observables.items():
        value, error = mean_and_error(scalar.values)
        facts["observables"][name] = {"value": float(value), "err": float(error)}
        slopes, errors = mean_and_error(scalar.derivatives)
        facts["derivatives"][name] = {
            parameter: {
                "value": float(slope),
                "err": float(slope_error),
                "unit": derivative_unit(scalar.unit, UNITS[parameter.split("[")[0]]),
            }
            for parameter, slope, slope_error in zip(parameters, slopes, errors, strict=True)
        }
    return facts


def derivative_unit(observable: str, parameter: str) -> str:
    """The unit of a derivative, from those of the observable and the parameter: eV/um, 1/eV, 1/(g/cm3)."""
    if parameter == "1":
        return observable
    return f"{observable}/({parameter})" if "/" in parameter else f"{observable}/{parameter}"


def relative(
    observables: dict[str, Scalar], parameters: Sequence[str], at: Parameters
) -> dict[str, tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]]:
    """Percent by which each observable changes for a percent of each of the K ``parameters``: value and error."""
    flat = parameter_values(at)
    scale = np.array([flat[name] for name in parameters])
    found = {}
    for name, scalar in observables.items():
        value = scalar.values.mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes, errors = mean_and_error(scalar.derivatives)
            found[name] = slopes * scale / value, errors * np.abs(scale / value)
    return found


def propagate(observables: dict[str, Scalar], parameters: Sequence[str], sigma: dict[str, float]) -> dict:
    """``{observable: {total, by_parameter: {parameter: ...}}}``, standard deviations in the observable's unit."""
    found = {}
    for name, scalar in observables.items():
        slopes = scalar.derivatives.mean(axis=0)
        parts = {p: abs(float(slope)) * sigma[p] for p, slope in zip(parameters, slopes, strict=True) if p in sigma}
        found[name] = {"total": float(np.sqrt(sum(part**2 for part in parts.values()))), "by_parameter": parts}
    return found


def read_uncertainties(path: str | os.PathLike, at: Parameters) -> dict[str, float]:
    """Standard deviations by parameter from a TOML file: ``"thickness[1]" = "0.05 um"``, ``yield = "10 %"``.

    A name without a layer stands for every layer, each on its own. Raises ValueError where a name is unknown, or a
    number is negative or no length, density or percentage.
    """
    where = f"uncertainties {str(path)!r}"
    table = toml.read(path, "uncertainties")
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
        found = parse_quantity(given, unit, text)
    if found < 0.0:
        raise ValueError(f"`{text}` must not be negative, but is {given!r}")
    return found
