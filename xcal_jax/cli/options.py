"""Options that commands of the absorber half share, types of their values, Ctrl-C."""

import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import click

from xcal_jax.constants import COSTER_KRONIG, ELECTRONS, PHYSICS, YIELDS
from xcal_jax.io.files import PLOTS, check_kept, check_own, check_writable
from xcal_jax.units import parse_lines, parse_quantities, parse_quantity, parse_whole

SENTENCE = re.compile(r"(?<!Eq)\.\s")  # where one ends and another begins
OVERWRITE, QUIET = "xcal_jax.overwrite", "xcal_jax.quiet"  # in the context of a command
BESIDE = ""  # the value of an `Output` that is named after that of -o


class Text(click.ParamType):
    """Text of which ``read(text, option)`` makes a value, or raises ValueError."""

    def __init__(self, name: str, read: Callable[[str, str], Any], units: str = ""):
        """Named ``name`` in the help, or by its ``units`` where it has some."""
        self.name, self.read, self.units = name, read, units

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:
        """The word for a value in the help: <eV>, <um,um>."""
        return f"<{self.units}>" if self.units else None

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; what is no text is one already."""
        return self.read(value, param.opts[-1] if param else self.name) if isinstance(value, str) else value


class Output(click.ParamType):
    """A file to write, which ends in one of ``suffixes`` if there are any: refused before the work, not after it.

    An option that may come without a value has the flag value `BESIDE`: the file is then that of ``-o``, with the first
    of the suffixes.
    """

    name = "file"

    def __init__(self, suffixes: tuple[str, ...] = ()):
        """Files of one kind."""
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, as text."""
        if value == BESIDE and getattr(param, "flag_value", None) == BESIDE:
            return value
        if str(value).startswith("--"):
            self.fail(f"the name of a file must follow, but {value!r} does; such a name is written './{value}'", param)
        check_writable(value, self.suffixes)
        return value


class OutputFolder(click.Path):
    """A folder to write into, which is made if it is not there."""

    def __init__(self):
        """A path."""
        super().__init__(file_okay=False, path_type=Path)


class Command(click.Command):
    """A command that never writes over a file that it reads, nor one file twice, nor another's file unasked."""

    def __init__(self, *arguments: Any, **named: Any):
        """Like any command; one that writes files takes ``--overwrite`` and ``--quiet``."""
        super().__init__(*arguments, **named)
        self.short_help = self.short_help or SENTENCE.split(" ".join((self.help or "").split()))[0].rstrip(".") + "."
        if any(isinstance(param.type, Output | OutputFolder) for param in self.params):
            self.params += [
                click.Option(["--overwrite"], is_flag=True, help="Replace files of other programs."),
                click.Option(["--quiet"], is_flag=True, help="Print warnings and errors alone, and what --json asks."),
            ]

    def invoke(self, ctx: click.Context) -> Any:
        """Do the work, if every `Output` is a file of its own, and say which files are written."""
        ctx.meta[OVERWRITE] = ctx.params.pop("overwrite", False)
        ctx.meta[QUIET] = ctx.params.pop("quiet", False)
        for param in self.params:
            if isinstance(param.type, Output) and ctx.params.get(param.name or "") == BESIDE:
                path = str(Path(ctx.params["output"]).with_suffix(param.type.suffixes[0]))
                ctx.params[str(param.name)] = param.type.convert(path, param, ctx)
        given = [(isinstance(param.type, Output), ctx.params.get(param.name or "")) for param in self.params]
        each = [(written, one) for written, value in given for one in (value if isinstance(value, tuple) else (value,))]
        files = [(written, path) for written, path in each if path and isinstance(path, str | Path)]
        read = [path for written, path in files if not written and os.path.isfile(path)]
        outputs = [path for written, path in files if written]
        check_kept(read, outputs)
        check_replaceable(*outputs)
        done = super().invoke(ctx)
        if outputs:
            say(f"written: {', '.join(map(str, outputs))}", err=True)
        return done


def overwrite() -> bool:
    """Whether the command is given ``--overwrite``."""
    return bool(click.get_current_context().meta[OVERWRITE])


def say(text: str, err: bool = False) -> None:
    """Print ``text``, to the standard error if ``err``, unless ``--quiet`` is given."""
    if not click.get_current_context().meta.get(QUIET, False):
        click.echo(text, err=err)


def check_replaceable(*paths: str | PathLike[str]) -> None:
    """Raise ValueError where one of ``paths`` is a file of another program, unless ``--overwrite`` is given."""
    for path in () if overwrite() else paths:
        check_own(path)


def command(*examples: str, group: click.Group | None = None) -> Callable[[Callable[..., Any]], Any]:
    """Decorator of a function that is a `Command`, of a ``group`` or by itself, with ``examples`` in its help."""
    epilog = "\n".join(("\b", "Example:" if len(examples) == 1 else "Examples:", *(f"  {line}" for line in examples)))
    return (group or click).command(cls=Command, epilog=epilog)


def quantity(unit: str, **limits: float) -> Text:
    """A number in ``unit`` or with a unit of its own, such as 7keV, within ``limits`` (see `units.limited`)."""
    return Text("number", lambda text, option: parse_quantity(text, unit, option, **limits), unit)


