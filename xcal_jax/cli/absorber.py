"""``xcal-jax simulate``, ``show`` and ``absorbers``: the absorber Monte Carlo from the command line."""

from contextlib import nullcontext

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show as show_summary
from xcal_jax.io.checkpoint import checkpoint_of, remove_checkpoint
from xcal_jax.io.files import EVENTS, NETCDF
from xcal_jax.units import parse_whole, shown


def _pixel(text: str, option: str) -> tuple[int, ...]:
    if text.count(",") != 1:
        raise ValueError(f"`{option}` must be ROW,COLUMN, but is {shown(text)}")
    return tuple(parse_whole(part, option) for part in text.split(","))


@options.command(
    "xcal-jax simulate xifu --energy 7keV -n 1e7 --plot spectrum.png -o result.nc",
    "xcal-jax simulate my_absorber.toml --line MnKa:2,MnKb:0.3 --events events.fits -o mn.nc",
)
@click.argument("absorber")
@options.lines()
@click.option("--line", help="Natural lines by name instead, with their photons: MnKa, or MnKa:2,MnKb:0.3.")
@click.option("--radioactive", help="Lines and gammas of a nuclide instead: Fe55, Co57, Cd109, Ba133 or Am241.")
@click.option("--line-table", type=click.Path(), help="CSV table with your own lines for --line.")
@click.option("--spectrum", help="Two-column text file instead: energy in eV, photons per eV.")
@click.option("--photon-list", help="Photons one by one instead, CSV or netCDF: energy, x, y, dx, dy, dz, weight.")
@options.photons("1e6", "Number of photons.")
@options.seed
@options.at
@click.option("--spot", type=options.quantities("um", "um", "um"), help="Gaussian spot X,Y,SIGMA.")
@click.option("--disc", type=options.quantities("um", "um", "um"), help="Even disc X,Y,RADIUS.")
@click.option("--illuminate", help="Also the substrate beside: all of it, or the side of a square, such as 1mm.")
@click.option(
    "--pixel",
    type=options.Text("pixel", _pixel),
    help="ROW,COLUMN from 0 of the only pixel of an [array] to be hit; default: all alike.",
)
@options.angle
@options.azimuth
@options.isotropic
@click.option("--free", is_flag=True, help="Let photons pass through; default: every photon interacts.")
@click.option("--bin", "bin_width", type=options.EV, default="1eV", help="Bin width.")
@options.yields
@options.models
@options.loss_above
@click.option("--layer-spectra", is_flag=True, help="Also count what photons leave in each dead layer.")
@click.option("--trapping", help="Tail of trapped heat in the spectrum, FRACTION:SCALE, such as 0.05:12eV.")
@click.option(
    "--events", type=options.Output(EVENTS), help="Also write one row a photon: netCDF-4, or FITS (.fits, .evt)."
)
@click.option("--rmf", help="A matrix with whose FWHM, channels (PI) and instrument FITS events are measured.")
@options.cards
@options.plot("the spectrum")
@options.resumable
@options.on_a_cluster
@options.output("Result, netCDF-4.", NETCDF)
def simulate(
    absorber,
    lines,
    models,
    free,
    n,
    events,
    rmf,
    cards,
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
    if (rmf or cards) and not events:
        raise ValueError("`--rmf` and `--card` are for `--events`")
    if (scheduler or workers is not None) and events:
        raise ValueError("`--events` are written by one process, without `--scheduler` and `--workers`")
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.absorber.source import Source
    from xcal_jax.compute.cluster import connect
    from xcal_jax.io.datasets import save
    from xcal_jax.io.fits_files import parse_cards
    from xcal_jax.simulation.events import event_attrs, event_file
    from xcal_jax.simulation.simulate import simulate as run

    counted = {
        name: more.pop(name) for name in ("seed", "bin_width", "yields", "loss_above", "trapping", "layer_spectra")
    }
    energies, weights = lines or (None, None)
    source = Source.build(energies, weights, forced=not free, **more)
    target = Absorber.load(absorber, **models)
    attrs = event_attrs(target, source, counted["seed"])
    part = None if events else checkpoint_of(output)
    detector = None
    if rmf:
        from xcal_jax.response.measurement import Measurement

        detector = Measurement.build(rmf, seed=counted["seed"])
    about = parse_cards(cards)
    with (
        event_file(events, attrs, n, detector, about) if events else nullcontext() as append,
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
            hand_back=True,
            **counted,
        )
    if detector:
        from astropy.io import fits

        outside = fits.getval(events, "NOUTSIDE", "EVENTS")
        click.echo(f"{outside} events are outside the channels of {rmf} and not in {events}", err=True)
    save(result, output, options.overwrite())
    options.say(_in_a_line(result), err=True)
    for sentence in result.attrs["outside"].splitlines():
        click.echo(f"warning: {sentence}", err=True)
    if plot:
        _plot(result, plot)
    if not result.attrs["complete"]:
        options.interrupted(part, f"{output} holds the {int(result.photons)} photons done so far")
    remove_checkpoint(part)


@options.command("xcal-jax show result.nc --json", "xcal-jax show xifu")
@click.argument("file")
@options.as_json
@options.plot("its figure")
def show(file, as_json, plot):
    """Print what FILE is and holds, any that this program writes; the layers of an absorber, preset or TOML file."""
    from xcal_jax.absorber.absorber import Absorber, presets
    from xcal_jax.io.figures import save_figure
    from xcal_jax.plot.drawing import absorber_lines
    from xcal_jax.plot.files import KINDS, figure_of, kind_of, lines_of
    from xcal_jax.simulation.report import report
    from xcal_jax.simulation.results import load, summary

    if file in presets() or file.endswith(".toml"):
        options.say("\n".join(absorber_lines(Absorber.load(file))))
        return
    figure = figure_of(file) if plot else None
    if kind_of(file) is KINDS[0]:
        show_summary(summary(load(file)), as_json, report)
    elif as_json:
        raise ValueError(f"`--json` needs a result of simulate, but {file} is {kind_of(file).what}")
    else:
        options.say("\n".join(lines_of(file)))
    if plot and figure:
        save_figure(figure, plot)


@options.command("xcal-jax absorbers")
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
        layers = " / ".join(f"{t:g} um {f}" for t, f in zip(absorber.thickness, absorber.titles, strict=True))
        click.echo(f"{name:12}{efficiency}   {layers}, {absorber.width:g} x {absorber.length:g} um")


def _in_a_line(result) -> str:
    """How many photons lose energy, in a line."""
    from xcal_jax.simulation.results import summary

    facts = summary(result)
    lost = f"{100 * facts['partial']:.4f} +- {100 * facts['partial_err']:.4f} % of them lose energy"
    return f"{facts['absorber']}: {facts['interacting']} photons interacted; {lost}"


def _plot(result, path: str) -> None:
    from xcal_jax.io.figures import save_figure
    from xcal_jax.plot.results import result_figure

    save_figure(result_figure(result), path)
