"""The command line: finds the subcommand; what is wrong with the input leaves as one sentence and exit code 2."""

import re
import signal
import sys
import warnings
from _thread import interrupt_main
from difflib import get_close_matches
from importlib import import_module
from threading import Timer
from typing import NoReturn

import click

from xcal_jax.constants import VERSION
from xcal_jax.units import KNOWN

JOBS = {
    "Absorber": {
        "simulate": "xcal_jax.cli.absorber",
        "show": "xcal_jax.cli.absorber",
        "plot": "xcal_jax.cli.response",
        "report": "xcal_jax.cli.datasheet",
        "absorbers": "xcal_jax.cli.absorber",
    },
    "Response": {
        "rmf": "xcal_jax.cli.rmf",
        "rmf combine": "xcal_jax.cli.rmf",
        "spectrum": "xcal_jax.cli.spectrum",
        "fake": "xcal_jax.cli.spectrum",
        "impacts": "xcal_jax.cli.response",
    },
    "Study": {
        "sweep": "xcal_jax.cli.sweep",
        "sensitivity": "xcal_jax.cli.expected",
        "design": "xcal_jax.cli.expected",
        "linefit": "xcal_jax.cli.linefit",
        "tail": "xcal_jax.cli.response",
    },
    "Orbit": {"dose": "xcal_jax.cli.orbit", "orbit": "xcal_jax.cli.orbit"},
    "SiPM": {"sipm": "xcal_jax.cli.sipm"},
}
COMMANDS = {name: home for job in JOBS.values() for name, home in job.items()}


class Commands(click.Group):
    """Subcommands imported when they are asked for, so that ``--help`` never waits for JAX."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every subcommand's name, in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the subcommands to the help, by job."""
        width = max(map(len, COMMANDS))
        for job, names in JOBS.items():
            rows = [(name.ljust(width), self.get_command(ctx, name)) for name in names]
            with formatter.section(job):
                formatter.write_dl([(name, command.get_short_help_str(90)) for name, command in rows if command])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The subcommand, or None."""
        return getattr(import_module(COMMANDS[name]), name.replace(" ", "_")) if name in COMMANDS else None

    def resolve_command(self, ctx: click.Context, args: list[str]):
        """The subcommand whose name is the first two of ``args``, or the first, and the others."""
        two = " ".join(args[:2])
        if two in COMMANDS:
            return two, self.get_command(ctx, two), args[2:]
        if args[0] not in COMMANDS:
            nearest = get_close_matches(args[0], COMMANDS, 1, cutoff=0.5)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"commands are {', '.join(COMMANDS)}"
            ctx.fail(f"there is no command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(VERSION)
def commands() -> None:
    """X-ray microcalorimeter absorbers, simulated; SiPM ageing in orbit, measured and predicted."""


LONGEST = 400  # characters of a sentence; of a longer one, which quotes a long value, the middle is left out
STOPPED: list[int] = []  # signals that ask the command to end


def interrupt(number, frame) -> None:
    """Ctrl-C or another signal that asks the command to end, which saves what is done.

    It takes effect a moment later where JAX collects garbage, since Python drops what a callback of that raises.
    """
    STOPPED.append(number)
    while frame is not None:
        if frame.f_code.co_name == "_xla_gc_callback":
            Timer(0.05, interrupt_main).start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line."""
    print(f"warning: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line.

    Bad input (a ValueError or OSError from within) exits 2 with one sentence; a signal that asks to end, 128 and its
    number: 130 after Ctrl-C, 143 after SIGTERM.
    """
    warnings.showwarning = warn
    STOPPED.clear()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):  # not where a shell ignores it
            signal.signal(number, interrupt)
    try:
        commands(sys.argv[1:] or ["--help"], prog_name="xcal-jax", standalone_mode=False)
    except click.ClickException as problem:
        _refuse(problem.format_message() + _hint(problem.format_message()))
    except click.Abort:
        _end_interrupted()
    except (ValueError, OSError, MemoryError) as problem:
        _refuse(_sentence(problem))
    except RuntimeError as problem:
        if not isinstance(problem.__cause__, KeyboardInterrupt):  # Python's own around one, where a class is made
            raise
        _end_interrupted()
    except SystemExit as problem:
        sys.exit(128 + STOPPED[0] if STOPPED and problem.code == 128 + signal.SIGINT else problem.code)


def _end_interrupted() -> NoReturn:
    print("interrupted", file=sys.stderr)
    sys.exit(128 + (STOPPED or [signal.SIGINT])[0])


def _hint(message: str) -> str:
    """A hint where a unit stands alone, as in "--energy 7 keV"; else nothing."""
    alone = re.search(r"unexpected extra argument \(([^()]+)\)", message)
    return f": a unit is written with its number, like 7{alone[1]}" if alone and alone[1] in KNOWN else ""


def _sentence(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename or 'a file'!r} cannot be used: {problem.strerror.lower()}"
    return str(problem) or "there is not enough memory"


def _refuse(sentence: str) -> NoReturn:
    sentence = " ".join(sentence.split())
    if len(sentence) > LONGEST:
        sentence = f"{sentence[: LONGEST // 2]} ... {sentence[-LONGEST // 3 :]}"
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)
