"""Checkpoints: arrays come back, nothing foreign is taken up or removed, a truncated file is one sentence."""

import os
from contextlib import closing

import numpy as np
import pytest

from xcal_jax.io.checkpoint import Checkpoint, checkpoint_of, remove_checkpoint

FACTS = {"seed": "1", "absorber": "xifu"}
ARRAYS = {"a": np.arange(5), "b": np.array(2**60)}


@pytest.mark.parametrize("part", [None, 0, 12])
def test_arrays_come_back(tmp_path, part):
    path = checkpoint_of(tmp_path / "out.nc")
    with closing(Checkpoint.open(path, resume=False, folder=part is not None)) as kept:
        kept.save(FACTS, ARRAYS, part)
    again = Checkpoint.open(path, resume=True, folder=part is not None)
    found = again.load(FACTS, part)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert os.listdir(tmp_path) == ["out.nc.part"]
    if part is not None:
        assert os.listdir(path) == [f"{part}.part"] and again.load(FACTS, part + 1) == {}
    again.close()
    remove_checkpoint(path)
    assert os.listdir(tmp_path) == [] and Checkpoint.open(path, resume=True).load(FACTS) == {}


def test_without_a_path_nothing_is_kept():
    nowhere = Checkpoint.open(None, resume=True)
    nowhere.save(FACTS, ARRAYS)
    assert nowhere.load(FACTS) == {}


@pytest.mark.parametrize("folder", [False, True])
def test_without_resume_it_begins_anew(tmp_path, folder):
    part = 3 if folder else None
    with closing(Checkpoint.open(tmp_path / "c.part", resume=True, folder=folder)) as kept:
        kept.save(FACTS, ARRAYS, part)
    for resume in (True, False):
        with closing(Checkpoint.open(tmp_path / "c.part", resume, folder)) as kept:
            assert bool(kept.load(FACTS, part)) is resume


def test_a_foreign_checkpoint_is_refused_by_name(tmp_path):
    kept = Checkpoint.open(tmp_path / "c.part", resume=False)
    kept.save(FACTS, {})
    with pytest.raises(ValueError, match=r"another run \(another seed\): remove it"):
        kept.load({**FACTS, "seed": "2"})
    with pytest.raises(ValueError, match="another backend"):
        kept.load({**FACTS, "backend": "gpu"})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path, share):
    path = tmp_path / "c.part"
    kept = Checkpoint.open(path, resume=False)
    kept.save(FACTS, {"a": np.arange(1000)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match="cannot be read: remove it"):
        kept.load(FACTS)


def test_a_checkpoint_that_somebody_changed_is_refused(tmp_path):
    """By its check sum: the arrays are others, and the file is whole."""
    path = tmp_path / "c.part"
    kept = Checkpoint.open(path, resume=False)
    kept.save(FACTS, {"done": np.array(5)})
    with np.load(path) as content:
        about = content["about"]
    with path.open("wb") as file:
        np.savez(file, about=about, done=np.array(6))
    with pytest.raises(ValueError, match="cannot be read: remove it"):
        kept.load(FACTS)


def test_arrays_of_objects_are_refused(tmp_path):
    """They are pickles, which could do anything."""
    with (tmp_path / "c.part").open("wb") as file:
        np.savez(file, about=np.array("{}"), done=np.array([object()]))
    with pytest.raises(ValueError, match="cannot be read: remove it"):
        Checkpoint.open(tmp_path / "c.part", resume=True).load(FACTS)


def test_a_folder_is_of_one_run_at_a_time(tmp_path):
    """The second is refused and changes nothing, in the folder of a part as well."""
    path = tmp_path / "c.part"
    first = Checkpoint.open(path, resume=False, folder=True)
    first.save(FACTS, ARRAYS, 0)
    for resume in (False, True):
        with pytest.raises(ValueError, match="must be of one run at a time, but another is at work"):
            Checkpoint.open(path, resume, folder=True)
    first.close()
    with closing(Checkpoint.open(path / "1", resume=False, folder=True)):
        with pytest.raises(ValueError, match="another is at work"):
            Checkpoint.open(path, resume=False, folder=True)


def test_files_of_others_stay(tmp_path):
    """In the folder, and in the place of the checkpoint: only what a checkpoint has written is removed."""
    path = tmp_path / "sweep.nc.part"
    for folder in (path, path / "1"):
        with closing(Checkpoint.open(folder, resume=False, folder=True)) as kept:
            kept.save(FACTS, ARRAYS, 0)
    (path / ".1-host-77-x5_abc.part").write_text("half a file, its process killed")
    others = ["0.npz", "mine.npz", "notes.part"]
    for name in others:
        (path / name).write_text("mine")
    Checkpoint.open(path, resume=False, folder=True).close()
    assert sorted(os.listdir(path)) == others
    remove_checkpoint(path)
    assert sorted(os.listdir(path)) == others
    file = tmp_path / "out.nc.part"
    for content in ("mine", ""):
        file.write_text(content)
        with pytest.raises(ValueError, match="cannot be read"):
            Checkpoint.open(file, resume=False)
        assert file.read_text() == content
    for save in (lambda file: np.savez(file, mine=np.arange(3)), lambda file: np.save(file, np.arange(3))):
        with file.open("wb") as mine:
            save(mine)
        with pytest.raises(ValueError, match="cannot be read"):
            remove_checkpoint(file)


def test_the_wrong_kind_is_refused(tmp_path):
    (tmp_path / "c.part").write_text("")
    with pytest.raises(ValueError, match="must be a folder, but is a file"):
        Checkpoint.open(tmp_path / "c.part", resume=True, folder=True)
    with pytest.raises(ValueError, match="is a folder"):
        Checkpoint.open(tmp_path, resume=True)
