"""The bar of a long run says why nothing moves, to somebody who watches."""

import io
import time

from xcal_jax.compute import progress
from xcal_jax.compute.progress import Bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_it_says_compiling_until_something_moves(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    monkeypatch.setattr("sys.stderr", terminal)
    with Bar(10, " photons", shown=True) as bar:
        assert "compiling" not in terminal.getvalue()
        until = time.monotonic() + 20
        while "compiling" not in terminal.getvalue():
            assert time.monotonic() < until
            time.sleep(0.01)
        bar.update(5)
        bar.refresh()
        assert "compiling" not in terminal.getvalue().rsplit("\r", 1)[-1]
    with Bar(10, " photons", shown=True) as bar:
        bar.update(10)
        said = terminal.getvalue().count("compiling")
        time.sleep(0.2)
        assert terminal.getvalue().count("compiling") == said


def test_nobody_is_told_where_nobody_watches(capfd):
    for shown in (True, False):
        with Bar(10, " photons", shown, 5) as bar:
            bar.update(5)
    assert capfd.readouterr() == ("", "")
