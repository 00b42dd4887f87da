"""``xcal-jax impacts``, ``tail`` and ``plot``: for SIXTE, for line fits, for people."""

from collections.abc import Iterator

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show
from xcal_jax.io.files import PLOTS


@options.command("xcal-jax plot result.nc -o spectrum.png")
@click.argument("file")
@click.option("--what", help="escape (default) or efficiency, of a response of rmf --nc.")
@options.output("PNG, PDF or SVG file.", PLOTS)
def plot(file, what, output):
    """Draw FILE: any that this program writes.

    Results, events, sweeps, matrices, responses, effective areas, PHA spectra, designs, fits, doses, shields,
    thresholds, spectra.
    """
    from xcal_jax.io.figures import save_figure
    from xcal_jax.plot.files import figure_of

    save_figure(figure_of(file, what), output)


@options.command("xcal-jax impacts piximpacts.fits deposits.fits --absorber xifu")
@click.argument("source")
@click.argument("target", type=options.Output())
@options.absorber
@click.option("--forced", is_flag=True, help="Every photon interacts: the ARF has the quantum efficiency already.")
@click.option("--xml", help="SIXTE's detector: it says which PIXID is which row and column of an [array].")
@click.option("--uniform", is_flag=True, help="Spread the photons evenly over the absorber, whatever U and V are.")
@click.option("--rmf", help="The matrix that TARGET will meet: a warning, where it begins above the lowest deposit.")
@options.yields
@options.models
@options.seed
def impacts(source, target, absorber, forced, xml, uniform, rmf, yields, models, seed):
    """Filter SIXTE's PIXELIMPACT file SOURCE into TARGET: energies become what the absorber keeps."""
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.atomic import ENERGY_LIMITS
    from xcal_jax.response.ogip_reader import read_layout
    from xcal_jax.simulation.impacts import filter_impacts

    begins = 1e-3 * read_layout(rmf).rows[0] if rmf else 0.0
    met = Absorber.load(absorber, **models)
    done = filter_impacts(source, target, met, seed, forced, yields, progress=True, xml=xml, uniform=uniform)
    options.say(
        f"{done.read} impacts: {done.missed} beside the absorber, {done.passed} passed through, "
        f"{done.kept} kept, {done.partial} of these with less than their energy"
        + (f", {done.caught} caught by neighbours" if done.caught else "")
        + (f", {done.nowhere} left between the pixels of {xml}" if done.nowhere else ""),
        err=True,
    )
    if done.read and done.centred == done.read:
        click.echo(
            "warning: all impacts have U = V = 0, the centre of the pixel, as tesgenimpacts writes them: "
            "--uniform spreads them",
            err=True,
        )
    if done.lowest < begins:
        lower = ": make it with a lower --grid" if begins > 1e-3 * ENERGY_LIMITS[0] else ""
        click.echo(
            f"warning: {rmf} begins at {begins:g} keV, above the lowest deposit, {done.lowest:.3g} keV; "
            f"SIXTE gives no signal to what lies below{lower}",
            err=True,
        )


@options.command("xcal-jax tail result.nc --from 50eV --to 2keV")
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
