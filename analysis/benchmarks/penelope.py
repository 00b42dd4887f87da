"""The same absorber and energy in PENELOPE, through pyPenred, and in ours with paper and full physics, side by side.

    python analysis/benchmarks/penelope.py [xifu] [--energy 7keV] [-n 2e4] [--own 1e6]     (needs the extra `penelope`)

Photons at normal incidence, uniform over the top. PENELOPE-2018 (PenRed) follows every collision, electrons and
photons down to 50 eV. Dead layers are matter without a detector. Events are sorted by what they deposit: nothing, all,
or part of the energy; parts also by what they lose, in bands. Times count the transport alone (PENELOPE's as PenRed
reports it; ours after the program is compiled), on all cores of this machine.

PENELOPE's photoelectric cross sections are not EPDL's, which ours are: they are some per cent smaller. So fewer
photons interact, somewhat deeper, and the shares differ a little whatever the electrons do.
"""

import argparse
import math
import os
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xcal_jax import Absorber, Source, simulate
from xcal_jax.absorber.absorber import VACUUM
from xcal_jax.atomic import Material, load_element
from xcal_jax.constants import PHYSICS
from xcal_jax.simulation.results import partial_count
from xcal_jax.units import parse_quantity, parse_whole

LEAST = 50.0  # eV, where PENELOPE ends
BIN = 10.0  # eV, of its spectrum; narrower than the least loss
CM = 1e-4  # in a um
RULE = "0" * 64
HEIGHT = 1.0  # um between the source and the top
BANDS = (100.0, 300.0, 1000.0, 2000.0, 3000.0, 5000.0)  # eV, between which losses are counted, and above the last


class Counts(NamedTuple):
    """Photons sent, those that deposit anything, those that deposit a part, those that lose so much by BANDS, and the
    seconds that it took.
    """

    photons: int
    interacting: int
    partial: int
    lost: list[int]
    seconds: float


def geometry(absorber: Absorber) -> str:
    """The box in PENGEOM's language: two pairs of side planes, and the planes between layers, top at z = 0."""
    lines = [absorber.name, RULE]

    def plane(number: int, indices: str, scale: str, value: float) -> None:
        lines.extend([f"SURFACE ({number:4d})", f"INDICES=({indices})", f"{scale}=({value:22.15E},   0)", RULE])

    plane(1, " 1, 0, 0, 0,-1", "X-SCALE", 0.5 * CM * float(absorber.width))
    plane(2, " 0, 1, 0, 0,-1", "Y-SCALE", 0.5 * CM * float(absorber.length))
    depths = np.append(0.0, np.cumsum(absorber.thickness))
    for n, depth in enumerate(depths):
        plane(3 + n, " 0, 0, 0, 1, 0", "Z-SHIFT", 0.0 - CM * depth)
    for n in range(len(depths) - 1):
        sides = ((1, -1), (2, -1), (3 + n, -1), (4 + n, 1))
        material = 0 if absorber.formulas[n] == VACUUM else n + 1
        lines += [f"BODY    ({n + 1:4d})", f"MATERIAL({material:4d})"]
        lines += [f"SURFACE ({surface:4d}), SIDE POINTER=({side:+2d})" for surface, side in sides] + [RULE]
    return "\n".join([*lines, "END      " + RULE[9:], ""])


def configuration(absorber: Absorber, energy: float, n: int) -> dict:
    """Of a run of ``n`` photons of ``energy`` eV: PenRed's own words."""
    layers = [n for n, formula in enumerate(absorber.formulas, start=1) if formula != VACUUM]
    bins = max(1, round((energy - LEAST) / BIN))
    width = (energy - LEAST) / (bins - 0.5)
    return {
        "simulation": {"threads": os.cpu_count() or 1},
        "sources": {
            "generic": {
                "photons": {
                    "nhist": float(n),
                    "kpar": "gamma",
                    "direction": {"type": "CONE", "theta": 180.0, "phi": 0.0, "alpha": 0.0},
                    "energy": {"type": "MONOENERGETIC", "energy": energy},
                    "spatial": {
                        "type": "BOX",
                        "size": {"dx": CM * float(absorber.width), "dy": CM * float(absorber.length), "dz": 0.0},
                        "position": {"x": 0.0, "y": 0.0, "z": CM * HEIGHT},
                    },
                }
            }
        },
        "tallies": {
            "deposits": {
                "type": "IMPACT_DET",
                "detector": 1,
                "emin": LEAST,
                "emax": energy + 0.5 * width,  # the last bin holds whole deposits, in its middle
                "nbin-energy": bins,
                "energy-dep": True,
                "linearScale-edep": True,
            }
        },
        "geometry": {
            "type": "PEN_QUADRIC",
            "input-file": "box.geo",
            "processed-geo-file": "report.geo",
            "kdet": {str(layer): 1 for layer in layers if layer - 1 not in absorber.dead},
        },
        "materials": {
            f"layer{layer}": {
                "number": layer,
                "eabs": dict.fromkeys(("electron", "positron", "gamma"), LEAST),
                "C1": 0.0,  # every elastic collision
                "C2": 0.0,
                "WCC": 0.0,  # every inelastic collision
                "WCR": -10.0,  # no bremsstrahlung below 10 eV
                "filename": f"layer{layer}.mat",
            }
            for layer in layers
        },
    }


