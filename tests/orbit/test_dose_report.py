import re

import numpy as np
import pytest
import xarray as xr

from xcal_jax.orbit import MassModel, dose_behind, dose_curves, dose_report, parse_sectors
from xcal_jax.orbit.dose_curves import DENSITY, DEPTHS, dose_against_altitude, dose_against_depth
from xcal_jax.orbit.dose_report import render
from xcal_jax.orbit.elements import Altitudes
from xcal_jax.orbit.flight import dose
from xcal_jax.orbit.fluence import mission_fluence
from xcal_jax.orbit.galactic import GALACTIC_FACTOR
from xcal_jax.orbit.summary import band_in_words

SHIELD = "Al:10mm"


@pytest.fixture(scope="module")
def flown():
    dates = np.array(["2022-08-31", "2022-09-02"], "M8[s]")
    orbit = Altitudes(dates, np.array([550.0, 540.0]), np.full(2, 97.5), "Test & Co")
    with pytest.warns(UserWarning, match="a whole active year"):
        return mission_fluence(orbit, step=600.0, solar_protons=0.9, galactic=True)


@pytest.fixture(scope="module")
def result(flown):
    return dose_behind(flown, parse_sectors(SHIELD), "sphere")


@pytest.fixture(scope="module")
def circles(flown):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dose_curves, "STEP", 600.0)
        patch.setattr(dose_curves, "HEIGHTS", 2)
        return dose_curves.dose_against_altitude(flown, parse_sectors(SHIELD), geometry="sphere")


@pytest.fixture
def known_circles(circles, monkeypatch):
    """The page has the curves of these tests, rather than compute them again."""
    monkeypatch.setattr(dose_report, "dose_against_altitude", lambda *_, **__: circles)


def cells(page, first):
    """The cells of the row that begins with ``first``."""
    row = re.search(f"<tr><td>{re.escape(first)}</td>(.*?)</tr>", page)
    return re.findall("<td>(.*?)</td>", row[1])


def test_doses_behind_depths_are_those_of_spheres(flown, result):
    """Behind the depth nearest to 10 mm, log-log between its neighbours, as `dose_behind` has them."""
    found = dose_against_depth(flown)

    def at_ten(part, particle):
        return np.exp(np.interp(np.log(10.0), np.log(DEPTHS), np.log(found[part].sel(particle=particle).values)))

    assert at_ten("tid", "proton") == pytest.approx(float(result.tid_proton.sum()), rel=0.01)
    assert at_ten("neq", "proton") == pytest.approx(float(result.neq_proton.sum()), rel=0.01)
    assert at_ten("tid", "solar") == pytest.approx(float(result.tid_solar.sum()), rel=0.01)
    assert at_ten("tid", "photon") == pytest.approx(float(result.tid_bremsstrahlung.sum()), rel=0.02)
    assert DENSITY == pytest.approx(2.699)


def test_circles_are_orbits_50_km_around_the_mission(circles):
    assert circles.altitude.values == pytest.approx([492.5, 597.5], abs=0.5)
    dates = np.array(["2021-01-01", "2021-01-06"], "M8[s]")
    orbit = Altitudes(dates, np.full(2, float(circles.altitude[1])), np.full(2, 97.5))
    flown = mission_fluence(orbit, activity="max", step=600.0)
    one = dose_behind(xr.concat([flown] * 4, "segment"), parse_sectors(SHIELD), "sphere")
    for part in ("tid", "neq"):
        at = circles[part].sel(activity="max").values
        assert at[1] == pytest.approx(float(one[f"{part}_per_day"][0]), rel=1e-4)
        assert at[0] < at[1] < circles[part].sel(activity="min").values[1]


def test_no_circles_without_an_orbit_or_far_out(flown):
    sectors = parse_sectors(SHIELD)
    assert dose_against_altitude(flown.drop_vars("inclination"), sectors) is None
    assert dose_against_altitude(flown.assign(altitude=flown.altitude + 2000.0), sectors) is None


def test_page_says_what_the_result_holds(known_circles, result):
    page = render(result, parse_sectors(SHIELD), geometry="sphere")
    assert "<h1>Dose in orbit: Test &amp; Co</h1>" in page
    assert page.count('src="data:image/png;base64,') == 4
    assert not re.search(r'(src|href)="http', page)
    for name, part in (("trapped protons", "proton"), ("trapped electrons", "electron"), ("solar protons", "solar")):
        ionising, share, displacing, _ = cells(page, name)
        assert float(ionising) == pytest.approx(float(result[f"tid_{part}"].sum()), rel=1e-3)
        assert float(displacing) == pytest.approx(float(result[f"neq_{part}"].sum()), rel=1e-3)
        assert float(share.rstrip(" %")) == pytest.approx(
            100 * float(result[f"tid_{part}"].sum() / result.tid.sum()), rel=0.01
        )
    for edge in ("lower", "upper"):
        assert float(cells(page, f"{edge} edge of the band")[0]) == pytest.approx(
            float(result[f"tid_{edge}"][-1]), rel=1e-3
        )
    assert cells(page, "2022-08-31")[:3] == ["2022-09-01", f"{float(result.altitude[0]):.1f}", "min"]
    assert "helium and heavier nuclei are unchecked" in page
    assert "inclination 97.5 degrees" in page


def test_band_says_all_that_it_is_made_of(result):
    words = "a factor 2 of AP-8 and AE-8, solar protons of 10 to 90 % confidence"
    assert band_in_words(result) == f"{words}, a factor {GALACTIC_FACTOR:g} of galactic nuclei"
    assert band_in_words(result.drop_vars(["tid_solar", "tid_galactic"])) == "a factor 2 of AP-8 and AE-8"
    alone = result.drop_vars(["tid_solar", "tid_galactic"]).assign_attrs(model_factor=1.0)
    assert band_in_words(alone) == ""


def test_page_of_boxes_has_their_picture(known_circles, result):
    page = render(result, MassModel.load("GRBAlpha"), rays=64)
    assert page.count('src="data:image/png;base64,') == 5
    assert cells(page, "50 %") == ["5.405"]  # of 10,000 rays


def test_command_writes_the_page(known_circles, call, tmp_path):
    (tmp_path / "a.csv").write_text("date,altitude_km,inclination_deg\n2021-05-31,550,97.5\n2021-06-02,550,97.5\n")
    words = ["--shield", SHIELD, "--geometry", "sphere", "--step", "600", "--report", "-o", str(tmp_path / "d.nc")]
    code, _, stderr = call("dose", "--altitudes", str(tmp_path / "a.csv"), *words)
    assert code == 0, stderr
    assert "<h1>Dose in orbit: a</h1>" in (tmp_path / "d.html").read_text()


@pytest.mark.parametrize(
    ("name_line", "expected"), [("GRBALPHA\n", "GRBALPHA"), ("", "sets")], ids=["named", "a number alone"]
)
def test_a_dose_has_the_name_in_its_element_sets(grbalpha_tle, tmp_path, name_line, expected):
    path = tmp_path / "sets.tle"
    path.write_text(name_line + "\n".join(grbalpha_tle.read_text().splitlines()[1:3]) + "\n")
    result = dose(SHIELD, tle=path, geometry="sphere", start="2021-05-31", end="2021-06-02", step=600)
    assert result.attrs["satellite"] == expected
