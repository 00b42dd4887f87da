"""One self-contained HTML page: the figures of the chain, a table of every fit with its errors, the flags.

The figures stand where the paper has its Figures 4-9, 11 and 14-18; they are ordered by the steps of the
analysis, for the paper's own numbering is not known to this project.
"""

import base64
import html
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import xcal_jax
from xcal_jax.files import replacing
from xcal_jax.sipm import figures
from xcal_jax.sipm.chain import Ageing
from xcal_jax.sipm.threshold import FLAGS
from xcal_jax.sipm.trends import FORMS

STYLE = """body{font-family:system-ui,sans-serif;max-width:78rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{margin-bottom:.2rem}h2{border-bottom:1px solid #bbb;margin-top:2.5rem}img{max-width:100%}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}th{background:#f2f2f2}
td:first-child,th:first-child{text-align:left}caption{text-align:left;font-weight:600;padding:.3rem 0}
.synthetic{background:#fbe9e7;border:1px solid #c62828;padding:.6rem 1rem}figcaption{color:#555}"""


def number(value: float, error: float | None = None) -> str:
    """A value, with its error to two digits where it has one."""
    if not np.isfinite(value):
        return "-"
    if error is None:
        return f"{value:.4g}"
    if not (np.isfinite(error) and error > 0):
        return f"{value:.5g}"
    exponent = int(np.floor(np.log10(abs(value)))) if value else 0
    if exponent < -3 or exponent > 6:
        unit = 10.0**exponent
        return f"({number(value / unit, error / unit)}) 10<sup>{exponent}</sup>"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def table(caption: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """An HTML table; cells are HTML already."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{html.escape(caption)}</caption><tr>{head}</tr>{body}</table>"


def picture(figure: Figure | None, caption: str, missing: str) -> str:
    """A figure as an inline PNG; or a sentence that says why there is none."""
    if figure is None:
        return f"<p>{html.escape(caption)}: not shown, for {html.escape(missing)}.</p>"
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(caption)
    image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def trend_rows(ageing: Ageing):
    """Every trend: channel, quantity, form, a, b, reduced chi-square, AICc difference, weight."""
    for name, channel in ageing.channels.items():
        for quantity, trends in channel.trends.items():
            for form in trends["form"].values:
                one = trends.sel(form=form)
                (a, b), (da, db) = one["parameters"].values, one["errors"].values
                reduced = float(one["chi_square"]) / max(int(one["degrees"]), 1)
                delta, weight = float(one["delta_aicc"]), float(one["weight"])
                fit = (number(a, da), number(b, db), f"{reduced:.2f}", f"{delta:.1f}", f"{weight:.2f}")
                yield name, quantity, FORMS[str(form)], *fit


def temperature_rows(ageing: Ageing):
    """Subtract-then-fit and joint slopes side by side."""
    for name, channel in ageing.channels.items():
        for quantity, line in channel.residuals.items():
            joint = channel.joint[quantity]
            pair = [number(float(line[k]), float(line[f"{k}_error"])) for k in ("slope", "intercept")]
            rest = [f"{float(line[k]):.3g}" for k in ("r_squared", "pearson_r", "p_value")]
            slope = number(float(joint["parameters"][2]), float(joint["errors"][2]))
            yield name, quantity, *pair, *rest, slope, FORMS[joint.attrs["chosen_form"]]


def joint_rows(ageing: Ageing):
    """Every parameter of the joint fits, and of the damage kernel where there is one."""
    for name, channel in ageing.channels.items():
        fits = [(quantity, joint.attrs["chosen_form"], joint) for quantity, joint in channel.joint.items()]
        if channel.damage is not None:
            fits.append(("dcr", "damage", channel.damage))
        for quantity, form, fitted in fits:
            what = "damage kernel" if form == "damage" else f"{FORMS[form]} + temperature, steps"
            for parameter, value, error in zip(
                fitted["parameter"].values, fitted["parameters"].values, fitted["errors"].values, strict=True
            ):
                yield name, quantity, what, str(parameter), number(value, error)


def gain_rows(ageing: Ageing):
    """Eq. 2 and Eq. 3 parameters, and the half-lives."""
    gain = ageing.gain
    for title, fitted, unit in (
        ("Eq. 2", gain.linear, "keV/ADU, keV"),
        ("Eq. 3", gain.drift, "keV/ADU/day^n"),
    ):
        if fitted is not None:
            errors = fitted["errors"].values
            for name, value, error in zip(
                fitted["parameter"].values, fitted["parameters"].values, errors, strict=True
            ):
                yield title, str(name), number(value, error), unit
    for bias, decay in (gain.decays or {}).items():
        value = number(float(decay["half_life"]), float(decay["half_life_error"]))
        yield f"decay, bias {bias:g}", "half-life", value, "s"


def line_rows(ageing: Ageing):
    """Every fitted line: ground, after SAA exits, and each epoch of the drift."""
    gain = ageing.gain
    sets = []
    if gain.ground is not None:
        sets += [
            (f"ground, {e:g} keV", gain.ground.isel(line=k))
            for k, e in enumerate(gain.ground["energy"].values)
        ]
    sets += [
        (f"after SAA exits, bias {b:g}", pair[1].isel(line=0)) for b, pair in (gain.stacks or {}).items()
    ]
    if gain.lines is not None and gain.epochs is not None:
        sets += [
            (f"epoch of day {d:.0f}", gain.lines.isel(epoch=k))
            for k, d in enumerate(gain.epochs["days"].values)
        ]
    for title, line in sets:
        position = number(float(line["position"]), float(line["position_error"]))
        width = number(2.3548 * float(line["sigma"]), 2.3548 * float(line["sigma_error"]))
        chi, veto = f"{float(line['reduced_chi_square']):.2f}", int(line["veto"])
        yield title, position, width, str(line["background"].item()), chi, str(veto or "passed")


def step_rows(ageing: Ageing):
    """Every step found."""
    for name, channel in ageing.channels.items():
        for quantity, steps in channel.steps.items():
            columns = ("day", "size", "size_error", "p_value")
            for day, size, error, p in zip(*(steps[c].values for c in columns), strict=True):
                yield name, quantity, f"{day:.0f}", number(size, error), f"{p:.3f}"


def correlation_rows(ageing: Ageing):
    """Every rank correlation."""
    for name, channel in ageing.channels.items():
        for quantity, found in channel.correlations.items():
            for series in found["quantity"].values:
                for lag in found["lag"].values:
                    one = found.sel(quantity=series, lag=lag)
                    values = [f"{float(one[k]):.3g}" for k in ("correlation", "p_value", "q_value")]
                    yield (
                        name,
                        quantity,
                        html.escape(str(series)),
                        f"{lag:g}",
                        *values,
                        str(bool(one["significant"])),
                    )


def flag_rows(ageing: Ageing):
    """Every flagged spectrum, and every group of one."""
    for name, channel in ageing.channels.items():
        flags = channel.values["threshold_flag"].values
        for k in np.flatnonzero(flags):
            meaning = ", ".join(text for bit, text in FLAGS.items() if flags[k] & bit)
            yield name, "spectrum", str(channel.values["time"].values[k])[:19], meaning
        for day in channel.groups["days"].values[channel.groups["single"].values]:
            yield name, "group", f"day {day:.1f}", "a group of one: no deviation"


FIGURES = (
    ("Spectra", figures.spectra_with_time, "Spectra from early to late, and the template", "no spectra"),
    (
        "Threshold, Eq. 1",
        figures.threshold_construction,
        "Spectrum, template, difference, threshold",
        "no threshold",
    ),
    ("Lines on ground", figures.ground_spectra, "Calibration sources on ground", "no ground spectra"),
    ("Calibration, Eq. 2", figures.linear_calibration_plot, "Linear calibration", "no ground spectra"),
    (
        "Lines after SAA exits",
        figures.activation_lines,
        "Activation lines and their decay",
        "no spectra after SAA exits",
    ),
    ("Gain, Eq. 3", figures.gain_with_time, "Gain with time", "no 260 keV line or no b"),
    (
        "Threshold with time",
        figures.threshold_with_time,
        "Threshold with time and its trends",
        "no threshold",
    ),
    (
        "Dark counts, Eq. 5",
        figures.dark_counts_with_time,
        "Dark count rate, trends, forecast",
        "no dark counts",
    ),
    ("Temperature", figures.temperature_with_time, "Board temperature with time", "no temperatures"),
    (
        "Threshold and temperature",
        lambda a: figures.residuals_with_temperature(a, "threshold_adu"),
        "Threshold residuals against temperature",
        "no temperatures",
    ),
    (
        "Dark counts and temperature",
        lambda a: figures.residuals_with_temperature(a, "dcr"),
        "Dark count residuals against temperature",
        "no temperatures",
    ),
    ("Joint fit and steps", figures.joint_fits, "Residuals of the joint fits, and steps", "no temperatures"),
)

TABLES = (
    (
        "Trends; errors from the scatter",
        ("channel", "quantity", "form", "a", "b", "chi2/nu", "delta AICc", "weight"),
        trend_rows,
    ),
    (
        "Temperature",
        (
            "channel",
            "quantity",
            "slope per °C",
            "intercept",
            "R²",
            "Pearson r",
            "p",
            "joint slope per °C",
            "joint form",
        ),
        temperature_rows,
    ),
    ("Joint fits, a and b at 10 °C", ("channel", "quantity", "model", "parameter", "value"), joint_rows),
    ("Gain", ("fit", "parameter", "value", "unit"), gain_rows),
    ("Lines, ADC channels", ("line", "position", "FWHM", "background", "chi2/nu", "vetoes"), line_rows),
    ("Steps", ("channel", "quantity", "day", "size", "p"), step_rows),
    (
        "Correlations of the joint fits' residuals",
        ("channel", "quantity", "series", "lag (d)", "rank correlation", "p", "q", "significant"),
        correlation_rows,
    ),
    ("Flags", ("channel", "what", "when", "why"), flag_rows),
)


def render(ageing: Ageing) -> str:
    """The whole page as HTML."""
    attrs = ageing.files.spectra.attrs
    synthetic = int(attrs.get("synthetic", 0))
    title = f"SiPM ageing: {ageing.mission.name}"
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if synthetic:
        of = f"{attrs.get('source', '')}, seed {attrs.get('seed', '')}"
        note = f"Synthetic data ({of}): nothing here was measured."
        parts.append(f'<p class="synthetic">{html.escape(note)}</p>')
    spectra = sum(channel.values.sizes["spectrum"] for channel in ageing.channels.values())
    parts.append(
        f"<p>{spectra} spectra of {len(ageing.channels)} readout channels; launch "
        f"{str(ageing.mission.launch)[:10]}; xcal_jax {xcal_jax.__version__}. "
        "The analysis of Řípa et al. 2025, arXiv 2411.00607; the figures are ordered by its steps, "
        "not by the paper's numbers.</p>"
    )
    for heading, draw, caption, missing in FIGURES:
        if synthetic:
            caption = f"{caption} (synthetic data)"
        parts.append(f"<h2>{html.escape(heading)}</h2>{picture(draw(ageing), caption, missing)}")
    parts.append("<h2>Every fit</h2>")
    for caption, header, make in TABLES:
        rows = list(make(ageing))
        parts.append(table(caption, header, rows) if rows else f"<p>{html.escape(caption)}: none.</p>")
    lost = ageing.mission.lost.get("names", [])
    if lost:
        parts.append(
            f"<h2>Not known</h2><p>The paper's values of these are lost: {html.escape(', '.join(lost))}.</p>"
        )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def write_report(ageing: Ageing, path: str | Path) -> Path:
    """Write the page to ``path``; raises ValueError when the folder cannot take it."""
    with replacing(path) as temporary:
        temporary.write_text(render(ageing), encoding="utf-8")
    return Path(path)
