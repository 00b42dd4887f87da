"""The cases: a name and what to do, from the command line's declaration, the schemas, the readers, the signatures."""

import copy
import datetime
import inspect
import math
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import click
import numpy as np

from tests.fuzz import inputs
from xcal_jax.cli.main import commands

WORDS = (  # what a user may type where something else is meant
    "", " ", "nan", "inf", "-1", "0", "1e400", "1e19", "1e-300", "99999999999999999999999", "x" * 3000, "7um", "7keV",
    "-7 keV", "[", "none/none.nc", ".", "..", "absorber.toml", "result.nc", "photons.txt", "/dev/null", "ä€𝔵", "0x10",
    "1,2", "1,2,3", "nan,nan", "1:2", "1:nan:2", "1-2", "--", "-x", "true", "None", "{0}%s", "2021-13-45", "$x^$", "\n",
    "1e6,1e6", "xifu", "link.toml", "0.5", "3", "folder.nc",
)  # fmt: skip
VALUES = (  # what a TOML table may hold where something else is meant
    True, 0, -1, 1, 3, 10**30, 1.5, -0.0, math.nan, math.inf, 1e300, 1e-300, "", " ", "x", "x" * 3000, "1 um", "-1 um",
    "7 keV", "nan", "inf eV", "1e400", "$x^$\n", "xifu", [], [1], [1, 2], [[]], ["x"] * 3, [math.nan] * 4, {},
    {"a": 1}, [{}], [{"a": 1}], datetime.date(1, 1, 1), datetime.datetime(2021, 1, 1, 12), datetime.time(1),
)  # fmt: skip
OBJECTS = (None, object(), b"x", int, (), (1,), (1, 2, 3), [None], {1: 2}, 1j, np.nan, np.array([]), np.zeros((2, 2)))
OBJECTS += (*VALUES, np.float32(2.0), np.int64(-3), np.datetime64("NaT"), "absorber.toml", "none/none")
GOOD = (  # words of every command that are accepted
    "simulate xifu --energy 7keV -n 1000 -o out.nc",
    "simulate absorber.toml --spectrum photons.txt -n 1000 --at 1um,1um --pixel 0,1 -o out.nc",
    "show result.nc --plot out.png",
    "report xifu --energy 7keV -n 1000 -o out.html",
    "sweep sweep.toml -o out.nc",
    "rmf xifu --fwhm-file fwhm.txt --grid 1:2:100eV --channels 0.2:3:100eV -o out.rmf",
    "impacts impacts.fits out.fits --absorber xifu",
    "tail result.nc --plot out.png",
    "plot result.nc -o out.png",
    "sensitivity xifu --energy 7keV --uncertainties uncertainties.toml",
    "design design.toml -o out.nc",
    "linefit line.csv --absorber xifu --energy 7keV --fwhm 5eV",
    "dose --tle orbit.tle --shield Al:1mm --start 2021-05-16 --end 2021-05-17 -o out.nc",
    "dose --altitudes altitudes.csv --shield Al:1mm -o out.nc",
    "dose --fluxes fluxes.csv --shield Al:1mm --start 2021-05-16 --end 2021-05-17 -o out.nc",
    "orbit passes --tle orbit.tle --day 2021-05-20",
    "sipm synthesize small.toml -o out",
    "sipm new MySat -o out.toml",
    "sipm threshold spectra.nc --template template.nc -o out.nc",
    "sipm lines ground.nc --windows 44-64 --energies 59.5",
    "sipm report spectra.nc --template template.nc --series series.csv --fluence fluence.csv -o out.html",
)


class Case(NamedTuple):
    """What is tried, in words, and how."""

    name: str
    work: Callable[[], Any]


def of_commands(run: Callable[..., Any]) -> Iterator[Case]:
    """Every parameter of every command with every one of `WORDS`, and each good command by itself."""
    for line in GOOD:
        words = line.split()
        yield Case(line, lambda words=words: run(*words))
        depth = 2 if words[0] in ("sipm", "orbit") else 1
        command: Any = commands
        for name in words[:depth]:
            command = command.get_command(click.Context(command), name)
        place = depth
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                options, place, at = None, place + 1, place
            else:
                options, at = parameter.opts[0], None
            if isinstance(parameter, click.Option) and parameter.is_flag:
                yield Case(f"{line} {options}", lambda all_=(*words, options): run(*all_))
                continue
            for value in WORDS:
                if at is not None:
                    all_ = [*words[:at], value, *words[at + 1 :]]
                elif options in words:
                    all_ = [*words[: words.index(options) + 1], value, *words[words.index(options) + 2 :]]
                else:
                    all_ = [*words, options, value]
                yield Case(" ".join(all_), lambda all_=all_: run(*all_))
        for cut in range(depth, len(words)):
            yield Case(" ".join(words[:cut]), lambda all_=words[:cut]: run(*all_))


