"""Starts a cockpit long after an incident began, and looks which change it names first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bench.matrix.loop import simulate
from bench.matrix.rig import Pace, rig
from cockpit.drill.scenarios import SCENARIOS
from cockpit.model.observed.changes import Change, Ranked

PACE = Pace(ask_s=5.0, tick_s=1.0, assess_s=0.5)
LATE_S = 600.0  # after the onset, the cockpit is started
WITHIN_S = 5.0  # of its start, it must have told
#: The beginning may be told so much late: the world's step, a scrape, what a rate needs to move.
NEAR_S = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    scenario: str
    seed: int = 1
    decoys: int = 0
    late_s: float = LATE_S

    @property
    def name(self) -> str:
        return f"{self.scenario} seed {self.seed}" + (f" with {self.decoys} decoys" if self.decoys else "")


@dataclass(frozen=True, slots=True)
class Named:
    """Says what was named first; `wanted`: what the scenario changed, empty where nothing."""

    case: Case
    right: bool
    wanted: tuple[str, ...]
    first: str
    onset_off_s: float | None
    listed: tuple[str, ...]

    @property
    def dated(self) -> bool:
        return self.onset_off_s is not None and -15.0 <= self.onset_off_s <= NEAR_S

    def __str__(self) -> str:
        onset = "no onset" if self.onset_off_s is None else f"onset {self.onset_off_s:+.0f} s"
        wanted = ", ".join(self.wanted) or "no change"
        lines = [f"{'ok ' if self.right else 'NOT'} {self.case.name}: {onset}; wanted {wanted}; named {self.first}"]
        return "\n".join([*lines, *(() if self.right else (f"      {each}" for each in self.listed))])


def singles(seeds: int, decoys: int) -> list[Case]:
    names = [name for name, one in SCENARIOS.items() if one.runbook is not None]
    return [Case(name, seed, decoys) for seed in range(1, seeds + 1) for name in names]


def observe(at: Case) -> Named:
    return simulate(_observe(at))


async def _observe(at: Case) -> Named:
    async with rig(at.scenario, at.seed, pace=PACE, aged_s=at.late_s, decoys=at.decoys) as made:
        began = made.drill.world.clock.now() - at.late_s
        await asyncio.sleep(WITHIN_S)
        now = made.situation.changes
        caused = made.drill.world.caused
        best = now.best
        right = best is None if not caused else best is not None and any(_is(best.change, one) for one in caused)
        return Named(
            case=at,
            right=right and now.onset is not None,
            wanted=tuple(" ".join(filter(None, (kind, name, *keys))) for kind, name, keys in caused),
            first="nothing" if best is None else _words(best),
            onset_off_s=None if now.onset is None else now.onset.at - began,
            listed=tuple(_words(one) for one in now.ranked[:5]),
        )


def _is(change: Change, caused: tuple[str, str, frozenset[str]]) -> bool:
    kind, name, keys = caused
    return (change.owner, change.name) == (kind, name) and (not keys or change.field in keys)


def _words(one: Ranked) -> str:
    before = "" if one.before_onset_s is None else f", {one.before_onset_s:.0f} s before"
    return f"{one.score:.2f} {one.change.object}: {one.change.words}{before} ({one.why})"
