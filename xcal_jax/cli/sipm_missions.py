"""``xcal-jax sipm synthesize`` and ``report``: whole missions."""

from pathlib import Path

import click

from xcal_jax.cli.summary import show

PATH = click.Path(path_type=Path)
INTERPOLATION = click.Choice(["log", "linear"])


@click.command()
@click.argument("mission")
@click.option("-o", "--output", "folder", type=PATH, required=True, help="Folder to write into.")
@click.option("--seed", type=int, help="Another seed than the mission's own.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV archives in place of netCDF.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def synthesize(mission: str, folder: Path, seed: int | None, as_csv: bool, as_json: bool) -> None:
    """Draw a synthetic MISSION (grbalpha, vzlusat2, or a TOML file) with known truth."""
    from xcal_jax.io.datasets import save
    from xcal_jax.sipm import load_mission
    from xcal_jax.sipm.synthetic import synthesize as draw
    from xcal_jax.spectra.writers import write_csv

    if folder.exists() and not folder.is_dir():
        raise ValueError(f"output must be a folder, but {str(folder)!r} is a file")
    if seed is not None and seed < 0:
        raise ValueError(f"`seed` must not be negative, but is {seed}")
    drawn = draw(load_mission(mission), seed)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name, data in drawn._asdict().items():
        archive = as_csv and name in ("spectra", "activation", "template")
        if archive:
            write_csv(data, folder / f"{name}.csv")
        else:
            save(data, folder / f"{name}.nc")
        counts[name] = data.sizes["spectrum"]
    show({"folder": str(folder), "synthetic": True, "seed": drawn.spectra.attrs["seed"], **counts}, as_json)


@click.command()
@click.argument("source", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="HTML file to write.")
@click.option("--template", "template_path", type=PATH, help="Early spectra, where SOURCE is a file.")
@click.option("--mission", help="Satellite, where the spectra do not say it.")
@click.option("--fluence", type=PATH, help="Cumulative fluence (days, n_eq/cm2): fits the damage kernel.")
@click.option("--interpolation", type=INTERPOLATION, default="linear", show_default=True, help="linear: Eq. 1; log.")
@click.option("--series", type=PATH, help="Housekeeping or space-weather series (CSV) to correlate with.")
@click.option("--json", "as_json", is_flag=True, help="Print the main results as JSON.")
def report(
    source: Path,
    output: Path,
    template_path: Path | None,
    mission: str | None,
    fluence: Path | None,
    interpolation: str,
    series: Path | None,
    as_json: bool,
) -> None:
    """Analyse SOURCE, a folder as `synthesize` writes or a file of spectra, into one self-contained page."""
    from dataclasses import replace

    from xcal_jax.io.files import check_writable
    from xcal_jax.sipm.damage import read_fluence
    from xcal_jax.sipm.mission import mission_of
    from xcal_jax.sipm.pipeline import Files, analyse, read_folder
    from xcal_jax.sipm.report import write_report
    from xcal_jax.sipm.time_series import read_series
    from xcal_jax.spectra.readers import read_spectra

    check_writable(output)
    if source.is_dir():
        files = read_folder(source)
    elif template_path is None:
        raise ValueError(f"a report on a file needs --template, but {source} came without one")
    else:
        files = Files(read_spectra(source), read_spectra(template_path))
    if fluence is not None:
        files = replace(files, fluence=read_fluence(fluence))
    if series is not None:
        files = replace(files, series=read_series(series))
    ageing = analyse(mission_of(files.spectra, mission), files, interpolation)
    write_report(ageing, output)
    summary: dict = {
        "file": str(output),
        "mission": ageing.mission.name,
        "synthetic": bool(int(files.spectra.attrs.get("synthetic", 0))),
    }
    for name, channel in ageing.channels.items():
        summary[f"flagged_{name}"] = int((channel.values["threshold_flag"].values != 0).sum())
        for quantity, joint in channel.joint.items():
            summary[f"{quantity}_per_degC_{name}"] = float(joint["parameters"][2])
            summary[f"{quantity}_per_degC_error_{name}"] = float(joint["errors"][2])
        for quantity, steps in channel.steps.items():
            summary[f"{quantity}_steps_{name}"] = [round(float(day), 1) for day in steps["day"].values]
    show(summary, as_json)
