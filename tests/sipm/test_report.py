"""The page of a mission shows what files hold as text, whatever is in it."""

import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from xcal_jax.sipm.pipeline import Files, analyse
from xcal_jax.sipm.report import render

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
