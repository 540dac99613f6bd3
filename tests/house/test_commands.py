"""Each row of the registry of commands has all its parts, and no file is without a row."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bench import commands_page
from cockpit import cli, commands
from cockpit.commands import COMMANDS, CommandSpec
from cockpit.commands.completion import script
from cockpit.model.registry import RegistryError
from tests.support.paths import ROOT

LAST = len(COMMANDS) + 1


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_each_row_has_all_its_parts(row: CommandSpec) -> None:
    module = import_module(f"cockpit.commands.{row.name}")
    assert callable(module.add) and callable(module.run)
    assert (module.__doc__ or "").startswith("`m0-cockpit"), "its file says first how it is called"
    assert row.help and not row.help.endswith(".") and "\n" not in row.help
    assert f"`m0-cockpit {row.name}" in (ROOT / "docs" / "commands.md").read_text("utf-8")
    for shell in ("bash", "zsh"):
        assert f"_{row.name}_" in script(shell, cli.build_parser())


def test_each_argument_is_explained() -> None:
    for parser, words in commands_page.commands(cli.build_parser(), ""):
        silent = [action.dest for action in parser._actions if action.help is None]
        assert words and not silent, parser.prog


def test_no_command_is_without_a_row() -> None:
    folder = Path(commands.__file__).parent
    callable_ = {path.stem for path in folder.glob("*.py") if "\ndef add(" in path.read_text("utf-8")}
    assert callable_ == {row.name for row in COMMANDS}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (CommandSpec("", "something"), f"row {LAST} has no name"),
        (CommandSpec(help="something"), f"row {LAST} has no name"),
        (CommandSpec("added"), "row 'added' lacks help"),
        (CommandSpec("status", "something"), "two rows are named 'status'"),
        (CommandSpec("za p", "something"), f"row {LAST}: expected a name of lower-case words joined by -, got 'za p'"),
        (CommandSpec("added", 7), "row 'added': help: expected text, got 7"),  # type: ignore[arg-type]
        (("added", "something"), f"row {LAST}: expected a CommandSpec, got ('added', 'something')"),
    ],
)
def test_a_bad_row_is_one_clear_error_at_the_start(
    row: Any, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "COMMANDS", (*COMMANDS, row))
    assert cli.main(["status"]) == 70
    out = capsys.readouterr()
    assert out.err.startswith(f"m0-cockpit: cockpit/commands/__init__.py: {words} (") and out.out == ""
    assert out.err.count("\n") == 1


def test_a_command_is_declared_only_when_it_is_called() -> None:
    parser = cli.build_parser("status")
    (action,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    assert parser.parse_args(["status", "--json"]).json
    assert not any("--dry-run" in a.option_strings for a in action.choices["run"]._actions)


def test_a_row_without_its_file_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RegistryError, match=r"row .strange. has no file cockpit/commands/strange\.py"):
        cli.module_of("strange")
    monkeypatch.delattr("cockpit.commands.journal.run")
    with pytest.raises(RegistryError, match="row 'journal': its file lacks run"):
        cli.module_of("journal")
