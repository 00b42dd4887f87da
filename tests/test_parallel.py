"""Work on several devices: every one takes its turn, and the sums do not know how many there are."""

import subprocess
import sys

DEVICES = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
import jax
import jax.numpy as jnp
from xcal_jax import Absorber, counting, simulate
from xcal_jax.parallel import in_parallel

double = jax.jit(lambda x: 2 * x)
doubled = list(in_parallel(lambda n: double(jnp.arange(n)), range(24)))
assert [int(d.sum()) for d in doubled] == [n * (n - 1) for n in range(24)]
assert [d.devices() for d in doubled] == [{device} for device in jax.devices()] * 3

used, run_block = set(), counting.run_block

def watched(*arguments, **static):
    tally = run_block(*arguments, **static)
    used.update(tally.spectrum.devices())
    return tally

counting.run_block = watched
gold = Absorber.preset("gold")
three = simulate(gold, 7000.0, n=2 * 4096 + 17, lanes=4096)
assert used == set(jax.devices()[:3]), used
used.clear()
with jax.default_device(jax.devices()[1]):
    one = simulate(gold, 7000.0, n=2 * 4096 + 17, lanes=4096)
assert used == {jax.devices()[1]}, used
assert one.identical(three)
print(int(one.photons), int(one.photon + one.electron + one.both))
"""


def test_eight_devices_take_turns_and_count_what_one_counts():
    done = subprocess.run([sys.executable, "-c", DEVICES], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    photons, partial = map(int, done.stdout.split())
    assert photons == 2 * 4096 + 17 and 0 < partial < photons
