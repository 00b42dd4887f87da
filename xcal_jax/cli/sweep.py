"""``xcal-jax sweep``: a grid of absorbers and sources from the command line."""

import click

from xcal_jax.cli.options import interrupted, keep_compiled_programs, on_a_cluster, resumable
from xcal_jax.io.checkpoint import checkpoint_of, remove_checkpoint
from xcal_jax.io.files import check_writable


@click.command()
@click.argument("grid")
@resumable
@on_a_cluster
@click.option("-o", "--output", required=True, help="Result, netCDF-4.")
def sweep(grid, resume, scheduler, workers, output):
    """Simulate every point of GRID, a TOML file, with the same random numbers, to one file."""
    check_writable(output)
    keep_compiled_programs()
    from xcal_jax.compute.cluster import connect
    from xcal_jax.io.datasets import save
    from xcal_jax.simulation.sweep import sweep as run
    from xcal_jax.simulation.sweep_grid import Grid

    part = checkpoint_of(output)
    plan = Grid.load(grid)
    try:
        with connect(scheduler, workers) as executor:
            result = run(plan, part, resume, progress=True, executor=executor)
    except KeyboardInterrupt:
        interrupted(part)
    save(result, output)
    remove_checkpoint(part)
