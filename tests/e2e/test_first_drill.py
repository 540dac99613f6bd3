"""The guided first drill on the real screen, by keys alone: every lesson ends by what really
happened.

And a pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.config import load_settings
from cockpit.drill.school.coach import DrillCoach
from cockpit.drill.school.control_client import ControlClient
from cockpit.drill.school.lessons import SCENARIO, Course
from cockpit.drill.server import DrillThread
from cockpit.settings import Settings
from tests.support.terminals.screen import screen


@pytest.fixture
def drill() -> Iterator[DrillThread]:
    with DrillThread(SCENARIO, school=True, history_s=900.0) as running:
        yield running


@pytest.fixture
def settings(drill: DrillThread, tmp_path: Path) -> Settings:
    return replace(load_settings(config=drill.config, env={}), state_dir=tmp_path / "state")


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_lessons_lead_from_the_first_view_to_a_step_that_was_sent(
    size: tuple[int, int], settings: Settings, drill: DrillThread
) -> None:
    control = ControlClient(drill.drill.control, drill.drill.control_token)
    await asyncio.to_thread(control.request, "watch", journal=str(settings.state_dir / "journal.jsonl"))
    coach = DrillCoach(control, course=Course())
    async with screen(settings, size=size) as cockpit:
        cockpit.app.coaching.coach = coach
        await cockpit.wait(r"LESSON 1 of")
        await cockpit.wait(r"MATCH +6 ")
        await cockpit.until(cockpit.app.session.ready.is_set)
        for lesson, keys in ((2, "4"), (3, "r")):
            cockpit.burst(keys)
            await cockpit.wait(rf"LESSON {lesson} of")
        shown = await cockpit.wait(r"enter open or plan")  # the runbook's own keys stay in sight above the strip
        assert "LESSON 3 of" in shown
        for lesson, typed in (
            (4, ("escape",)),
            (5, ("1", "x")),
            (6, ("escape", "l")),
            (7, ("escape", "r", "n", "enter")),
            (8, ("enter",)),
        ):
            for key in typed:  # as one types who reads what it brought
                cockpit.burst(key)
                await cockpit.settled()
            await cockpit.wait(rf"LESSON {lesson} of")
        await cockpit.wait(r"y do it")
        cockpit.burst("y")
        await cockpit.wait(r"LESSON 9 of")
    coach.close()
    answer = await asyncio.to_thread(control.request, "score", guided=True)
    (incident,) = answer["score"]["incidents"]
    assert incident["detected_s"] < incident["first_safe_s"]
    assert [step["verdict"] for step in answer["score"]["steps"]] == ["right"]
    speed = await asyncio.to_thread(control.status)
    assert speed["speed"] == 4.0


async def test_the_palette_pauses_the_drill_and_the_strip_says_so(settings: Settings, drill: DrillThread) -> None:
    coach = DrillCoach(ControlClient(drill.drill.control, drill.drill.control_token))
    async with screen(settings) as cockpit:
        cockpit.app.coaching.coach = coach
        await cockpit.wait(r"MATCH +6 ")
        assert "LESSON" not in cockpit.text()
        cockpit.burst("colon")
        await cockpit.until(lambda: cockpit.app.in_palette)
        cockpit.write("Drill: pause")
        await cockpit.wait(r"the world stands still")
        cockpit.burst("enter")
        await cockpit.wait(r"PAUSED")
        assert drill.call(lambda d: d.conductor is not None and d.conductor.paused)
        cockpit.burst("colon")
        await cockpit.until(lambda: cockpit.app.in_palette)
        cockpit.write("Drill: go on")
        await cockpit.wait(r"the world moves again")
        cockpit.burst("enter")
        await cockpit.wait(r"PAUSED", absent=True)
    coach.close()
