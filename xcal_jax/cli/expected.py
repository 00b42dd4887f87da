"""``xcal-jax sensitivity`` and ``design``: what derivatives are for."""

from pathlib import Path

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show
from xcal_jax.io.files import MARK, NETCDF, check_kept, check_writable
from xcal_jax.units import shown_path


@options.command(
    "xcal-jax sensitivity xifu --energy 7keV --wrt thickness,density,yield,range",
    "xcal-jax sensitivity xifu --energy 5.899keV:2,6.490keV:1 --angle 45deg --wrt thickness,weight,angle",
)
@click.argument("absorber")
@options.lines(required=True)
@click.option(
    "--wrt",
    type=options.NAMES,
    default="thickness,density,yield,range",
    help="Of thickness, density, width, length, energy, weight, angle, x, y, yield, range; one layer: thickness[1].",
)
@options.at
@options.angle
@options.azimuth
@options.isotropic
@options.photons("131072", "Histories, rounded up to a power of two; 4096 at least.")
@options.seed
@options.yields
@click.option("--uncertainties", help="TOML file of standard deviations: also print that of each observable.")
@options.models
@options.loss_above
@options.as_json
@options.plot("the relative sensitivities")
def sensitivity(absorber, lines, wrt, models, as_json, plot, **more):
    """Derivatives of the observables of ABSORBER, a preset or a TOML file, with standard errors."""
    from xcal_jax.absorber.absorber import Absorber
    from xcal_jax.expected.sensitivity import sensitivity as run

    target = Absorber.load(absorber, **models)
    energies, weights = lines
    found = run(target, energies, wrt, weights=weights, progress=True, **more)
    show(found.facts(), as_json, lambda _: [str(found)])
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.plot.expected import sensitivity_figure

        at, energy = more["at"], ", ".join(f"{energy:g}" for energy in energies)
        impact = "uniform over the top" if at is None else f"at ({at[0]:g}, {at[1]:g}) µm"
        light = "isotropic" if more["isotropic"] else f"{more['angle']:g}° from the normal"
        title = f"{target.name}, {energy} eV, {impact}, {light}"
        save_figure(sensitivity_figure(found.changes, found.parameters, title), plot)


@options.command("xcal-jax design design.toml --starts 5 -o best.nc")
@click.argument("problem")
@click.option("--starts", type=options.WHOLE, default="3", help="Starts for every choice of materials.")
@options.photons("16384", "Histories of every Monte Carlo run.")
@options.seed
@options.output("Result, netCDF-4; beside it the absorber (.toml) and a plot (.png).", NETCDF)
def design(problem, starts, n, seed, output):
    """Choose thicknesses and materials as PROBLEM, a TOML file, asks."""
    from xcal_jax.io.files import replacing

    path = Path(output)
    beside = path.with_suffix(".toml"), path.with_suffix(".png")
    for each in beside:
        check_writable(each)
    try:
        check_kept([problem], beside)
    except ValueError as same:
        raise ValueError(f"{same}: the absorber and its plot are written beside {shown_path(output)}") from same
    options.check_replaceable(*beside)
    from xcal_jax.design.optimise import design as run
    from xcal_jax.io.datasets import save
    from xcal_jax.io.figures import save_figure
    from xcal_jax.plot.expected import front_figure

    try:
        result = run(problem, starts, seed, n, progress=True)
    except RuntimeError as problem_:
        raise ValueError(str(problem_)) from problem_
    save(result, path, options.overwrite())
    with replacing(beside[0]) as temporary:
        temporary.write_text(f"# chosen by {MARK.decode()}\n{result.attrs['absorber']}", encoding="utf-8")
    save_figure(front_figure(result), beside[1])
    facts = result.attrs
    options.say(facts["absorber"])
    options.say(f"{facts['objective']}: {facts['objective_value']:.6g} +- {facts['objective_err']:.2g}")
    for name, value in zip(result.constraint.values, result.constraint_value.values[facts["best"]], strict=True):
        options.say(f"{name}: {value:.6g}")
    options.say(f"converged: {int(result.converged.sum())} of {result.sizes['start']} starts")
    if not facts["converged"]:
        slope = float(result.slope[facts["best"]])
        options.say(
            f"the best of them is no optimum of the sampled observables (gradient {slope:.2g}): try a larger -n"
        )
