"""Figures 2 and 3 of Lorenz et al. 2022 (J. Low Temp. Phys., doi 10.1007/s10909-022-02754-4), and their six numbers.

    python analysis/paper_figures.py [--out out] [-n 1e7]

Figure 2: the X-IFU absorber under 3, 5 and 7 keV. Figure 3: 7 keV at three distances from a corner, where
photoelectrons escape through the side: each subshell makes a step in the spectrum, at its binding energy plus the
electron's loss on the shortest way out. At 50 nm no Auger electron gets out, so the steps are as high as the cross
sections of the subshells say, which is checked without a free parameter. (With 2e7 photons Bi N3 alone stands 6 %
high: an M5 photoelectron whose ion also loses its M alpha photon leaves 1962 eV, beside N3's 1959 eV.)
Runs are kept in the output folder and read again.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from paper_table import PEAKS, agrees

import xcal_jax
from xcal_jax import Absorber, Source, load, save, simulate, summary
from xcal_jax.atomic import Element, Material, load_element, table_hash
from xcal_jax.io.figures import save_figure
from xcal_jax.io.files import check_writable
from xcal_jax.physics.electrons.straight import energy_of_range, range_constant, scaled_range
from xcal_jax.physics.photoelectric import sauter_density
from xcal_jax.units import parse_quantity

UNIFORM = {3000.0: ("1.7 %", 0.01719), 5000.0: ("1.0 %", 0.00995), 7000.0: ("0.9 %", 0.00860)}  # eV: paper, own program
CORNER = {134.62: ("7.6 %", 0.0757), 134.7: ("40 %", 0.4014), 134.749: ("92 %", 0.9192)}  # um: the same
ENERGY = 7000.0  # eV, near the corner
STEPS = ("M5", "M4", "M3", "M2", "N3", "N2", "N1")  # of Bi, at 50 nm
STEP_TRACK = 1.03  # a step is measured over tracks up to so many times the shortest
OPEN = 0.75  # of all directions, at a corner
BIN = 5  # eV, in the figures
COLOURS = ("tab:blue", "tab:orange", "tab:green")


def kept(path: Path, absorber: Absorber, source: Source, n: int) -> xr.Dataset:
    """The run kept at ``path`` if it is this one, else the run, kept there."""
    if path.is_file():
        result = load(path)
        same = {
            "absorber": absorber.to_toml(),
            "source": source.describe(),
            "version": xcal_jax.__version__,
            "atomic_tables": table_hash(),
        }
        if int(result.photons) == n and all(result.attrs[name] == value for name, value in same.items()):
            print(f"{path} is read again (delete it to run it anew)")
            return result
    print(f"{path}: {n:.3g} photons", flush=True)
    result = simulate(absorber, source, n=n, progress=True)
    if not result.attrs["complete"]:
        raise KeyboardInterrupt
    save(result, path)
    return result


def draw_spectrum(axes: Axes, result: xr.Dataset, **style) -> None:
    """Deposited energy per interacting photon and eV, in bins of BIN eV."""
    counts = np.pad(result.spectrum.values, (0, -result.spectrum.size % BIN)).reshape(-1, BIN).sum(axis=1)
    density = counts / int(result.interacting) / BIN
    axes.stairs(density, BIN * np.arange(density.size + 1), **style)
    axes.set_yscale("log")
    axes.set_ylabel("per photon and eV")


def figure_2(results: dict[float, xr.Dataset]) -> Figure:
    """Spectra of uniform illumination, one colour a photon energy, the main escape peaks named."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots()
    for (energy, result), colour in zip(results.items(), COLOURS, strict=True):
        facts = summary(result)
        partial = f"{100 * facts['partial']:.3f} ± {100 * facts['partial_err']:.3f} %"
        label = f"{energy / 1000:g} keV: {partial} partially deposited"
        draw_spectrum(axes, result, color=colour, lw=0.9, label=label)
        for peak in facts["peaks"]:
            if peak["line"] in PEAKS:
                place = peak["energy"], peak["intensity"] / BIN
                note = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 7, "color": colour}
                axes.annotate(peak["line"], place, (0, 5), textcoords="offset points", **note)
    axes.set(xlim=(0, 7200), ylim=(2e-8, 3), xlabel="deposited energy (eV)")
    axes.set_title("X-IFU absorber, uniform illumination: main escape peaks (Lorenz et al. 2022, Fig. 2)", fontsize=10)
    axes.legend(loc="upper left", fontsize=9)
    return figure


