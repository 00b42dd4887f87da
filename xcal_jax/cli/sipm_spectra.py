"""``xcal-jax sipm threshold`` and ``lines``: what is measured in spectra."""

from pathlib import Path

import click

from xcal_jax.cli.summary import show

PATH = click.Path(path_type=Path)
SHAPE = click.Choice(["linear", "quadratic", "saturation"])
INTERPOLATION = click.Choice(["log", "linear"])


@click.command()
@click.argument("spectra", type=PATH)
@click.option("--template", "template_path", type=PATH, required=True, help="Early spectra, one per readout channel.")
@click.option("-o", "--output", type=PATH, required=True, help="netCDF file to write.")
@click.option("--mission", help="Satellite, where the spectra do not say it.")
@click.option("--interpolation", type=INTERPOLATION, default="linear", show_default=True, help="linear: Eq. 1; log.")
@click.option("--level", type=float, help="cnt/s above the template; the mission's if not given.")
@click.option("--min-exposure", default=10.0, show_default=True, help="Seconds below which a spectrum is flagged.")
@click.option("--template-end", type=int, help="First channel right of the template's noise peak.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def threshold(
    spectra: Path,
    template_path: Path,
    output: Path,
    mission: str | None,
    interpolation: str,
    level: float | None,
    min_exposure: float,
    template_end: int | None,
    as_json: bool,
) -> None:
    """Threshold (step 3) and dark count rate (Eq. 5) of every spectrum in SPECTRA."""
    import numpy as np

    from xcal_jax.io.datasets import save
    from xcal_jax.io.files import check_writable
    from xcal_jax.sipm import build_template, dark_count_rate, with_days
    from xcal_jax.sipm import threshold as measure
    from xcal_jax.sipm.mission import mission_of
    from xcal_jax.spectra.readers import read_spectra

    check_writable(output)
    archive = read_spectra(spectra)
    satellite = mission_of(archive, mission)
    template = build_template(read_spectra(template_path), template_end)
    values = (
        archive.pipe(with_days, satellite)
        .pipe(
            measure,
            template,
            level=satellite.crossing_level if level is None else level,
            interpolation=interpolation,
            min_exposure=min_exposure,
        )
        .pipe(dark_count_rate)
    )
    values = values.assign_attrs(template_checksum=list(map(str, template["checksum"].values)))
    save(values, output)
    flagged = int((values["threshold_flag"].values != 0).sum())
    summary: dict = {"file": str(output), "spectra": values.sizes["spectrum"], "flagged": flagged}
    for name in sorted(set(map(str, values["readout"].values))):
        chosen = values["readout"].values == name
        edge, rate = values["threshold_adu"].values[chosen], values["dcr"].values[chosen]
        if np.isfinite(edge).any():
            summary[f"threshold_adu_{name}"] = float(np.nanmean(edge))
            summary[f"dcr_{name}"] = float(np.nanmean(rate))
    show(summary, as_json)


def parse_windows(text: str) -> list[tuple[float, float]]:
    """ "20-40,90-130" as pairs of channels. Raises ValueError for anything else."""
    try:
        pairs = [tuple(float(end) for end in part.split("-")) for part in text.split(",")]
        return [(low, high) for low, high in pairs]
    except ValueError as problem:
        raise ValueError(f"`windows` must look like 20-40,90-130, but is {text!r}") from problem


@click.command()
@click.argument("spectrum", type=PATH)
@click.option("--windows", required=True, help="First and last channel of each line, such as 20-40,90-130.")
@click.option("--energies", help="keV of the lines, such as 59.5,81: a calibration is made (Eq. 2, or curved).")
@click.option("--shape", type=SHAPE, default="linear", show_default=True, help="Shape of the calibration.")
@click.option("--fwhm", type=float, help="Expected width in channels; else a third of the half-window is sigma.")
@click.option("--statistic", type=click.Choice(["chi2", "poisson"]), default="chi2", show_default=True)
@click.option("--selection", type=click.Choice(["reduced", "aicc"]), default="reduced", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON.")
def lines(
    spectrum: Path,
    windows: str,
    energies: str | None,
    shape: str,
    fwhm: float | None,
    statistic: str,
    selection: str,
    as_json: bool,
) -> None:
    """Fit a line in each window of SPECTRUM; the spectra of an archive are stacked first."""
    from xcal_jax.sipm import energy_calibration, fit_lines, stack
    from xcal_jax.sipm.calibration import FORMULAS, SHAPES
    from xcal_jax.sipm.lines import VETOES
    from xcal_jax.spectra.readers import read_spectra

    pairs = parse_windows(windows)
    try:
        known = [float(word) for word in energies.split(",")] if energies else None
    except ValueError as problem:
        raise ValueError(f"`energies` must look like 59.5,81, but are {energies!r}") from problem
    if known is not None and len(known) != len(pairs):
        raise ValueError(f"`energies` must be one per window, {len(pairs)}, but are {len(known)}")
    found = fit_lines(stack(read_spectra(spectrum)), pairs, fwhm, statistic, selection)
    rows: list[dict] = []
    for k, (low, high) in enumerate(pairs):
        one = found.isel(line=k)
        veto = int(one["veto"])
        keys = ("position", "position_error", "sigma", "sigma_error", "reduced_chi_square")
        row: dict = {"window": [low, high], **{key: float(one[key]) for key in keys}}
        row["background"] = str(one["background"].item())
        row["vetoes"] = [text for bit, text in VETOES.items() if veto & bit]
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
        text = (
            "no line: " + ", ".join(row["vetoes"])
            if row["vetoes"]
            else (
                f"{row['position']:.3f} ± {row['position_error']:.3f}, FWHM {2.3548 * row['sigma']:.2f}, "
                f"background {row['background']}, chi2/nu {row['reduced_chi_square']:.2f}"
            )
        )
        click.echo(f"{row['window'][0]:g}-{row['window'][1]:g}: {text}")
    if known is not None:
        text = ", ".join(f"{n} = {summary[n]:.5g} ± {summary[f'{n}_error']:.2g}" for n in SHAPES[shape])
        click.echo(f"{shape} calibration: {text}; E is {FORMULAS[shape]} keV")