def of_tables(loaders: dict[str, Callable[[], Any]]) -> Iterator[Case]:
    """Every value of every table of every good TOML file in turn replaced, left out, and its key misspelt."""
    for file, load in loaders.items():
        good = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        for place in _places(good):
            for value in (*VALUES, KeyError, AttributeError):
                table = _changed(good, place, value)
                name = f"{file}: {'.'.join(map(str, place))} = {value!r}"
                yield Case(name, lambda table=table, load=load: _with_table(table, load))


def _places(table: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = table.items() if isinstance(table, dict) else enumerate(table[:1]) if isinstance(table, list) else ()
    for key, inner in pairs:
        yield (*place, key)
        yield from _places(inner, (*place, key))


def _changed(good: Any, place: tuple[Any, ...], value: Any) -> Any:
    table = copy.deepcopy(good)
    inner = table
    for key in place[:-1]:
        inner = inner[key]
    if value is KeyError:
        del inner[place[-1]]
    elif value is AttributeError:
        if isinstance(inner, dict):
            inner[f"{place[-1]}x"] = inner.pop(place[-1])
    else:
        inner[place[-1]] = value
    return table


def _with_table(table: Any, load: Callable[[], Any]) -> Any:
    with patch("xcal_jax.io.toml.tomllib.loads", lambda text: copy.deepcopy(table)):
        return load()


def of_files(readers: dict[str, Callable[[str], Any]], seed: int, each: int) -> Iterator[Case]:
    """Every good file damaged in ``each`` ways, and read."""
    for number, (file, read) in enumerate(readers.items()):
        good = Path(file).read_bytes()
        for n in range(each):
            rng = np.random.default_rng([seed, number, n])
            name = f"bad{n}{Path(file).suffix}"

            damaged = _damaged(good, rng)

            def work(damaged=damaged, name=name, read=read):
                Path(name).write_bytes(damaged)
                try:
                    return read(name)
                finally:
                    Path(name).unlink()

            yield Case(f"{file} damaged, {n}", work)


def _damaged(good: bytes, rng: np.random.Generator) -> bytes:
    kind, at = rng.integers(7), int(rng.integers(max(1, len(good))))
    bad = (b"nan", b"-5", b"1e400", b"\x00", b"\xff", b"x" * 500, b"", b"\n", b",", b"<", b"0", b"\xe4", b"9" * 30)
    piece = bad[rng.integers(len(bad))]
    if kind == 0:
        return good[:at]
    if kind == 1:
        return good[:at] + piece + good[at:]
    if kind == 2:
        return good[:at] + piece + good[at + 1 :]
    if kind == 3:
        return good[:at] + bytes(rng.integers(0, 256, 16, dtype=np.uint8)) + good[at + 16 :]
    lines = good.split(b"\n")
    line = int(rng.integers(len(lines)))
    if kind == 4:
        return b"\n".join(lines[:line] + lines[line + 1 :])
    if kind == 5:
        return b"\n".join(lines[:line] + [lines[line]] * 2 + lines[line + 1 :])
    cells = lines[line].split(b",")
    cells[rng.integers(len(cells))] = piece
    return b"\n".join([*lines[:line], b",".join(cells), *lines[line + 1 :]])


def of_functions(functions: dict[str, tuple[Callable[..., Any], dict[str, Any]]]) -> Iterator[Case]:
    """Every argument of every function in turn replaced by every one of `OBJECTS`; the others are good."""
    for name, (function, good) in functions.items():
        yield Case(f"{name}(...)", lambda function=function, good=good: function(**good))
        for argument in inspect.signature(function).parameters:
            if argument in ("progress", "executor", "flight", "on_events"):
                continue
            for value in OBJECTS:
                given = {**good, argument: value}
                text = repr(value)[:60]
                yield Case(f"{name}({argument}={text})", lambda function=function, given=given: function(**given))


def writes_good_files(folder: Path) -> None:
    """The folder that cases run in, with a link and a folder in it."""
    inputs.make(folder)
    (folder / "link.toml").symlink_to("absorber.toml")
    (folder / "folder.nc").mkdir()
