"""Every Dataset of this room follows the CF conventions."""

from tests.conventions import faults
from xcal_jax.orbit import MassModel, dose_behind, parse_sectors, shielding_map


def test_every_dataset_follows_cf(five_days, tmp_path):
    made = {
        "dose": dose_behind(five_days(550.0, "min"), parse_sectors("Al:1mm,Pb:2.5mm")),
        "map": shielding_map(MassModel.load("GRBAlpha"), 300),
    }
    assert {name: faults(data, tmp_path / f"{name}.nc") for name, data in made.items()} == {name: [] for name in made}
    assert made["dose"].tid.attrs["units"] == "cGy"
