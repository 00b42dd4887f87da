"""A result in words: the lines that `show` prints, and a result itself in Python."""

from collections.abc import Iterator
from typing import Any

from xcal_jax.simulation.results import ESCAPES
from xcal_jax.simulation.vocabulary import title


def report(facts: dict[str, Any]) -> Iterator[str]:
    """Lines for people of a `summary`: what a run was, how often photons lose energy, escape peaks."""
    interrupted = "" if facts["complete"] else "  (INTERRUPTED before the end)"
    yield f"{'absorber':25}{facts['absorber']}"
    rayleigh = "with" if facts["rayleigh"] else "without"
    models = f"electrons: {facts['electrons']}, compton: {facts['compton']}, {rayleigh} Rayleigh scattering"
    yield f"{'physics':25}{facts['models']} ({models}; yields: {facts['yields']})"
    if "filters" in facts:
        yield f"{'behind filters':25}{', '.join(facts['filters'])}"
    yield f"{'photon energy':25}{facts['energy']} eV"
    yield from (f"{'  compared' if n == 0 else '':25}{sentence}" for n, sentence in enumerate(facts["compared"]))
    yield from (f"{'  OUTSIDE':25}{sentence}" for sentence in facts["outside"])
    if facts["trapping"]:
        yield f"{'trapping, spectrum only':25}{facts['trapping']}"
    yield f"{'photons':25}{facts['n']} drawn, {facts['interacting']} interacted{interrupted}"
    yield f"{title('interaction_probability'):25}{100 * facts['interaction_probability']:.3f} %"
    yield f"{title('partial'):25}{100 * facts['partial']:.4f} +- {100 * facts['partial_err']:.4f} % of these"
    for name in (*ESCAPES, "scattered"):
        yield f"  {title(name):23}{100 * facts[name]:.4f} %"
    yield f"{title('mean_deposit'):25}{facts['mean_deposit']:.3f} eV"
    above = (f"{threshold} eV: {100 * fraction:.4f} %" for threshold, fraction in facts["loss_above"].items())
    yield f"{title('loss_above'):25}{'  '.join(above)}"
    yield from _peaks(title("peaks"), facts["peaks"][:12])
    if "dead_layers" in facts:
        yield from _report_dead_layers(facts["dead_layers"])
    if "background" in facts:
        yield from _report_background(facts["background"])
    if "array" in facts:
        yield from _report_array(facts["array"])


def _report_dead_layers(facts: dict[str, Any]) -> Iterator[str]:
    stopped = f"{100 * facts['stopped']:.4f} +- {100 * facts['stopped_err']:.4f} % of the interacting photons"
    yield f"{title('stopped'):25}{stopped}"
    kept = (f"layer {layer}: {energy:.3f} eV" for layer, energy in facts["mean_energy"].items())
    yield f"{title('dead_energy'):25}{'  '.join(kept)}, of an interacting photon on average"
    yield f"{title('dead_alone'):25}{100 * facts['alone']:.4f} % of all photons"


def _report_background(facts: dict[str, Any]) -> Iterator[str]:
    caught = f"{100 * facts['caught']:.4f} +- {100 * facts['caught_err']:.4f} % of these leave a deposit"
    yield f"{title('beside'):25}{facts['beside']} photons, counted in none of the above"
    yield f"{title('background'):25}{caught}, {facts['mean_deposit']:.1f} eV on average"


def _report_array(facts: dict[str, Any]) -> Iterator[str]:
    hits, counts = sum(map(sum, facts["hits"])), sum(map(sum, facts["counts"]))
    shared = f"{100 * facts['shared']:.5f} +- {100 * facts['shared_err']:.5f} % of the photons"
    yield f"{'array':25}{facts['rows']} rows x {facts['columns']} columns; all above is of the pixel hit"
    yield f"{title('shared'):25}{shared}"
    yield f"{'deposits in all pixels':25}{counts}, of {hits} photons"
    yield f"{'leaves the array':25}{facts['mean_escaped']:.3f} eV of a photon on average"
    yield from _peaks("lines in neighbours", facts["caught_lines"])


def _peaks(heading: str, peaks: list[dict[str, Any]]) -> Iterator[str]:
    """A line a peak: its name, the deposited energy, its intensity."""
    yield f"{heading:25}deposited      intensity per interacting photon"
    for peak in peaks:
        place = "" if peak["energy"] is None else f"{peak['energy']:.1f} eV"
        yield f"  {peak['line']:22} {place:>10}      {peak['intensity']:.3e} +- {peak['intensity_err']:.1e}"
