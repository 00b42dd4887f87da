"""Mutants: one wrong line at a time, which the named tests must notice.

    python tests/mutants.py [--room ROOM] [--list | --control]

A copy of the package with one mutant each is tested, in a temporary folder; what no test notices SURVIVED. Each mutant
is wrong physics or wrong bookkeeping (a sign, a factor, a term left out), chosen by hand. One whose line is no longer
there is an error, as is one whose tests cannot run: the list follows the code. With --control the lines stay as they
are, and every "mutant" must survive. Takes about two hours on two cores.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPIED, LINKED = ("xcal_jax", "tests", "pyproject.toml", "README.md"), ("data", "analysis", "notebooks", ".github")
SLOWEST = 3600.0  # s, after which a mutant that does not end counts as noticed


class Mutant(NamedTuple):
    """In ``file`` of the package the text ``old``, which stands there once, becomes ``new``; tests: files."""

    file: str
    old: str
    new: str
    tests: str


MUTANTS = [
    Mutant(*row)
    for row in (
        # atomic
        (
            "atomic/element.py",
            "self.probability[self.final2 < 0].sum()",
            "self.probability[self.final2 >= 0].sum()",
            "tests/atomic/test_element.py",
        ),
        (
            "atomic/material.py",
            "fraction * [element.z / element.weight",
            "ratio * [element.z / element.weight",
            "tests/atomic/test_material.py",
        ),
        # physics
        (
            "physics/layers.py",
            "jnp.exp(-above[n]) * -jnp.expm1",
            "-jnp.expm1",
            "tests/physics/test_layers.py",
        ),
        (
            "physics/attenuation.py",
            "jnp.where(u_row < fraction, row + 1, row)",
            "jnp.where(u_row > fraction, row + 1, row)",
            "tests/physics/test_attenuation.py",
        ),
        (
            "physics/attenuation.py",
            "(energy == subshell.binding) & above)",
            "(energy == subshell.binding) & ~above)",
            "tests/physics/test_attenuation.py",
        ),
        (
            "physics/discrete.py",
            "height[row, rich] -= 1.0 - threshold[row, poor]",
            "height[row, rich] -= threshold[row, poor]",
            "tests/physics/test_discrete.py",
        ),
        (
            "physics/relaxation.py",
            "new & ~self.decays[index], self.binding[index]",
            "new & self.decays[index], self.binding[index]",
            "tests/physics/test_relaxation.py tests/montecarlo/test_transport.py",
        ),
        (
            "physics/photoelectric.py",
            "(gamma - 1.0) * (gamma - 2.0)",
            "(gamma - 1.0) * (gamma + 2.0)",
            "tests/physics/test_angular.py",
        ),
        (
            "physics/photon_scattering.py",
            "shape = ratio**2 * (",
            "shape = ratio * (",
            "tests/physics/test_angular.py tests/physics/test_attenuation.py",
        ),
        (
            "physics/impulse.py",
            "0.5 + 0.5 * slope",
            "0.5 - 0.5 * slope",
            "tests/physics/test_impulse.py",
        ),
        (
            "physics/impulse.py",
            "2.0 * moved + binding * binding",
            "2.0 * moved",
            "tests/physics/test_impulse.py",
        ),
        (
            "atomic/element.py",
            "rest = 1.0 - probability[~others].sum()",
            "rest = 1.0",
            "tests/atomic/test_element.py",
        ),
        (
            "montecarlo/tally.py",
            "met = where & (ledger.deposited > PARTIAL)",
            "met = where",
            "tests/montecarlo/test_tally.py",
        ),
        (
            "physics/geometry.py",
            "leaves = here & ~stops & (side <= to_face)",
            "leaves = here & ~stops & (side >= to_face)",
            "tests/physics/test_geometry.py",
        ),
        (
            "physics/geometry.py",
            "least = jnp.min(per_um)",
            "least = jnp.max(per_um)",
            "tests/physics/test_geometry.py",
        ),
        (
            "physics/geometry.py",
            "between = (layer != m) &",
            "between = (layer < m) &",
            "tests/physics/test_geometry.py",
        ),
        (
            "physics/electrons/straight.py",
            "jnp.where(direction.z < 0.0, down[n], up[n])",
            "jnp.where(direction.z < 0.0, up[n], down[n])",
            "tests/physics/test_straight_electrons.py",
        ),
        (
            "simulation/counting.py",
            "np.nextafter(at, 0.0), at]",
            "at, at]",
            "tests/absorber/test_filters.py",
        ),
        (
            "physics/electrons/straight.py",
            "square = B * B - 4.0 * C *",
            "square = B * B - 2.0 * C *",
            "tests/physics/test_straight_electrons.py",
        ),
        (
            "physics/electrons/elastic.py",
            "total[row] = 0.5 * first[row] / mean",
            "total[row] = first[row] / mean",
            "tests/physics/test_collisions.py",
        ),
        (
            "physics/electrons/collisions.py",
            "outcome, stopping - lost, stopping",
            "outcome, stopping, stopping",
            "tests/physics/test_collisions.py tests/montecarlo/test_scattering_electrons.py",
        ),
        # absorber
        (
            "absorber/source.py",
            "isotropic(0.5 * u_cosine, u_azimuth)",
            "isotropic(u_cosine, u_azimuth)",
            "tests/absorber/test_source.py",
        ),
        (
            "absorber/source.py",
            "ndtr((0.5 * side - centre) / self.spread)",
            "ndtr((0.5 * side + centre) / self.spread)",
            "tests/absorber/test_source.py",
        ),
        (
            "absorber/source.py",
            "np.asarray(source.weight * probability(bins.low))",
            "np.asarray(source.weight)",
            "tests/absorber/test_source.py",
        ),
        (
            "absorber/matter.py",
            "PER_UM * density[n] * by_material",
            "PER_UM * density[0] * by_material",
            "tests/absorber/test_matter.py tests/montecarlo/test_transport.py",
        ),
        # compute
        (
            "compute/random.py",
            "keys[(n + 1) % 3] + jnp.uint32(n)",
            "keys[(n + 1) % 3]",
            "tests/compute/test_random.py",
        ),
        ("compute/lanes.py", "upper = left >= below", "upper = left > below", "tests/compute/test_lanes.py"),
        # montecarlo
        (
            "montecarlo/transport.py",
            "kinetic - leaving + jnp.where(decays, 0.0",
            "kinetic + jnp.where(decays, 0.0",
            "tests/montecarlo/test_transport.py",
        ),
        (
            "montecarlo/transport.py",
            "matter.electrons.maximum_range(kinetic) > margin",
            "matter.electrons.maximum_range(kinetic) > 3.0 * margin",
            "tests/montecarlo/test_transport.py tests/expected/test_observables.py",
        ),
        (
            "montecarlo/transport.py",
            "medium.stack.thickness)[1] / jnp.abs(direction.z)",
            "medium.stack.thickness)[1]",
            "tests/absorber/test_source.py tests/simulation/test_simulate.py",
        ),
        (
            "montecarlo/tally.py",
            "tally.photon_escape + _count(photon & ~electron)",
            "tally.photon_escape + _count(photon)",
            "tests/montecarlo/test_tally.py",
        ),
        (
            "montecarlo/tally.py",
            "(ledger.escapes == 1)",
            "(ledger.escapes >= 1)",
            "tests/montecarlo/test_tally.py",
        ),
        (
            "montecarlo/transport.py",
            "vertex.met, no, vertex.energy, none)",
            "no, no, vertex.energy, none)",
            "tests/montecarlo/test_dead_layers.py",
        ),
        (
            "montecarlo/ledger.py",
            "- jnp.where(returns, energy, 0.0)",
            "+ jnp.where(returns, energy, 0.0)",
            "tests/montecarlo/test_array.py",
        ),
        (
            "montecarlo/ledger.py",
            ".release(account, escaped).escape(escaped)",
            ".release(account, escaped)",
            "tests/montecarlo/test_array.py tests/montecarlo/test_scattering_electrons.py",
        ),
        # simulation
        (
            "simulation/results.py",
            "fraction(result.incident - result.summed_loss, n)",
            "fraction(result.incident + result.summed_loss, n)",
            "tests/simulation/test_results.py tests/simulation/test_simulate.py",
        ),
        (
            "simulation/sweep.py",
            'error = scatter / np.sqrt(result.sizes["batch"])',
            "error = scatter",
            "tests/simulation/test_sweep.py",
        ),
        (
            "simulation/pixels.py",
            "[event] - float(pixels.pitch_x) * columns",
            "[event] + float(pixels.pitch_x) * columns",
            "tests/simulation/test_pixels.py tests/simulation/test_events.py",
        ),
        (
            "simulation/trapping.py",
            "[0.0, leave**2 * ratio]",
            "[0.0, leave * ratio]",
            "tests/simulation/test_trapping.py",
        ),
        (
            "simulation/impacts.py",
            "1e3 * energy, 1e6 * u, 1e6 * v",
            "1e3 * energy, 1e6 * v, 1e6 * u",
            "tests/simulation/test_impacts.py",
        ),
        ("simulation/events.py", "FIRST_PIXEL = 1 ", "FIRST_PIXEL = 0 ", "tests/simulation/test_pixels.py"),
        # expected
        (
            "expected/score.py",
            "(photons.energy + 2.0 * electrons.mean)",
            "(photons.energy + electrons.mean)",
            "tests/expected/test_score.py",
        ),
        (
            "expected/score.py",
            "met = jnp.where(signal, 1.0, some)",
            "met = jnp.ones_like(some)",
            "tests/expected/test_dead_layers.py",
        ),
        (
            "expected/entry.py",
            "sauter(emission, direction), 0.5 * (1.0 - least)",
            "sauter(emission, direction), 1.0 - least",
            "tests/expected/test_dead_layers.py",
        ),
        (
            "expected/scattering.py",
            "escaped + beside, -brought)",
            "escaped + beside, brought)",
            "tests/expected/test_dead_layers.py",
        ),
        (
            "absorber/photon_list.py",
            "u_alias < self.threshold[row]",
            "u_alias > self.threshold[row]",
            "tests/absorber/test_photon_list.py",
        ),
        (
            "expected/escape.py",
            "0.5 * (1.0 - to_top) * sauter(emission, upwards)",
            "0.5 * (1.0 - to_top)",
            "tests/expected/test_observables.py",
        ),
        (
            "expected/first_collision.py",
            "slice_ = thickness[n] - t ",
            "slice_ = 0.0 * t ",
            "tests/expected/test_observables.py",
        ),
        (
            "expected/history.py",
            "history.weight * leaks, out, history.inside",
            "history.weight, out, history.inside",
            "tests/expected/test_observables.py",
        ),
        (
            "expected/sensitivity.py",
            "np.sqrt(sum(part**2 for part in parts.values()))",
            "sum(part for part in parts.values())",
            "tests/expected/test_sensitivity.py",
        ),
        # design
        (
            "design/optimise.py",
            "self.violation < VIOLATION and self.slope < SLOPE",
            "self.violation < VIOLATION",
            "tests/design/test_optimise.py",
        ),
        (
            "design/optimise.py",
            "margin_slopes[margins < ACTIVE], at_bound",
            "margin_slopes, at_bound",
            "tests/design/test_optimise.py",
        ),
        (
            "design/specification.py",
            "return self.of.sign * (value / self.limit - 1.0)",
            "return value / self.limit - 1.0",
            "tests/design/test_optimise.py",
        ),
        (
            "design/heat.py",
            "+ self.lattice * temperature**3",
            "+ self.lattice * temperature**2",
            "tests/design/test_optimise.py",
        ),
        # response
        (
            "response/line_shape.py",
            "0.5 * (sigma / scale) ** 2",
            "(sigma / scale) ** 2",
            "tests/response/test_line_shape.py",
        ),
        (
            "response/line_shape.py",
            "rest = parts.loss_above - single",
            "rest = parts.loss_above",
            "tests/response/test_linefit.py",
        ),
        (
            "response/energy_grid.py",
            "kernel * (second - first * away)",
            "kernel * (second + first * away)",
            "tests/response/test_energy_grid.py",
        ),
        (
            "response/ogip.py",
            "part + np.int32(header.first) for part",
            "part + np.int32(1) for part",
            "tests/response/test_official.py",
        ),
        (
            "response/area.py",
            "* np.array([row.contained for row in rows])",
            "",
            "tests/response/test_official.py",
        ),
        ("response/rows.py", "number * GOLDEN % 1.0", "0.5", "tests/response/test_rows.py"),
        ("response/rows.py", "each / held[chosen]", "1.0", "tests/response/test_rows.py"),
        ("response/matrix.py", "rises[:, None] * (gaussian", "0.0 * (gaussian", "tests/response/test_rows.py"),
        ("response/components.py", "width if of_all else photons", "width", "tests/response/test_layout.py"),
        ("response/blend.py", "(1.0 - partial) / sums", "1.0 / sums", "tests/response/test_official.py"),
        ("response/split.py", "peaks=~stand_out", "peaks=True", "tests/response/test_official.py"),
        (
            "response/measurement.py",
            "heat * random.standard_exponential",
            "0.5 * heat * random.standard_exponential",
            "tests/response/test_spectra.py",
        ),
        (
            "response/model_spectrum.py",
            "0.5 * (self.density[n] + here)",
            "self.density[n]",
            "tests/response/test_spectra.py",
        ),
        (
            "simulation/pixel_order.py",
            "at[:, 1] * columns + at[:, 0]",
            "at[:, 0] * rows + at[:, 1]",
            "tests/simulation/test_pixel_order.py",
        ),
        (
            "simulation/pixel_order.py",
            'in ("*", "+-")',
            'in ("+-", "*")',
            "tests/simulation/test_pixel_order.py",
        ),
        (
            "response/tail.py",
            "np.exp(lowest / scale) / -np.expm1(-k)",
            "1.0 / -np.expm1(-k)",
            "tests/response/test_tail.py",
        ),
        # spectra
        (
            "spectra/dataset.py",
            "np.maximum(total, 1.0) / seconds**2",
            "np.maximum(total, 1.0) / seconds",
            "tests/spectra/test_dataset.py tests/sipm/test_lines.py",
        ),
        # sipm
        ("sipm/gain.py", "[..., None] - REFERENCE", "[..., None] + REFERENCE", "tests/sipm/test_lines.py"),
        ("sipm/line_window.py", "** 2)) / window.inflation", "** 2))", "tests/sipm/test_lines.py"),
        ("sipm/readouts.py", "found @ matrix.T @ known", "found @ matrix.T @ values", "tests/sipm/test_trends.py"),
        (
            "sipm/template.py",
            "foot and counts[i] - weights @ ahead <=",
            "foot and counts[i] - weights @ ahead >=",
            "tests/sipm/test_template.py",
        ),
        (
            "sipm/trends.py",
            "student.ppf(0.5 + INTERVAL / 2, degrees)",
            "norm.ppf(0.5 + INTERVAL / 2)",
            "tests/sipm/test_trends.py",
        ),
        (
            "sipm/lines.py",
            'reduced if selection == "reduced" else quasi',
            'reduced if selection == "reduced" else criterion',
            "tests/sipm/test_lines.py",
        ),
        (
            "sipm/space_weather.py",
            "HOUR * 3 * part + HOUR * 3 // 2",
            "HOUR * 3 * part",
            "tests/sipm/test_time_series.py",
        ),
        ("sipm/iv_curves.py", '-start / tilt, "V"', 'start / tilt, "V"', "tests/sipm/test_export.py"),
        ("orbit/flux_tables.py", "np.cumsum(steps[::-1])[::-1]", "np.cumsum(steps)", "tests/orbit/test_flux_tables.py"),
        (
            "orbit/shielding.py",
            "return spectra * jnp.exp(log_jacobian)[None, :]",
            "return spectra",
            "tests/orbit/test_dose.py",
        ),
        ("sipm/correlations.py", "2 * student.sf(", "student.sf(", "tests/sipm/test_causes.py"),
        ("sipm/grouping.py", "np.maximum(many - 1, 1)", "np.maximum(many, 1)", "tests/sipm/test_trends.py"),
        (
            "sipm/thresholds.py",
            "np.hypot(counting, np.sqrt((shifts**2).sum(1)))",
            "counting",
            "tests/sipm/test_threshold.py",
        ),
        (
            "sipm/darkcounts.py",
            "slope = 1 / (1 - load) ** 2",
            "slope = 1 / (1 - load)",
            "tests/sipm/test_threshold.py",
        ),
        (
            "sipm/gain.py",
            "np.sqrt((slope * adu_error) ** 2 + (shared**2).sum(1) + unknown**2)",
            "np.sqrt((slope * adu_error) ** 2 + unknown**2)",
            "tests/sipm/test_lines.py",
        ),
        ("sipm/gain.py", " + np.outer(c, c) / k**2 * of_there[0, 0]", "", "tests/sipm/test_lines.py"),
        ("sipm/grouping.py", "rest - slopes @ (slopes.T @ rest)", "rest + 0.0", "tests/sipm/test_goodness.py"),
        ("response/profile.py", "rise < z", "rise < 0.9 * z", "tests/response/test_profile.py"),
        (
            "sipm/damage.py",
            "jnp.exp(-(day - stop) / tau) - jnp.exp(-(day - start) / tau)",
            "jnp.exp(-(day - stop) / tau)",
            "tests/sipm/test_causes.py",
        ),
        (
            "sipm/activation.py",
            "-jnp.expm1(-constant * exposure) / (constant * exposure)",
            "-jnp.expm1(-constant * exposure)",
            "tests/sipm/test_lines.py tests/sipm/test_causes.py",
        ),
        # fit, units
        (
            "fit.py",
            "2.0 * parameters * (parameters + 1)",
            "2.0 * parameters * (parameters - 1)",
            "tests/test_fit.py",
        ),
        ("fit.py", "(1.0 - ratio / 3.0 +", "(1.0 + ratio / 3.0 +", "tests/test_fit.py"),
        (
            "units.py",
            "return number * _factor(found, unit)",
            "return number / _factor(found, unit)",
            "tests/test_units.py",
        ),
        # orbit
        ("orbit/solar_protons.py", "- square / 2 +", "+ square / 2 +", "tests/orbit/test_solar_protons.py"),
        ("orbit/solar_protons.py", "shell < OPEN_FROM", "shell > OPEN_FROM", "tests/orbit/test_solar_protons.py"),
        ("orbit/galactic.py", "speed ** (alpha - 1)", "speed**alpha", "tests/orbit/test_galactic.py"),
        ("orbit/months.py", '("min", 1.0 - self.share)', '("min", self.share)', "tests/orbit/test_months.py"),
        ("orbit/reactions.py", "- 2.63 * np.log", "- 2.0 * np.log", "tests/orbit/test_reactions.py"),
        ("orbit/shielding.py", "sides / 2 * weights", "sides * weights", "tests/orbit/test_shielding.py"),
        ("orbit/rays.py", "one, other).max(-1)", "one, other).min(-1)", "tests/orbit/test_boxes.py"),
        ("orbit/mass_model.py", "= -around, around", "= around, around", "tests/orbit/test_boxes.py"),
        ("orbit/tle_lines.py", "if line[-1] != str(", "if line[-1] == str(", "tests/orbit/test_orbit_cases.py"),
        (
            "orbit/ephemeris.py",
            "strength * (3 - 4 * np.sin(tilt) ** 2)",
            "strength * (3 + 4 * np.sin(tilt) ** 2)",
            "tests/orbit/test_ephemeris.py",
        ),
        ("orbit/months.py", "else cut >= switch for", "else cut > switch for", "tests/orbit/test_months.py"),
        (
            "orbit/bremsstrahlung.py",
            "(1 - edges)[:, None] * areal[layer]",
            "edges[:, None] * areal[layer]",
            "tests/orbit/test_bremsstrahlung.py",
        ),
        # io
        (
            "io/files.py",
            "temporary.unlink(missing_ok=True)",
            "pass",
            "tests/io/test_files.py",
        ),
        (
            "io/checkpoint.py",
            "if kept.get(name) != facts[name]]",
            "if name not in kept]",
            "tests/io/test_checkpoint.py tests/simulation/test_checkpoint.py",
        ),
        # plot, cli
        (
            "plot/results.py",
            'curves.append(tail_density(tail, loss, found["range"]))',
            'curves.append(0.5 * tail_density(tail, loss, found["range"]))',
            "tests/response/test_tail.py",
        ),
        ("cli/absorber.py", "forced=not free,", "forced=free,", "tests/cli/test_absorber.py"),
        (
            "response/fitted_line.py",
            "origin = {name: values[name] for name in linear.parameters}",
            "origin = {name: 2.0 * values[name] for name in linear.parameters}",
            "tests/response/test_linefit.py",
        ),
    )
]


def check(mutant: Mutant) -> None:
    """Exit unless the line of ``mutant`` stands once in the package, and its tests are there."""
    found = (ROOT / "xcal_jax" / mutant.file).read_text(encoding="utf-8").count(mutant.old)
    if found != 1:
        sys.exit(f"{mutant.file}: the line to mutate must stand there once, but {found} times: {mutant.old}")
    for path in mutant.tests.split():
        if not (ROOT / path).exists():
            sys.exit(f"{mutant.file}: there are no tests {path}")


def outcome(mutant: Mutant) -> str:
    """What the tests say to ``mutant``: "killed", "SURVIVED", or "cannot run" with the end of what pytest wrote."""
    with tempfile.TemporaryDirectory(prefix="xcal-jax-mutant-") as name:
        tree = Path(name)
        for part in COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, tree / part)
        for part in LINKED:
            if (ROOT / part).exists():
                (tree / part).symlink_to(ROOT / part)
        file = tree / "xcal_jax" / mutant.file
        file.write_text(file.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests.split()]
        try:
            environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=SLOWEST)
        except subprocess.TimeoutExpired:
            return "killed"
    words = {0: "SURVIVED", 1: "killed"}
    return words.get(done.returncode, f"cannot run\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def main() -> None:
    """Test the mutants asked for; exit with the number that were not killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", default="", help="only files whose path begins so: physics, sipm, fit.py")
    parser.add_argument("--list", action="store_true", help="only check that every line to mutate is there")
    parser.add_argument("--control", action="store_true", help="change nothing: the tests must pass")
    asked = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if mutant.file.startswith(asked.room)]
    for mutant in chosen:
        check(mutant)
    if asked.list:
        print(f"{len(chosen)} mutants in {len({mutant.file for mutant in chosen})} files")
        return
    found = []
    for mutant in chosen:
        found.append(outcome(mutant._replace(new=mutant.old) if asked.control else mutant))
        print(f"{found[-1]:10} {mutant.file}: {mutant.old} -> {mutant.new}", flush=True)
    print(f"{len(found)} mutants: {found.count('killed')} killed, {found.count('SURVIVED')} survived")
    sys.exit(len(found) - found.count("SURVIVED" if asked.control else "killed"))


if __name__ == "__main__":
    main()
