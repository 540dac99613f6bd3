"""The same through a real pty, with latency, by a screen that asks.

One screen for each terminal, all at once: most of the time is waited.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.panels.seen.test_judging import ANSWERS
from tests.support.terminals.line import Answering, Line, at_once, never
from tests.support.waiting import HANG_S

APP = ("-m", "tests.support.terminals.asking_app")


class Asked:
    """A screen that asks, and the operator at the other end of the line."""

    def __init__(self, line: Line, journal: Path) -> None:
        self.line = line
        self.journal = journal
        self.tried: list[tuple[str, int, int]] = []  # case, confirmations, of which were due
        line.wait("an asking screen")

    def confirmed(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.journal.read_text().splitlines()] if self.journal.exists() else []

    def case(self, name: str, expected: int, do: Callable[[Asked], None], kind: str = "o") -> None:
        """Open a dialog, type, and count; where one was due it is waited for."""
        before = len(self.confirmed())
        self.line.type(kind)
        do(self)
        deadline = time.monotonic() + HANG_S
        while expected and len(self.confirmed()) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        if not expected:
            pause(0.35 + 2 * self.line.latency_s)
        self.tried.append((name, len(self.confirmed()) - before, expected))
        if len(self.confirmed()) == before:
            pause(0.15)
            self.line.type("\x1b")
        self.line.wait("Cancel", absent=True)
        pause(0.15)

    def keys(self, *keys: str, every_s: float) -> None:
        for key in keys:
            self.line.type(key)
            pause(every_s)


def pause(seconds: float) -> None:
    """What an operator does between two keys: it is the subject here, not a wait for something."""
    time.sleep(seconds)


def drawn(at: Asked) -> None:
    at.line.wait("server dry run")


def calm(at: Asked) -> None:
    """Sees it, reads it, strikes one key."""
    drawn(at)
    at.line.wait("y do it")
    pause(0.3)
    assert at.line.type("y")


def held(at: Asked) -> None:
    """Held from before it was drawn."""
    at.keys(*"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", every_s=0.04)


def held_late(at: Asked) -> None:
    """Struck before it was drawn, and held: it repeats once it is."""
    at.line.type("y")
    drawn(at)
    pause(0.6)
    at.keys(*"yyyyyyyy", every_s=0.04)


def ahead(at: Asked) -> None:
    pause(0.02)
    assert not at.line.type("y") or at.line.latency_s == 0.0


def pasted(at: Asked) -> None:
    at.line.wait("y do it")
    at.line.type("any text, yes")


def pasted_y(at: Asked) -> None:
    at.line.wait("y do it")
    at.line.type("\x1b[200~y\x1b[201~")


def in_pieces(answer: str, cut: int, later_s: float) -> Callable[[Asked], None]:
    def do(at: Asked) -> None:
        at.line.wait("y do it")
        at.line.type(answer[:cut])
        pause(later_s)
        at.line.type(answer[cut:])

    return do


def kill_switch(at: Asked) -> None:
    """The name as fast as fingers go, and ctrl+y: no key more than it takes."""
    at.line.wait("to go on")
    at.keys(*"m0-submitter", every_s=0.06)
    pause(0.3)
    at.line.type("\x19")


def held_keys(at: Asked) -> None:
    at.case("held", 0, held)
    at.case("held late", 0, held_late)
    at.case("ahead", 0, ahead)


def on_a_line(at: Asked) -> None:
    at.case("pasted", 0, pasted)
    at.case("bracketed paste", 0, pasted_y)
    at.case("in pieces", 0, in_pieces("\x1b[?2026;2$y", 2, 1.2))
    at.case("kill switch", 1, kill_switch, "d")
    at.case("calm", 1, calm)


def late_answers(answers: Sequence[str]) -> Callable[[Asked], None]:
    def do(at: Asked) -> None:
        for answer in answers:
            at.case(repr(answer), 0, in_pieces(answer, len(answer) - 1, 0.45))

    return do


def silent(at: Asked) -> None:
    def soon(at: Asked) -> None:
        drawn(at)
        pause(0.5)
        at.line.type("y")

    at.case("ahead", 0, ahead)
    if not at.line.latency_s:  # else it comes late enough
        at.case("soon", 0, soon)
    at.case("held", 0, held)
    at.case("calm", 1, calm)


def resized(at: Asked) -> None:
    def do(at: Asked) -> None:
        at.line.wait("y do it")
        pause(0.4)
        at.line.resize(100, 30)
        pause(0.1)
        at.line.type("y")

    at.case("resized", 0, do)
    at.case("calm", 1, calm)


def only_calm(at: Asked) -> None:
    def later(at: Asked) -> None:
        at.line.wait("y do it")
        pause(1.0)  # the terminal's own y must be long past
        at.line.type("y")

    at.case("the same read", 0, drawn)
    at.case("calm", 1, later)


def behind_tmux(at: Asked) -> None:
    def soon(at: Asked) -> None:
        drawn(at)
        pause(0.4)
        at.line.type("y")

    at.case("soon", 0, soon)
    at.case("held", 0, held)
    at.case("calm", 1, calm)
    assert "tmux" in json.dumps(at.confirmed()[-1])


def with_a_y(answer: bytes) -> Sequence[tuple[float, bytes]]:
    return [(0.0, answer + b"y")]


def with_others(answer: bytes) -> Sequence[tuple[float, bytes]]:
    return [(0.0, b"\x1b[?64;1;2c" + answer + answer + b"\x1b[?2026;2$y")]


TERMINALS: Sequence[tuple[str, float, Answering, Callable[[Asked], None]]] = [
    *(
        (f"{latency_s:g} s away", latency_s, at_once, do)
        for latency_s in (0.0, 0.15, 0.8)
        for do in (held_keys, on_a_line)
    ),
    ("answering late and in pieces", 0.0, at_once, late_answers(ANSWERS[:5])),
    ("answering late and in other pieces", 0.0, at_once, late_answers(ANSWERS[5:10])),
    ("silent", 0.0, never, silent),
    ("silent over a long line", 0.8, never, silent),
    ("resized", 0.0, at_once, resized),
    ("a key in the same read as the answer", 0.0, with_a_y, only_calm),
    ("several answers at once", 0.0, with_others, only_calm),
    ("tmux", 0.0, at_once, behind_tmux),
]


def test_nothing_is_confirmed_that_was_not_drawn_and_a_calm_key_is_always_taken(
    tmp_path: Path, need: Callable[[str], str]
) -> None:
    """S1: 50 cases on fourteen terminals: 0 false confirmations, and nobody presses twice."""
    tmux = need("tmux")

    def operate(number: int) -> list[tuple[str, int, int]]:
        name, latency_s, answering, do = TERMINALS[number]
        journal = tmp_path / f"{number}.jsonl"
        command = [sys.executable, *APP, str(journal)]
        if name == "tmux":
            command = [tmux, "-L", f"seen-{os.getpid()}", "-f", "/dev/null", "new-session", *command]
        line = Line(*command, latency_s=latency_s, answering=answering)
        try:
            at = Asked(line, journal)
            do(at)
            line.type("q")
            return [(f"{name}: {case}", found, expected) for case, found, expected in at.tried]
        finally:
            line.close()
            if name == "tmux":
                subprocess.run([tmux, "-L", f"seen-{os.getpid()}", "kill-server"], capture_output=True, check=False)

    with ThreadPoolExecutor(len(TERMINALS)) as pool:
        tried = [case for cases in pool.map(operate, range(len(TERMINALS))) for case in cases]
    wrong = [case for case in tried if case[1] != case[2]]
    assert wrong == []
    assert len(tried) >= 30 and sum(expected for _, _, expected in tried) >= 10


@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
def test_a_bug_ends_the_screen_and_the_process(tmp_path: Path, hangs_up: bool) -> None:
    """S10: after "a bug stopped the screen" a thread went on reading a terminal that was gone."""
    line = Line(sys.executable, *APP, str(tmp_path / "journal"))
    try:
        line.wait("an asking screen")
        line.type("b")
        if hangs_up:
            line.hang_up()
        assert line.process.wait(HANG_S) == (129 if hangs_up else 1) or hangs_up
        assert line.process.stderr is not None
        said = line.process.stderr.read().decode()
        assert "a bug stopped the screen" in said or hangs_up
        assert "hunter2" not in said and "Traceback" not in said
    finally:
        line.close()
