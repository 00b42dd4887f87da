"""``xcal-jax simulate``, ``show`` and ``absorbers``: the absorber Monte Carlo from the command line."""

import json
from contextlib import nullcontext

import click

from xcal_jax.cli.options import interrupted, keep_compiled_programs, on_a_cluster, resumable
from xcal_jax.io.checkpoint import checkpoint_of, remove_checkpoint
from xcal_jax.io.files import PLOTS, check_outputs, check_writable
from xcal_jax.units import parse_quantities, parse_quantity, parse_whole


@click.command()
@click.argument("absorber")
@click.option("--energy", help="Photon energy, or several lines with weights: 7keV, or 5.9keV:2,6.49keV:1.")
@click.option("--spectrum", help="Two-column text file instead: energy in eV, photons per eV.")
@click.option("-n", "n", default="1e6", show_default=True, help="Number of photons.")
@click.option("--seed", default=1, show_default=True, help="Seed of the random numbers.")
@click.option("--at", help="Impact X,Y from the centre, such as 134.6um,0um; default: uniform over the top.")
@click.option("--spot", help="Gaussian spot X,Y,SIGMA.")
@click.option("--pixel", help="ROW,COLUMN from 0 of the only pixel of an [array] to be hit; default: all alike.")
@click.option("--angle", default="0deg", show_default=True, help="Incidence against the normal.")
@click.option("--azimuth", default="0deg", show_default=True, help="Direction of an inclined incidence.")
@click.option("--isotropic", is_flag=True, help="Directions uniform over the upper half space.")
@click.option("--free", is_flag=True, help="Let photons pass through; default: every photon interacts.")
@click.option("--bin", "bin_width", default="1eV", show_default=True, help="Bin width of the spectrum.")
@click.option("--yields", default="eadl", show_default=True, help="Fluorescence yields: eadl or krause.")
@click.option("--electrons", help="Electron model instead of the absorber's own: range or scattering.")
@click.option("--trapping", help="Tail of trapped heat in the spectrum, FRACTION:SCALE, such as 0.05:12eV.")
@click.option("--events", help="Also write one row a photon to this netCDF-4 file.")
@click.option("--plot", help="Also draw the spectrum into this PNG, PDF or SVG file.")
@resumable
@on_a_cluster
@click.option("-o", "--output", required=True, help="Result, netCDF-4.")
def simulate(
    absorber,
    energy,
    spectrum,
    n,
    seed,
    at,
    spot,
    pixel,
    angle,
    azimuth,
    isotropic,
    free,
    bin_width,
    yields,
    electrons,
    trapping,
    events,
    plot,
    resume,
    scheduler,
    workers,
    output,
):
    """Send photons through ABSORBER, a preset or a TOML file."""
    if resume and events:
        raise ValueError("`--resume` and `--events` exclude each other: an event list begins anew")
    if trapping and events:
        raise ValueError("`--trapping` and `--events` exclude each other: events are deposits before trapping")
    if (scheduler or workers is not None) and events:
        raise ValueError("`--events` are written by one process, without `--scheduler` and `--workers`")
    check_outputs(output, events, plot=plot)
    keep_compiled_programs()
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.absorber.source import Source
    from xcal_jax.compute.cluster import connect
    from xcal_jax.simulation.events import event_file
    from xcal_jax.simulation.results import save
    from xcal_jax.simulation.simulate import simulate as run
    from xcal_jax.simulation.trapping import Trapping, trapped

    tail = Trapping.build(trapping) if trapping else None
    lines, weights = _lines(energy) if energy else (None, None)
    source = Source.build(
        lines,
        weights,
        spectrum,
        at=parse_quantities(at, ("um",) * 2, "--at") if at else None,
        spot=parse_quantities(spot, ("um",) * 3, "--spot") if spot else None,
        angle=parse_quantity(angle, "deg", "--angle"),
        azimuth=parse_quantity(azimuth, "deg", "--azimuth"),
        isotropic=isotropic,
        forced=not free,
        pixel=_pixel(pixel) if pixel else None,
    )
    target = Absorber.load(absorber, electrons)
    arguments = {
        "n": parse_whole(n, "-n"),
        "seed": seed,
        "bin_width": parse_quantity(bin_width, "eV", "--bin"),
        "yields": yields,
        "progress": True,
    }
    attrs = {"absorber": target.to_toml(), "source": source.describe(), "seed": str(seed)}
    part = None if events else checkpoint_of(output)
    with (
        event_file(events, attrs, arguments["n"]) if events else nullcontext() as append,
        connect(scheduler, workers) as executor,
    ):
        result = run(target, source, on_events=append, checkpoint=part, resume=resume, executor=executor, **arguments)
    if tail:
        result = trapped(result, tail)
    save(result, output)
    if plot:
        _plot(result, plot)
    if not result.attrs["complete"]:
        done = f"{output} holds the {int(result.photons)} photons done so far"
        if part:
            interrupted(part, f"{done}; ")
        click.echo(f"interrupted: {done}", err=True)
        raise SystemExit(130)
    if part:
        remove_checkpoint(part)


