"""``xcal-jax sipm``: synthetic missions, thresholds, lines, and the report of SiPM ageing."""

from pathlib import Path

import click

from xcal_jax.cli import options
from xcal_jax.cli.summary import show
from xcal_jax.io.files import NETCDF
from xcal_jax.units import shown

PATH = click.Path(path_type=Path)
strict = click.option("--strict", is_flag=True, help="Refuse an archive with a bad spectrum; else it is left out.")
satellite = click.option("--mission", help="Satellite, where the spectra do not say it.")
interpolation = click.option(
    "--interpolation",
    type=click.Choice(["flank", "linear"]),
    default="flank",
    help="Of the threshold: a fit of the flank, or Eq. 1 of the paper.",
)


@click.group()
def sipm() -> None:
    """SiPM ageing in orbit: threshold, gain, dark counts, trends."""


@options.command("xcal-jax sipm synthesize grbalpha -o mission", group=sipm)
@click.argument("mission")
@click.option("-o", "--output", "folder", type=options.OutputFolder(), required=True, help="Folder to write into.")
@click.option("--seed", type=options.WHOLE, help="Another seed than the mission's own.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV archives in place of netCDF.")
@options.as_json
def synthesize(mission, folder, seed, as_csv, as_json) -> None:
    """Draw a synthetic MISSION (grbalpha, vzlusat2, or a TOML file) with known truth."""
    from xcal_jax.io.datasets import save
    from xcal_jax.sipm import load_mission
    from xcal_jax.sipm import synthesize as draw
    from xcal_jax.spectra.writers import write_csv

    drawn = draw(load_mission(mission), seed)._asdict()
    as_text = ("spectra", "activation", "template") if as_csv else ()
    paths = {name: folder / f"{name}{'.csv' if name in as_text else '.nc'}" for name in drawn}
    options.check_replaceable(*paths.values())
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in drawn.items():
        if name in as_text:
            write_csv(data, paths[name])
        else:
            save(data, paths[name], options.overwrite())
    counts = {name: data.sizes["spectrum"] for name, data in drawn.items()}
    show({"folder": str(folder), "synthetic": True, "seed": drawn["spectra"].attrs["seed"], **counts}, as_json)


@options.command("xcal-jax sipm new MySat -o mysat.toml", group=sipm)
@click.argument("name")
@options.output("TOML file to write.", (".toml",))
def new(name, output) -> None:
    """Write a commented TOML for a satellite called NAME: detectors, readouts, biases, calibrations, lines."""
    from xcal_jax.io.files import replacing
    from xcal_jax.sipm.mission import new_mission

    text = new_mission(name)
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


@options.command(
    "xcal-jax sipm threshold mission/spectra.nc --template mission/template.nc -o threshold.nc",
    group=sipm,
)
@click.argument("spectra", type=PATH)
@click.option("--template", "template_path", type=PATH, required=True, help="Early spectra, one per readout channel.")
@options.output("netCDF file to write.", NETCDF)
@satellite
@interpolation
@click.option("--level", type=options.quantity(""), help="cnt/s above the template; the mission's if not given.")
@click.option(
    "--min-exposure", type=options.quantity("s"), default="10s", help="Exposure below which a spectrum is flagged."
)
@click.option("--template-end", type=int, help="First channel right of the template's noise peak.")
@strict
@options.as_json
def threshold(
    spectra, template_path, output, mission, interpolation, level, min_exposure, template_end, strict, as_json
) -> None:
    """Threshold (step 3) and dark count rate (Eq. 5) of every spectrum in SPECTRA."""
    import numpy as np

    from xcal_jax.io.datasets import save
    from xcal_jax.sipm import build_template, dark_count_rate, with_days
    from xcal_jax.sipm import threshold as measure
    from xcal_jax.sipm.mission import mission_of
    from xcal_jax.sipm.pipeline import Files, prepared
    from xcal_jax.sipm.template import at_setting, setting_name, settings_of
    from xcal_jax.spectra import read_spectra

    archive = read_spectra(spectra, strict)
    satellite = mission_of(archive, mission)
    notes: list[str] = []
    files = prepared(satellite, Files(archive, read_spectra(template_path, strict)), notes)
    template = build_template(files.template, template_end)
    level = satellite.crossing_level if level is None else level
    values = with_days(files.spectra, satellite).pipe(measure, template, level, interpolation, min_exposure)
    values = dark_count_rate(values).assign_attrs(template_checksum=list(map(str, template["checksum"].values)))
    save(values, output, options.overwrite())
    flagged = int((values["threshold_flag"].values != 0).sum())
    summary: dict = {"file": str(output), "spectra": values.sizes["spectrum"], "flagged": flagged}
    settings = settings_of(values)
    for readout, bias in settings:
        one = at_setting(values, readout, bias)
        name = readout if sum(other == readout for other, _ in settings) == 1 else setting_name(readout, bias)
        if np.isfinite(one["threshold_adu"].values).any():
            summary[f"threshold_adu_{name}"] = float(np.nanmean(one["threshold_adu"]))
            summary[f"dcr_{name}"] = float(np.nanmean(one["dcr"]))
    show(summary | ({"notes": notes} if notes else {}), as_json)


