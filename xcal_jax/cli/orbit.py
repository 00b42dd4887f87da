"""``xcal-jax dose``: the dose behind a shield in orbit. ``xcal-jax orbit``: hours of low background."""

import json as text
from pathlib import Path

import click

from xcal_jax.cli import options
from xcal_jax.io.files import PLOTS, check_kept, check_writable

TLE = "Two-line elements, or OMM as CSV, XML, JSON or KVN."


@options.command()
@click.option("--tle", type=click.Path(), help=f"{TLE} Any length.")
@click.option("--altitudes", type=click.Path(), help="CSV: date,altitude_km,inclination_deg.")
@click.option("--satellite", help="Shipped altitude history: GRBAlpha or VZLUSAT-2 (partly assumed: see the file).")
@click.option("--shield", required=True, help='Outermost first: "Al:1mm,Pb:2.5mm"; sectors: "0.3*Al:1mm; 0.7*Al:5mm".')
@click.option("--geometry", type=click.Choice(["slab", "sphere"]), default="slab")
@click.option("--sides", type=click.Choice(["1", "2"]), default="2", help="Sides of the slab.")
@click.option("--start", help="First day, UTC; default: the start of the elements.")
@click.option("--end", help="Last day, UTC; default: the end of the elements.")
@click.option("--activity", default="2022-09-01", help="min, max, or the date maximum starts.")
@click.option("--nuclear-factor", type=options.quantity(""), default="1", help="Multiplies the protons' ionising dose.")
@click.option("--step", type=options.quantity("s"), default="60s", help="Time between positions.")
@options.output("netCDF file.")
@click.option("--plot", is_flag=False, flag_value="", help="Also draw, into OUTPUT with .png or the file named.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def dose(tle, altitudes, satellite, shield, geometry, sides, output, plot, as_json, **flight) -> None:
    """Ionising dose and displacement damage in silicon behind a shield, month by month."""
    from xcal_jax.io.datasets import save
    from xcal_jax.orbit import report
    from xcal_jax.orbit.flight import dose as run

    picture = None if plot is None else plot or str(Path(output).with_suffix(".png"))
    if picture:
        check_writable(picture, PLOTS)
        check_kept(filter(None, (tle, altitudes)), (output, picture))
        options.check_replaceable(picture)
    result = run(shield, satellite, tle, altitudes, geometry, int(sides), progress=True, **flight)
    save(result, output, options.overwrite())
    if picture:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.orbit.plot import draw_dose

        save_figure(draw_dose({satellite or Path(tle or altitudes).stem: result}), picture)
    numbers = report(result)
    if as_json:
        click.echo(text.dumps(numbers))
        return
    for title, value in (
        ("days", f"{numbers['days']:.1f}"),
        ("TID (rad in Si)", f"{numbers['tid_rad']:.4g}"),
        ("of it by protons", f"{numbers['tid_rad_proton']:.4g}"),
        ("of it by electrons", f"{numbers['tid_rad_electron']:.4g}"),
        ("TNID (1 MeV n_eq/cm2)", f"{numbers['neq_cm2']:.4g}"),
    ):
        click.echo(f"{title:>28} {value}")
    click.echo(f"not covered: {result.attrs['not_covered']}")


@click.group()
def orbit() -> None:
    """Hours of low background on an orbit."""


@orbit.command(cls=options.Command)
@click.option("--tle", required=True, type=click.Path(), help=TLE)
@click.option("--day", required=True, help="UTC day, like 2021-05-20.")
@click.option("--days", type=options.quantity("d"), default="1d", help="How many days.")
@click.option("--solar", type=click.Choice(["min", "max"]), default="max")
@click.option(
    "--drift", type=options.quantity("deg"), default="0deg", help="Westward drift of the anomaly, degrees a year (0.3)."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def passes(tle, day, days, solar, drift, as_json) -> None:
    """Quiet windows outside the belts, and exits from the South Atlantic Anomaly going north."""
    from xcal_jax.orbit import list_passes, read_tle

    found = list_passes(read_tle(tle), day, days, solar, drift)
    north = found.isel({"pass": found.northward.values})

    def rows(table, *names):
        columns = (table[name].values for name in names)
        return list(zip(*((c.astype(str) if c.dtype.kind == "M" else c).tolist() for c in columns), strict=True))

    quiet = rows(found, "start", "end", "start_latitude", "end_latitude")
    leaving = rows(north, "exit", "exit_latitude", "exit_longitude", "proton_fluence")
    if as_json:
        keys = ("start", "end", "start_latitude_deg", "end_latitude_deg")
        exit_keys = ("time", "latitude_deg", "longitude_deg", "protons_cm2")
        tables = {
            "quiet": [dict(zip(keys, row, strict=True)) for row in quiet],
            "saa_exits_north": [dict(zip(exit_keys, row, strict=True)) for row in leaving],
        }
        click.echo(text.dumps({**tables, "caveat": found.attrs["caveat"]}))
        return
    click.echo("quiet windows, UTC                          from latitude to latitude")
    for start, end, first, last in quiet:
        click.echo(f"{start}  {end}  {first:6.1f} to {last:6.1f}")
    click.echo("exits from the anomaly going north, UTC, latitude, longitude, protons above 10 MeV in the pass")
    for time, latitude, longitude, protons in leaving:
        click.echo(f"{time}  {latitude:6.1f} {longitude:7.1f}  {protons:.3g}/cm2")
    click.echo(f"note: {found.attrs['caveat']}")
