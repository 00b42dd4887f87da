"""``xcal-jax linefit``: an absorber's physics fitted to a measured line."""

import json
from dataclasses import replace

import click

from xcal_jax.cli.options import keep_compiled_programs
from xcal_jax.io.files import PLOTS, check_writable
from xcal_jax.units import parse_quantities, parse_quantity, parse_whole

ROUNDS = 2  # of linearising where the last fit ended


@click.command()
@click.argument("spectrum")
@click.option("--absorber", required=True, help="A preset or a TOML file.")
@click.option("--energy", required=True, help="Photon energy of the line, such as 7keV.")
@click.option("--fwhm", required=True, help="The detector's resolution, such as 2.5eV.")
@click.option(
    "--fit",
    "fitted",
    default="yield,range",
    show_default=True,
    help="Of thickness[n], density[n], yield, range, and of the detector fwhm, tail_frac, tail_tau.",
)
@click.option("--trapping", help="Tail FRACTION:SCALE, such as 0.02:60eV: fixed, or where its fit starts.")
@click.option("--incident", help="Photons that fell on the absorber, if known: their number tells the thickness.")
@click.option("--window", help="Fit channels within LOW,HIGH only, such as 100eV,7.02keV.")
@click.option("--bins", help="LOW,WIDTH of the channels, such as 0eV,1eV, in files of counts by channel.")
@click.option("--at", help="Impact X,Y from the centre; default: uniform over the top.")
@click.option("-n", "n", default="65536", show_default=True, help="Histories of each expectation.")
@click.option("--seed", default=1, show_default=True, help="Seed of the random numbers.")
@click.option("--electrons", help="Electron model instead of the absorber's own: range or scattering.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", help="Also draw measured and fitted counts into this PNG, PDF or SVG file.")
def linefit(
    spectrum, absorber, energy, fwhm, fitted, trapping, incident, window, bins, at, n, seed, electrons, as_json, plot
):
    """Fit ranges, thicknesses, yields and trapping to a line measured in SPECTRUM.

    SPECTRUM is a CSV table (low_ev,high_ev,counts), a result of `simulate` (.nc), or a file of counts by channel
    (.spe .n42 .xml .pha .pi .fits).
    """
    if plot:
        check_writable(plot, PLOTS)
    keep_compiled_programs()
    import numpy as np

    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.expected.parameters import UNITS
    from xcal_jax.response.line_shape import Detector
    from xcal_jax.response.linefit import DETECTOR, check_line, expected_counts, fit_line, linearise
    from xcal_jax.response.measured import read_line
    from xcal_jax.simulation.trapping import Trapping

    start = Trapping(0.01, 50.0)  # where the fit of a tail starts, if nothing is said
    target = Absorber.load(absorber, electrons)
    photon = parse_quantity(energy, "eV", "--energy")
    counts, edges = read_line(spectrum, parse_quantities(bins, ("eV", "eV"), "--bins") if bins else None)
    low, high = parse_quantities(window, ("eV", "eV"), "--window") if window else (edges[0], edges[-1])
    inside = (edges[:-1] >= low) & (edges[1:] <= high)
    if not np.any(inside):
        raise ValueError(f"`--window` must hold channels of {edges[0]:g} to {edges[-1]:g} eV, but is {window}")
    counts, edges = counts[inside], np.append(edges[:-1][inside], edges[1:][inside][-1])
    asked = [name.strip() for name in fitted.split(",") if name.strip()]
    also = tuple(name for name in DETECTOR if name in asked)
    wrt = [name for name in asked if name not in DETECTOR]
    tail = Trapping.build(trapping) if trapping else start if "tail_frac" in also else replace(start, fraction=0.0)
    detector = Detector(parse_quantity(fwhm, "eV", "--fwhm"), tail.fraction, tail.scale)
    if not detector.fwhm > 0.0:
        raise ValueError(f"`--fwhm` must be positive, but is {fwhm}")
    if not wrt:
        raise ValueError(
            "`--fit` must name at least one parameter of the absorber: thickness[n], density[n], yield, range"
        )
    sent = parse_quantity(incident, "", "--incident") if incident else None
    place = parse_quantities(at, ("um", "um"), "--at") if at else None
    count = parse_whole(n, "-n")
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0, but is {seed}")

    check_line(counts, edges, also, sent)
    origin: dict[str, float] = {}
    for _ in range(ROUNDS):
        linear = linearise(target, photon, wrt, place, origin, count, seed, progress=True)
        found = fit_line(linear, counts, edges, detector, also, sent)
        if not (found.converged and np.all(np.isfinite(found.errors))):
            raise ValueError(f"the fit of {fitted} to {spectrum!r} did not converge: fit fewer, or give --incident")
        values = dict(zip(found.parameters, found.values.tolist(), strict=True))
        origin = {name: values[name] for name in linear.parameters}
        low_ = [f"{name} = {value:.4g}" for name, value in origin.items() if not value > 0.0]
        if low_:
            raise ValueError(f"the spectrum {spectrum!r} does not tell {', '.join(low_)}: it came out not positive")
    units = UNITS | {"fwhm": "eV", "tail_frac": "1", "tail_tau": "eV", "photons": "1"}
    spread = np.sqrt(np.diag(found.covariance))
    facts = {
        "parameters": {
            name: {"value": value, "err": float(error), "unit": units[name.split("[")[0]]}
            for (name, value), error in zip(values.items(), found.errors, strict=True)
        },
        "correlation": (found.covariance / np.outer(spread, spread)).tolist(),
        "deviance": found.deviance,
        "channels": found.channels,
    }
    click.echo(json.dumps(facts, indent=2) if as_json else _report(facts))
    if plot:
        from xcal_jax.plot.expected import line_figure
        from xcal_jax.plot.results import save_figure

        model = expected_counts(linear, found, edges, detector, also, sent)
        save_figure(line_figure(counts, model, edges, f"{target.name}, {photon:g} eV"), plot)


def _report(facts: dict) -> str:
    lines = [
        f"{name:14} {part['value']:12.5g} +- {part['err']:9.2g} {part['unit'] if part['unit'] != '1' else ''}".rstrip()
        for name, part in facts["parameters"].items()
    ]
    free = facts["channels"] - len(facts["parameters"])
    return "\n".join([*lines, f"deviance {facts['deviance']:.1f} for {free} degrees of freedom"])
