"""``xcal-jax rmf``, ``impacts``, ``tail`` and ``plot``: what other programs and people open."""

from collections.abc import Iterator

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show
from xcal_jax.io.checkpoint import checkpoint_of, remove_checkpoint
from xcal_jax.io.files import PLOTS


@options.command()
@click.argument("absorber")
@click.option("--grid", default="0.2:12:5eV", help="Photon energies LOW:HIGH:STEP.")
@click.option("--channels", default="0.2:12.5:2eV", help="Measured energies LOW:HIGH:STEP.")
@click.option("--fwhm", help="Energy resolution at all energies, such as 2.5eV.")
@click.option("--fwhm-file", help="Resolution instead as two columns: energy in eV, FWHM in eV.")
@click.option("--trapping", help="Tail of trapped heat, FRACTION:SCALE, such as 0.05:12eV; default: none.")
@click.option(
    "--tolerance", type=options.quantity(""), default="1e-4", help="Standard error of each row's partial fraction."
)
@options.photons(None, "Photons at every simulated energy instead.")
@options.seed
@options.yields
@options.models
@click.option(
    "--area", type=options.quantity("cm^2", above=0.0), default="1cm^2", help="Geometric area that the ARF starts from."
)
@click.option(
    "--threshold",
    type=options.quantity("", least=0.0, below=1e-2),
    default="0",
    help="Leave out far channels below it (LO_THRES).",
)
@click.option("--arf", type=options.Output(), help="Also write the quantum efficiency as an ARF.")
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
    fwhm,
    fwhm_file,
    trapping,
    tolerance,
    n,
    seed,
    yields,
    models,
    area,
    threshold,
    arf,
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
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.compute.cluster import connect
    from xcal_jax.io.datasets import save
    from xcal_jax.response.components import rows_of, simulate_response
    from xcal_jax.response.energy_grid import parse_grid
    from xcal_jax.response.matrix import NO_TRAPPING, Resolution, check_covers, fold, row_ends
    from xcal_jax.response.nodes import Settings
    from xcal_jax.response.ogip import check_fits_memory, matrix_bytes, write_arf, write_rmf
    from xcal_jax.simulation.trapping import Trapping

    settings = Settings(tolerance, n, seed, yields)
    resolution = Resolution.build(fwhm or (None if fwhm_file else "2.5eV"), fwhm_file)
    tail = Trapping.build(trapping) if trapping else NO_TRAPPING
    target = Absorber.load(absorber, **models)
    rows = rows_of(target, parse_grid(grid, "--grid"))
    measured = parse_grid(channels, "--channels")
    check_covers(measured, rows, resolution)
    ends = row_ends(rows, measured, resolution)
    size = matrix_bytes(ends)
    click.echo(f"matrix: {ends.size} rows, {measured.size - 1} channels, at most {size / 1e6:.3g} MB", err=True)
    check_fits_memory(size)

    part = checkpoint_of(output)
    try:
        with connect(scheduler, workers, certificates) as executor:
            response = simulate_response(target, rows, settings, part, resume, progress=True, executor=executor)
            products = {nc: response}
            if uncertainty:
                from xcal_jax.response.uncertainty import relative_errors

                products[uncertainty] = relative_errors(
                    target, response, rows, settings, part, resume, progress=True, executor=executor
                )
    except KeyboardInterrupt:
        options.interrupted(part)
    folded = list(fold(response, measured, resolution, threshold, tail))
    about = _about(response, resolution, tail, folded, threshold)
    write_rmf(output, response, folded, measured, threshold, about)
    if arf:
        write_arf(arf, response, folded, area, about)
    for path, dataset in products.items():
        if path:
            save(dataset, path, options.overwrite())
    if plot:
        _draw(output, plot, None)
    remove_checkpoint(part)
    for line in about:
        click.echo(line, err=True)


