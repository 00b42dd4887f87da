"""``xcal-jax sweep``: a grid of absorbers and sources from the command line."""

import click

from xcal_jax.cli import options
from xcal_jax.io.checkpoint import checkpoint_of, remove_checkpoint
from xcal_jax.io.files import NETCDF


@options.command("xcal-jax sweep analysis/sweeps/xifu_bismuth.toml -o sweep.nc")
@click.argument("grid")
@options.resumable
@options.on_a_cluster
@options.output("Result, netCDF-4.", NETCDF)
def sweep(grid, resume, scheduler, workers, certificates, output):
    """Simulate every point of GRID, a TOML file, with the same random numbers, to one file."""
    from xcal_jax.compute.cluster import connect
    from xcal_jax.io.datasets import save
    from xcal_jax.simulation.sweep import sweep as run
    from xcal_jax.simulation.sweep_grid import Grid

    part = checkpoint_of(output)
    plan = Grid.load(grid)
    try:
        with connect(scheduler, workers, certificates) as executor:
            result = run(plan, part, resume, progress=True, executor=executor)
    except KeyboardInterrupt:
        options.interrupted(part)
    save(result, output, options.overwrite())
    remove_checkpoint(part)
    for sentence in result.attrs["outside"].splitlines():
        click.echo(f"warning: {sentence}", err=True)
