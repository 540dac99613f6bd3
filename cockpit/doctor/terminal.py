"""Examines the terminal: TERM, colours, UTF-8, size, and what tmux or screen let through."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from cockpit import terminal
from cockpit.sources.examination import Examination, Finding, State, bounded, found, together

AREA = "terminal"
_SLOW_ESCAPE_MS = 100
#: Asked of the server in one go; options are formats too.
_ASKED = "#{version}|#{escape-time}|#{set-clipboard}|#{client_termfeatures}|#{focus-events}"
_HYPERLINKS_SINCE = (3, 4)


async def examine(exam: Examination) -> list[Finding]:
    if exam.tty is None:
        return [found(AREA, "terminal", State.OFF, "run through a pipe: there is none to look at")]
    return await together(
        [
            bounded(exam, AREA, "terminal", lambda: _itself(exam)),
            bounded(exam, AREA, "tmux", lambda: _multiplexer(exam)),
        ]
    )


async def _itself(exam: Examination) -> Sequence[Finding]:
    env = exam.env
    term = env.get("TERM", "")
    if term in ("", "dumb"):
        return [found(AREA, "TERM", State.FAIL, f"TERM is {term!r}", "export TERM=xterm-256color")]
    findings = [found(AREA, "TERM", State.OK, term)]
    depth = terminal.colours(env)
    words = {
        "none": "none (NO_COLOR): signs and words tell every state",
        "standard": "16",
        "256": "256",
        "truecolor": "24 bit",
    }
    findings.append(found(AREA, "colours", State.OK, words[depth]))
    if terminal.utf8(env):
        findings.append(found(AREA, "UTF-8", State.OK, "yes"))
    else:
        findings.append(
            found(
                AREA,
                "UTF-8",
                State.WARN,
                "no: lines and signs are drawn in ASCII",
                "export LANG=C.UTF-8, if the terminal can",
            )
        )
    assert exam.tty is not None
    columns, rows = os.get_terminal_size(exam.tty)
    if columns < 80 or rows < 24:
        findings.append(
            found(
                AREA,
                "size",
                State.WARN,
                f"{columns}×{rows}: too small for a panel",
                "80×24 shows one panel at a time, 160×48 all",
            )
        )
    else:
        all_of_them = columns >= 160 and rows >= 48
        findings.append(
            found(
                AREA,
                "size",
                State.OK,
                f"{columns}×{rows}: "
                + ("all panels" if all_of_them else "one panel at a time, as tabs, where all do not fit"),
            )
        )
    links = terminal.hyperlinks(exam.settings.links.hyperlinks, env)
    if exam.settings.links.trace is not None:
        findings.append(
            found(
                AREA,
                "hyperlinks",
                State.OK if links else State.OFF,
                "sent (OSC 8)" if links else "not sent: this terminal is known to have none",
            )
        )
    return findings


async def _multiplexer(exam: Examination) -> Sequence[Finding]:
    env = exam.env
    if env.get("TMUX"):
        if shutil.which("tmux", path=env.get("PATH")) is None:
            return [found(AREA, "tmux", State.UNKNOWN, "within tmux, whose program is not in PATH")]
        return await asyncio.to_thread(_tmux, env, exam.limit_s)
    if env.get("STY"):
        words = "GNU screen passes neither the clipboard (OSC 52) nor hyperlinks (OSC 8) on"
        return [found(AREA, "clipboard", State.OFF, words, "copy with the mouse, or use tmux")]
    return [
        found(
            AREA,
            "clipboard",
            State.OFF,
            "copying is by OSC 52: whether this terminal takes it cannot be asked",
            "press c in a confirmation, and paste",
        )
    ]


def _tmux(env: Mapping[str, str], limit_s: float) -> list[Finding]:
    try:
        done = subprocess.run(
            ["tmux", "display-message", "-p", _ASKED],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s * 0.8,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [found(AREA, "tmux", State.UNKNOWN, f"tmux does not say: {type(error).__name__}")]
    answers = done.stdout.decode("utf-8", "replace").strip().split("|")
    if done.returncode or len(answers) != 5:
        return [
            found(
                AREA,
                "tmux",
                State.UNKNOWN,
                f"tmux does not say: {done.stderr.decode('utf-8', 'replace').strip()[:120]}",
            )
        ]
    return tmux_says(*answers)


def tmux_says(version: str, escape_time: str, clipboard: str, features: str, focus: str) -> list[Finding]:
    """Judge what tmux told by the formats of `_ASKED`."""
    findings = []
    slow = escape_time.isdigit() and int(escape_time) > _SLOW_ESCAPE_MS
    words = f"tmux {version or '?'}, escape-time {escape_time or '?'} ms"
    if slow:
        findings.append(
            found(
                AREA,
                "tmux",
                State.WARN,
                f"{words}: Escape comes late, and may swallow the next key",
                "set -sg escape-time 10 in tmux.conf",
            )
        )
    else:
        findings.append(found(AREA, "tmux", State.OK, words))
    if clipboard == "off":
        findings.append(
            found(
                AREA,
                "clipboard",
                State.WARN,
                "tmux keeps copied text to itself (set-clipboard off)",
                "set -s set-clipboard on in tmux.conf",
            )
        )
    elif "clipboard" in features.split(","):
        findings.append(found(AREA, "clipboard", State.OK, f"tmux passes OSC 52 on (set-clipboard {clipboard})"))
    else:
        findings.append(
            found(
                AREA,
                "clipboard",
                State.OFF,
                "tmux knows no clipboard of the terminal outside",
                "set -as terminal-features ',*:clipboard' if it has one",
            )
        )
    number = version.lstrip("next-").split(".")
    known = number[0].isdigit() and len(number) > 1 and number[1][:1].isdigit()
    new = known and (int(number[0]), int("".join(c for c in number[1] if c.isdigit()))) >= _HYPERLINKS_SINCE
    passed = new and "hyperlinks" in features.split(",")
    if passed:
        findings.append(found(AREA, "hyperlinks in tmux", State.OK, "passed on"))
    else:
        why = (
            "set -as terminal-features ',*:hyperlinks' if the terminal outside has them"
            if new
            else "tmux 3.4 is the first that has them"
        )
        findings.append(found(AREA, "hyperlinks in tmux", State.OFF, "dropped", why))
    return findings
