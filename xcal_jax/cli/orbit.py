"""``xcal-jax dose`` and ``xcal-jax orbit``: from elements and a shield to dose, from elements to good
hours.
"""

import json as text
import warnings
from pathlib import Path

import click

from xcal_jax.io.files import check_writable, replacing


@click.command()
@click.option("--tle", type=click.Path(), help="File of two-line elements, any length.")
@click.option("--altitudes", type=click.Path(), help="CSV: date,altitude_km,inclination_deg.")
@click.option("--satellite", help="Shipped altitude history: GRBAlpha or VZLUSAT-2 (partly assumed: see the file).")
@click.option("--shield", required=True, help='Outermost first: "Al:1mm,Pb:2.5mm"; sectors: "0.3*Al:1mm; 0.7*Al:5mm".')
@click.option("--geometry", type=click.Choice(["slab", "sphere"]), default="slab", show_default=True)
@click.option("--sides", type=click.Choice(["1", "2"]), default="2", show_default=True, help="Sides of the slab.")
@click.option("--start", help="First day, UTC; default: the start of the elements.")
@click.option("--end", help="Last day, UTC; default: the end of the elements.")
@click.option("--activity", default="2022-09-01", show_default=True, help="min, max, or the date maximum starts.")
@click.option("--nuclear-factor", default=1.0, show_default=True, help="Multiplies the protons' dose: secondaries.")
@click.option("--step", default=60.0, show_default=True, help="Seconds between positions.")
@click.option("-o", "--output", required=True, type=click.Path(), help="netCDF file.")
@click.option("--plot", is_flag=False, flag_value="", help="Also draw, into OUTPUT with .png or the file named.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def dose(
    tle,
    altitudes,
    satellite,
    shield,
    geometry,
    sides,
    start,
    end,
    activity,
    nuclear_factor,
    step,
    output,
    plot,
    as_json,
) -> None:
    """Ionising dose and displacement damage in silicon behind a shield, month by month."""
    from xcal_jax.orbit import mission_dose, parse_sectors, read_altitudes, read_tle, report, shipped_altitudes

    given = [name for name in (tle, altitudes, satellite) if name]
    if len(given) != 1:
        raise ValueError(f"orbit must come from one of --tle, --altitudes, --satellite, but {len(given)} are given")
    flown = read_tle(tle) if tle else read_altitudes(altitudes) if altitudes else shipped_altitudes(satellite)
    sectors = parse_sectors(shield)
    picture = None if plot is None else Path(plot or Path(output).with_suffix(".png"))
    for path in filter(None, (output, picture)):
        check_writable(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = mission_dose(
            flown, sectors, geometry, int(sides), nuclear_factor, start, end, activity, step, progress=True
        )
    for one in caught:
        click.echo(f"warning: {one.message}", err=True)
    with replacing(output) as temporary:
        result.to_netcdf(temporary, engine="netcdf4")
    if picture:
        from xcal_jax.orbit.plot import draw_dose

        with replacing(picture) as temporary:
            draw_dose({satellite or Path(tle or altitudes).stem: result}).savefig(temporary, dpi=150)
    numbers = report(result)
    if as_json:
        click.echo(text.dumps(numbers))
        return
    click.echo(f"{'days':>28} {numbers['days']:.1f}")
    click.echo(f"{'TID (rad in Si)':>28} {numbers['tid_rad']:.4g}")
    click.echo(f"{'of it by protons':>28} {numbers['tid_rad_proton']:.4g}")
    click.echo(f"{'of it by electrons':>28} {numbers['tid_rad_electron']:.4g}")
    click.echo(f"{'TNID (1 MeV n_eq/cm2)':>28} {numbers['neq_cm2']:.4g}")
    click.echo(f"not covered: {result.attrs['not_covered']}")


@click.group()
def orbit() -> None:
    """Where the satellite is, and when it is quiet there."""


@orbit.command()
@click.option("--tle", required=True, type=click.Path(), help="File of two-line elements.")
@click.option("--day", required=True, help="UTC day, like 2021-05-20.")
@click.option("--days", default=1.0, show_default=True, help="How many days.")
@click.option("--solar", type=click.Choice(["min", "max"]), default="max", show_default=True)
@click.option("--drift", default=0.0, show_default=True, help="Westward drift of the anomaly, degrees a year (0.3).")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def passes(tle, day, days, solar, drift, as_json) -> None:
    """Quiet windows outside the belts, and exits from the South Atlantic Anomaly going north."""
    from xcal_jax.orbit import list_passes, read_tle

    found = list_passes(read_tle(tle), day, days, solar, drift)
    north = found.isel({"pass": found.northward.values})
    columns = ("start", "end", "start_latitude", "end_latitude")
    windows = [
        (str(a), str(b), float(c), float(d)) for a, b, c, d in zip(*(found[n].values for n in columns), strict=True)
    ]
    columns = ("exit", "exit_latitude", "exit_longitude", "proton_fluence")
    exits = [
        (str(a), float(b), float(c), float(d)) for a, b, c, d in zip(*(north[n].values for n in columns), strict=True)
    ]
    caveat = found.attrs["caveat"]
    if as_json:
        keys = ("start", "end", "start_latitude_deg", "end_latitude_deg")
        quiet = [dict(zip(keys, row, strict=True)) for row in windows]
        keys = ("time", "latitude_deg", "longitude_deg", "protons_cm2")
        leaving = [dict(zip(keys, row, strict=True)) for row in exits]
        click.echo(text.dumps({"quiet": quiet, "saa_exits_north": leaving, "caveat": caveat}))
        return
    click.echo("quiet windows, UTC                          from latitude to latitude")
    for start, end, first, last in windows:
        click.echo(f"{start}  {end}  {first:6.1f} to {last:6.1f}")
    click.echo("exits from the anomaly going north, UTC, latitude, longitude, protons above 10 MeV in the pass")
    for time, latitude, longitude, protons in exits:
        click.echo(f"{time}  {latitude:6.1f} {longitude:7.1f}  {protons:.3g}/cm2")
    click.echo(f"note: {caveat}")
