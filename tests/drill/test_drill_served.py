"""`drill --serve` tells where everything is once everything answers, the database among it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from functools import partial

import pytest

from cockpit.drill import serving
from cockpit.drill.server import Drill


async def served(parent: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was printed while the database was waited for, and at the end."""
    printed: list[str] = []
    asked, up = asyncio.Event(), asyncio.Event()

    async def database_up(self: Drill) -> None:
        asked.set()
        await up.wait()

    monkeypatch.setattr(Drill, "database_up", database_up)
    monkeypatch.setattr(serving, "Drill", partial(Drill, history_s=5.0))
    running = asyncio.create_task(serving.serve("calm", speed=0, parent=parent))
    async with asyncio.timeout(30):
        if parent is None:
            await asked.wait()
            printed.append(capsys.readouterr().out)
            up.set()
        line = ""
        while not line:
            await asyncio.sleep(0.01)
            line = capsys.readouterr().out
        os.kill(os.getpid(), signal.SIGTERM)  # the drill ends itself by it
        await running
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().remove_signal_handler(number)
    assert asked.is_set() is (parent is None)
    return [*printed, line]


async def test_scripts_hear_of_it_once_the_database_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, line = await served(None, monkeypatch, capsys)
    assert before == "" and json.loads(line)["namespace"] == "m0-prod"


async def test_a_cockpit_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = await served(os.getpid(), monkeypatch, capsys)
    assert "kubeconfig" in json.loads(line)
