"""``xcal-jax sensitivity`` and ``design``: what derivatives are for."""

from pathlib import Path

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show
from xcal_jax.io.files import MARK, check_kept, check_writable
from xcal_jax.units import shown


@options.command()
@click.argument("absorber")
@options.energy
@click.option(
    "--wrt",
    type=options.NAMES,
    default="thickness,density,yield,range",
    help="Of thickness, density, width, length, energy, x, y, yield, range; one layer: thickness[1].",
)
@options.at
@options.photons("131072", "Histories, rounded up to a power of two.")
@options.seed
@options.yields
@click.option("--uncertainties", help="TOML file of standard deviations: also print that of each observable.")
@options.models
@options.loss_above
@options.as_json
@options.plot("the relative sensitivities")
def sensitivity(absorber, energy, wrt, at, n, seed, yields, uncertainties, models, loss_above, as_json, plot):
    """Derivatives of the observables of ABSORBER, a preset or a TOML file, with standard errors."""
    options.keep_compiled_programs()
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.expected.estimate import estimate
    from xcal_jax.expected.parameters import Parameters
    from xcal_jax.expected.sensitivity import facts_of, propagate, read_uncertainties, relative, scalars

    target = Absorber.load(absorber, **models)
    point = Parameters.of(target, energy, at)
    sigma = read_uncertainties(uncertainties, point) if uncertainties else {}
    asked = wrt + [name for name in sigma if name not in wrt and name.split("[")[0] not in wrt]
    found = estimate(target, energy, asked, at, n, seed, yields, loss_above=loss_above, progress=True)
    observables = scalars(found, target)
    facts = facts_of(observables, found.parameters) | {"fallbacks": list(found.fallbacks)}
    if sigma:
        facts["uncertainties"] = propagate(observables, found.parameters, sigma)
    changes = relative(observables, found.parameters, point)
    show(facts, as_json, lambda facts: _report(facts, changes, found.parameters))
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.plot.expected import sensitivity_figure

        impact = "uniform over the top" if at is None else f"at ({at[0]:g}, {at[1]:g}) µm"
        title = f"{target.name}, {energy:g} eV, {impact}"
        save_figure(sensitivity_figure(changes, found.parameters, title), plot)


def _report(facts: dict, changes: dict, parameters: tuple[str, ...]) -> list[str]:
    """A table: observables down, relative sensitivities across."""
    width = max(len(name) for name in facts["observables"])
    lines = ["change of each observable in percent, for a parameter that is 1 % larger (standard error below)", ""]
    lines += [f"{'observable':{width}} {'value':>12} {'+-':>9} " + "".join(f"{p:>14}" for p in parameters)]
    for name, part in facts["observables"].items():
        value, error = changes[name]
        lines += [
            f"{name:{width}} {part['value']:12.5g} {part['err']:9.1e} " + "".join(f"{v:14.4f}" for v in value),
            f"{'':{width}} {'':12} {'':9} " + "".join(f"{e:14.4f}" for e in error),
        ]
    if "uncertainties" in facts:
        lines += ["", f"{'observable':{width}} {'uncertainty':>12}   of which"]
        for name, part in facts["uncertainties"].items():
            causes = "  ".join(f"{p} {s:.2g}" for p, s in part["by_parameter"].items())
            lines += [f"{name:{width}} {part['total']:12.3g}   {causes}"]
    return lines + [f"note: {sentence}" for sentence in facts["fallbacks"]]


@options.command()
@click.argument("problem")
@click.option("--starts", type=options.WHOLE, default="3", help="Starts for every choice of materials.")
@options.photons("16384", "Histories of every Monte Carlo run.")
@options.seed
@options.output("Result, netCDF-4; beside it the absorber (.toml) and a plot (.png).")
def design(problem, starts, n, seed, output):
    """Choose thicknesses and materials as PROBLEM, a TOML file, asks."""
    from xcal_jax.io.files import replacing

    path = Path(output)
    beside = path.with_suffix(".toml"), path.with_suffix(".png")
    if path.suffix in (".toml", ".png"):
        raise ValueError(f"`--output` must not end in .toml or .png, which stand beside it, but is {shown(output)}")
    for each in beside:
        check_writable(each)
    check_kept([problem], beside)
    options.check_replaceable(*beside)
    options.keep_compiled_programs()
    from xcal_jax.design.optimise import design as run
    from xcal_jax.design.specification import load
    from xcal_jax.io.datasets import save
    from xcal_jax.io.figures import save_figure
    from xcal_jax.plot.expected import front_figure

    asked = load(problem)
    try:
        result = run(asked, starts, seed, n, progress=True)
    except RuntimeError as problem_:
        raise ValueError(str(problem_)) from problem_
    save(result, path, options.overwrite())
    with replacing(beside[0]) as temporary:
        temporary.write_text(f"# chosen by {MARK.decode()}\n{result.attrs['absorber']}", encoding="utf-8")
    save_figure(front_figure(result), beside[1])
    facts = result.attrs
    click.echo(facts["absorber"])
    click.echo(f"{facts['objective']}: {facts['objective_value']:.6g} +- {facts['objective_err']:.2g}")
    for name, value in zip(result.constraint.values, result.constraint_value.values[facts["best"]], strict=True):
        click.echo(f"{name}: {value:.6g}")
    click.echo(f"converged: {int(result.converged.sum())} of {result.sizes['start']} starts")
    if not facts["converged"]:
        slope = float(result.slope[facts["best"]])
        click.echo(f"the best of them is no optimum of the sampled observables (gradient {slope:.2g}): try a larger -n")
