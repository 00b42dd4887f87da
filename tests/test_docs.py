"""The documentation says what is true: it builds without a warning, and its names, commands and files exist."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from xcal_jax.cli.main import commands as program

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "notebooks").glob("*.md")),
    *sorted((ROOT / "notebooks/docs").glob("*.md")),
]
LONGEST_README = 150  # lines
MODULE = re.compile(r"xcal_jax(?:\.[A-Za-z_]\w*)+")
NOT_NAMES = ("py", "md", "ipynb", "toml", "nc", "CREDITS", "LICENSE")


def commands(page: Path) -> list[str]:
    """The lines of a page that run `xcal-jax`, without their comments and brackets."""
    lines = re.findall(r"^\s*(?:\$ )?(xcal-jax .*)$", page.read_text().replace("\\\n", " "), re.MULTILINE)
    return [re.sub(r"\s+#.*|[\[\]]", "", line) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_exists(page):
    for line in commands(page):
        words = shlex.split(line.replace("...", ""))[1:]
        command: click.Command = program
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command, line
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
        asked = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert asked <= known, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_exists(page):
    for name in sorted(set(MODULE.findall(page.read_text()))):
        parts = name.split(".")
        if parts[-1] in NOT_NAMES:
            continue
        found, rest = importlib.import_module(parts[0]), parts[1:]
        for part in rest:
            if not hasattr(found, part):
                importlib.import_module(f"{found.__name__}.{part}")
            found = getattr(found, part)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_exists(page):
    for name in re.findall(r"`(?:python )?((?:analysis|tests|data|notebooks|xcal_jax)/[\w./-]+)`?", page.read_text()):
        assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST_README


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    run = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "notebooks", str(tmp_path)]
    built = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        for link in re.findall(r'href="([^"#:?]+\.html)(?:#[^"]*)?"', page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.relative_to(tmp_path)}: {link}"
