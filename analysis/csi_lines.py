"""Lines of real CsI(Tl)+SiPM spectra: `python analysis/csi_lines.py [FOLDER] [-o OUT.png]`.

FOLDER holds `radiacode_csi_sipm/` (RadiaCode-102, MIT licence, by C. Kuethe) and `becquerel_samples/` (Kromek
D3S, modified BSD licence, LBNL); the script skips with a reason where they are absent. Each device is
calibrated from two or three of its lines in every way there is, and the miss of all its lines is printed.

The 356 keV line of 133Ba is a blend: what its neighbours at 276, 303 and 384 keV do to its position is taken off. No
straight line through two raw lines holds from 59.5 to 662 keV: these detectors bend by some per cent. A quadratic, a
saturation, or a straight line on the device's own keV scale does.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xcal_jax.sipm import blend_shift, energy_at, energy_calibration, fit_lines, stack
from xcal_jax.sipm.figures import draw_line
from xcal_jax.spectra.readers import read_spectra

RADIACODE = (
    (59.54, "241Am", "data_am241.xml", (18, 38), 7.0),
    (81.00, "133Ba", "Ba133_a.xml", (26, 50), 8.0),
    (121.78, "152Eu", "Eu152_b.xml", (40, 69), 10.0),
    (244.70, "152Eu", "Eu152_b.xml", (85, 125), 14.0),
    (344.28, "152Eu", "Eu152_b.xml", (121, 170), 16.5),
    (356.01, "133Ba", "Ba133_a.xml", (125, 175), 17.0),
    (661.66, "137Cs", "Cs137_b.xml", (235, 304), 23.0),
    (1332.49, "60Co", "Co60_a.xml", (488, 560), 36.0),
)
D3S = (
    (356.01, "133Ba", "SGM102432.spe", (540, 670), 55.0),
    (661.66, "137Cs", "SGM102432.spe", (1000, 1190), 70.0),
    (1460.82, "40K, ambient", "SGM102432.spe", (2150, 2650), 110.0),
)
BLENDS = {356.01: ((276.40, 7.16), (302.85, 18.34), (356.01, 62.05), (383.85, 8.94))}
"""By the keV of the line: keV and photons per 100 decays of 133Ba."""
NAMED = (59.54, 81.00, 356.01, 661.66, 1460.82)
LIMIT = 1.5
TRAPS = (
    ("133Ba, window of 1.5 sigma", "Ba133_a.xml", (140, 161), 17.0),
    ("no line", "Ba133_a.xml", (200, 250), 20.0),
)


def measure(folder: Path, table, axes, device: str) -> np.ndarray:
    """Fit, print and draw every line of one device: energy keV, position and its error, device keV: (N, 4)."""
    rows = []
    for axis, (energy, source, name, window, fwhm) in zip(axes, table, strict=True):
        spectra = read_spectra(folder / name).isel(spectrum=[0])
        stacked = stack(spectra)
        line = fit_lines(stacked, [window], fwhm, "poisson", "reduced").isel(line=0)
        draw_line(axis, stacked, line, f"{source} {energy:g} keV ({device}, real)")
        shift = blend_shift(line, energy, BLENDS[energy]) if energy in BLENDS else 0.0
        x, error = float(line["position"]) - shift, float(line["position_error"])
        unknown = np.full(spectra.sizes["channel"], np.nan)
        own = np.interp(x, spectra["channel"], spectra["device_energy"][0] if "device_energy" in spectra else unknown)
        rows.append((energy, x, error, own))
        width, chi = 2.3548 * float(line["sigma"]), float(line["reduced_chi_square"])
        background = line["background"].item()
        note = f"  ({shift:.3f} of its neighbours taken off)" if shift else ""
        print(f"  {energy:7.2f} {source:12s}  {x:8.3f} ± {error:.3f}  {width:6.2f}  {background:9s} {chi:.1f}{note}")
    return np.array(rows)


def misses(lines: np.ndarray, chosen: tuple[int, ...], shape: str) -> np.ndarray:
    """Miss of every line, %, after a calibration from the chosen ones: (N,); infinite where there is none.
    lines: (N, 3) keV, channel, error.
    """
    energy, x, error = lines.T
    place = list(chosen)
    try:
        calibration = energy_calibration(x[place], error[place], energy[place], shape)
    except ValueError:
        return np.full(energy.size, np.inf)
    return 100 * (energy_at(calibration, x)[0] / energy - 1)


def compare(title: str, lines: np.ndarray, shape: str = "linear") -> np.ndarray:
    """Print the misses under every calibration from named lines, and how all calibrations do; return the best's."""
    energy = lines[:, 0]
    named = np.isin(energy, NAMED)
    size = 2 if shape == "linear" else 3
    found = {chosen: misses(lines, chosen, shape) for chosen in combinations(range(energy.size), size)}
    print(f"{title}: miss in %, calibrating lines in brackets, above {LIMIT} % with *")
    print("  " + "".join(f"{e:>10.2f}" for e in energy))
    for chosen, off in found.items():
        if named[list(chosen)].all():
            cells = (
                f"[{o:.2f}]" if i in chosen else f"{o:+.2f}" + ("*" if abs(o) > LIMIT else " ")
                for i, o in enumerate(off)
            )
            print("  " + "".join(f"{cell:>10s}" for cell in cells))
    held_out = {chosen: named & ~np.isin(range(energy.size), chosen) for chosen in found}
    worst = {chosen: np.abs(off[held_out[chosen]]).max(initial=0.0) for chosen, off in found.items()}
    worst = {chosen: value for chosen, value in worst.items() if held_out[chosen].any()}
    best = min(worst, key=worst.__getitem__)
    passed = sum(value < LIMIT for value in worst.values())
    names = " + ".join(f"{energy[i]:g}" for i in best)
    print(
        f"  {passed} of {len(worst)} calibrations find the others of {', '.join(f'{e:g}' for e in energy[named])} "
        f"keV within {LIMIT} %; the best, {names}, within {worst[best]:.2f} %"
    )
    return found[best]


