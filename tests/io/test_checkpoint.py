"""Checkpoints: arrays come back, nothing foreign is taken up or removed, a truncated file is one sentence."""

import os
from contextlib import closing

import numpy as np
import pytest

from xcal_jax.io.checkpoint import Checkpoint, checkpoint_of, remove_checkpoint

FACTS = {"seed": "1", "absorber": "xifu"}
ARRAYS = {"a": np.arange(5), "b": np.array(2**60)}


@pytest.mark.parametrize("part", [0, 12])
def test_arrays_come_back(tmp_path, part):
    path = checkpoint_of(tmp_path / "out.nc")
    with closing(Checkpoint.open(path, resume=False)) as kept:
        kept.save(FACTS, ARRAYS, part)
    again = Checkpoint.open(path, resume=True)
    found = again.load(FACTS, part)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert os.listdir(tmp_path) == ["out.nc.part"]
    assert os.listdir(path) == [f"{part}.part"] and again.load(FACTS, part + 1) == {}
    again.close()
    remove_checkpoint(path)
    assert os.listdir(tmp_path) == []
    with closing(Checkpoint.open(path, resume=True)) as empty:
        assert empty.load(FACTS) == {}
    assert os.listdir(tmp_path) == []


def test_without_a_path_nothing_is_kept():
    nowhere = Checkpoint.open(None, resume=True)
    nowhere.save(FACTS, ARRAYS)
    assert nowhere.load(FACTS) == {}


def test_without_resume_it_begins_anew(tmp_path):
    with closing(Checkpoint.open(tmp_path / "c.part", resume=True)) as kept:
        kept.save(FACTS, ARRAYS, 3)
    for resume in (True, False):
        with closing(Checkpoint.open(tmp_path / "c.part", resume)) as kept:
            assert bool(kept.load(FACTS, 3)) is resume


def test_a_foreign_checkpoint_is_refused_by_name(tmp_path):
    kept = Checkpoint.open(tmp_path / "c.part", resume=False)
    kept.save(FACTS, {})
    with pytest.raises(ValueError, match=r"another run \(another seed\): remove it"):
        kept.load({**FACTS, "seed": "2"})
    with pytest.raises(ValueError, match="another backend"):
        kept.load({**FACTS, "backend": "gpu"})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path, share):
    kept, path = Checkpoint.open(tmp_path / "c.part", resume=False), tmp_path / "c.part" / "0.part"
    kept.save(FACTS, {"a": np.arange(1000)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match="cannot be read: remove it"):
        kept.load(FACTS)


def test_a_checkpoint_that_somebody_changed_is_refused(tmp_path):
    """By its check sum: the arrays are others, and the file is whole."""
    kept, path = Checkpoint.open(tmp_path / "c.part", resume=False), tmp_path / "c.part" / "0.part"
    kept.save(FACTS, {"done": np.array(5)})
    with np.load(path) as content:
        about = content["about"]
    with path.open("wb") as file:
        np.savez(file, about=about, done=np.array(6))
    with pytest.raises(ValueError, match="cannot be read: remove it"):
        kept.load(FACTS)


def test_arrays_of_objects_are_refused(tmp_path):
    """They are pickles, which could do anything."""
    (tmp_path / "c.part").mkdir()
    with (tmp_path / "c.part" / "0.part").open("wb") as file:
        np.savez(file, about=np.array("{}"), done=np.array([object()]))
    with pytest.raises(ValueError, match="cannot be read: remove it"):
        Checkpoint.open(tmp_path / "c.part", resume=True).load(FACTS)


def test_a_checkpoint_is_of_one_run_at_a_time(tmp_path):
    """The second is refused and changes nothing, in the folder of a part as well."""
    path = tmp_path / "c.part"
    first = Checkpoint.open(path, resume=False)
    first.save(FACTS, ARRAYS, 0)
    for resume in (False, True):
        with pytest.raises(ValueError, match="must be of one run at a time, but another is at work"):
            Checkpoint.open(path, resume)
    with pytest.raises(ValueError, match="another is at work"):
        remove_checkpoint(path)
    first.close()
    with closing(Checkpoint.open(path / "1", resume=False)):
        with pytest.raises(ValueError, match="another is at work"):
            Checkpoint.open(path, resume=False)
    assert sorted(os.listdir(path)) == ["0.part"]


def test_files_of_others_stay(tmp_path):
    """In the folder, and in the place of the checkpoint: only what a checkpoint has written is removed."""
    path = tmp_path / "sweep.nc.part"
    for folder in (path, path / "1"):
        with closing(Checkpoint.open(folder, resume=False)) as kept:
            kept.save(FACTS, ARRAYS, 0)
    (path / ".1-host-77-x5_abc.part").write_text("half a file, its process killed")
    others = ["0.npz", "mine.npz", "notes.part"]
    for name in others:
        (path / name).write_text("mine")
    Checkpoint.open(path, resume=False).close()
    assert sorted(os.listdir(path)) == others
    remove_checkpoint(path)
    assert sorted(os.listdir(path)) == others
    file = tmp_path / "out.nc.part"
    file.write_text("mine")
    for refused in (lambda: Checkpoint.open(file, resume=False), lambda: remove_checkpoint(file)):
        with pytest.raises(ValueError, match="must be a folder, but is a file"):
            refused()
    assert file.read_text() == "mine"


def test_a_checkpoint_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"c\.part' cannot be made: not a directory"):
        Checkpoint.open(tmp_path / "file" / "c.part", resume=True)
