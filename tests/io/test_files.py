"""Files that appear whole or not at all."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from xcal_jax.io.files import HOST, MARK, check_kept, check_own, check_writable, replacing


def test_written_and_replaced(tmp_path):
    path = tmp_path / "a.nc"
    for content in ("one", "two"):
        with replacing(path) as temporary:
            assert temporary.parent == tmp_path and temporary.suffix == ".nc"
            temporary.write_text(content)
        assert path.read_text() == content
        assert os.listdir(tmp_path) == ["a.nc"]


def test_what_a_killed_process_has_left_is_removed(tmp_path):
    """Its number stands in the name; files of processes that run, of other machines and other names stay."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone, stays = f".a-{HOST}-{dead.pid}-abcd_123.nc", [f".a-{HOST}-{os.getppid()}-abcd_123.nc"]
    stays += [f".a-other-{dead.pid}-abcd_123.nc", f".b-{HOST}-{dead.pid}-abcd_123.nc", f".a-{HOST}-{dead.pid}-mine.nc"]
    for name in (gone, *stays):
        (tmp_path / name).write_text("half")
    with replacing(tmp_path / "a.nc") as temporary:
        assert temporary.name.startswith(f".a-{HOST}-{os.getpid()}-")
        temporary.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["a.nc", *stays])


def test_files_of_other_programs_are_known(tmp_path):
    """By the mark, which stands near the beginning or the end of ours; an empty or a missing file is nobody's."""
    path = tmp_path / "a"
    check_own(path)
    check_own("/dev/null")
    for content in (b"", b"x" * 10**6 + MARK, MARK + b"x" * 10**6, b"x" + MARK):
        path.write_bytes(content)
        check_own(path)
    for content in (b"x", b"x" * 10**6 + MARK + b"x" * 10**6):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="must be new or a file of this program: --overwrite replaces it"):
            check_own(path)


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError(28, "No space left on device"), ValueError])
@pytest.mark.parametrize("older", [True, False])
def test_an_error_leaves_nothing_and_keeps_the_old(tmp_path, error, older):
    path = tmp_path / "a.nc"
    if older:
        path.write_text("old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        write()
    assert os.listdir(tmp_path) == (["a.nc"] if older else [])
    assert not older or path.read_text() == "old"


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"must exist, but '.*none' does not"):
        check_writable(tmp_path / "none" / "a.nc")
    with pytest.raises(ValueError, match=r"must be a file, but .* is a folder"):
        check_writable(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="output folder must exist"):
        check_writable(tmp_path / "file" / "a.nc")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"


def test_a_device_is_written_through():
    with replacing("/dev/null") as temporary:
        temporary.write_text("nobody reads this")
    assert not Path("/dev/null").is_file() and Path("/dev/null").read_text() == ""


@pytest.mark.parametrize("name", ["a.nc", "./a.nc", "../{}/a.nc", "link.nc"])
def test_an_input_is_no_output(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("a.nc").write_text("measured")
    Path("link.nc").symlink_to("a.nc")
    with pytest.raises(ValueError, match=r"must be another file than the input .a\.nc., but is the same"):
        check_kept(["a.nc"], ["b.nc", name.format(tmp_path.name)])
    check_kept(["a.nc"], ["b.nc", "c.nc", "/dev/null", "/dev/null"])


def test_two_outputs_are_two_files(tmp_path):
    with pytest.raises(ValueError, match="must be another file than the output"):
        check_kept([], [tmp_path / "a.nc", tmp_path / "." / "a.nc"])