def in_penelope(absorber: Absorber, energy: float, n: int) -> Counts:
    """``n`` photons in PENELOPE."""
    from pyPenred import simulation

    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for n_layer, (formula, density) in enumerate(zip(absorber.formulas, absorber.density, strict=True), start=1):
            if formula == VACUUM:
                continue
            material = Material.build(formula, float(density))
            parts = zip(material.elements, material.mass_fraction, strict=True)
            composition = [(load_element(symbol).z, fraction) for symbol, fraction in parts]
            simulation.materials.create(formula, float(density), composition, f"layer{n_layer}.mat")
        Path("box.geo").write_text(geometry(absorber))
        simulation.setConfigurationLog("configuration.log")
        simulation.setSimulationLog("simulation.log")
        program = simulation.create()
        program.configure(configuration(absorber, energy, n))
        program.simulate()
        (histogram,) = (tally for tally in program.getResults()["deposits"] if tally.title())
        density, _, (low, high, _), *_ = histogram.data()
        log = Path("simulation.log").read_text(encoding="latin-1")
    photons = sum(int(float(count)) for count in re.findall(r"Simulated histories:\s*(\S+)", log))
    rate = float(re.findall(r"Histories per second:\s*(\S+)", log)[-1])
    counts = np.rint(density * (high - low) / density.size * photons).astype(int)
    losses = energy - (low + (np.arange(counts.size) + 0.5) * (high - low) / counts.size)
    above = [int(counts[losses > threshold].sum()) for threshold in BANDS]
    return Counts(photons, int(counts.sum()), int(counts[:-1].sum()), between(above), photons / rate)


def between(above: Sequence[int]) -> list[int]:
    """Counts between BANDS, of those ``above`` each."""
    return [one - other for one, other in pairwise([*above, 0])]


def in_ours(absorber: Absorber, energy: float, n: int) -> Counts:
    """``n`` photons in ours."""
    source = Source.build(energy, forced=False)
    simulate(absorber, source, n=1000, seed=2, loss_above=BANDS)
    start = time.perf_counter()
    result = simulate(absorber, source, n=n, loss_above=BANDS)
    took = time.perf_counter() - start
    partial = int(partial_count(result))
    return Counts(n, int(result.interacting), partial, between(result.loss_above.values.tolist()), took)


def row(name: str, found: Counts, reference: Counts) -> str:
    """A line of the table."""
    share, error = fraction(found.partial, found.interacting)
    other, other_error = fraction(reference.partial, reference.interacting)
    met, met_error = fraction(found.interacting, found.photons)
    beside = ""
    if found is not reference and other > 0 and share > 0:
        ratio = share / other
        beside = f"{ratio:8.3f} ±{ratio * math.hypot(error / share, other_error / other):.3f}"
    cells = f"{100 * met:9.2f} ±{100 * met_error:5.2f}{100 * share:9.3f} ±{100 * error:6.3f}{beside:>16s}"
    return f"{name:22s}{cells}{found.photons / found.seconds:12.3g}"


def bands(counted: dict[str, Counts], energy: float) -> str:
    """A table of the shares (%) of interacting photons that lose so much, and their ratios to PENELOPE's."""
    lines = [f"{'lost, eV':22s}" + "".join(f"{name:>{17 if n == 0 else 33}s}" for n, name in enumerate(counted))]
    for k, (low, high) in enumerate(pairwise([*BANDS, energy])):
        shares = [fraction(each.lost[k], each.interacting) for each in counted.values()]
        if low >= energy or not all(share for share, _ in shares):
            continue
        cells = [f"{100 * share:9.4f} ±{100 * error:6.4f}" for share, error in shares]
        (other, other_error), *ours = shares
        for n, (share, error) in enumerate(ours, 1):
            ratio = share / other
            cells[n] += f"{ratio:8.3f} ±{ratio * math.hypot(error / share, other_error / other):.3f} "
        lines.append(f"{f'{low:g} to {high:g}':22s}" + "".join(cells))
    return "\n".join(lines)


def fraction(count: int, n: int) -> tuple[float, float]:
    """(share, its standard error)."""
    share = count / max(n, 1)
    return share, math.sqrt(share * (1 - share) / max(n, 1))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("absorber", nargs="?", default="xifu", help="a preset or a TOML file")
    parser.add_argument("--energy", default="7keV", help="of the photons")
    parser.add_argument("-n", default="2e4", help="photons in PENELOPE")
    parser.add_argument("--own", default="1e6", help="photons in ours")
    arguments = parser.parse_args()
    try:
        import pyPenred  # noqa: F401
    except ImportError:
        parser.exit(2, "error: PENELOPE needs the extra: pip install '.[penelope]'\n")
    try:
        absorber, energy = Absorber.load(arguments.absorber), parse_quantity(arguments.energy, "eV", "energy")
        n, own = parse_whole(arguments.n, "n"), parse_whole(arguments.own, "own")
        if not 2 * LEAST <= energy <= 1e6:
            raise ValueError(f"`energy` must be from {2 * LEAST:g} eV to 1 MeV, but is {energy:g} eV")
        if min(n, own) < 1:
            raise ValueError(f"`n` and `own` must be positive, but are {n} and {own}")
        Source.build(energy).check_fits(absorber)
    except ValueError as problem:
        parser.exit(2, f"error: {problem}\n")
    peer = in_penelope(absorber, energy, n)
    print(f"{absorber.name}, {energy:g} eV, {os.cpu_count()} cores")
    print(f"{'':22s}{'interacting %':>17s}{'partial %':>17s}{'/ PENELOPE':>16s}{'events/s':>12s}")
    print(row("PENELOPE-2018", peer, peer))
    counted = {"PENELOPE-2018": peer}
    for physics, models in PHYSICS.items():
        ours = counted[f"ours, {physics}"] = in_ours(replace(absorber, **models), energy, own)
        print(row(f"ours, {physics}", ours, peer))
    print(bands(counted, energy))


if __name__ == "__main__":
    main()
