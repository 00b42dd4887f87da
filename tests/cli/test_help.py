"""The help of every command: an example that the command accepts, every option explained; files said, or not."""

import shlex

import click
import pytest

from xcal_jax.cli.main import COMMANDS, JOBS, commands, main


def all_commands():
    """Every command by the words that call it."""
    context = click.Context(commands)
    for name in COMMANDS:
        command = commands.get_command(context, name)
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                yield f"{name} {inner}", command.get_command(context, inner)
        else:
            yield name, command


ALL = dict(all_commands())


@pytest.mark.parametrize("name", ALL)
def test_examples_are_accepted(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (_, heading, *examples) = ALL[name].epilog.splitlines()
    assert heading.startswith("Example") and examples
    for example in examples:
        words = shlex.split(example)
        assert words[: 1 + len(name.split())] == ["xcal-jax", *name.split()]
        ALL[name].make_context(name, words[1 + len(name.split()) :])


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_explained(name):
    for option in ALL[name].params:
        if isinstance(option, click.Option):
            assert option.help and option.help.endswith((".", ")")), option.opts


def test_commands_stand_by_job(call):
    code, out, _ = call("--help")
    places = [out.index(f"\n{job}:\n") for job in JOBS]
    assert code == 0 and places == sorted(places)
    assert places[1] < out.index("  rmf ") < places[2] < out.index("  sweep ") < places[3] < out.index("  dose ")


def test_units_stand_where_a_number_is_asked(call):
    out = call("simulate", "--help")[1]
    assert "--at <um,um>" in out and "--angle <deg>" in out and "[eadl|krause]" in out and "[default: 1e6]" in out


def test_quiet_says_nothing(call, tmp_path):
    """Beside warnings, and what is asked as JSON."""
    assert call("sipm", "new", "MySat", "-o", "a.toml") == (0, "", "written: a.toml\n")
    assert call("sipm", "new", "MySat", "-o", "b.toml", "--quiet") == (0, "", "")
    assert (tmp_path / "a.toml").read_bytes() == (tmp_path / "b.toml").read_bytes()


def test_shells_complete_commands_and_choices(call, monkeypatch):
    monkeypatch.setenv("_XCAL_JAX_COMPLETE", "bash_complete")
    for words, place, found in (
        ("xcal-jax si", "1", "simulate"),
        ("xcal-jax simulate --electrons ", "3", "scattering"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", place)
        assert found in call("")[1]


def test_ctrl_c_while_a_class_is_made(monkeypatch, capsys):
    """Python then raises an error of its own around it."""

    def stops(*_, **__):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as problem:
            raise RuntimeError("Error calling __set_name__ on 'Field' instance") from problem

    monkeypatch.setattr("xcal_jax.cli.main.commands", stops)
    monkeypatch.setattr("sys.argv", ["xcal-jax", "absorbers"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 130 and capsys.readouterr().err == "interrupted\n"
