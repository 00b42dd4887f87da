"""Files that appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from xcal_jax.io.files import check_kept, check_writable, replacing


def test_written_and_replaced(tmp_path):
    path = tmp_path / "a.nc"
    for content in ("one", "two"):
        with replacing(path) as temporary:
            assert temporary.parent == tmp_path and temporary.suffix == ".nc"
            temporary.write_text(content)
        assert path.read_text() == content
        assert os.listdir(tmp_path) == ["a.nc"]


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
