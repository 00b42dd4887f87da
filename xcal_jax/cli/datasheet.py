"""``xcal-jax report``: the data sheet of an absorber."""

import click

from xcal_jax.cli import options


@options.command("xcal-jax report xifu --fwhm 2.5eV -o xifu.html")
@click.argument("absorber")
@click.option(
    "--energy",
    "energies",
    type=options.listed("eV"),
    help="Photon energies, such as 7keV,3keV; the first is that of losses by position and of derivatives; "
    "default: 7keV,3keV,5keV,10keV.",
)
@options.photons("1e6", "Photons at each energy.")
@options.seed
@options.yields
@options.models
@click.option("--fwhm", type=options.EV, help="Show spectra with this resolution; default: the absorber's own, if any.")
@click.option("--temperature", type=options.quantity("K", above=0.0), default="90mK", help="Of the heat capacity.")
@options.output("Page, HTML.", (".html", ".htm"))
def report(absorber, energies, n, seed, yields, models, fwhm, temperature, output):
    """Data sheet of ABSORBER, a preset or a TOML file: one page that opens offline and prints."""
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.datasheet.sheet import report as run

    given = {} if energies is None else {"energies": energies}
    target = Absorber.load(absorber, **models)
    run(target, output, **given, n=n, seed=seed, yields=yields, fwhm=fwhm, temperature=temperature, progress=True)
