"""An absorber's layers for a notebook, HTML with SVG in it, no script, no file; and as lines of text."""

from collections.abc import Iterator
from html import escape

import numpy as np

from xcal_jax.absorber.absorber import VACUUM, Absorber
from xcal_jax.absorber.matter import quantum_efficiency
from xcal_jax.constants import PER_UM
from xcal_jax.design.heat import heat_capacity

WIDTH, HEIGHT, LEAST = 220, 120, 6  # px: of the drawing, and of its thinnest layer
DEAD = 0.4  # opacity of a dead layer
COLOURS = ("#d4a72c", "#8a9ba8", "#b5651d", "#6a8caf", "#9c6b98", "#7a9e7e")  # a material each, in the order of layers
ENERGIES = (1000.0, 3000.0, 7000.0, 12000.0)  # eV


def absorber_lines(absorber: Absorber) -> Iterator[str]:
    """Layers from the top with their areal density and heat capacity, and the quantum efficiency, for people."""
    yield repr(absorber)
    yield f"{'layer':24}{'thickness':>12}{'density':>12}{'areal density':>18}{'heat at 90 mK':>18}"
    columns = absorber.titles, absorber.thickness, absorber.density, heat_capacity(absorber)
    for title, thickness, density, heat in zip(*columns, strict=True):
        areal = 1e3 * PER_UM * thickness * density
        known = "unknown" if np.isnan(heat) else f"{heat:.4g} pJ/K"
        yield f"{title:24}{thickness:>9g} um{density:>6g} g/cm3{areal:>12.4g} mg/cm2{known:>18}"
    for at, stops in zip(ENERGIES, quantum_efficiency(absorber, list(ENERGIES)), strict=True):
        yield f"quantum efficiency at {at / 1000:g} keV".ljust(36) + f"{stops:.4f}"


def absorber_html(absorber: Absorber) -> str:
    """Layers from the top with thickness, density and areal density, and the quantum efficiency at `ENERGIES`."""
    thickness, density = (np.asarray(leaf, dtype=float) for leaf in (absorber.thickness, absorber.density))
    heights = np.maximum(LEAST, HEIGHT * thickness / thickness.sum())
    tops = np.append(0.0, np.cumsum(heights))
    materials = list(dict.fromkeys(absorber.formulas))
    bars, rows = [], []
    for n, (formula, t, rho, top, height) in enumerate(
        zip(absorber.formulas, thickness, density, tops, heights, strict=False)
    ):
        colour = "none" if formula == VACUUM else COLOURS[materials.index(formula) % len(COLOURS)]
        faint = DEAD if n in absorber.dead else 1
        shape = f'y="{top:.1f}" width="{WIDTH}" height="{height:.1f}" fill="{colour}" fill-opacity="{faint:g}"'
        bars.append(f'<rect {shape} stroke="white"/>')
        areal = f"{1e3 * PER_UM * t * rho:.4g} mg/cm²"
        title = f'<span style="color:{colour}">■</span> {escape(absorber.titles[n])}'
        cells = (title, f"{t:g} µm", f"{rho:g} g/cm³", areal)
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    stops = zip(ENERGIES, quantum_efficiency(absorber, list(ENERGIES)), strict=True)
    efficiency = ", ".join(f"{100 * q:.2f} % at {e / 1000:g} keV" for e, q in stops)
    sides = f"{absorber.width:g} × {absorber.length:g} µm, electrons: {absorber.electrons}"
    pixels = "" if absorber.array is None else f", array of {absorber.array.rows} × {absorber.array.columns}"
    return (
        f"<div><b>{escape(absorber.name)}</b>: {sides}{pixels}"
        f'<div style="display:flex;gap:1em;align-items:center"><svg width="{WIDTH}" height="{tops[-1]:.0f}">'
        f"{''.join(bars)}</svg><table>{''.join(rows)}</table></div>quantum efficiency: {efficiency}</div>"
    )