def main() -> None:
    """Fit, calibrate, print, plot."""
    parser = argparse.ArgumentParser(description="Lines of real CsI(Tl)+SiPM spectra")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("../shared/data"))
    parser.add_argument("-o", "--output", type=Path, default=Path("out/csi_lines.png"))
    arguments = parser.parse_args()
    radiacode, becquerel = arguments.folder / "radiacode_csi_sipm", arguments.folder / "becquerel_samples"
    wanted = [radiacode / row[2] for row in RADIACODE] + [becquerel / row[2] for row in D3S]
    missing = [path for path in wanted if not path.is_file()]
    if missing:
        print(f"skipped: there is no {missing[0]}")
        return
    figure = Figure(figsize=(20, 11), layout="constrained")
    axes = figure.subplots(3, 4).ravel()
    print("energy, source, position (channel from 1), FWHM, background, chi2/nu")
    print("RadiaCode-102, unit 001272; 59.54 keV: unit 000115")
    lines = measure(radiacode, RADIACODE, axes[:8], "RadiaCode-102")
    for what, name, window, fwhm in TRAPS:
        stacked = stack(read_spectra(radiacode / name).isel(spectrum=[0]))
        print(f"  {what}: {'vetoed' if int(fit_lines(stacked, [window], fwhm)['veto'][0]) else 'ACCEPTED'}")
    print("Kromek D3S")
    wide = measure(becquerel, D3S, axes[8:11], "D3S")
    one_unit = lines[1:]
    own_scale = np.stack([one_unit[:, 0], one_unit[:, 3], one_unit[:, 2]], 1)
    results = {
        "linear": (lines, compare("RadiaCode, linear", lines[:, :3])),
        "quadratic": (lines, compare("RadiaCode, quadratic", lines[:, :3], "quadratic")),
        "saturation": (lines, compare("RadiaCode, saturation", lines[:, :3], "saturation")),
        "linear, device keV": (one_unit, compare("RadiaCode 001272, linear on the device's own keV", own_scale)),
        "D3S, linear": (wide, compare("D3S, linear", wide[:, :3])),
    }
    for (name, (rows, off)), marker in zip(results.items(), "os^vD", strict=True):
        axes[11].plot(rows[:, 0], off, marker, label=name)
    axes[11].axhspan(-LIMIT, LIMIT, color="grey", alpha=0.2)
    axes[11].set(xscale="log", xlabel="energy (keV)", ylabel="miss (%)", title="best calibration of each kind")
    axes[11].legend(fontsize=8)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output, dpi=80)
    print(f"plot: {arguments.output}")


if __name__ == "__main__":
    main()
