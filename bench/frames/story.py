"""Lives through a scenario from its cause to ten minutes after its cure, a frame a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.frames.frame import Camera, Frame
from bench.frames.truth import Truth
from bench.matrix.cases import case_of, needs_database
from bench.matrix.rig import Rig, rig
from bench.matrix.run import carry_out
from cockpit.drill.scenarios import find
from cockpit.drill.scenarios.scenario import Scenario

BEFORE_S, CAUSE_S, AFTER_S = 20.0, 180.0, 600.0


@dataclass
class Story:
    """Holds what was seen. Times count from the cause."""

    scenario: str
    frames: list[Frame] = field(default_factory=list)
    truth: Truth | None = None
    caused_at: float = 0.0
    cured_at: float | None = None  # when the cure was sent
    cure: str = ""
    problem: str = ""


async def play(
    scenario: str, seed: int, *, cause_s: float = CAUSE_S, after_s: float = AFTER_S, heard: Callable[[Frame], None]
) -> Story:
    story = Story(scenario)
    async with rig("calm", seed) as made:
        found = find(scenario)
        await asyncio.sleep(BEFORE_S)
        camera, began = Camera(), made.clock.mono()
        truth = story.truth = Truth(made.drill.world, made.runbooks, found)

        async def watch(seconds: float) -> None:
            end = made.clock.mono() + seconds
            while made.clock.mono() < end - 0.5:
                await asyncio.sleep(1.0)
                frame = camera.take(made.situation, round(made.clock.mono() - began, 1))
                story.frames.append(frame)
                truth.see(frame.at, made.situation)
                heard(frame)

        found.inject(made.drill.world)
        made.drill.scenario = found
        await watch(cause_s)
        story.cured_at = round(made.clock.mono() - began, 1)
        curing = asyncio.create_task(_cure(made, found, seed))
        await watch(after_s)
        story.cure, story.problem = await asyncio.wait_for(curing, 3600.0)
    return story


async def _cure(made: Rig, scenario: Scenario, seed: int) -> tuple[str, str]:
    """Carry the scenario's first right step out, or end the cause from outside."""
    for step in scenario.right_steps:
        case = case_of(scenario, seed, made.runbooks, step)
        if not needs_database(case, made.runbooks):
            result = await carry_out(made, case)
            return case.label, "" if result.verdict in ("pass", "unknown", "fail") else result.words
    if scenario.relent is not None:
        scenario.relent(made.drill.world)
        return "from outside", ""
    return "", "nothing here cures it"