def _about(response, resolution, tail, rows, threshold: float) -> list[str]:
    """Lines that describe a matrix, for its header and for the reader."""
    widths = sorted({f"{width:g}" for width in (resolution.fwhm[0], resolution.fwhm[-1])})
    lines = [
        f"Electron model: {response.attrs['electrons']}; fluorescence yields: {response.attrs['yields']}.",
        f"Resolution: {' to '.join(widths)} eV FWHM, Gaussian. Each row is the mean over its photon energies.",
        f"{float(response.photons.sum()):.3g} photons at {response.sizes['node']} energies; standard error of the "
        f"partial fraction at most {float(response.partial_err.max()):.2g}.",
        f"Outside the channels, and so in the ARF: at most {1.0 - min(row.contained for row in rows):.2g} of a row.",
    ]
    if tail.fraction > 0.0:
        lines.append(f"Trapping: {tail}.")
    if threshold > 0.0:
        lines.append(f"Left out below LO_THRES: at most {max(row.left_out for row in rows):.2g} of a row.")
    return lines


@options.command()
@click.argument("file")
@click.option("--what", help="escape (default) or efficiency, where FILE is a response of rmf --nc.")
@options.output("PNG, PDF or SVG file.", PLOTS)
def plot(file, what, output):
    """Draw FILE: a result of simulate, its events, a matrix or a response of rmf."""
    _draw(file, output, what)


def _draw(path: str, output: str, what: str | None) -> None:
    from xcal_jax.io.figures import save_figure
    from xcal_jax.plot.response import figure_of

    save_figure(figure_of(path, what), output)


@options.command()
@click.argument("source")
@click.argument("target", type=options.Output())
@options.absorber
@click.option("--forced", is_flag=True, help="Every photon interacts: the ARF has the quantum efficiency already.")
@options.yields
@options.models
@options.seed
def impacts(source, target, absorber, forced, yields, models, seed):
    """Filter SIXTE's PIXELIMPACT file SOURCE into TARGET: energies become what the absorber keeps."""
    options.keep_compiled_programs()
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.simulation.impacts import filter_impacts

    done = filter_impacts(source, target, Absorber.load(absorber, **models), seed, forced, yields, progress=True)
    click.echo(
        f"{done.read} impacts: {done.missed} beside the absorber, {done.passed} passed through, "
        f"{done.kept} kept, {done.partial} of these with less than their energy"
        + (f", {done.caught} caught by neighbours" if done.caught else ""),
        err=True,
    )


@options.command()
@click.argument("result")
@click.option(
    "--from",
    "lowest",
    type=options.EV,
    help="Smallest loss that is fitted; default: 10eV, with scattering electrons 50eV.",
)
@click.option("--to", "highest", type=options.EV, help="Largest loss; default: half the photon energy.")
@click.option("--tails", type=int, help="How many, 1 or 2; default: by Akaike's criterion.")
@options.as_json
@options.plot("the continuum and the tails")
def tail(result, lowest, highest, tails, as_json, plot):
    """Loss continuum of RESULT, a file of simulate, as (fraction, exponential scale) pairs for line fits."""
    from xcal_jax.response.tail import fit_tails
    from xcal_jax.simulation.results import load

    loaded = load(result)
    found = fit_tails(loaded, lowest, highest, tails)
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.plot.results import tail_figure

        save_figure(tail_figure(loaded, found), plot)
    show(found, as_json, _report)


def _report(found: dict) -> Iterator[str]:
    """Lines for people: what was fitted, a line a tail, how well it fits."""
    from xcal_jax.response.tail import SURE

    low, high = found["range"]
    yield f"absorber   {found['absorber']} (electrons: {found['electrons']}), {found['energy']:g} eV"
    yield f"losses     {low:g} to {high:g} eV, escape peaks left out"
    for one in found["tails"]:
        inside = f"{one['fraction_in_range']:.3e} +- {one['fraction_in_range_err']:.1e} within the range"
        if one["scale"] is None:
            rises = one["range_over_scale"] < -SURE * one["range_over_scale_err"]
            kind = "rises with the loss" if rises else "flat"
            yield f"tail       {kind}: {inside}; a scale would be above {one['scale_at_least']:.4g} eV"
        else:
            yield (
                f"tail       fraction {one['fraction']:.3e} +- {one['fraction_err']:.1e}, "
                f"scale {one['scale']:.4g} +- {one['scale_err']:.2g} eV; {inside}"
            )
    yield f"deviance   {found['deviance']:.1f} for {found['degrees_of_freedom']} degrees of freedom"
