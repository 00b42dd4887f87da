"""Lines of real CsI(Tl)+SiPM spectra (two RadiaCode-102 units, MIT licence, by C. Kuethe):
`python analysis/csi_lines.py [FOLDER] [-o OUT.png]`.

Calibrates linearly from two lines and shows how far the others lie off; skips with a reason where the files
are absent. A straight line holds from 59.5 to 356 keV; at 662 keV these sensors have bent away by 3 %.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xcal_jax.sipm import fit_lines, linear_calibration, stack
from xcal_jax.sipm.figures import draw_line
from xcal_jax.sipm.readers import read_spectra

LINES = (
    (59.54, "241Am", "data_am241.xml", (18, 38), 7.0),
    (81.00, "133Ba", "Ba133_a.xml", (26, 50), 8.0),
    (121.78, "152Eu", "Eu152_b.xml", (40, 69), 10.0),
    (344.28, "152Eu", "Eu152_b.xml", (121, 170), 16.5),
    (356.01, "133Ba", "Ba133_a.xml", (125, 175), 17.0),
    (661.66, "137Cs", "Cs137_b.xml", (235, 304), 23.0),
)
TRAPS = (
    ("133Ba, window of 1.5 sigma", "Ba133_a.xml", (140, 161), 17.0),
    ("no line", "Ba133_a.xml", (200, 250), 20.0),
)


def main() -> None:
    """Fit, calibrate, print, plot."""
    parser = argparse.ArgumentParser(description="Lines of real CsI(Tl)+SiPM spectra")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("../shared/data/radiacode_csi_sipm"))
    parser.add_argument("-o", "--output", type=Path, default=Path("out/csi_lines.png"))
    arguments = parser.parse_args()
    missing = [name for _, _, name, *_ in LINES if not (arguments.folder / name).is_file()]
    if missing:
        print(f"skipped: {arguments.folder} has no {missing[0]}")
        return
    figure = Figure(figsize=(15, 7.5), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    position, error, energy = [], [], []
    print("real spectra: energy, source, position (channel from 1), FWHM, background, chi2/nu")
    for axis, (kev, source, name, window, fwhm) in zip(axes, LINES, strict=True):
        stacked = stack(read_spectra(arguments.folder / name).isel(spectrum=[0]))
        line = fit_lines(stacked, [window], fwhm).isel(line=0)
        draw_line(axis, stacked, line, f"{source} {kev:g} keV (RadiaCode-102, real)")
        position.append(float(line["position"]))
        error.append(float(line["position_error"]))
        energy.append(kev)
        width, chi = 2.3548 * float(line["sigma"]), float(line["reduced_chi_square"])
        print(
            f"  {kev:7.2f} {source}  {position[-1]:8.3f} ± {error[-1]:.3f}  {width:5.2f}  "
            f"{line['background'].item():9s} {chi:.1f}"
        )
    for what, name, window, fwhm in TRAPS:
        stacked = stack(read_spectra(arguments.folder / name).isel(spectrum=[0]))
        print(f"  {what}: {'vetoed' if int(fit_lines(stacked, [window], fwhm)['veto'][0]) else 'ACCEPTED'}")
    print("linear calibration from two lines: deviation of every line, %")
    for pair in combinations((0, 1, 4, 5), 2):
        k, b = linear_calibration(np.take(position, pair), np.take(error, pair), np.take(energy, pair))[
            "parameters"
        ].values
        off = [100 * ((k * x + b) / e - 1) for x, e in zip(position, energy, strict=True)]
        names = " and ".join(f"{energy[i]:g}" for i in pair)
        print(
            f"  {names:18s} k {k:.4f} b {b:7.2f}: "
            + "  ".join(f"{e:g}: {d:+.2f}" for e, d in zip(energy, off, strict=True))
        )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output, dpi=110)
    print(f"plot: {arguments.output}")


if __name__ == "__main__":
    main()
