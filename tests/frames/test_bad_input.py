"""What comes in is bad: no frame lies, and nothing flickers more than once in five seconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from bench.frames.frame import Camera, Frame
from bench.frames.rules import contradictions, over_time
from bench.matrix.loop import simulate
from bench.matrix.rig import Rig, rig
from cockpit.assessment.match import match
from cockpit.assessment.verdicts.holding import Held, Raw
from cockpit.assessment.verdicts.stages import Marked, stages
from cockpit.drill.scenarios import find
from cockpit.model.runbook import SignalDef
from cockpit.model.signal import Level
from cockpit.runbooks.schema import load
from tests.support.samples import situations


def _live(scenario: str, seconds: int, act: Callable[[Rig, int], None], **options: Any) -> list[Frame]:
    """The frames of a scenario; `act` is called each second."""

    async def play() -> list[Frame]:
        frames = []
        async with rig("calm", 1, **options) as made:
            await asyncio.sleep(20.0)
            find(scenario).inject(made.drill.world)
            camera = Camera()
            for second in range(seconds):
                act(made, second)
                await asyncio.sleep(1.0)
                frames.append(camera.take(made.situation, float(second)))
        return frames

    return simulate(play())


def _lies(frames: list[Frame]) -> list[str]:
    found = [f"{frame.at:.0f} s: {words}" for frame in frames for words in contradictions(frame)]
    return found[:10] + over_time(frames)[:10]


def _nothing(made: Rig, second: int) -> None: ...


def test_sources_that_come_and_go_in_the_middle_of_an_incident() -> None:
    """Point 2, bad input: Prometheus answers, answers not, answers; so does the chain."""

    def come_and_go(made: Rig, second: int) -> None:
        made.drill.prometheus_server.chaos.unavailable = 30 <= second < 44 or second in (50, 51, 58, 59)
        for endpoint in made.drill.world.network.endpoints.values():
            endpoint.chaos.server_errors = 1 if 34 <= second < 48 or second % 7 == 0 else 0

    frames = _live("rpc-outage", 75, come_and_go)
    assert _lies(frames) == []
    assert "MATCH  1" in frames[-1].match


def test_a_clock_that_is_two_hours_off() -> None:
    """Point 2, bad input: the cluster's and Prometheus' clocks are right, ours is not."""
    for off_s in (-7200.0, 7200.0):
        frames = _live("rpc-outage", 40, _nothing, off_s=off_s)
        assert _lies(frames) == []
        assert "MATCH  1" in frames[-1].match


def test_a_baseline_of_ten_minutes() -> None:
    """Point 2, bad input: what is normal is known for too short a time to be sure of it."""
    frames = _live("rpc-outage", 40, _nothing, history_s=600.0)
    assert _lies(frames) == []
    assert frames[-1].level("commit-rate") != "ok"


def test_an_incident_during_an_incident() -> None:
    """Point 2, bad input: the second one is seen beside the first, neither is forgotten."""

    def begin(made: Rig, second: int) -> None:
        if second == 30:
            find("connector-down").inject(made.drill.world)

    frames = _live("rpc-outage", 110, begin)
    assert _lies(frames) == []
    assert {1, 6} <= {m.number for m in frames[-1].matches if m.holds}


@pytest.mark.parametrize("seed", range(3))
def test_forty_signals_that_flap(seed: int) -> None:
    """Point 2, bad input: each is read anew twice a second, at another level."""
    rng, runbooks = random.Random(seed), load()
    calm = situations.calm()
    names = list(runbooks.signals)[:40]
    held = {name: Held() for name in names}
    quiet = {
        name: Held().settle(name, signal, Raw(Level.OK, 1.0, ""), (), 0.0) for name, signal in runbooks.signals.items()
    }
    frames, camera, marked = [], Camera(), Marked()
    for turn in range(80):
        mono = calm.mono + turn * 0.5
        known = dict(quiet)
        for name in names:
            signal: SignalDef = runbooks.signals[name]
            level = rng.choice([Level.OK, Level.WARN, Level.CRIT, Level.UNKNOWN])
            value = {Level.OK: 1.0, Level.WARN: 6.0, Level.CRIT: 30.0}.get(level)
            raw = Raw(level, value, level.value, 1.0, warn=5.0, crit=20.0)
            known[name] = held[name].settle(name, signal, raw, (), mono)
        situation = replace(
            calm,
            mono=mono,
            signals=known,
            runbooks=runbooks,
            stages=marked.settle(stages(runbooks, known), mono),
            matches=match(runbooks, known),
        )
        frames.append(camera.take(situation, turn * 0.5))
    flickers = [words for words in over_time(frames) if words.startswith("flicker")]
    assert not [words for words in flickers if "the verdict" not in words and "the match" not in words]
    for what in ("the verdict", "the match"):  # of many signals: once in five seconds at most
        at = [float(words.rpartition(" at ")[2].rstrip(" s")) for words in flickers if what in words]
        assert all(later - before >= 5.0 for before, later in pairwise(at)), flickers
