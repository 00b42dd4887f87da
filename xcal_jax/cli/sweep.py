"""``xcal-jax sweep``: a grid of absorbers and sources from the command line."""

import sys
from pathlib import Path

import click

from xcal_jax.cli.options import keep_compiled_programs, on_a_cluster
from xcal_jax.io.files import check_writable


@click.command()
@click.argument("grid")
@click.option("--resume", is_flag=True, help="Go on from the folder OUTPUT.part, which an interrupted sweep has left.")
@on_a_cluster
@click.option("-o", "--output", required=True, help="Result, netCDF-4.")
def sweep(grid, resume, scheduler, workers, output):
    """Simulate every point of GRID, a TOML file, with the same random numbers, to one file."""
    check_writable(output)
    keep_compiled_programs()
    from xcal_jax.compute.cluster import spreading
    from xcal_jax.io.datasets import save
    from xcal_jax.simulation.sweep import remove_kept
    from xcal_jax.simulation.sweep import sweep as run
    from xcal_jax.simulation.sweep_grid import Grid

    part = Path(f"{output}.part")
    plan = Grid.load(grid)
    try:
        with spreading(scheduler, workers) as spread:
            result = run(plan, part, resume, progress=True, spread=spread)
    except KeyboardInterrupt:
        click.echo(f"interrupted: --resume goes on from {part}", err=True)
        sys.exit(130)
    save(result, output)
    remove_kept(part)
