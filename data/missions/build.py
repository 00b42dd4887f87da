"""Draws the synthetic missions of `xcal_jax/sipm/missions` from their seeds: `python data/missions/build.py DIR`.

Each goes into DIR/<mission> (out/missions if none is given); the checksum of the drawn counts is printed, so
that two machines can be compared.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

from xcal_jax.io.datasets import save
from xcal_jax.sipm import load_mission, synthesize
from xcal_jax.sipm.mission import mission_files

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out/missions")
for name in mission_files():
    drawn = synthesize(load_mission(name))
    (folder / name).mkdir(parents=True, exist_ok=True)
    for part, data in drawn._asdict().items():
        save(data, folder / name / f"{part}.nc")
    counts = np.ascontiguousarray(drawn.spectra["counts"].values, "<f8")
    digest = hashlib.sha256(counts.tobytes()).hexdigest()[:16]
    print(f"{name}: synthetic, {counts.shape[0]} spectra, counts {digest}")
