"""``xcal-jax simulate``, ``show`` and ``absorbers``: the absorber Monte Carlo from the command line."""

from collections.abc import Iterator
from contextlib import nullcontext

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show as show_summary
from xcal_jax.io.checkpoint import checkpoint_of, remove_checkpoint
from xcal_jax.units import parse_quantity, parse_whole, shown


def _lines(text: str, option: str) -> tuple[list[float], list[float]]:
    """``5.9keV:2,6.49keV:1`` as energies in eV and weights."""
    lines = [part.split(":") for part in text.split(",")]
    if any(len(line) > 2 for line in lines):
        raise ValueError(f"`{option}` must be ENERGY or ENERGY:WEIGHT, separated by commas, but is {shown(text)}")
    energies = [parse_quantity(line[0], "eV", option) for line in lines]
    return energies, [parse_quantity(line[1], "", f"{option} weight") if len(line) == 2 else 1.0 for line in lines]


def _pixel(text: str, option: str) -> tuple[int, ...]:
    if text.count(",") != 1:
        raise ValueError(f"`{option}` must be ROW,COLUMN, but is {shown(text)}")
    return tuple(parse_whole(part, option) for part in text.split(","))


@options.command()
@click.argument("absorber")
@click.option(
    "--energy",
    "lines",
    type=options.Text("lines", _lines),
    help="Photon energy, or several lines with weights: 7keV, or 5.9keV:2,6.49keV:1.",
)
@click.option("--line", help="Natural lines by name instead, with their photons: MnKa, or MnKa:2,MnKb:0.3.")
@click.option("--radioactive", help="Lines and gammas of a nuclide instead: Fe55, Co57, Cd109, Ba133 or Am241.")
@click.option("--line-table", type=click.Path(), help="CSV table with your own lines for --line.")
@click.option("--spectrum", help="Two-column text file instead: energy in eV, photons per eV.")
@options.photons("1e6", "Number of photons.")
@options.seed
@options.at
@click.option("--spot", type=options.quantities("um", "um", "um"), help="Gaussian spot X,Y,SIGMA.")
@click.option(
    "--pixel",
    type=options.Text("pixel", _pixel),
    help="ROW,COLUMN from 0 of the only pixel of an [array] to be hit; default: all alike.",
)
@click.option("--angle", type=options.DEG, default="0deg", help="Incidence against the normal.")
@click.option("--azimuth", type=options.DEG, default="0deg", help="Direction of the incidence.")
@click.option("--isotropic", is_flag=True, help="Directions uniform over the upper half space.")
@click.option("--free", is_flag=True, help="Let photons pass through; default: every photon interacts.")
@click.option("--bin", "bin_width", type=options.EV, default="1eV", help="Bin width.")
@options.yields
@options.models
@options.loss_above
@click.option("--trapping", help="Tail of trapped heat in the spectrum, FRACTION:SCALE, such as 0.05:12eV.")
@click.option("--events", type=options.Output(), help="Also write one row a photon to this netCDF-4 file.")
@options.plot("the spectrum")
@options.resumable
@options.on_a_cluster
@options.output("Result, netCDF-4.")
def simulate(
    absorber,
    lines,
    models,
    free,
    n,
    trapping,
    events,
    plot,
    resume,
    scheduler,
    workers,
    certificates,
    output,
    **more,
):
    """Send photons through ABSORBER, a preset or a TOML file."""
    if resume and events:
        raise ValueError("`--resume` and `--events` exclude each other: an event list begins anew")
    if trapping and events:
        raise ValueError("`--trapping` and `--events` exclude each other: events are deposits before trapping")
    if (scheduler or workers is not None) and events:
        raise ValueError("`--events` are written by one process, without `--scheduler` and `--workers`")
    options.keep_compiled_programs()
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.absorber.source import Source
    from xcal_jax.compute.cluster import connect
    from xcal_jax.io.datasets import save
    from xcal_jax.simulation.events import event_file
    from xcal_jax.simulation.simulate import simulate as run
    from xcal_jax.simulation.trapping import Trapping, trapped

    tail = Trapping.build(trapping) if trapping else None
    counted = {name: more.pop(name) for name in ("seed", "bin_width", "yields", "loss_above")}
    energies, weights = lines or (None, None)
    source = Source.build(energies, weights, forced=not free, **more)
    target = Absorber.load(absorber, **models)
    attrs = {"absorber": target.to_toml(), "source": source.describe(), "seed": str(counted["seed"])}
    part = None if events else checkpoint_of(output)
    with (
        event_file(events, attrs, n) if events else nullcontext() as append,
        connect(scheduler, workers, certificates) as executor,
    ):
        result = run(
            target,
            source,
            n,
            on_events=append,
            checkpoint=part,
            resume=resume,
            executor=executor,
            progress=True,
            **counted,
        )
    if tail:
        result = trapped(result, tail)
    save(result, output, options.overwrite())
    for sentence in result.attrs["outside"].splitlines():
        click.echo(f"warning: {sentence}", err=True)
    if plot:
        _plot(result, plot)
    if not result.attrs["complete"]:
        done = f"{output} holds the {int(result.photons)} photons done so far"
        if part:
            options.interrupted(part, f"{done}; ")
        click.echo(f"interrupted: {done}", err=True)
        raise SystemExit(130)
    if part:
        remove_checkpoint(part)


