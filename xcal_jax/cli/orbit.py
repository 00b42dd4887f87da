"""``xcal-jax dose``: the dose behind a shield in orbit. ``xcal-jax orbit``: hours of low background."""

import json as text

import click

from xcal_jax.cli import options
from xcal_jax.io.files import NETCDF, PLOTS

TLE = "Two-line elements, or OMM as CSV, XML, JSON or KVN."
EXTRA = {"tid_rad_solar": "of it by solar protons", "tid_rad_galactic": "of it by galactic nuclei"}
max_age = click.option(
    "--max-age",
    type=options.quantity("d"),
    help="How far an element set may be from the dates it is used for; default: 45 d.",
)
strict = click.option("--strict", is_flag=True, help="Refuse element sets that cannot be used, rather than skip them.")


@options.command(
    'xcal-jax dose --satellite GRBAlpha --shield "Al:1mm,Pb:2.5mm" -o dose.nc',
    "xcal-jax dose --tle satellite.tle --model GRBAlpha --start 2021-05-01 --end 2022-05-01 -o dose.nc",
)
@click.option("--tle", type=click.Path(), help=f"{TLE} Any length.")
@click.option("--altitudes", type=click.Path(), help="CSV: date,altitude_km,inclination_deg.")
@click.option(
    "--fluxes",
    type=click.Path(),
    multiple=True,
    help="Your own, in place of an orbit: particle,energy_MeV,flux (CSV), or files of IRENE (AP-9, AE-9).",
)
@click.option(
    "--satellite",
    help="The one to take from --tle, by name or number. Alone: the shipped altitudes of GRBAlpha or VZLUSAT-2 "
    "(partly assumed: see the files).",
)
@max_age
@strict
@click.option("--shield", help='Outermost first: "Al:1mm,Pb:2.5mm"; sectors: "0.3*Al:1mm; 0.7*Al:5mm".')
@click.option("--model", help="Boxes and plates in place of --shield: a TOML file, or GRBAlpha or VZLUSAT-2.")
@click.option("--rays", type=options.WHOLE, help="Rays from the detector of --model; default: 2000.")
@click.option("--geometry", type=click.Choice(["slab", "sphere"]), help="Of --shield; default: slab.")
@click.option("--sides", type=click.Choice(["1", "2"]), help="Sides of the slab; default: 2.")
@click.option("--start", help="First day, UTC; default: the start of the elements.")
@click.option("--end", help="Last day, UTC; default: the end of the elements.")
@click.option(
    "--activity",
    help="min, max, cycle, blend (by F10.7), or the date maximum starts; default: 2022-09-01, the paper's.",
)
@click.option("--reactions", is_flag=True, help="Count nuclear reactions of protons in the shield and the silicon.")
@click.option(
    "--solar-protons", type=options.quantity(""), help="Add those not exceeded with this confidence, 0.5 to 0.99."
)
@click.option("--galactic", is_flag=True, help="Add the dose by galactic nuclei.")
@click.option("--step", type=options.quantity("s"), help="Time between positions; default: 60 s.")
@options.output("netCDF file.", NETCDF)
@click.option(
    "--plot",
    type=options.Output(PLOTS),
    is_flag=False,
    flag_value=options.BESIDE,
    help="Also draw, into OUTPUT with .png or the file named.",
)
@click.option(
    "--spectra",
    type=options.Output(PLOTS),
    help="Also draw the spectra before and behind the shield, into this file.",
)
@click.option(
    "--report",
    "page",
    type=options.Output((".html", ".htm")),
    is_flag=False,
    flag_value=options.BESIDE,
    help="Also write a page with all figures, tables and sources, into OUTPUT with .html or the file named.",
)
@options.as_json
def dose(
    shield, satellite, tle, altitudes, fluxes, model, sides, output, plot, spectra, page, as_json, **flight
) -> None:
    """Ionising dose and displacement damage in silicon behind a shield, month by month."""
    from xcal_jax.io.datasets import save
    from xcal_jax.orbit import report
    from xcal_jax.orbit.flight import dose as run
    from xcal_jax.orbit.flight import given, shield_of
    from xcal_jax.orbit.summary import band_in_words

    flight |= {"fluxes": fluxes or None, "sides": sides and int(sides)}
    result = run(shield, satellite, tle, altitudes, model, progress=True, **flight)
    save(result, output, options.overwrite())
    if plot or spectra:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.orbit.plot import dose_figure, spectra_figure

        if plot:
            save_figure(dose_figure({result.attrs["satellite"]: result}), plot)
        if spectra:
            save_figure(spectra_figure(result), spectra)
    if page:
        from xcal_jax.orbit.dose_report import write_report

        looks = given(geometry=flight["geometry"], sides=flight["sides"], rays=flight["rays"])
        write_report(result, shield_of(shield, model), page, reactions=flight["reactions"], **looks)
    numbers = report(result)
    if as_json:
        click.echo(text.dumps(numbers))
        return
    band = band_in_words(result)
    edges = [f", {low:.3g} to {high:.3g}" for low, high in (numbers["tid_rad_band"], numbers["neq_cm2_band"])]
    ionising, displacing = edges if band else ("", "")
    for title, value in (
        ("days", f"{numbers['days']:.1f}"),
        ("TID (rad in Si)", f"{numbers['tid_rad']:.4g}{ionising}"),
        ("of it by protons", f"{numbers['tid_rad_proton']:.4g}"),
        ("of it by electrons", f"{numbers['tid_rad_electron']:.4g}"),
        *((title, f"{numbers[key]:.4g}") for key, title in EXTRA.items() if key in numbers),
        ("TNID (1 MeV n_eq/cm2)", f"{numbers['neq_cm2']:.4g}{displacing}"),
        ("of it by protons", f"{numbers['neq_cm2_proton']:.4g}"),
        ("of it by electrons", f"{numbers['neq_cm2_electron']:.4g}"),
    ):
        options.say(f"{title:>28} {value}")
    if band:
        options.say(f"band: {band}")
    options.say(f"not covered: {result.attrs['not_covered']}")


