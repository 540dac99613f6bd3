"""The incident on the running cockpit, over the drill: from the key to the report; and evidence
that never delays the kill switch.
"""

from __future__ import annotations

import asyncio
import json
import tarfile
import threading
from dataclasses import replace
from typing import Any

import pytest

from cockpit.drill.server import DrillThread
from cockpit.model.plan import Phase
from cockpit.runbooks.schema import load
from cockpit.session import Session
from cockpit.settings import Settings, WebhookSettings
from tests.support.terminals.full_disk import fill
from tests.support.terminals.screen import Screen, screen
from tests.support.waiting import wait_for

#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("rpc-outage", 1500.0)


async def ready(cockpit: Screen) -> None:
    await cockpit.wait(r"MATCH +1 Publishing stops")
    await cockpit.until(cockpit.app.session.ready.is_set)


async def test_from_the_key_to_the_report(settings: Settings) -> None:
    async with screen(settings, size=(160, 48)) as cockpit:
        await ready(cockpit)
        await cockpit.wait(r"no incident")
        cockpit.burst("i")
        await cockpit.wait(r"Open an incident")
        await cockpit.settled()
        cockpit.burst("y")
        await cockpit.wait(r"#1 SEV1 00:00:\d\d")
        await cockpit.wait(r"incident #1 open")
        cockpit.burst("i")
        await cockpit.wait(r"CHECKLIST 16\.2")
        cockpit.burst("n")
        await cockpit.settled()
        cockpit.write("rpc-a is out")
        cockpit.burst("enter")
        await cockpit.wait(r"\d\d \S+ rpc-a is out")  # in the timeline: the line that it was typed in is closed
        await cockpit.settled()
        cockpit.burst("e")
        await cockpit.wait(r"incident-1-\S+\.tar")
        cockpit.burst("p")
        await cockpit.wait(r"report written")
        cockpit.burst("c")
        await cockpit.wait(r"Close the incident")
        await cockpit.settled()
        cockpit.burst("y")
        await cockpit.wait(r"incident #1 is closed")
        cockpit.burst("escape")
        await cockpit.wait(r"no incident")
    report = (settings.state_dir / "incident-1.md").read_text()
    assert "# Incident 1: Publishing stops" in report and "rpc-a is out" in report and "RPC errors" in report
    (bundle,) = (settings.state_dir / "evidence").iterdir()
    with tarfile.open(bundle) as archive:
        names = archive.getnames()
    assert {"manifest.json", "logs/m0-submitter.log", "deployments.json", "signals.json"} <= set(names)


async def test_a_refused_record_keeps_the_words(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen(settings, size=(80, 24)) as cockpit:
        await ready(cockpit)
        fill(cockpit.app.session.journal, monkeypatch)
        cockpit.burst("i")
        await cockpit.wait(r"Open an incident")
        await cockpit.settled()
        cockpit.burst("y")
        await cockpit.wait(r"No space left")
        monkeypatch.undo()
        cockpit.burst("y")
        await cockpit.wait(r"#1 SEV1")


def test_evidence_that_hangs_does_not_delay_the_kill_switch(drill: DrillThread, settings: Settings) -> None:
    """The collector of logs never answers and the webhook is dead, yet the submitter is scaled to
    zero at once.
    """
    session = Session(replace(settings, webhook=WebhookSettings(url="http://127.0.0.1:9/x")), load(None))
    session.start()
    held, asked = threading.Event(), threading.Event()

    async def hang(*_: Any) -> Any:
        asked.set()
        await asyncio.to_thread(held.wait, 30)

    try:
        assert session.ready.wait(30)
        session.incident.capturer.read_logs = hang
        session.incident.do("open", {"title": "bad signatures", "severity": "SEV0"})
        session.incident.do("update", {"words": "stopping"})
        runbook, step = session.runbooks.step("13", "13.step.1")
        plan = session.mitigations.plan(runbook, step, {}).result(30)
        progress = session.mitigations.confirm(plan, plan.typed).result(30)
        assert progress.phase not in (Phase.FAILED, Phase.STALE, Phase.UNCERTAIN), progress.words
        assert asked.wait(10)
        kinds = [r["kind"] for r in session.journal.records()]  # type: ignore[union-attr]
        assert "outcome" in kinds and "evidence" not in kinds  # sent, and the evidence is still being collected
        held.set()
        record = wait_for(lambda: next((r for r in session.journal.records() if r["kind"] == "evidence"), None))  # type: ignore[union-attr]
        assert record["incident"] == 1 and record["reason"].startswith("before the first change")
    finally:
        held.set()
        session.close(5)
    intent = next(
        json.loads(line)
        for line in (settings.state_dir / "journal.jsonl").read_text().splitlines()
        if '"kind":"intent"' in line
    )
    assert intent["incident"] == 1