@options.command()
@click.argument("result")
@options.as_json
@options.plot("the spectrum")
def show(result, as_json, plot):
    """Print what RESULT, a file of simulate, holds."""
    from xcal_jax.simulation.results import load, summary

    loaded = load(result)
    show_summary(summary(loaded), as_json, _report)
    if plot:
        _plot(loaded, plot)


@options.command()
def absorbers():
    """List the shipped absorbers with their quantum efficiencies."""
    import numpy as np

    from xcal_jax.absorber.absorber import Absorber, presets
    from xcal_jax.absorber.matter import quantum_efficiency

    energies = np.array([1000.0, 3000.0, 7000.0, 12000.0])
    click.echo(f"{'absorber':12}{''.join(f'{e / 1000:>7g} keV' for e in energies)}   layers from the top")
    for name in presets():
        absorber = Absorber.preset(name)
        efficiency = "".join(f"{q:11.4f}" for q in quantum_efficiency(absorber, energies))
        layers = " / ".join(f"{t:g} um {f}" for t, f in zip(absorber.thickness, absorber.formulas, strict=True))
        click.echo(f"{name:12}{efficiency}   {layers}, {absorber.width:g} x {absorber.length:g} um")


def _report(facts: dict) -> Iterator[str]:
    """Lines for people: what a run was, how often photons lose energy, escape peaks."""
    from xcal_jax.simulation.results import ESCAPES
    from xcal_jax.simulation.vocabulary import title

    interrupted = "" if facts["complete"] else "  (INTERRUPTED before the end)"
    yield f"{'absorber':25}{facts['absorber']}"
    rayleigh = "with" if facts["rayleigh"] else "without"
    models = f"electrons: {facts['electrons']}, compton: {facts['compton']}, {rayleigh} Rayleigh scattering"
    yield f"{'physics':25}{facts['models']} ({models}; yields: {facts['yields']})"
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
    if "array" in facts:
        yield from _report_array(facts["array"])


def _report_array(facts: dict) -> Iterator[str]:
    from xcal_jax.simulation.vocabulary import title

    hits, counts = sum(map(sum, facts["hits"])), sum(map(sum, facts["counts"]))
    shared = f"{100 * facts['shared']:.5f} +- {100 * facts['shared_err']:.5f} % of the photons"
    yield f"{'array':25}{facts['rows']} rows x {facts['columns']} columns; all above is of the pixel hit"
    yield f"{title('shared'):25}{shared}"
    yield f"{'deposits in all pixels':25}{counts}, of {hits} photons"
    yield f"{'leaves the array':25}{facts['mean_escaped']:.3f} eV of a photon on average"
    yield from _peaks("lines in neighbours", facts["caught_lines"])


def _peaks(heading: str, peaks: list[dict]) -> Iterator[str]:
    """A line a peak: its name, the deposited energy, its intensity."""
    yield f"{heading:25}deposited      intensity per interacting photon"
    for peak in peaks:
        place = "" if peak["energy"] is None else f"{peak['energy']:.1f} eV"
        yield f"  {peak['line']:22} {place:>10}      {peak['intensity']:.3e} +- {peak['intensity_err']:.1e}"


def _plot(result, path: str) -> None:
    from xcal_jax.io.figures import save_figure
    from xcal_jax.plot.results import result_figure

    save_figure(result_figure(result), path)
