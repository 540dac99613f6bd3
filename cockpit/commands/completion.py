"""`m0-cockpit completion bash|zsh` prints a script that completes what can be typed.

Subcommands, flags, and what only the installation knows: runbooks and their steps, scenarios,
contexts.

The grammar is turned into a script by shtab, from the parser itself. Names come from `m0-cockpit
completion --words KIND LINE…` when they are asked for, so that a runbooks file of the operator's
own counts too.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

SHELLS = ("bash", "zsh")
#: The shell expands what it is offered (`compgen -W`): a name that it could take for more than a
#: word is not offered.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/+-]*")
_FILES = ("FILE", "BUNDLE")  # metavars of what names a file
#: An argument of this name, of whatever command, → the kind of word that completes it.
_WORDS = {
    "context": "contexts",
    "runbook": "runbooks",
    "step": "steps",
    "scenario": "scenarios",
    "scenario_flag": "scenarios",
    "areas": "areas",
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", nargs="?", choices=SHELLS, help="whose script; eval it, or put it where the shell looks"
    )
    parser.add_argument("--words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)  # KIND, then the line so far


def run(args: argparse.Namespace) -> int:
    if args.words:
        print("\n".join(words(args.words[0], args.words[1:])))
        return 0
    if args.shell is None:
        from cockpit.settings import ConfigProblem

        raise ConfigProblem("whose completion?", 'eval "$(m0-cockpit completion bash)", or zsh')
    print(script(args.shell, args.whole_grammar()))
    return 0


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """Turn the whole grammar into the completion script of bash or zsh."""
    import shtab

    _mark(parser, shtab.FILE)
    preamble: Any = {"bash": _preamble(_BASH), "zsh": _preamble(_ZSH)}  # by shell, which its annotation does not say
    return str(shtab.complete(parser, shell, preamble=preamble))


_BASH = """
_m0_cockpit_{kind}() {{
  compgen -W "$("${{COMP_WORDS[0]}}" completion --words {kind} "${{COMP_WORDS[@]:1:COMP_CWORD-1}}" 2>/dev/null)" -- "$1"
}}"""
_ZSH = """
_m0_cockpit_{kind}() {{
  local -a found
  found=(${{(f)"$(m0-cockpit completion --words {kind} ${{words[1,CURRENT-1]}} 2>/dev/null)"}})
  compadd -a found
}}"""


def _preamble(template: str) -> str:
    return "\n".join(template.format(kind=kind) for kind in dict.fromkeys(_WORDS.values()))


def _mark(parser: argparse.ArgumentParser, file: Any) -> None:
    """Give each argument its completer, by shtab's attribute `complete`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _mark(child, file)
        elif action.dest in _WORDS:
            completer = dict.fromkeys(SHELLS, f"_m0_cockpit_{_WORDS[action.dest]}")
            action.complete = completer  # type: ignore[attr-defined]
        elif action.metavar in _FILES:
            action.complete = file  # type: ignore[attr-defined]


def words(kind: str, line: Sequence[str]) -> list[str]:
    """Return what can stand at the end of the line; nothing for whatever cannot be read.

    `line` is without the program's name.
    """
    kinds: dict[str, Callable[[Sequence[str]], Iterable[str]]] = {
        "runbooks": _runbooks,
        "steps": _steps,
        "scenarios": _scenarios,
        "contexts": _contexts,
        "areas": _areas,
    }
    try:
        return [word for word in kinds[kind](line) if _PLAIN.fullmatch(word)]
    except Exception:  # a shell that completes must not print errors over the line
        return []


def _flag(line: Sequence[str], name: str) -> str | None:
    """Return the value of a flag on the line.

    `--name VALUE` or `--name=VALUE`, which bash takes apart at the `=`.
    """
    given = None
    for place, word in enumerate(line):
        if word == name:
            given = next((w for w in line[place + 1 :] if w != "="), None)
        elif word.startswith(f"{name}="):
            given = word.partition("=")[2]
    return given


def _runbooks_on(line: Sequence[str]) -> Any:
    from cockpit.config import load_settings
    from cockpit.runbooks.schema import load

    return load(load_settings(config=_flag(line, "--config"), runbooks=_flag(line, "--runbooks")).runbooks)


def _runbooks(line: Sequence[str]) -> Iterable[str]:
    for runbook in _runbooks_on(line).runbooks:
        yield runbook.id
        yield str(runbook.number)


def _steps(line: Sequence[str]) -> Iterable[str]:
    """Return the steps of the runbook that the line names: ids, and the items of the document."""
    runbooks = _runbooks_on(line)
    for word in line[line.index("run") + 1 :]:
        try:
            runbook = runbooks.runbook(word)
        except KeyError:
            continue
        for step in runbook.mitigations:
            yield step.id
            if step.item:
                yield step.item
        return


def _scenarios(line: Sequence[str]) -> Iterable[str]:
    from cockpit.drill.scenarios import SCENARIOS

    return list(SCENARIOS)


def _areas(line: Sequence[str]) -> Iterable[str]:
    from cockpit.doctor import AREAS

    return AREAS


def _contexts(line: Sequence[str]) -> Iterable[str]:
    """Return the contexts of every kubeconfig that would be read.

    One that cannot be read offers nothing.
    """
    import yaml

    from cockpit.host.files import read_text

    listed = _flag(line, "--kubeconfig") or os.environ.get("KUBECONFIG") or "~/.kube/config"
    for name in filter(None, listed.split(os.pathsep)):
        try:
            document = yaml.safe_load(read_text(Path(name).expanduser()))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        for context in document.get("contexts") or [] if isinstance(document, dict) else ():
            if isinstance(context, dict):
                yield str(context.get("name"))
