"""The page of a mission shows what files hold as text, whatever is in it."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from xcal_jax.sipm.pipeline import Files, analyse
from xcal_jax.sipm.report import render

HOSTILE = """"'><script>alert(1)</script><img src=x onerror=alert(2)>{0}%s$x^$\\n\u202e&lt;"""
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


@pytest.mark.slow
def test_hostile_names_are_text(grbalpha, small):
    """In every field that a file can fill: satellite, readout, source, remarks, names of what is not legible."""
    mission = replace(grbalpha, name=HOSTILE, readouts=(HOSTILE,), not_legible={"names": [HOSTILE]})

    def renamed(data):
        named = data.assign(readout=("spectrum", [HOSTILE] * data.sizes["spectrum"], data["readout"].attrs))
        return named.assign_attrs(satellite=HOSTILE, source=HOSTILE)

    ground = renamed(small.ground)
    ground = ground.assign(source=("spectrum", [HOSTILE] * ground.sizes["spectrum"], ground["source"].attrs))
    ageing = analyse(mission, Files(renamed(small.spectra), renamed(small.template), ground=ground))
    page = Page(render(ageing))
    assert {tag for tag, _ in page.elements} == OWN
    for tag, attrs in page.elements:
        assert set(attrs) <= {"lang", "charset", "name", "content", "class", "alt", "src"}, tag
        assert attrs.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
    assert page.text.count(HOSTILE) > 10
