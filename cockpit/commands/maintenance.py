"""`m0-cockpit maintenance weekly|monthly|deploy|incident` makes one round without a screen.

The report goes to standard output and to a file.

Exit codes: 0 all in order · 1 something wants attention · 3 something is not known, or was not
answered.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cockpit.errors import UnknownName, UsageProblem
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.model.maintenance import Question, Round
    from cockpit.session import Session

ATTENTION, UNKNOWN = 1, 3
ROUNDS = ("weekly", "monthly", "deploy", "incident")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("round", choices=ROUNDS, help="which round, or checklist")
    parser.add_argument("--out", metavar="FILE", help="the report's file (default: a dated one in the state directory)")
    parser.add_argument(
        "--answer", action="append", default=[], metavar="STEP=TEXT", help="answer a question, for the journal; repeat"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the report")
    parser.add_argument("--no-keep", action="store_true", help="write no file, note nothing in the journal")


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.commands.status import first_situation
    from cockpit.maintenance.report import markdown
    from cockpit.session import Session

    settings = settings_of(args)
    answers = _answers(args.answer)
    session = Session(settings, runbooks_of(settings))
    session.record = False
    session.start()
    try:
        for notice in first_situation(session).notices:
            print(f"m0-cockpit: {notice}", file=sys.stderr)
        session.ready.wait(30)
        made = session.maintenance.begin(args.round).result(300)
        asked = {q.step: q for line in made.lines if (q := line.question) is not None}
        _note(session, asked, answers)
        typed = _ask(session, asked, answers) if sys.stdin.isatty() and not args.json else 0
        if answers or typed:
            made = session.maintenance.begin(args.round).result(300)
        print(json.dumps(as_json(made)) if args.json else markdown(made), end="\n" if args.json else "")
        if not args.no_keep:
            path = session.maintenance.keep(made, Path(args.out).expanduser() if args.out else None)
            print(f"report written: {path}", file=sys.stderr)
        return exit_code(made)
    finally:
        session.close(timeout_s=10)


def _answers(pairs: list[str]) -> dict[str, str]:
    """Parse the pairs of --answer.

    Raises UsageProblem.
    """
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name or not text.strip():
            raise UsageProblem(
                f"--answer {safe(pair, 60)} is not of the form step=text", "see `m0-cockpit maintenance --help`"
            )
        found[name] = text.strip()
    return found


def _note(session: Session, asked: dict[str, Question], answers: dict[str, str]) -> None:
    """Write the answers into the journal; none, when one of them answers no question.

    Raises UnknownName, NotReady, JournalProblem.
    """
    for name in answers:
        if name not in asked:
            raise UnknownName("question", name, asked, within="this round")
    for name, text in answers.items():
        session.mitigations.note(asked[name].runbook, name, text)


def _ask(session: Session, asked: dict[str, Question], answers: dict[str, str]) -> int:
    """Ask each open question at the terminal; an empty line leaves it open."""
    count = 0
    for name, question in asked.items():
        if question.fresh or name in answers:
            continue
        before = f" (last: {question.answer})" if question.answer else ""
        print(f"{question.text}{before}", file=sys.stderr)
        try:
            text = input("> ").strip()
        except EOFError:
            break
        if text:
            session.mitigations.note(question.runbook, name, text)
            count += 1
    return count


def exit_code(made: Round) -> int:
    if made.count("attention"):
        return ATTENTION
    return UNKNOWN if made.count("unknown", "ask") else 0


def as_json(made: Round) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(made)
    shown["lines"] = [{**plain, "state": line.state} for plain, line in zip(shown["lines"], made.lines, strict=True)]
    return shown
