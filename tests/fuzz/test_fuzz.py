"""Bad input from everything the program declares: no traceback, no lost file, nothing left, nothing vague, no hang.

All 20,000 cases take 80 s of a processor (`python -m tests.fuzz`); every fourth is tried here, or as many as the
environment variable XCAL_JAX_FUZZ says, such as 1. They run in a process of their own, without the checks of types
that the tests have.
"""

import os
import re
import subprocess
import sys

import pytest

LEAST = 4_000  # cases


@pytest.mark.slow
def test_bad_input_ends_in_a_sentence(root, tmp_path):
    share = os.environ.get("XCAL_JAX_FUZZ", "0.25")
    command = [sys.executable, "-m", "tests.fuzz", "--share", share]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) cases in", done.stdout)[1]) >= LEAST


def test_a_fault_is_seen(tmp_path, monkeypatch, capsys):
    """The driver's own judgement: each kind of fault, by a case that has it."""
    from tests.fuzz.__main__ import attempt, vague
    from tests.fuzz.cases import Case

    def ends(error):
        def work():
            raise error

        return attempt(Case("it", work))[0]

    assert ends(ValueError("`n` must be at least 1, but is 0")) == "refused"
    assert ends(ValueError("could not convert string to float: 'x'")) == "VAGUE"
    assert ends(ValueError("two\nlines of text")) == ends(ValueError("x" * 1000)) == "VAGUE"
    assert ends(AttributeError("'int' object has no attribute 'x'")) == "TRACEBACK"
    assert ends(AssertionError("stdout before the error")) == "UNCLEAN"
    assert attempt(Case("it", lambda: None)) == ("result", "")
    assert vague(ValueError("no"))
