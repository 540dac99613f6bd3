"""The root causes of refused sequences, told apart on the drill's chain by the whole cockpit."""

from __future__ import annotations

import asyncio

import pytest

from bench.matrix.loop import simulate
from bench.matrix.rig import Pace, rig
from cockpit.drill.names import SUBMITTER
from cockpit.drill.physics.releases import Traits
from cockpit.model.signal import Level, SignalStatus

PACE = Pace(ask_s=5.0, tick_s=1.0, assess_s=1.0)
CAUSES = ("submitter-pods", "sequence-behind", "rejects-after-restart", "commits-beyond")


async def seen(scenario: str, forgets: int) -> dict[str, SignalStatus]:
    async with rig(scenario, 1, pace=PACE) as made:
        await asyncio.sleep(60.0)
        if forgets:
            world = made.drill.world
            world.releases.roll_out(world.kube, SUBMITTER, "2026.11.9", Traits(forgets=forgets))
            await asyncio.sleep(45.0)
        else:
            await asyncio.sleep(30.0)
        return {name: made.situation.signals[name] for name in (*CAUSES, "chain-replays")}


@pytest.mark.parametrize(
    ("scenario", "forgets", "bad"),
    [
        ("two-submitters", 0, {"submitter-pods", "commits-beyond"}),
        ("state-out-of-sync", 0, {"sequence-behind"}),
        ("calm", 60, {"rejects-after-restart"}),
    ],
)
def test_each_cause_of_refused_sequences_has_a_measure_of_its_own(scenario: str, forgets: int, bad: set[str]) -> None:
    """5.cause.1, 5.cause.2, 5.cause.3, and 5.validation.2: duplicates of commits are counted."""
    found = simulate(seen(scenario, forgets))
    assert found["chain-replays"].level.bad
    assert {name for name in CAUSES if found[name].level.bad} == bad, {
        name: (found[name].level, found[name].value, found[name].reason) for name in CAUSES
    }
    if scenario == "state-out-of-sync":
        gap = found["sequence-behind"]
        assert gap.level is Level.CRIT
        assert "the chain has" in gap.reason and "refused was" in gap.reason
