"""The table against its sources: EADL's own means per vacancy, and the file rebuilt byte for byte."""

import csv
from importlib import import_module
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from xcal_jax.atomic import ELEMENTS, load_element

ROOT = Path(__file__).parents[2]
FILE = ROOT / "xcal_jax" / "atomic" / "elements.nc"
ELECTRONS = ROOT / "xcal_jax" / "atomic" / "electrons.nc"


def means(decays: list[tuple], binding: np.ndarray) -> np.ndarray:
    """(S, 4) means per vacancy: photons, their energy, electrons, their energy; transitions without energy
    count as EADL counts them, as electrons of 0 eV."""
    solved = np.zeros((len(binding), 4))
    for i in reversed(range(len(binding))):
        final1, final2, probability = decays[i]
        photon = final2 < 0
        energy = np.maximum(binding[i] - binding[final1] - np.where(photon, 0, binding[final2]), 0)
        emitted = np.stack([photon, photon * energy, ~photon, ~photon * energy], axis=1)
        after = solved[final1] + np.where(photon[:, None], 0, solved[final2])
        solved[i] = probability @ (emitted + after)
    return solved


@pytest.fixture(scope="module")
def builder():
    reason = "needs the extra: pip install '.[atomic]'"
    pytest.importorskip("PyMca5", reason=reason)
    pytest.importorskip("xraylib", reason=reason)
    return script("build")


@pytest.fixture(scope="module")
def electron_builder():
    pytest.importorskip("pyPenred", reason="needs the extra: pip install '.[atomic]'")
    return script("build_electrons")


def script(name: str):
    """A build script of data/atomic, imported."""
    folder = str(ROOT / "data" / "atomic")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        return import_module(name)


@pytest.fixture(scope="module")
def eadl(builder):
    return builder.read_endl("EADL.DAT")[0]


def test_cascades_of_the_shipped_file_have_the_means_of_eadl():
    """Bi L3 emits .41417 photons and 8868.8 eV of electrons, and so on, to 0.1 eV, on EADL's energies."""
    rows = list(csv.DictReader((ROOT / "data" / "reference" / "eadl_means_per_vacancy.csv").open()))
    for row in rows:
        element = load_element(row["element"])
        decays = [(s.final1, s.final2, s.probability) for s in element.subshells]
        solved = means(decays, np.array([s.eadl_binding for s in element.subshells]))
        i = [s.label for s in element.subshells].index(row["subshell"])
        photons, photon_ev, _, electron_ev = solved[i]
        assert photons == pytest.approx(float(row["photons"]), abs=2e-5)
        assert photon_ev == pytest.approx(float(row["photon_ev"]), abs=0.1)
        assert electron_ev == pytest.approx(float(row["electron_ev"]), abs=0.1)
        left_ev = element.subshells[i].eadl_binding - photon_ev - electron_ev
        assert left_ev == pytest.approx(float(row["left_ev"]), abs=0.1)
    assert len(rows) == 20


def test_cascades_of_eadl_have_its_own_means(builder, eadl):
    """All 1187 decaying subshells of all elements, to 0.1 eV and the six digits of the file."""
    tables = [(92, 933, 7), (92, 934, 7), (92, 933, 9), (92, 934, 9), (92, 935, 0)]
    compared = 0
    for z in range(1, 101):
        designators = [int(d) for d, _ in sorted(eadl[z, builder.BINDING, 0], key=lambda row: -row[1])]
        index = {d: i for i, d in enumerate(designators)}
        binding = 1e6 * np.array([dict(eadl[z, builder.BINDING, 0])[d] for d in designators])
        decays = []
        for d in designators:
            photons = eadl.get((z, builder.RADIATIVE, d), np.empty((0, 3)))
            electrons = eadl.get((z, builder.AUGER, d), np.empty((0, 4)))
            final1 = [index[int(f)] for f in (*photons[:, 0], *electrons[:, 0])]
            final2 = [-1] * len(photons) + [index[int(f)] for f in electrons[:, 1]]
            probability = np.append(photons[:, 1], electrons[:, 2])
            assert len(probability) == 0 or probability.sum() == pytest.approx(1, abs=2e-6)
            decays.append((np.array(final1, int), np.array(final2, int), probability))
            compared += len(probability) > 0
        solved = means(decays, binding)
        left = binding - solved[:, 1] - solved[:, 3]
        solved = np.column_stack([solved, left])
        for column, (kind, unit) in enumerate(zip(tables, (1, 1e6, 1, 1e6, 1e6), strict=True)):
            expected = dict(eadl.get((z, kind, 0), ()))
            expected = np.array([unit * expected.get(d, 0.0) for d in designators])
            tolerance = 0.1 + 5e-6 * binding if unit > 1 else 2e-5 + 1e-5 * expected
            assert np.all(np.abs(solved[:, column] - expected) < tolerance), (z, kind)
    assert compared == 1187


