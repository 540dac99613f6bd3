"""A question without a screen: what was typed ahead or pasted is no answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.support.terminals.line import Answering, Line, at_once, never

ASK = "from cockpit.commands.prompt import Prompt; p = Prompt('type y to do it: '); a = p.ask(); print('got', repr(a), bool(p.seen), flush=True); import time; time.sleep(9)"


@pytest.fixture
def asked() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def make(latency_s: float = 0.0, answering: Answering = at_once, before: str = "") -> Line:
        lines.append(Line(sys.executable, "-c", ASK, latency_s=latency_s, answering=answering))
        if before:
            lines[-1].type(before)
        lines[-1].wait("type y to do it")
        return lines[-1]

    yield make
    for line in lines:
        line.close()


def calm(line: Line, keys: Sequence[str] = ("y", "\r")) -> None:
    time.sleep(0.6 + 2 * line.latency_s)
    for key in keys:
        line.type(key)
        time.sleep(0.15)
    line.wait("got 'y' True")


@pytest.mark.parametrize("latency_s", [0.0, 0.15])
def test_a_calm_answer_is_taken_the_first_time(asked: Callable[..., Line], latency_s: float) -> None:
    """S1: y and Enter, by hand."""
    calm(asked(latency_s))


def test_what_was_typed_ahead_is_dropped(asked: Callable[..., Line]) -> None:
    """S1: stdin typed ahead confirmed before the plan was there."""
    line = asked(before="y\r")
    time.sleep(0.5)
    assert "got" not in line.screen
    calm(line)


def test_a_paste_is_not_taken_and_says_so(asked: Callable[..., Line]) -> None:
    """S1: a paste that ends with a line's end."""
    line = asked()
    time.sleep(0.6)
    line.type("y\r")
    line.wait("Enter was not taken")
    assert "got" not in line.screen
    calm(line)


def test_a_terminal_that_says_nothing_wants_a_pause(asked: Callable[..., Line]) -> None:
    """S1: 1.5 s without a key."""
    line = asked(answering=never)
    time.sleep(2.2)
    line.type("y")
    time.sleep(0.1)
    line.type("\r")
    line.wait("got 'y' True")


def test_the_end_of_the_input_is_a_no(asked: Callable[..., Line]) -> None:
    line = asked()
    line.type("\x04")
    line.wait("got '' False")
