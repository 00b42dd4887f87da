"""``xcal-jax sensitivity`` and ``design``: what derivatives are for."""

import json

import click

from xcal_jax.cli.options import keep_compiled_programs
from xcal_jax.io.files import PLOTS, check_writable
from xcal_jax.units import parse_quantities, parse_quantity, parse_whole


@click.command()
@click.argument("absorber")
@click.option("--energy", required=True, help="Photon energy, such as 7keV.")
@click.option(
    "--wrt",
    default="thickness,density,yield,range",
    show_default=True,
    help="Of thickness, density, width, length, energy, x, y, yield, range; one layer: thickness[1].",
)
@click.option("--at", help="Impact X,Y from the centre, such as 134.6um,0um; default: uniform over the top.")
@click.option("-n", "n", default="131072", show_default=True, help="Histories, rounded up to a power of two.")
@click.option("--seed", default=1, show_default=True, help="Seed of the random numbers.")
@click.option("--yields", default="eadl", show_default=True, help="Fluorescence yields: eadl or krause.")
@click.option("--uncertainties", help="TOML file of standard deviations: also print what they make of each figure.")
@click.option("--electrons", help="Electron model instead of the absorber's own: range or scattering.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", help="Also draw the relative sensitivities into this PNG, PDF or SVG file.")
def sensitivity(absorber, energy, wrt, at, n, seed, yields, uncertainties, electrons, as_json, plot):
    """Derivatives of the figures of ABSORBER, a preset or a TOML file, with standard errors."""
    if plot:
        check_writable(plot, PLOTS)
    keep_compiled_programs()
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.expected.estimate import estimate
    from xcal_jax.expected.parameters import Parameters
    from xcal_jax.expected.sensitivity import as_json as facts_of
    from xcal_jax.expected.sensitivity import by_name, propagate, read_uncertainties, relative

    target = Absorber.load(absorber, electrons)
    photon = parse_quantity(energy, "eV", "--energy")
    place = parse_quantities(at, ("um", "um"), "--at") if at else None
    point = Parameters.of(target, photon, place)
    sigma = read_uncertainties(uncertainties, point) if uncertainties else {}
    asked = [name.strip() for name in wrt.split(",") if name.strip()]
    asked += [name for name in sigma if name not in asked and name.split("[")[0] not in asked]
    count = parse_whole(n, "-n")
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0, but is {seed}")
    found = estimate(target, photon, asked, place, count, seed, yields, progress=True)
    figures = by_name(found, target)
    facts = facts_of(figures, found.parameters)
    if sigma:
        facts["uncertainties"] = propagate(figures, found.parameters, sigma)
    shares = relative(figures, found.parameters, point)
    click.echo(json.dumps(facts, indent=2) if as_json else _report(facts, shares, found.parameters))
    if plot:
        from xcal_jax.plot.expected import sensitivity_figure
        from xcal_jax.plot.results import save_figure

        impact = "uniform over the top" if place is None else f"at ({place[0]:g}, {place[1]:g}) µm"
        title = f"{target.name}, {photon:g} eV, {impact}"
        save_figure(sensitivity_figure(shares, found.parameters, title), plot)


def _report(facts: dict, shares: dict, parameters: tuple[str, ...]) -> str:
    """A table: figures down, relative sensitivities across."""
    width = max(len(name) for name in facts["figures"])
    lines = ["change of each figure in percent, for a parameter that is 1 % larger (standard error below)", ""]
    lines += [f"{'figure':{width}} {'value':>12} {'+-':>9} " + "".join(f"{p:>14}" for p in parameters)]
    for name, figure in facts["figures"].items():
        value, error = shares[name]
        lines += [
            f"{name:{width}} {figure['value']:12.5g} {figure['err']:9.1e} " + "".join(f"{v:14.4f}" for v in value),
            f"{'':{width}} {'':12} {'':9} " + "".join(f"{e:14.4f}" for e in error),
        ]
    if "uncertainties" in facts:
        lines += ["", f"{'figure':{width}} {'uncertainty':>12}   of which"]
        for name, part in facts["uncertainties"].items():
            shares_ = "  ".join(f"{p} {s:.2g}" for p, s in part["by_parameter"].items())
            lines += [f"{name:{width}} {part['total']:12.3g}   {shares_}"]
    return "\n".join(lines)


@click.command()
@click.argument("problem")
@click.option("--starts", default=3, show_default=True, help="Starts for every choice of materials.")
@click.option("--seed", default=1, show_default=True, help="Seed of the starts and of the random numbers.")
@click.option(
    "-o", "--output", required=True, help="Result, netCDF-4; beside it the absorber (.toml) and a plot (.png)."
)
def design(problem, starts, seed, output):
    """Choose thicknesses and materials as PROBLEM, a TOML file, asks."""
    from pathlib import Path

    from xcal_jax.io.files import replacing

    path = Path(output)
    outputs = path, path.with_suffix(".toml"), path.with_suffix(".png")
    if path.suffix in (".toml", ".png"):
        raise ValueError(f"`--output` must not end in .toml or .png, which stand beside it, but is {output!r}")
    if outputs[1].resolve() == Path(problem).resolve():
        raise ValueError(f"`--output` {output!r} would put the absorber in the place of the design, {problem!r}")
    for each in outputs:
        check_writable(each)
    if not 1 <= starts <= 64:
        raise ValueError(f"`--starts` must be from 1 to 64, but is {starts}")
    if seed < 0:
        raise ValueError(f"`--seed` must be at least 0, but is {seed}")
    keep_compiled_programs()
    from xcal_jax.design.optimise import design as run
    from xcal_jax.design.specification import load
    from xcal_jax.io.datasets import save
    from xcal_jax.plot.expected import front_figure
    from xcal_jax.plot.results import save_figure

    asked = load(problem)
    try:
        result = run(asked, starts, seed, progress=True)
    except RuntimeError as problem_:
        raise ValueError(str(problem_)) from problem_
    save(result, outputs[0])
    with replacing(outputs[1]) as temporary:
        temporary.write_text(result.attrs["absorber"], encoding="utf-8")
    save_figure(front_figure(result), outputs[2])
    facts = result.attrs
    click.echo(facts["absorber"])
    click.echo(f"{facts['objective']}: {facts['objective_value']:.6g} +- {facts['objective_err']:.2g}")
    for name, value in zip(result.constraint.values, result.constraint_value.values[facts["best"]], strict=True):
        click.echo(f"{name}: {value:.6g}")
    click.echo(f"converged: {int(result.converged.sum())} of {result.sizes['start']} starts")