def parse_windows(text: str) -> list[tuple[float, float]]:
    """First and last channels of windows in text like "20-40,90-130". Raises ValueError for other text."""
    try:
        pairs = [tuple(float(end) for end in part.split("-")) for part in text.split(",")]
        return [(low, high) for low, high in pairs]
    except ValueError as problem:
        raise ValueError(f"`windows` must look like 20-40,90-130, but is {shown(text)}") from problem


@options.command("xcal-jax sipm lines mission/ground.nc --windows 44-64,65-95 --energies 59.5,81", group=sipm)
@click.argument("spectrum", type=PATH)
@click.option("--windows", required=True, help="First and last channel of each line, such as 20-40,90-130.")
@click.option("--energies", help="keV of the lines, such as 59.5,81: a calibration is made (Eq. 2, or curved).")
@click.option(
    "--shape",
    type=click.Choice(["linear", "quadratic", "saturation"]),
    help="Shape of the calibration by --energies; default: linear.",
)
@click.option(
    "--fwhm",
    type=options.quantity("", above=0.0),
    help="Expected width in channels; else a third of the half-window is sigma.",
)
@click.option(
    "--statistic",
    type=click.Choice(["chi2", "poisson"]),
    default="poisson",
    help="The fit minimises chi-square, or the Poisson deviance.",
)
@click.option(
    "--selection",
    type=click.Choice(["aicc", "step", "reduced"]),
    default="aicc",
    help="step: with a step under each line; reduced: the paper's.",
)
@options.as_json
def lines(spectrum, windows, energies, shape, fwhm, statistic, selection, as_json) -> None:
    """Fit a line in each window of SPECTRUM; the spectra of an archive are stacked first."""
    from xcal_jax.constants import FWHM_PER_SIGMA
    from xcal_jax.sipm import energy_calibration, fit_lines
    from xcal_jax.sipm.calibration import FORMULAS, SHAPES
    from xcal_jax.sipm.line_window import VETOES
    from xcal_jax.spectra import read_spectra, stack

    pairs = parse_windows(windows)
    if shape is not None and energies is None:
        raise ValueError(f"`shape` has no effect without `energies`, but is {shown(shape)}")
    shape = shape or "linear"
    try:
        known = [float(word) for word in energies.split(",")] if energies else None
    except ValueError as problem:
        raise ValueError(f"`energies` must look like 59.5,81, but are {shown(energies)}") from problem
    if known is not None and len(known) != len(pairs):
        raise ValueError(f"`energies` must be one per window, {len(pairs)}, but are {len(known)}")
    found = fit_lines(stack(read_spectra(spectrum)), pairs, fwhm, statistic, selection)
    rows: list[dict] = []
    for k, (low, high) in enumerate(pairs):
        one = found.isel(line=k)
        keys = ("position", "position_error", "sigma", "sigma_error", "reduced_chi_square")
        row: dict = {"window": [low, high], **{key: float(one[key]) for key in keys}}
        row["background"] = str(one["background"].item())
        row["vetoes"] = [text for bit, text in VETOES.items() if int(one["veto"]) & bit]
        rows.append(row)
    summary: dict = {"lines": rows}
    if known is not None:
        calibration = energy_calibration(found["position"], found["position_error"], known, shape)
        for name in map(str, calibration["parameter"].values):
            one = calibration.sel(parameter=name)
            summary |= {name: float(one["parameters"]), f"{name}_error": float(one["errors"])}
        summary["residuals_kev"] = calibration["residual"].values.tolist()
    if as_json:
        show(summary, True)
        return
    for row in rows:
        text = f"no line: {', '.join(row['vetoes'])}"
        if not row["vetoes"]:
            text = (
                f"{row['position']:.3f} ± {row['position_error']:.3f}, FWHM {FWHM_PER_SIGMA * row['sigma']:.2f}, "
                f"background {row['background']}, chi2/nu {row['reduced_chi_square']:.2f}"
            )
        options.say(f"{row['window'][0]:g}-{row['window'][1]:g}: {text}")
    if known is not None:
        text = ", ".join(f"{n} = {summary[n]:.5g} ± {summary[f'{n}_error']:.2g}" for n in SHAPES[shape])
        options.say(f"{shape} calibration: {text}; E is {FORMULAS[shape]} keV")