def quantities(*units: str) -> Text:
    """Numbers in ``units`` or with units of their own, separated by commas."""
    return Text("numbers", lambda text, option: parse_quantities(text, units, option), ",".join(units))


def listed(unit: str) -> Text:
    """As many numbers in ``unit`` as there are, separated by commas."""
    return Text(
        "numbers", lambda text, option: parse_quantities(text, (unit,) * len(text.split(",")), option), f"{unit},..."
    )


EV, DEG = quantity("eV"), quantity("deg")
UM_UM, EV_EV = quantities("um", "um"), quantities("eV", "eV")
WHOLE = Text("whole number", parse_whole)
NAMES = Text("names", lambda text, option: [name.strip() for name in text.split(",") if name.strip()])


def photons(default: str | None, text: str):
    """Option ``-n``, how many photons or histories; text: its help."""
    return click.option("-n", "n", type=WHOLE, default=default, help=text)


def plot(what: str):
    """Option ``--plot``, a file to draw ``what`` into."""
    text = f"Also draw {what} into this PNG, PDF or SVG file."
    return click.option("--plot", type=Output(PLOTS), help=text)


def output(text: str, suffixes: tuple[str, ...] = ()):
    """Option ``-o``, the file to write, which ends in one of ``suffixes`` if there are any; text: its help."""
    return click.option("-o", "--output", type=Output(suffixes), required=True, help=text)


def lines(required: bool = False):
    """Option ``--energy`` of lines with weights, as the argument ``lines``: energies in eV, and weights."""
    text = "Photon energy, or several lines with weights: 7keV, or 5.9keV:2,6.49keV:1."
    return click.option("--energy", "lines", type=Text("lines", parse_lines), required=required, help=text)


def models(command):
    """Options ``--physics``, ``--electrons`` and ``--coster-kronig``, as one argument: keywords of `Absorber.load`."""

    @wraps(command)
    def chosen(*args, electrons, physics, coster_kronig, **more):
        return command(
            *args, models={"electrons": electrons, "physics": physics, "coster_kronig": coster_kronig}, **more
        )

    return _physics(_electrons(_coster_kronig(chosen)))


def on_a_cluster(command):
    """Options ``--scheduler``, ``--certificates`` and ``--workers`` for `xcal_jax.compute.cluster.connect`."""
    for option in (
        click.option("--certificates", type=NAMES, help="PEM files CA,CERTIFICATE,KEY for a scheduler at tls://."),
        click.option("--workers", type=int, help="Count in so many processes of this machine."),
        click.option("--scheduler", help="Count on the workers of the Dask scheduler at this address."),
    ):
        command = option(command)
    return command


absorber = click.option("--absorber", required=True, help="Preset or TOML file.")
energy = click.option("--energy", type=EV, required=True, help="Photon energy, such as 7keV.")
at = click.option("--at", type=UM_UM, help="Impact X,Y from the centre; default: uniform over the top.")
angle = click.option("--angle", type=DEG, default="0deg", help="Incidence against the normal.")
azimuth = click.option("--azimuth", type=DEG, default="0deg", help="Direction of the incidence.")
isotropic = click.option("--isotropic", is_flag=True, help="Directions uniform over the upper half space.")
_electrons = click.option("--electrons", type=click.Choice(ELECTRONS), help="Model in place of the absorber's own.")
_coster_kronig = click.option(
    "--coster-kronig", type=click.Choice(COSTER_KRONIG), help="Moves of L vacancies in place of the absorber's own."
)
_physics = click.option(
    "--physics",
    type=click.Choice(list(PHYSICS)),
    help="All models in place of the absorber's own: the paper's, or full.",
)
yields = click.option("--yields", type=click.Choice(YIELDS), default=YIELDS[0], help="Fluorescence yields.")
seed = click.option("--seed", type=WHOLE, default="1", help="Seed of the random numbers.")
loss_above = click.option(
    "--loss-above",
    type=listed("eV"),
    help="Thresholds of the energy lost, such as 50eV,1keV; default: 50 eV to 5 keV, and on to 0.7 of the energy.",
)
trapping = click.option("--trapping", help="Tail of trapped heat, FRACTION:SCALE, such as 0.05:12eV; default: none.")
fwhm = click.option("--fwhm", help="Energy resolution at all energies, such as 2.5eV; default: the absorber's own.")
fwhm_file = click.option("--fwhm-file", help="Resolution instead as two columns: energy in eV, FWHM in eV.")
cards = click.option(
    "--card",
    "cards",
    multiple=True,
    help="NAME=VALUE in the header: TELESCOP, INSTRUME, DETNAM, FILTER or ORIGIN; once for each.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
resumable = click.option("--resume", is_flag=True, help="Go on from OUTPUT.part, which an interrupted run has left.")


def interrupted(part: PathLike | None, done: str = "") -> NoReturn:
    """End the command after Ctrl-C, saying what is ``done`` and how to go on from the checkpoint ``part``, if any."""
    further = f"the same command with --resume goes on from {part}" if part and os.path.exists(part) else ""
    said = "; ".join(filter(None, [done, further]))
    click.echo(f"interrupted: {said}" if said else "interrupted", err=True)
    sys.exit(130)