@click.group()
def orbit() -> None:
    """Hours of low background on an orbit."""


@options.command("xcal-jax orbit passes --tle satellite.tle --day 2021-05-20 --days 3d", group=orbit)
@click.option("--tle", required=True, type=click.Path(), help=TLE)
@click.option("--day", required=True, help="UTC day, like 2021-05-20.")
@click.option("--days", type=options.quantity("d"), default="1d", help="How many days.")
@click.option("--solar", type=click.Choice(["min", "max"]), default="max", help="Solar activity.")
@click.option(
    "--drift", type=options.quantity("deg"), default="0deg", help="Westward drift of the anomaly, degrees a year (0.3)."
)
@click.option("--satellite", help="The one to take from --tle, by name or number.")
@max_age
@strict
@options.as_json
def passes(tle, day, days, solar, drift, satellite, max_age, strict, as_json) -> None:
    """Quiet windows outside the belts, and exits from the South Atlantic Anomaly going north."""
    from xcal_jax.orbit import list_passes, read_tle
    from xcal_jax.orbit.elements import MAX_AGE

    elements = read_tle(tle, satellite, strict, MAX_AGE if max_age is None else max_age)
    found = list_passes(elements, day, days, solar, drift)
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
    options.say("quiet windows, UTC                          from latitude to latitude")
    for start, end, first, last in quiet:
        options.say(f"{start}  {end}  {first:6.1f} to {last:6.1f}")
    options.say("exits from the anomaly going north, UTC, latitude, longitude, protons above 10 MeV in the pass")
    for time, latitude, longitude, protons in leaving:
        options.say(f"{time}  {latitude:6.1f} {longitude:7.1f}  {protons:.3g}/cm2")
    options.say(f"note: {found.attrs['caveat']}")


@options.command("xcal-jax orbit shielding --model GRBAlpha --plot shielding.png -o shielding.nc", group=orbit)
@click.option("--model", required=True, help="Boxes and plates: a TOML file, or GRBAlpha or VZLUSAT-2.")
@click.option("--rays", type=options.WHOLE, default="1e4", help="Rays from the detector.")
@options.plot("the shielding over the sphere, and the boxes,")
@options.output("netCDF file.", NETCDF)
def shielding(model, rays, plot, output) -> None:
    """Mass per area over the sphere around the detector of a satellite of boxes."""
    import numpy as np

    from xcal_jax.io.datasets import save
    from xcal_jax.orbit import MassModel, shielding_map

    satellite = MassModel.load(model)
    seen = shielding_map(satellite, rays)
    save(seen, output, options.overwrite())
    if plot:
        from xcal_jax.io.figures import save_figure
        from xcal_jax.orbit.plot import shielding_figure

        save_figure(shielding_figure(satellite, seen), plot)
    total = seen.areal_density.sum("material")
    for percent in (0, 10, 50, 90, 100):
        options.say(f"{percent:4d} % of the sky is behind at most {float(np.percentile(total, percent)):8.3f} g/cm2")