@click.command()
@click.argument("result")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", help="Draw the spectrum into this PNG, PDF or SVG file.")
def show(result, as_json, plot):
    """Print what RESULT, a file of simulate, holds."""
    if plot:
        check_writable(plot, PLOTS)
    from xcal_jax.simulation.results import load, summary

    loaded = load(result)
    facts = summary(loaded)
    click.echo(json.dumps(facts, indent=2) if as_json else _report(facts))
    if plot:
        _plot(loaded, plot)


@click.command()
def absorbers():
    """List the shipped absorbers with their quantum efficiencies."""
    from xcal_jax.absorber.absorber import Absorber, presets
    from xcal_jax.absorber.matter import quantum_efficiency

    energies = (1000.0, 3000.0, 7000.0, 12000.0)
    click.echo(f"{'absorber':12}{''.join(f'{e / 1000:>7g} keV' for e in energies)}   layers from the top")
    for name in presets():
        absorber = Absorber.preset(name)
        efficiency = "".join(f"{q:11.4f}" for q in quantum_efficiency(absorber, energies))
        layers = " / ".join(f"{t:g} um {f}" for t, f in zip(absorber.thickness, absorber.formulas, strict=True))
        click.echo(f"{name:12}{efficiency}   {layers}, {absorber.width:g} x {absorber.length:g} um")


def _report(facts: dict) -> str:
    lines = [
        f"absorber                 {facts['absorber']} (electrons: {facts['electrons']}, yields: {facts['yields']})",
        f"photon energy            {facts['energy_ev']} eV",
        *([f"trapping, spectrum only  {facts['trapping']}"] if facts["trapping"] else []),
        f"photons                  {facts['n']} drawn, {facts['interacting']} interacted"
        + ("" if facts["complete"] else "  (INTERRUPTED before the end)"),
        f"interaction probability  {100 * facts['interaction_probability']:.3f} %",
        f"partial deposition       {100 * facts['partial']:.4f} +- {100 * facts['partial_err']:.4f} % of these",
        f"  by photons             {100 * facts['photon_escape']:.4f} %",
        f"  by electrons           {100 * facts['electron_escape']:.4f} %",
        f"  by both                {100 * facts['both']:.4f} %",
        f"  with a scattering      {100 * facts['scattered']:.4f} %",
        f"mean deposited energy    {facts['mean_deposited_ev']:.3f} eV",
        "more lost than           " + "  ".join(f"{t} eV: {100 * s:.4f} %" for t, s in facts["loss_gt"].items()),
        "escape peaks             deposited      intensity per interacting photon",
    ]
    for peak in facts["peaks"][:12]:
        at = "" if peak["energy_ev"] is None else f"{peak['energy_ev']:.1f} eV"
        lines.append(f"  {peak['line']:22} {at:>10}      {peak['intensity']:.3e} +- {peak['err']:.1e}")
    return "\n".join(lines + (_report_array(facts["array"]) if "array" in facts else []))


def _report_array(facts: dict) -> list[str]:
    hits, counts = sum(map(sum, facts["hits"])), sum(map(sum, facts["counts"]))
    lines = [
        f"array                    {facts['rows']} rows x {facts['columns']} columns; all above is of the pixel hit",
        f"in several pixels        {100 * facts['shared']:.5f} +- {100 * facts['shared_err']:.5f} % of the photons",
        f"deposits in all pixels   {counts}, of {hits} photons",
        f"leaves the array         {facts['mean_escaped_ev']:.3f} eV of a photon on average",
        "lines in neighbours      deposited      intensity per interacting photon",
    ]
    for line in facts["caught_lines"]:
        at = f"{line['energy_ev']:.1f} eV"
        lines.append(f"  {line['line']:22} {at:>10}      {line['intensity']:.3e} +- {line['err']:.1e}")
    return lines


def _plot(result, path: str) -> None:
    from xcal_jax.plot.results import result_figure, save_figure

    save_figure(result_figure(result), path)


def _lines(text: str) -> tuple[list[float], list[float]]:
    """``5.9keV:2,6.49keV:1`` as energies in eV and weights."""
    lines = [part.split(":") for part in text.split(",")]
    if any(len(line) > 2 for line in lines):
        raise ValueError(f"`--energy` must be ENERGY or ENERGY:WEIGHT, separated by commas, but is {text!r}")
    energies = [parse_quantity(line[0], "eV", "--energy") for line in lines]
    return energies, [parse_quantity(line[1], "", "--energy weight") if len(line) == 2 else 1.0 for line in lines]


def _pixel(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2:
        raise ValueError(f"`--pixel` must be ROW,COLUMN, but is {text!r}")
    row, column = (parse_whole(part, "--pixel") for part in parts)
    return row, column