@options.command("xcal-jax sipm report mission --tables tables -o report.html", group=sipm)
@click.argument("source", type=PATH)
@options.output("HTML file to write.", (".html", ".htm"))
@click.option("--template", "template_path", type=PATH, help="Early spectra, where SOURCE is a file.")
@satellite
@click.option("--fluence", type=PATH, help="Cumulative fluence (days, n_eq/cm2): fits the damage kernel.")
@interpolation
@click.option("--tables", type=options.OutputFolder(), help="Folder for tables of every setting.")
@click.option("--format", "table_format", type=click.Choice(["ecsv", "fits"]), help="Of --tables; default: ecsv.")
@click.option("--bias", type=options.quantity(""), help="Analyse this bias setting alone; else each by itself.")
@strict
@click.option("--series", type=PATH, help="Series to correlate with: CSV, or space weather of GFZ, CelesTrak, OMNI.")
@options.as_json
def report(
    source,
    output,
    template_path,
    mission,
    fluence,
    interpolation,
    tables,
    table_format,
    bias,
    strict,
    series,
    as_json,
) -> None:
    """Analyse SOURCE, a folder as `synthesize` writes or a file of spectra, into one self-contained page."""
    from dataclasses import replace

    from xcal_jax.sipm.damage import read_fluence
    from xcal_jax.sipm.export import planned_tables, write_tables
    from xcal_jax.sipm.mission import mission_of
    from xcal_jax.sipm.pipeline import Files, analyse, read_folder
    from xcal_jax.sipm.report import write_report
    from xcal_jax.sipm.report_tables import reason_rows, warning_rows
    from xcal_jax.sipm.summary import summarise
    from xcal_jax.sipm.time_series import read_series
    from xcal_jax.spectra import read_spectra

    if table_format is not None and tables is None:
        raise ValueError(f"`format` has no effect without `tables`, but is {shown(table_format)}")
    suffix = f".{table_format or 'ecsv'}"
    if source.is_dir() and template_path is not None:
        raise ValueError(f"`template` has no effect with a folder, which has its own, but is {template_path}")
    if source.is_dir():
        files = read_folder(source, strict)
    elif template_path is None:
        raise ValueError(f"a report on a file needs --template, but {source} came without one")
    else:
        files = Files(read_spectra(source, strict), read_spectra(template_path, strict))
    if fluence is not None:
        files = replace(files, fluence=read_fluence(fluence))
    if series is not None:
        files = replace(files, series=read_series(series))
    ageing = analyse(mission_of(files.spectra, mission), files, interpolation, bias)
    if tables is not None:
        options.check_replaceable(*planned_tables(ageing, tables, suffix))
    write_report(ageing, output)
    if tables is not None:
        write_tables(ageing, tables, suffix)
    synthetic = bool(int(files.spectra.attrs.get("synthetic", 0)))
    summary: dict = {"file": str(output), "mission": ageing.mission.name, "synthetic": synthetic}
    for name, setting in ageing.settings.items():
        summary[f"flagged_{name}"] = int((setting.values["threshold_flag"].values != 0).sum())
        for quantity, joint in setting.joint.items():
            if "temperature" in joint["parameter"].values:
                one = joint.sel(parameter="temperature")
                summary[f"{quantity}_per_degC_{name}"] = float(one["parameters"])
                summary[f"{quantity}_per_degC_error_{name}"] = float(one["errors"])
        for quantity, steps in setting.steps.items():
            summary[f"{quantity}_steps_{name}"] = [round(float(day), 1) for day in steps["day"].values]
    show(summary | summarise(ageing) if as_json else summary, as_json)
    for name, step, warning in () if as_json else warning_rows(ageing):
        options.say(f"{name}: {step}: {warning}")
    for name, step, reason in () if as_json else reason_rows(ageing):
        options.say(f"{name}: no {step}: {reason}" if step else reason)
