from pathlib import Path

import numpy as np
import pytest

from xcal_jax.sipm.time_series import read_event, read_series

EVENTS = Path(__file__).parents[3] / "shared" / "data" / "grbalpha_events"


def real_events():
    if not EVENTS.exists():
        pytest.skip("the public GRBAlpha events are not on this machine")
    return EVENTS


def test_series(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("# F10.7\nutc,flux\n2021-04-01T00:00:00Z,70\n2021-04-02,\n")
    series = read_series(path)
    assert np.isnan(series["flux"].values[1])
    assert str(series["time"].values[1]).startswith("2021-04-02")


def test_real_grbalpha_events():
    event = read_event(real_events() / "GRB_221009A_113")
    assert event.sizes == {"time": 76, "band": 13}
    assert event["low"].values[0] == 70 and event["high"].values[-1] == 890
    np.testing.assert_allclose(event["rate"].sum("band"), event["rate_sum"], rtol=1e-5, atol=0.01)
    assert event.attrs["Event type/name"] == "GRB 221009A"


def test_every_real_event_is_read():
    folders = sorted(real_events().iterdir())
    for folder in folders:
        event = read_event(folder)
        assert event.sizes["time"] > 0
        assert (event["exposure"] > 0).all()
