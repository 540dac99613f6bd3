"""What happens to terminals: they close, hang, suspend, shrink, and know no colours.

Raw bytes on a real pty.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cockpit.drill.server import DrillThread
from cockpit.journal.journal import Journal
from tests.support.terminals.pty_terminal import PtyTerminal, alive, until

ENDS_WITHIN_S = 2.0
SLOW = 3  # CI machines may be this much slower


#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("calm", 600.0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., PtyTerminal]]:
    opened: list[PtyTerminal] = []

    def make(*arguments: str, **options: object) -> PtyTerminal:
        home = tmp_path / f"home-{len(opened)}"
        home.mkdir()
        opened.append(PtyTerminal(home, *arguments, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.kill()


def journal(drill: DrillThread) -> list[dict[str, object]]:
    path = Path(drill.config).parent / "state" / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def asked_to_scale(pane: PtyTerminal) -> None:
    """Up to the question: all sources have answered, so that an ordinary `y` is enough."""
    pane.wait("m0-submitter")
    pane.wait("signer-0")
    pane.type(":scale ingestor")
    pane.wait("runbook 6 · scale")
    pane.type("\r")
    pane.wait("nothing is sent yet")
    pane.type("\r")
    pane.wait("y do it")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_and_restores_the_terminal(
    start: Callable[..., PtyTerminal], drill: DrillThread, number: signal.Signals
) -> None:
    pane = start("--config", drill.config)
    pane.wait("m0-submitter")
    pane.process.send_signal(number)
    assert pane.end(ENDS_WITHIN_S * SLOW) == 128 + number, pane.errors()
    assert pane.restored()
    assert pane.errors() == ""


@pytest.mark.parametrize("ignored", [False, True], ids=["hang-up", "nohup"])
def test_a_closed_terminal_ends_it_and_its_world(
    start: Callable[..., PtyTerminal], ignored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when SIGHUP is ignored (nohup): textual alone would spin for ever on a terminal at its
    end.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        pane = start("drill", "calm")
    finally:
        signal.signal(signal.SIGHUP, before)
    pane.wait("m0-submitter")
    world = pane.children()
    assert world
    pane.hang_up()
    assert pane.end(ENDS_WITHIN_S * SLOW) == 129, pane.errors()
    until(lambda: not any(alive(pid) for pid in world), 20, "the drill's world ended too")


def test_a_killed_cockpit_leaves_no_world_behind(start: Callable[..., PtyTerminal]) -> None:
    pane = start("drill", "calm")
    pane.wait("m0-submitter")
    world = pane.children()
    pane.process.kill()
    pane.end()
    until(lambda: not any(alive(pid) for pid in world), 10, "the drill's world noticed")


@pytest.mark.long  # a quarter of a minute, most of it a rollout in real time
def test_a_stalled_terminal_holds_nothing_up(start: Callable[..., PtyTerminal], drill: DrillThread) -> None:
    """The link hangs just before `y`: the step is sent, rolled out and journalled; afterwards the
    screen is right.
    """
    pane = start("--config", drill.config, width=160, height=48)
    asked_to_scale(pane)
    pane.stall()
    pane.type("y")
    until(
        lambda: any(r["kind"] == "rollout" for r in journal(drill)),
        40 * SLOW,
        "rolled out while the terminal took nothing",
    )
    for _ in range(20):  # more frames than any buffer takes
        pane.type("r")
        time.sleep(0.02)
        pane.type("\x1b")
        time.sleep(0.08)
    at = len(pane.raw)
    pane.resume()
    pane.wait(r"m0-submitter[\s\S]*Journal[\s\S]*runbooks", since=at)
    at = len(pane.raw)
    pane.type("?")
    pane.wait("Anywhere", since=at)
    pane.type("\x1b")
    pane.process.send_signal(signal.SIGTERM)
    assert pane.end(ENDS_WITHIN_S * SLOW) == 143, pane.errors()
    assert pane.errors() == "" or "still under way" in pane.errors()


def test_a_stalled_terminal_does_not_keep_the_process(start: Callable[..., PtyTerminal], drill: DrillThread) -> None:
    pane = start("--config", drill.config, width=160, height=48)
    pane.wait("m0-submitter")
    pane.stall()
    for _ in range(20):
        pane.type("r")
        time.sleep(0.02)
        pane.type("\x1b")
        time.sleep(0.05)
    pane.process.send_signal(signal.SIGTERM)
    assert pane.end(ENDS_WITHIN_S * SLOW) == 143, pane.errors()


SGR_COLOUR = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_ctrl_z_suspends_and_comes_back_whole(start: Callable[..., PtyTerminal], drill: DrillThread) -> None:
    pane = start("--config", drill.config)
    pane.wait("m0-submitter")
    pane.type("\x1a")
    until(lambda: stopped(pane.process.pid), 5, "it stops")
    assert pane.restored()
    mark = len(pane.raw)
    pane.process.send_signal(signal.SIGCONT)
    pane.wait("m0-aggregator", since=mark)  # what did not change is painted again too
    pane.type("q")
    assert pane.end() == 0 and pane.restored()


def looked_around(pane: PtyTerminal) -> bytes:
    """The dashboard, a runbook, help, the palette, logs: then all that was sent."""
    pane.wait("m0-submitter")
    for key, shown in (("r", "RUNBOOKS"), ("?", "Anywhere"), ("l", "m0-aggregator")):
        at = len(pane.raw)
        pane.type(key)
        pane.wait(shown, since=at)
        time.sleep(0.1)
        pane.type("\x1b")
        time.sleep(0.3)
    pane.type(":")
    pane.wait("a step, runbook")
    pane.type("\x1b")
    return bytes(pane.raw)


def test_no_color_sends_none(start: Callable[..., PtyTerminal], drill: DrillThread) -> None:
    sent = looked_around(
        start("--config", drill.config, width=160, height=48, env={"NO_COLOR": "1", "COLORTERM": "truecolor"})
    )
    assert SGR_COLOUR.findall(sent) == []
    assert b"\x1b[1" in sent or b"\x1b[7" in sent, "states are told by bold and reverse at least"


@pytest.mark.parametrize(
    "env",
    [{"LANG": "C"}, {"LANG": "C", "LC_ALL": "C"}, {"TERM": "linux", "LANG": "C.UTF-8"}],
    ids=["C", "LC_ALL", "linux"],
)
def test_without_utf8_only_ascii_is_sent(
    start: Callable[..., PtyTerminal], drill: DrillThread, env: dict[str, str]
) -> None:
    sent = looked_around(start("--config", drill.config, env=env))
    assert [byte for byte in sent if byte > 126] == []


def test_sixteen_colours_are_the_terminals_own(start: Callable[..., PtyTerminal], drill: DrillThread) -> None:
    sent = looked_around(start("--config", drill.config, env={"TERM": "xterm"}))
    assert b"38;2;" not in sent
    assert b"38;5;" not in sent
    assert not re.search(rb"\x1b\[[0-9;]*\b40\b[0-9;]*m", sent), "a black background on a terminal that may be light"


def test_hostile_logs_and_secrets_never_reach_the_terminal(start: Callable[..., PtyTerminal]) -> None:
    """Pods print escape sequences, markup and keys: the bytes on the pty hold only what textual
    itself sends.
    """
    with DrillThread("hostile-logs", history_s=300.0, speed=5.0) as hostile:
        pane = start("--config", hostile.config, width=160, height=48)
        for service in ("ingestor", "submitter"):
            pane.wait("m0-submitter")
            pane.type(f":logs {service}")
            pane.wait("follow all its pods")
            pane.type("\r")
            pane.wait(r"\\e\[|\\x1b|\\x9b|\\u202e|INFO")
            time.sleep(2.5)
            pane.type("\x1b")
            time.sleep(0.4)
        pane.process.send_signal(signal.SIGTERM)
        pane.end(10)
        sent = bytes(pane.raw)
        pane_journal = hostile.config
        assert Path(pane_journal).exists()
    text = sent.decode("utf-8", "replace")
    assert "\\e[" in text or "\\x9b" in text or "\\u202e" in text, "no hostile line was shown: the test proves nothing"
    for evil in ("\x1b[2J\x1b", "\x1b]52;c;", "\x1bc", "\x9b", "\u202e", "\u2066", "\x1b]0;", "\x1b]8;;http"):
        assert evil not in text.replace("\x1b[?", ""), repr(evil)
    assert "KEYLIKE" not in text
    allowed = re.compile(r"\x1b(?:\[[?>=<]?[0-9;]*\$?[A-Za-z]|\]22;[a-z]+\x1b\\|\]22;[a-z]+\x07|[()][A-Z0-9]|[=>78])")
    left = allowed.sub("", text)
    assert "\x1b" not in left, repr(left[left.index("\x1b") - 60 : left.index("\x1b") + 20])


def test_exported_columns_do_not_outvote_the_terminal(start: Callable[..., PtyTerminal], drill: DrillThread) -> None:
    """readline exports COLUMNS and LINES into children; they are the size of another moment."""
    pane = start("--config", drill.config, width=160, height=48, env={"COLUMNS": "80", "LINES": "24"})
    pane.wait("signer-0")
    assert any(line[100:].strip() for line in pane.screen.splitlines()[4:40])


@pytest.mark.parametrize("when", ["before the request is carried out", "after it", "during the rollout"])
def test_killed_in_the_middle_of_a_mitigation(start: Callable[..., PtyTerminal], when: str) -> None:
    """kill -9 at three moments after `y`: the next start says how it ended, rightly, and sends
    nothing.
    """
    with DrillThread("calm", history_s=300.0) as world:
        chaos = world.drill.world.kube.chaos
        pane = start("--config", world.config, width=160, height=48)
        path = Path(world.config).parent / "state" / "journal.jsonl"
        sent = 0

        def at_the_server(method: str, path: str) -> None:
            nonlocal sent
            if method == "PATCH" and path.endswith("/scale"):
                sent += 1
                if when == "during the rollout" or sent > 1:
                    return
                os.kill(pane.process.pid, signal.SIGKILL)
                if when.startswith("before"):
                    raise ConnectionResetError("the request was never carried out")

        asked_to_scale(pane)
        world.call(lambda _: setattr(chaos, "before", at_the_server))
        pane.type("y")
        if when == "during the rollout":
            until(lambda: path.exists() and '"outcome"' in path.read_text(), 10, "sent")
            pane.process.kill()
        assert pane.end() == -signal.SIGKILL
        until(lambda: sent == 1, 5, "it was sent once")

        again = start("--config", world.config, width=160, height=48)
        again.wait("ended in the middle of something")
        again.wait("NOT APPLIED" if when.startswith("before") else "APPLIED")
        records = [json.loads(line) for line in path.read_text().splitlines()]
        expected = "not applied" if when.startswith("before") else "applied"
        assert [r["judgement"] for r in records if r["kind"] == "judged"] == [expected]
        assert Journal.open(path).verify() == []
        assert sent == 1, "something was sent again"
        if when == "after it":
            again.type("\x1b")
            again.wait("UNFINISHED #1")
            again.type("u")
            again.wait("y do it")  # the killed one's lease has not run out, and is nobody else's
            again.type("y")
            until(lambda: world.drill.world.kube.replicas("m0-ingestor") == 4, 20, lambda: again.screen)
            again.type("\x1b")
            until(lambda: "UNFINISHED" not in again.screen, 20, lambda: again.screen)
        again.process.send_signal(signal.SIGTERM)
        again.end()
