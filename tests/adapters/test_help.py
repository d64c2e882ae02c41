"""What `--help` shows of every command."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer.main
from typer.core import TyperArgument, TyperGroup
from typer.testing import CliRunner

from dicecast.adapters.terminal.help import entries
from dicecast.cli import app

GROUP = typer.main.get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = {name: command for name, command in GROUP.commands.items() if not command.hidden}
ROOT = GROUP.make_context("dicecast", [], resilient_parsing=True)


def context(name: str) -> Any:
    return COMMANDS[name].make_context(name, [], parent=ROOT, resilient_parsing=True)


def said(*command: str, width: int = 80) -> str:
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": str(width), "NO_COLOR": "1"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_fits_and_holds_no_types_of_python(name: str, width: int) -> None:
    text = said(*filter(None, [name]), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert not re.search(r"<\w+>|\{\w+\}|list\[|None|…", text), text
    assert text.startswith("Usage: dicecast")


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_cut_short_and_every_value_has_a_name(name: str) -> None:
    text = " ".join(said(name).split())
    for param in COMMANDS[name].params:
        if isinstance(param, TyperArgument):
            continue
        shown = f"--[no-]{param.opts[0][2:]}" if param.secondary_opts else max(param.opts, key=len)
        assert shown in text
        assert getattr(param, "is_flag", False) or param.metavar, f"{name} {shown} does not say what it takes"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_can_be_called(name: str) -> None:
    program, called, *arguments = shlex.split(COMMANDS[name].epilog or "")
    assert (program, called) == ("dicecast", name)
    COMMANDS[name].make_context(name, arguments, parent=ROOT)


def test_options_stand_in_groups_with_their_defaults() -> None:
    found = entries(COMMANDS["forecast"], context("forecast"))
    assert list(found) == ["Arguments", "Options", "Which curves", "How it is forecast", "Output"]
    words = {entry.names: entry.words for rows in found.values() for entry in rows}
    assert words["SOURCE"].startswith("Study folder, scores CSV")
    assert words["--forecaster"].endswith("[default: bayes]")
    assert words["--seed"].endswith("[default: the study's, else 0]")
    assert "[default" not in words["--quick"]


def test_what_is_required_is_said_and_a_pair_of_flags_is_one() -> None:
    found = {entry.names: entry for entry in entries(COMMANDS["init"], context("init"))["Options"]}
    assert found["--dataset"].words.endswith("[required]") and found["--dataset"].value == "DIR"
    assert found["--[no-]schedule-check"].value == ""
    assert said("init").splitlines()[0] == "Usage: dicecast init [OPTIONS] STUDY"
    assert said("simulate").splitlines()[0] == "Usage: dicecast simulate [OPTIONS] [SOURCE]"
    assert said("compare").splitlines()[0] == "Usage: dicecast compare [OPTIONS] SOURCES..."


def test_a_default_of_zero_is_told() -> None:
    found = {entry.names: entry for entry in entries(COMMANDS["example"], context("example"))["Options"]}
    assert found["--seed"].words.endswith("[default: 0]")