def test_transitions_of_eadl_are_all_read(eadl):
    count = {z: 0 for z in range(1, 101)}
    for (z, kind, _), rows in eadl.items():
        count[z] += len(rows) if kind[1] in (931, 932) else 0
    assert (count[79], count[83], sum(count.values())) == (1623, 1954, 97455)


def test_photoelectric_curves_are_epdl97s_away_from_the_edges(builder):
    """Au: the sum over subshells, wherever no edge moved across, is EPDL97's own total to 1e-3."""
    epdl, _ = builder.read_endl("EPDL97.DAT")
    gold = load_element("Au")
    energy, sigma = epdl[79, builder.PHOTOELECTRIC, 0].T
    energy = np.round(1e6 * energy, 4)
    moved = [sorted((s.binding, s.eadl_binding)) for s in gold.subshells]
    clear = np.all([(energy < low) | (energy > high) for low, high in moved], axis=0)
    clear &= (energy > 100) & (energy < 1e6)
    assert clear.sum() > 300
    np.testing.assert_allclose(gold.photoelectric(energy[clear]), sigma[clear], rtol=1e-3)


def test_file_is_rebuilt(builder, tmp_path):
    """The same numbers with any library versions, the same bytes with those that stand in the file."""
    check_rebuilt(builder, FILE, tmp_path)


def test_electrons_are_rebuilt(electron_builder, tmp_path):
    """The same, of PENELOPE's tables."""
    check_rebuilt(electron_builder, ELECTRONS, tmp_path)


def check_rebuilt(builder, file, folder):
    tables = builder.build()
    with netCDF4.Dataset(file) as data:
        data.set_auto_mask(False)
        shipped = data.builder
        for name, values in tables.items():
            np.testing.assert_array_equal(data[name][...].astype(values.dtype), values, err_msg=name)
    builder.write(tables, folder / "one.nc")
    builder.write(tables, folder / "two.nc")
    assert (folder / "one.nc").read_bytes() == (folder / "two.nc").read_bytes()
    with netCDF4.Dataset(folder / "one.nc") as data:
        same_versions = data.builder == shipped
    assert not same_versions or (folder / "one.nc").read_bytes() == file.read_bytes()


def test_another_version_of_the_sources_is_refused(builder, monkeypatch):
    monkeypatch.setitem(builder.SHA256, "EADL.DAT", "0" * 64)
    with pytest.raises(ValueError, match=r"EADL\.DAT is not the file"):
        builder.read_endl("EADL.DAT")


def test_edges_move_curves_by_cutting_or_extrapolating(builder):
    """A power law stays the same power law, and starts at the new edge."""
    energy = np.geomspace(1000.0, 2e6, 50)
    for binding in (800.0, 1000.0, 1234.5):
        x, y = builder.photo_curve(energy, 1e5 * (energy / 1000) ** -2.7, binding)
        assert (x[0], x[-1]) == (binding, 1e6)
        assert np.all(np.diff(x) > 0)
        np.testing.assert_allclose(y, 1e5 * (x / 1000) ** -2.7, rtol=1e-12)


@pytest.mark.parametrize("file", [FILE, ELECTRONS], ids=["elements", "electrons"])
def test_every_variable_has_a_unit_and_a_meaning(file):
    with netCDF4.Dataset(file) as data:
        for variable in data.variables.values():
            assert variable.units
            assert variable.long_name
        assert {"title", "sources", "credits", "builder"} <= set(data.ncattrs())


def test_elements_are_named():
    with netCDF4.Dataset(FILE) as data:
        assert data["symbol"][:].tolist() == list(ELEMENTS)
