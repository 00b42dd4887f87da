"""The page of a mission shows what files hold as text, whatever is in it."""

import hashlib
import shutil
import subprocess
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from xcal_jax.sipm.mission import mission_files
from xcal_jax.sipm.pipeline import Files, analyse
from xcal_jax.sipm.report import render
from xcal_jax.sipm.report_tables import stated_rows

HOSTILE = """"'><script>document.title=1</script><img src=x onerror=document.title=2>{0}%s$x^$\\n\u202e&lt;"""
OWN = set("html head meta title style body h1 h2 p figure img figcaption div table caption tr th td".split())


class Page(HTMLParser):
    """Every element of a page, with its attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(grbalpha, small):
    """The page of a mission with `HOSTILE` in every field that a file can fill: satellite, readout, source, names."""
    mission = replace(grbalpha, name=HOSTILE, readouts=(HOSTILE,), not_legible={"names": [HOSTILE]})

    def renamed(data):
        named = data.assign(readout=("spectrum", [HOSTILE] * data.sizes["spectrum"], data["readout"].attrs))
        return named.assign_attrs(satellite=HOSTILE, source=HOSTILE, seed=HOSTILE)

    ground = renamed(small.ground)
    ground = ground.assign(source=("spectrum", [HOSTILE] * ground.sizes["spectrum"], ground["source"].attrs))
    values = ("sample", np.sin(np.arange(0.0, 1500.0, 10.0)))
    series = xr.Dataset({HOSTILE: values, "days": ("sample", np.arange(0.0, 1500.0, 10.0))}, attrs={"source": HOSTILE})
    files = Files(renamed(small.spectra), renamed(small.template), ground=ground, series=series)
    return render(analyse(mission, files))


def test_what_the_file_of_a_satellite_states_is_shown(grbalpha):
    """Every key: nothing that a user writes into it is dropped in silence."""
    shown = dict(stated_rows(SimpleNamespace(mission=grbalpha)))
    assert shown["cutoff_channel"] == "54" and shown["activation.0.nuclide"] == "125Xe, 127Xe"
    assert shown["lines.133Ba"] == "31.0, 81.0" and shown["recovered.scintillator"].startswith("CsI(Tl)")
    text = tomllib.loads(mission_files()["grbalpha"].read_text())
    keys = set(text) - {"name", "launch", "synthetic", "not_legible"}
    assert keys <= {name.partition(".")[0] for name in shown}


def test_the_inventory_has_the_hash_of_every_satellite():
    inventory = (Path(__file__).parents[2] / "data/missions/README.md").read_text()
    for path in mission_files().values():
        assert hashlib.sha256(path.read_bytes()).hexdigest() in inventory, path.name


@pytest.mark.slow
def test_hostile_names_are_text(page):
    found = Page(page)
    assert {tag for tag, _ in found.elements} == OWN
    for tag, attrs in found.elements:
        assert set(attrs) <= {"lang", "charset", "name", "content", "class", "alt", "src"}, tag
        assert attrs.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
    assert found.text.count(HOSTILE) > 10


@pytest.mark.slow
def test_hostile_names_do_nothing_in_a_browser(page, tmp_path):
    """Chromium has run what it takes for a script: the title is the page's own, and no element was added."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no Chromium")

    def in_browser(text):
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        quiet = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
        command = [browser, "--headless", "--no-sandbox", *quiet, f"--user-data-dir={tmp_path}/profile", "--dump-dom"]
        done = subprocess.run([*command, tmp_path / "page.html"], capture_output=True, text=True, timeout=120)
        return Page(done.stdout.strip())

    found = in_browser(page)
    assert {tag for tag, _ in found.elements} == OWN | {"tbody"}
    assert found.text.strip().startswith(f"SiPM ageing: {HOSTILE}") and found.text.count(HOSTILE) > 10
    assert in_browser(f"<title>own</title><p>{HOSTILE}</p>").text.strip()[0] in "12"  # it would be seen
