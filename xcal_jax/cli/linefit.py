"""``xcal-jax linefit``: an absorber's physics fitted to a measured line."""

from dataclasses import replace

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show

ROUNDS = 2  # of linearising where the last fit ended


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
    options.keep_compiled_programs()
    import numpy as np

    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.expected.parameters import UNITS
    from xcal_jax.expected.tables import differentiable
    from xcal_jax.response.line_shape import Detector
    from xcal_jax.response.linefit import DETECTOR, check_line, expected_counts, fit_line, linearise
    from xcal_jax.response.measured import read_line
    from xcal_jax.simulation.trapping import Trapping

    start = Trapping(0.01, 50.0)  # where the fit of a tail starts, if nothing is said
    target = Absorber.load(absorber, **models)
    counts, edges = read_line(spectrum, bins)
    low, high = window or (edges[0], edges[-1])
    inside = (edges[:-1] >= low) & (edges[1:] <= high)
    if not np.any(inside):
        raise ValueError(
            f"`--window` must hold channels of {edges[0]:g} to {edges[-1]:g} eV, but is {low:g} to {high:g} eV"
        )
    counts, edges = counts[inside], np.append(edges[:-1][inside], edges[1:][inside][-1])
    also = tuple(name for name in DETECTOR if name in asked)
    wrt = [name for name in asked if name not in DETECTOR]
    tail = Trapping.build(trapping) if trapping else start if "tail_frac" in also else replace(start, fraction=0.0)
    detector = Detector.build(fwhm, tail)
    if not wrt:
        raise ValueError(
            "`--fit` must name at least one parameter of the absorber: thickness[n], density[n], yield, range"
        )

    check_line(counts, edges, also, incident)
    origin: dict[str, float] = {}
    for _ in range(ROUNDS):
        linear = linearise(target, energy, wrt, at, origin, n, seed, progress=True)
        found = fit_line(linear, counts, edges, detector, also, incident)
        if not (found.converged and np.all(np.isfinite(found.errors))):
            raise ValueError(
                f"the fit of {','.join(asked)} to {spectrum!r} did not converge: fit fewer, or give --incident"
            )
        values = dict(zip(found.parameters, found.values.tolist(), strict=True))
        origin = {name: values[name] for name in linear.parameters}
        low_ = [f"{name} = {value:.4g}" for name, value in origin.items() if not value > 0.0]
        if low_:
            raise ValueError(f"the spectrum {spectrum!r} does not tell {', '.join(low_)}: it came out not positive")
    units = UNITS | {"fwhm": "eV", "tail_frac": "1", "tail_tau": "eV", "photons": "1"}
    sigma = np.sqrt(np.diag(found.covariance))
    facts = {
        "parameters": {
            name: {"value": value, "err": float(error), "unit": units[name.split("[")[0]]}
            for (name, value), error in zip(values.items(), found.errors, strict=True)
        },
        "correlation": (found.covariance / np.outer(sigma, sigma)).tolist(),
        "deviance": found.deviance,
        "channels": found.channels,
        "fallbacks": list(differentiable(target)[1]),
    }
    show(facts, as_json, _report)
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.plot.expected import line_figure

        model = expected_counts(linear, found, edges, detector, also, incident)
        save_figure(line_figure(counts, model, edges, f"{target.name}, {energy:g} eV"), plot)


def _report(facts: dict) -> list[str]:
    lines = [
        f"{name:14} {part['value']:12.5g} +- {part['err']:9.2g} {part['unit'] if part['unit'] != '1' else ''}".rstrip()
        for name, part in facts["parameters"].items()
    ]
    free = facts["channels"] - len(facts["parameters"])
    lines += [f"deviance {facts['deviance']:.1f} for {free} degrees of freedom"]
    return lines + [f"note: {sentence}" for sentence in facts["fallbacks"]]