def figure_3(results: dict[float, xr.Dataset], absorber: Absorber) -> Figure:
    """Spectra close to a corner, a panel a position, with the edges of the photoelectrons' escape."""
    figure = Figure(figsize=(11, 10), layout="constrained")
    panels = figure.subplots(len(results), sharex=True)
    for axes, (position, result), colour in zip(panels, results.items(), COLOURS, strict=True):
        facts, gap = summary(result), gap_at(absorber, position)
        partial = f"{100 * facts['partial']:.2f} ± {100 * facts['partial_err']:.2f} % partially deposited"
        title = f"impact at ({position:g}, {position:g}) µm, {1000 * gap:.0f} nm from two sides: {partial}"
        axes.set_title(title, fontsize=9, loc="left", color=colour)
        draw_spectrum(axes, result, color=colour, lw=0.8)
        axes.set(xlim=(0, 7200), ylim=(1e-7, 30))
        for symbol, height, shade in (("Bi", 0.83, "black"), ("Au", 0.65, "tab:red")):
            for energy, name in edges(absorber, symbol, gap):
                axes.axvline(energy, ymax=height - 0.01, color=shade, lw=0.5, ls=":", alpha=0.7)
                at = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
                at["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}
                axes.text(energy, height, name, rotation=90, fontsize=6.5, color=shade, **at)
    panels[-1].text(5000, 1.5e-3, "Auger electrons of M vacancies escaped", fontsize=8, ha="center")
    figure.suptitle(
        "X-IFU absorber, 7 keV close to a corner (Lorenz et al. 2022, Fig. 3). Dotted: what a photoelectron leaves\n"
        "that takes the shortest way out through the side: its subshell's binding energy and its loss on the way",
        fontsize=10,
    )
    panels[-1].set_xlabel("deposited energy (eV)")
    return figure


def gap_at(absorber: Absorber, position: float) -> float:
    """The distance in um from an impact on the diagonal to the two nearest sides."""
    return float(absorber.width) / 2 - position


def deposit(absorber: Absorber, symbol: str, binding: float, track):
    """Deposited energy, eV, when a photoelectron of ``symbol`` has gone ``track`` um before it left."""
    layer = absorber.formulas.index(symbol)
    cost = range_constant(float(absorber.density[layer]), Material.build(symbol, 1.0).z_over_a)
    return ENERGY - np.asarray(energy_of_range(scaled_range(ENERGY - binding) - cost * np.asarray(track)), float)


def edges(absorber: Absorber, symbol: str, gap: float) -> list[tuple[float, str]]:
    """(deposited energy in eV, label) of the M, N and O edges of ``symbol``; those within 60 eV share a label."""
    found: list[tuple[float, list[str]]] = []
    for subshell in sorted(load_element(symbol).subshells, key=lambda s: s.binding):
        energy = float(deposit(absorber, symbol, subshell.binding, gap))
        if not ENERGY > subshell.binding > 20.0 or energy >= ENERGY:
            continue
        if found and energy - found[-1][0] < 60.0:
            found[-1][1].append(subshell.label)
        else:
            found.append((energy, [subshell.label]))
    return [(e, f"{symbol} {names[-1]}" + (f"–{names[0]}" if len(names) > 1 else "")) for e, names in found]


def step_table(result: xr.Dataset, absorber: Absorber, position: float) -> str:
    """Heights of the steps of Bi, counts above minus counts below, beside what the cross sections make of them.

    The counts of escape peaks are taken out first.
    """
    gap, n = gap_at(absorber, position), int(result.interacting)
    below_bin = np.concatenate([[0], np.cumsum(result.spectrum.values - peak_counts(result))])
    subshells = {s.label: s for s in load_element("Bi").subshells}
    lines = [
        f"Steps of the bismuth subshells {1000 * gap:.0f} nm from the corner's sides, 7 keV",
        f"{'':6}{'binding':>10}{'cross section':>16}{'step at':>10}{'height here':>18}{'expected':>10}{'ratio':>17}",
    ]
    places = [gap * 0.999, gap * STEP_TRACK]
    ends = np.array([deposit(absorber, "Bi", subshells[label].binding, places) for label in STEPS])
    low, high = np.floor(ends[:, 0]), np.ceil(ends[:, 1])
    bins = np.stack([2 * low - high, low, high], axis=1)
    below, above = np.diff(below_bin[bins.astype(int)]).T
    height, error = above - below, np.sqrt(above + below)
    expected = n * np.diff(expected_below(absorber, gap, bins), n=2)[:, 0]
    for k, label in enumerate(STEPS):
        subshell = subshells[label]
        lines.append(
            f"Bi {label:3}{subshell.binding:>7.1f} eV{subshell.photoelectric(ENERGY):>11.0f} barn{low[k]:>7.0f} eV"
            f"{height[k]:>11.0f} ± {error[k]:<4.0f}{expected[k]:>10.0f}"
            f"{height[k] / expected[k]:>10.3f} ± {error[k] / expected[k]:.3f}"
        )
    pulls = (height - expected) / error
    return "\n".join([*lines, f"chi-square {np.sum(np.square(pulls)):.1f} for {len(pulls)} steps, no free parameter"])


def photons_per_vacancy(element: Element) -> np.ndarray:
    """(S,) mean number of photons that the cascade after a vacancy sends out."""
    photons = np.zeros(len(element.subshells) + 1)  # the last is no vacancy
    for s in reversed(range(len(element.subshells))):
        decay = element.subshells[s]
        sent = (decay.final2 < 0) + photons[decay.final1] + photons[decay.final2]
        photons[s] = decay.probability @ sent
    return photons[:-1]


def peak_counts(result: xr.Dataset) -> np.ndarray:
    """Photons in escape peaks by deposited energy, in the bins of the spectrum."""
    bins = ((ENERGY - result.line_energy.values) / result.energy.attrs["bin_width"]).astype(int)
    return np.bincount(bins, weights=result.peaks.values[0], minlength=result.spectrum.size)


def expected_below(absorber: Absorber, gap: float, energy: np.ndarray) -> np.ndarray:
    """Share of photons whose photoelectron leaves through a side, with a deposit below ``energy`` (any shape) eV.

    ``gap`` um from two sides: a track of s um leaves through one if the larger of its two direction cosines
    towards them is at least gap / s. Top, bottom and all other electrons are left out; photons of the ion leave
    with the open share of the directions, and take what they carry.
    """
    symbols = absorber.formulas
    tau = np.array([float(load_element(s).mass_attenuation(ENERGY, rayleigh=False)) for s in symbols])
    tau *= 1e-4 * np.asarray(absorber.density) * np.asarray(absorber.thickness)
    reached = np.exp(-np.concatenate([[0], np.cumsum(tau)]))
    in_layer = -np.diff(reached) / (1.0 - reached[-1])
    cosine = np.linspace(-1, 1, 1601)
    sine = np.sqrt((1 - cosine) * (1 + cosine))
    track = gap * np.geomspace(1, 30, 1000)
    ratio = (gap / track)[:, None] / np.maximum(sine, 1e-9)
    half = np.arccos(np.minimum(ratio, 1.0))
    azimuths = np.where(half < np.pi / 4, 4 * half, np.pi / 2 + 2 * half) / (2 * np.pi)
    share = np.zeros_like(energy, dtype=float)
    for symbol in dict.fromkeys(symbols):
        element = load_element(symbol)
        met = in_layer[np.array(symbols) == symbol].sum()
        for subshell, photons in zip(element.subshells, photons_per_vacancy(element), strict=True):
            if subshell.binding < ENERGY:
                density = sauter_density(np.array([[ENERGY - subshell.binding]]), cosine)[0]
                leaves = azimuths @ density / density.sum()
                deposited = deposit(absorber, symbol, subshell.binding, track)
                part = subshell.photoelectric(ENERGY) / (element.photoelectric(ENERGY) + element.incoherent(ENERGY))
                inside = deposited < ENERGY
                if inside.any():
                    share += (
                        (1.0 - OPEN * photons)
                        * met
                        * part
                        * np.interp(energy, deposited[inside], leaves[inside], left=0.0)
                    )
    return share


def main() -> None:
    """Run, draw, and print the numbers; bad input exits 2 with one sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="out", type=Path, help="folder of the figures and of the runs (out)")
    parser.add_argument("-n", default="1e7", help="photons a run of Figure 2; a fifth of them at each corner (1e7)")
    arguments = parser.parse_args()
    try:
        n = int(parse_quantity(arguments.n, "", "-n"))
        study(arguments.out, n)
    except (ValueError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)


def study(out: Path, n: int) -> None:
    """The two figures into folder ``out``, the numbers to the screen."""
    out.mkdir(exist_ok=True)
    check_writable(out / "figure_2.png")
    absorber = Absorber.load("xifu", physics="paper")
    uniform = {e: kept(out / f"figure_2_{e:g}eV.nc", absorber, Source.build(e), n) for e in UNIFORM}
    corner = {
        x: kept(out / f"figure_3_{x:g}um.nc", absorber, Source.build(ENERGY, at=(x, x)), max(1, n // 5)) for x in CORNER
    }
    save_figure(figure_2(uniform), out / "figure_2.png")
    save_figure(figure_3(corner, absorber), out / "figure_3.png")
    print(f"\n{'partial deposition':32}{'here':>22}{'paper':>9}{'independent program':>22}")
    for title, results, known in (
        ("uniform, {:g} eV", uniform, UNIFORM),
        ("7 keV at ({0:g}, {0:g}) um", corner, CORNER),
    ):
        for case, result in results.items():
            facts, (paper, own) = summary(result), known[case]
            here = f"{100 * facts['partial']:.4f} ± {100 * facts['partial_err']:.4f} %"
            verdict = "agrees" if agrees(facts["partial"], own, facts["interacting"]) else "DIFFERS"
            print(f"{title.format(case):32}{here:>22}{paper:>9}{100 * own:>20.3f} %   {verdict}")
    print(f"\n{step_table(corner[134.7], absorber, 134.7)}")
    print(f"\nwritten: {out / 'figure_2.png'}, {out / 'figure_3.png'}")


if __name__ == "__main__":
    main()
