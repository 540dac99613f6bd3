"""Writes a round as a dated Markdown report: measured, answered and by whom, unknown and why."""

from __future__ import annotations

import time
from pathlib import Path

from cockpit.journal.state_files import make_own, write_whole
from cockpit.model.maintenance import Finding, Question, Round, RoundLine
from cockpit.text import counted, safe

SIGN = {
    "ok": "ok",
    "attention": "**ATTENTION**",
    "unknown": "**NOT KNOWN**",
    "ask": "**NOT ANSWERED**",
    "answered": "answered",
}


def markdown(made: Round) -> str:
    """Return the report; texts from outside stand in it as plain words, never as markup."""
    head = [f"# {made.title}", ""]
    head.append(f"{_stamp(made.wall)}, {_plain(made.place)}, by {_plain(made.operator) or 'somebody'}.")
    if made.since is not None:
        head.append(f"Measured from {_stamp(made.since)} to {_stamp(made.at)}, by the cluster's clock.")
    counts = [
        (made.count("attention"), "want attention"),
        (made.count("unknown"), "not known"),
        (made.count("ask"), "not answered"),
        (made.count("ok", "answered"), "in order"),
    ]
    head += [
        "",
        f"{counted(len(made.lines), 'line')}: "
        + ", ".join(f"{count} {words}" for count, words in counts if count)
        + ".",
        "",
    ]
    head += [f"- {_plain(note)}" for note in made.notes]
    body = [text for line in made.lines for text in _line(line)]
    return "\n".join([*head, *body]).rstrip() + "\n"


def _line(line: RoundLine) -> list[str]:
    text = [f"## {line.item} {_plain(line.text)}: {SIGN[line.state]}", ""]
    text += [_finding(finding) for finding in line.findings]
    if line.question is not None:
        text += _question(line.question)
    return [*text, ""]


def _finding(finding: Finding) -> str:
    return f"- {SIGN[finding.state] + ': ' if finding.state != 'ok' else ''}{_plain(finding.words)}"


def _question(asked: Question) -> list[str]:
    text = [f"- Asked: {_plain(asked.text)}"]
    if asked.answered is None:
        return [*text, "- Nobody has answered."]
    answer = f"{_plain(asked.answer)} ({_plain(asked.who) or 'somebody'}, {_stamp(asked.answered)})"
    return [
        *text,
        f"- Answer: {answer}" if asked.fresh else f"- Not answered for this round; the last answer: {answer}",
    ]


def _plain(text: str) -> str:
    words = safe(text, 1000)
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in words)


def _stamp(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix))


def file_name(made: Round) -> str:
    """Name the report by its day: a later round of the same day takes its place."""
    return f"maintenance-{made.name}-{time.strftime('%Y-%m-%d', time.gmtime(made.wall))}.md"


def write(directory: Path, made: Round) -> Path:
    """Write a file that only its owner can read (0600).

    Raises OSError.
    """
    make_own(directory)
    path = directory / file_name(made)
    write_whole(path, markdown(made))
    return path
