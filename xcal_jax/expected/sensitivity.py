"""Observables by name, with units, errors and derivatives, as `xcal-jax sensitivity` prints them; error propagation.

Uncertainties of the parameters are taken as independent: the variance of an observable is the sum over them of
(derivative x uncertainty)^2.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.source import Source
from xcal_jax.expected.estimate import Estimate, estimate, mean_and_error
from xcal_jax.expected.parameters import UNITS, Parameters, parameter_values, stem
from xcal_jax.io import toml
from xcal_jax.io.arguments import checked
from xcal_jax.io.schema import optional_keys, rule
from xcal_jax.simulation.counting import matter_of
from xcal_jax.simulation.results import line_names
from xcal_jax.simulation.vocabulary import VOCABULARY
from xcal_jax.units import Quantity, as_quantity, limited, shown_path

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
WRT = ("thickness", "density", "yield", "range")


@dataclass(frozen=True)
class Scalar:
    """An observable and its derivatives with respect to K parameters, of R replicates: (R,) and (R, K)."""

    unit: str
    values: Array
    derivatives: Array


@dataclass(frozen=True)
class Sensitivity:
    """Observables of an absorber with their derivatives; it prints itself as a table.

    observables: by name; parameters: K names; point: the values of all parameters; sigma: standard deviations of
    parameters, by name; notes: a sentence for each model without a derivative that was replaced by the paper's.
    """

    observables: dict[str, Scalar]
    parameters: tuple[str, ...]
    point: Parameters
    sigma: dict[str, float]
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """The facts of `facts_of`; with uncertainties also those of `propagate`, for JSON."""
        facts = facts_of(self.observables, self.parameters) | {"notes": list(self.notes)}
        if self.sigma:
            facts["uncertainties"] = propagate(self.observables, self.parameters, self.sigma)
        return facts

    @property
    def changes(self) -> dict[str, tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]]:
        """Percent by which each observable changes for a percent of each parameter: value and error."""
        return relative(self.observables, self.parameters, self.point)

    def __str__(self) -> str:
        """A table: observables down, relative sensitivities across, and what is uncertain if that was asked."""
        facts, changes = self.facts(), self.changes
        width = max(len(name) for name in self.observables)
        lines = ["change of each observable in percent, for a parameter that is 1 % larger (standard error below)", ""]
        lines += [f"{'observable':{width}} {'value':>12} {'+-':>9} " + "".join(f"{p:>14}" for p in self.parameters)]
        for name, part in facts["observables"].items():
            value, error = changes[name]
            lines += [
                f"{name:{width}} {part['value']:12.5g} {part['err']:9.1e} " + "".join(f"{v:14.4f}" for v in value),
                f"{'':{width}} {'':12} {'':9} " + "".join(f"{e:14.4f}" for e in error),
            ]
        if self.sigma:
            lines += ["", f"{'observable':{width}} {'uncertainty':>12}   of which"]
            for name, part in facts["uncertainties"].items():
                causes = "  ".join(f"{p} {s:.2g}" for p, s in part["by_parameter"].items())
                lines += [f"{name:{width}} {part['total']:12.3g}   {causes}"]
        return "\n".join([*lines, *(f"note: {sentence}" for sentence in self.notes)])

    __repr__ = __str__


@checked
def sensitivity(
    absorber: Absorber | str | os.PathLike[str],
    energy: Quantity | Sequence[Quantity],
    wrt: Sequence[str] | str = WRT,
    at: str | Sequence[Quantity] | None = None,
    n: int = 2**17,
    seed: int = 1,
    yields: str = "eadl",
    uncertainties: str | os.PathLike[str] | Mapping[str, Quantity] | None = None,
    electrons: str | None = None,
    physics: str | None = None,
    loss_above: Sequence[Quantity] | str | None = None,
    progress: bool = False,
    weights: Sequence[float] | None = None,
    angle: Quantity = 0.0,
    azimuth: Quantity = 0.0,
    isotropic: bool = False,
) -> Sensitivity:
    """Observables of ``absorber`` (what `Absorber.load` takes) at ``energy``, and derivatives, with standard errors.

    energy, weights, at, angle, azimuth, isotropic: as in `Source.build`, several lines such as "5.899keV:2,6.490keV:1";
    at: (x, y) um of the impact, or uniform over the top. wrt: of `UNITS`, for one layer ``thickness[1]``, for one line
    ``weight[1]``, several in a list or between commas; n: histories, rounded up to a power of two, 4096 at least.
    uncertainties: standard deviations, ``{"thickness[1]": "0.05 um", "yield": "15 %"}`` or a TOML file of them, from
    which the observables' follow. Others, and errors: as for `estimate`.

    >>> found = sensitivity("gold", "7 keV", n=16_384)
    >>> found.parameters[:2], found.facts()["derivatives"]["interaction_probability"]["thickness[0]"]["unit"]
    (('thickness[0]', 'density[0]'), '1/um')
    """
    target = Absorber.load(absorber, electrons, physics)
    source = Source.build(energy, weights, at=at, angle=angle, azimuth=azimuth, isotropic=isotropic)
    source.check_fits(target)
    point = Parameters.of_source(target, source)
    sigma = read_uncertainties(uncertainties, point) if uncertainties else {}
    wrt = [name.strip() for name in wrt.split(",")] if isinstance(wrt, str) else wrt
    asked = [*wrt, *(name for name in sigma if name not in wrt and stem(name) not in wrt)]
    found = estimate(target, source, asked, n, seed, yields, loss_above=loss_above, progress=progress)
    return Sensitivity(scalars(found, target), found.parameters, point, sigma, found.notes)


def scalars(found: Estimate, absorber: Absorber, peaks: int = PEAKS) -> dict[str, Scalar]:
    """All observables as scalars by name: `SCALARS`, interactions by layer that counts, losses above thresholds, peaks.

    An index stands in brackets: ``interaction_by_layer[0]``, ``loss_above[50]`` (eV), ``peaks[Bi M5-N7]``. peaks: how
    many of them, the most intense first.
    """
    values, derivatives = found.values, found.derivatives

    def scalar(name: str, *index: int) -> Scalar:
        value, slope = (getattr(of, name)[(..., *index)] for of in (values, derivatives))
        return Scalar(VOCABULARY[name].unit, value, slope)

    named = {name: scalar(name) for name in SCALARS}
    counting = [n for n in range(len(absorber.formulas)) if n not in absorber.dead]
    named |= {f"interaction_by_layer[{n}]": scalar("interaction_by_layer", n) for n in counting}
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
                "unit": derivative_unit(scalar.unit, UNITS[stem(parameter)]),
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


@checked
def read_uncertainties(path: str | os.PathLike | Mapping[str, Any], at: Parameters) -> dict[str, float]:
    """Standard deviations by parameter from a TOML file or a mapping: ``"thickness[1]" = "0.05 um"``.

    A name without a layer stands for every layer, each on its own. Raises ValueError where a name is unknown, or a
    number is negative or no length, density or percentage.
    """
    values = parameter_values(at)
    schema = optional_keys({name: _deviation(UNITS[stem(name)]) for name in (*map(stem, values), *values)})
    if isinstance(path, Mapping):
        where, table = "uncertainties", toml.check(path, "uncertainties", schema)
    else:
        where, table = f"uncertainties {shown_path(path)}", toml.read(path, "uncertainties", schema)
    if not table:
        raise ValueError(f"{where} must name at least one parameter, but are empty")
    given = {place: table.get(place, table.get(stem(place))) for place in values}
    return {place: found(values[place]) for place, found in given.items() if found is not None}


def _deviation(unit: str) -> Any:
    """A standard deviation in ``unit`` or in per cent, read as a function of the parameter's value."""

    def read(given: Any) -> Callable[[float], float]:
        if isinstance(given, str) and given.strip().endswith("%"):
            percent = limited(as_quantity(given.strip()[:-1], ""), "%", least=0.0)
            return lambda value: abs(value) * percent / 100.0
        found = limited(as_quantity(given, unit), unit, least=0.0)
        return lambda value: found

    return Annotated[Any, rule(read)]
