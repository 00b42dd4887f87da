"""``xcal-jax linefit``: an absorber's physics fitted to a measured line."""

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show


@options.command()
@click.argument("spectrum")
@options.absorber
@options.energy
@click.option("--fwhm", type=options.EV, required=True, help="The detector's resolution, such as 2.5eV.")
@click.option(
    "--fit",
    "asked",
    type=options.NAMES,
    default="yield,range",
    help="Of thickness[n], density[n], yield, range, and of the detector fwhm, tail_frac, tail_tau.",
)
@click.option("--trapping", help="Tail FRACTION:SCALE, such as 0.02:60eV: fixed, or where its fit starts.")
@click.option(
    "--incident",
    type=options.quantity(""),
    help="Photons that fell on the absorber, if known: their number tells the thickness.",
)
@click.option("--window", type=options.EV_EV, help="Fit channels within LOW,HIGH only, such as 100eV,7.02keV.")
@click.option(
    "--bins",
    type=options.EV_EV,
    help="LOW,WIDTH of the channels, such as 0eV,1eV, in files of counts by channel.",
)
@options.at
@options.photons("65536", "Histories of each expectation.")
@options.seed
@options.models
@options.as_json
@options.plot("measured and fitted counts")
def linefit(
    spectrum, absorber, energy, fwhm, asked, trapping, incident, window, bins, at, n, seed, models, as_json, plot
):
    """Fit ranges, thicknesses, yields and trapping to a line measured in SPECTRUM.

    SPECTRUM is a CSV table (low_ev,high_ev,counts), a result of `simulate` (.nc), or a file of counts by channel
    (.spe .n42 .xml .pha .pi .fits).
    """
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.response.fitted_line import fit_line

    target = Absorber.load(absorber, **models)
    found = fit_line(
        spectrum, target, energy, fwhm, asked, trapping, incident, window, bins, at, n, seed, progress=True
    )
    show(found.facts, as_json, lambda _: [str(found)])
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.plot.expected import line_figure

        save_figure(line_figure(found.counts, found.model, found.edges, f"{target.name}, {energy:g} eV"), plot)
