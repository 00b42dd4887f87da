"""``xcal-jax linefit``: natural lines, or an absorber's physics, fitted to a measured line."""

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show


@options.command(
    "xcal-jax linefit spectrum.csv --line MnKa --absorber xifu --fit offset,fwhm,range --plot fit.png",
    "xcal-jax linefit line.csv --energy 7keV --absorber xifu --fwhm 2.5eV",
)
@click.argument("spectrum")
@click.option("--line", help="Natural lines by name, such as MnKa, or MnKa:2,MnKb:0.3 with weights to start from.")
@click.option("--line-table", type=click.Path(), help="CSV table with your own lines for --line.")
@click.option("--energy", type=options.EV, help="Instead: photon energy of one line without width, such as 7keV.")
@click.option("--absorber", help="Preset or TOML file whose losses make the tail; may be left out with --line.")
@click.option("--fwhm", type=options.EV, help="The detector's resolution, such as 2.5eV; --line can find it.")
@click.option(
    "--fit",
    "asked",
    type=options.NAMES,
    help="Of thickness[n], density[n], yield, range, and of the detector fwhm, tail_frac, tail_tau; with --line also "
    "of offset, gain, curvature, fwhm_slope. Default: yield,range, and offset,fwhm with --line.",
)
@click.option(
    "--background", type=click.Choice(["none", "constant", "linear"]), help="With --line: constant if unsaid."
)
@click.option("--background-table", type=click.Path(), help="With --line: file of a measured background, beside it.")
@click.option(
    "--background-scale",
    type=options.quantity("", above=0.0),
    help="What its counts are multiplied by; or it is fitted.",
)
@click.option("--events", help="SPECTRUM is a list of events (.csv .nc .h5 .fits), with energies in this column.")
@click.option("--bin", "bin_width", type=options.EV, help="Width of the channels for --events; default: 1 eV.")
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
@click.option("-o", "--output", type=options.Output(), help="With --line: the fit as netCDF-4.")
def linefit(spectrum, line, absorber, energy, as_json, plot, output, models, **more):
    """Fit natural lines to SPECTRUM (--line), or an absorber's physics to a line without width (--energy).

    SPECTRUM is a CSV table (low_ev,high_ev,counts), a result of `simulate` (.nc), a file of counts by channel
    (.spe .n42 .xml .pha .pi .fits), or a list of events (--events).
    """
    given = {name: value for name, value in more.items() if value is not None}
    if "asked" in given:
        given["fit"] = given.pop("asked")
    if (line is None) == (energy is None):
        raise ValueError("`linefit` needs one of `--line` and `--energy`")
    if line is None:
        intervals: list[str] = []
        found, title = _single(spectrum, absorber, energy, models, output, given)
        facts = found.facts()
    else:
        from xcal_jax.absorber.absorber import Absorber
        from xcal_jax.response.fit_lines import fit_lines

        if "incident" in given:
            raise ValueError("`--incident` goes with `--energy`")
        target = None if absorber is None else Absorber.load(absorber, **models)
        found = fit_lines(spectrum, line, target, **given, progress=True)
        facts, title = found.facts(), line
        intervals = _intervals(found, facts["parameters"])
    show(facts, as_json, lambda _: [str(found), *intervals])
    if output:
        from xcal_jax.io.datasets import save

        save(found.to_dataset(), output, options.overwrite())
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.plot.expected import line_figure
        from xcal_jax.plot.fits import plot_fit

        drawn = line_figure(found.counts, found.model, found.edges, title) if line is None else plot_fit(found)
        save_figure(drawn, plot)


def _intervals(found, parameters: dict[str, dict]) -> list[str]:
    """A line for each parameter whose error is none or not normal: its interval, which its part then has, too."""
    asked = [name for name, part in parameters.items() if part["on_bound"] or not part["normal"]]
    lines = []
    for name, row in found.intervals(parameters=asked).iterrows() if asked else ():
        parameters[name] |= {"low": float(row.low), "high": float(row.high)}
        unit = row.unit.removeprefix("1")
        lines.append(f"{name}: {row.low:.4g} to {row.high:.4g} {unit}".rstrip() + " (68 %, profile likelihood)")
    return lines


def _single(spectrum, absorber, energy, models, output, given: dict):
    """The fit of an absorber's physics to a line without width, and its title."""
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.response.fitted_line import fit_line

    only = ("line_table", "background", "background_table", "background_scale", "events", "bin_width")
    names = [name.removesuffix("_width").replace("_", "-") for name in only if name in given]
    wrong = [f"--{name}" for name in names] + (["--output"] if output else [])
    if wrong:
        raise ValueError(f"`{wrong[0]}` goes with `--line`")
    missing = [f"`--{name}`" for name, value in (("absorber", absorber), ("fwhm", given.get("fwhm"))) if value is None]
    if missing:
        raise ValueError(f"{missing[0]} must be given with `--energy`")
    target = Absorber.load(absorber, **models)
    return fit_line(spectrum, target, energy, **given, progress=True), f"{target.name}, {energy:g} eV"
