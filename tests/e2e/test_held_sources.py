"""H2: while the sources' thread is held, the screen says by its own clock how old everything is."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.model import held
from cockpit.model.reading import SourceState
from cockpit.model.signal import Level
from tests.support.samples import situations
from tests.support.terminals.screen import screen


async def test_a_held_thread_shows_within_seconds_and_is_forgotten_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    with DrillThread("calm", history_s=60.0) as drill:
        settings = replace(load_settings(config=drill.config, env={}), state_dir=tmp_path / "state")
        async with screen(settings) as cockpit:
            await cockpit.wait(r"k8s . LIVE")
            await cockpit.until(cockpit.app.session.ready.is_set)
            loop = cockpit.app.session.engine._loop
            assert loop is not None
            loop.call_soon_threadsafe(let_go.wait, 60.0)
            try:
                await cockpit.wait(r"nothing new from the sources for \d+ s")
                await cockpit.wait(r"k8s . STALE +[3-9]s")
            finally:
                let_go.set()
            await cockpit.until(lambda: "nothing new from the sources" not in cockpit.text())
            await cockpit.wait(r"k8s . LIVE")


def test_what_is_aged_long_is_not_judged_any_more() -> None:
    known = situations.rpc_outage()
    soon, late = held.aged(known, known.mono + 5.0), held.aged(known, known.mono + 60.0)
    assert {name: s.level for name, s in soon.signals.items()} == {name: s.level for name, s in known.signals.items()}
    assert {s.level for s in late.signals.values()} == {Level.UNKNOWN} == {s.level for s in late.stages}
    for before, after in zip(known.sources, late.sources, strict=True):
        assert after.state is not SourceState.LIVE
        assert before.age_s is None or after.age_s == before.age_s + 60.0
    assert "60 s" in late.notices[0] and late.mono == known.mono + 60.0 and late.wall == known.wall + 60.0
