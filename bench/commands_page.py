"""Writes the table of docs/commands.md from the parser.

`python -m bench.commands_page docs/commands.md`.

A test holds the two together.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from cockpit.cli import build_parser, shared_flags

_BEGIN, _END = "<!-- made by `make generated` -->\n", "<!-- end -->\n"


def table() -> str:
    """Return one row a command, or an action of a command, with the flags that only it has."""
    lines = ["| command | what it does | flags |", "|---|---|---|"]
    for parser, words in commands(build_parser(), ""):
        cells = [cell.replace("|", "\\|") for cell in (usage(parser), words, ", ".join(flags(parser)))]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join([*lines, ""])


def commands(parser: argparse.ArgumentParser, words: str) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Return the parsers that take no further subcommand, with their help, in its order."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in nested:
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, child in action.choices.items():
            yield from commands(child, helps[name])
    if not nested:
        yield parser, words


def usage(parser: argparse.ArgumentParser) -> str:
    """Return the command with its positional arguments: `` `m0-cockpit run RUNBOOK STEP` ``."""
    words = [parser.prog]
    for action in parser._actions:
        if not action.option_strings and action.help != argparse.SUPPRESS:
            name = action.metavar or (f"{{{','.join(action.choices)}}}" if action.choices else action.dest)
            words.append({"?": f"[{name}]", "*": f"[{name}…]"}.get(str(action.nargs), str(name)))
    return f"`{' '.join(words)}`"


def flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Return the flags without those that every command has."""
    every = argparse.ArgumentParser()
    shared_flags(every, suppress=True)
    known = {word for action in every._actions for word in action.option_strings}
    for action in parser._actions:
        if action.option_strings and action.help != argparse.SUPPRESS and not known & {*action.option_strings}:
            value = f" {action.metavar}" if action.metavar else ""
            yield f"`{action.option_strings[0]}{value}`"


def page(text: str) -> str:
    """Return the page with its table made anew."""
    return made_anew(text, table())


def made_anew(text: str, tables: str) -> str:
    """Return the page with these between its marks."""
    before, _, rest = text.partition(_BEGIN)
    return before + _BEGIN + tables + _END + rest.partition(_END)[2]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text("utf-8")), "utf-8")
