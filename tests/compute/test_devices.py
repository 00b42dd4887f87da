"""Work on several devices: every one has its share, and the sums do not know how many there are."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

DEVICES = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
import jax
import numpy as np
from xcal_jax import Absorber, simulate
from xcal_jax.montecarlo import batch
from xcal_jax.compute.devices import in_parallel

assert list(in_parallel(lambda n: n * n, range(24))) == [n * n for n in range(24)]
with jax.default_device(jax.devices()[5]):
    assert all(place == {jax.devices()[5]} for place in in_parallel(lambda n: jax.numpy.ones(n).devices(), range(8)))

shares, run_block = [], batch.run_block

def watched(*arguments, **static):
    tally = run_block(*arguments, **static)
    assert tally.interacting.devices() == set(jax.devices())
    shares.append(np.asarray(tally.interacting).tolist())
    return tally

batch.run_block = watched
gold, lanes, n = Absorber.preset("gold"), 1024, 10 * 1024 + 17
eight = simulate(gold, 7000.0, n=n, lanes=lanes)
assert sorted(shares, reverse=True) == [[lanes] * 8, [lanes, lanes, 17, 0, 0, 0, 0, 0]], shares
events = []
rows = simulate(gold, 7000.0, n=n, lanes=lanes, on_events=events.append)
assert rows.identical(eight)
batch.run_block = run_block
with jax.default_device(jax.devices()[1]):
    one = simulate(gold, 7000.0, n=n, lanes=lanes)
assert one.identical(eight)
deposited = np.concatenate([block.deposited for block in events])
assert deposited.shape == (n,)
print(int(one.photons), int(one.photon_escape + one.electron_escape + one.both), int((deposited < 7000.0).sum()))
"""


def test_eight_devices_share_a_run_and_count_what_one_counts():
    done = subprocess.run([sys.executable, "-c", DEVICES], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    photons, partial, with_losses = map(int, done.stdout.split())
    assert photons == 10 * 1024 + 17 and 0 < partial == with_losses < photons
