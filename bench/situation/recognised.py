"""Looks which runbooks lead the list in an incident, in pairs, and with a source down."""

from __future__ import annotations

import asyncio
import random
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from bench.matrix.loop import simulate
from bench.matrix.rig import Pace, rig
from cockpit.drill.scenarios import SCENARIOS, find

SETTLED_S = 90.0  # simulated: every signal has held for as long as it must
PACE = Pace(ask_s=5.0, tick_s=1.0, assess_s=1.0)
PAIRS = 60
FIRST = 3  # of the list: both runbooks of a pair are to be among them


@dataclass(frozen=True, slots=True)
class Case:
    """Names one situation to be looked at: a scenario (or A+B), a seed, what cannot be reached."""

    scenario: str
    seed: int = 1
    without: str = ""

    @property
    def name(self) -> str:
        return f"{self.scenario} seed {self.seed}" + (f" without {self.without}" if self.without else "")


@dataclass(frozen=True, slots=True)
class Seen:
    """Holds the list as it was: (runbook's number, symptoms held, of all) of those that hold.

    `hidden`: of which the screen says that nothing can be known, as nothing is tried.
    """

    case: Case
    right: tuple[int, ...]
    listed: tuple[tuple[int, int, int], ...]
    words: str = ""
    hidden: tuple[int, ...] = ()

    @property
    def said(self) -> bool:
        """Tell whether all are recognised but those that cannot show, of which it says so."""
        first = [number for number, _, _ in self.listed][:FIRST]
        shown = [number for number in self.right if number in first]
        return bool(shown) and set(self.right) - set(shown) <= set(self.hidden)

    @property
    def recognised(self) -> bool:
        """Tell whether the right one leads; of several, whether all are among the first three."""
        order = [number for number, _, _ in self.listed]
        if len(self.right) == 1:
            return order[:1] == list(self.right)
        return set(self.right) <= set(order[:FIRST])

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        verdict = "ok  " if self.recognised else "SAID" if self.said else "NOT "
        found = ", ".join(f"{number} ({held}/{total})" for number, held, total in self.listed) or "none"
        return f"{verdict} {self.case.name}: wanted {self.right}, listed {found}{self.words}"


def singles() -> list[Case]:
    return [Case(name) for name, one in SCENARIOS.items() if one.runbook is not None]


def pairs(count: int = PAIRS) -> list[Case]:
    """Choose so many pairs of incidents that different runbooks are for."""
    known = [one for one in SCENARIOS.values() if one.runbook is not None]
    every = [(a, b) for a, b in combinations(known, 2) if a.runbook != b.runbook]
    return [Case(f"{a.name}+{b.name}") for a, b in random.Random(13).sample(every, count)]


def blind(without: str) -> list[Case]:
    """List the incidents that another witness can tell when this one cannot be reached."""
    return [Case(one.name, without=without) for one in SCENARIOS.values() if one.seen_by - {without}]


def observe(at: Case) -> Seen:
    return simulate(_observe(at))


async def _observe(at: Case) -> Seen:
    without = frozenset({at.without} if at.without else ())
    async with rig(at.scenario, at.seed, pace=PACE, without=without) as made:
        await asyncio.sleep(SETTLED_S)
        situation = made.situation
        listed = tuple((m.runbook.number, m.held, m.total) for m in situation.matches if m.score > 0 or m.suspected)
        right = tuple(dict.fromkeys(find(at.scenario).runbooks))
        bad = sorted(f"{name} {s.level.value}" for name, s in situation.signals.items() if s.level.bad)
        hidden = tuple(m.runbook.number for m in situation.matches if m.hidden)
        return Seen(at, right, listed, f"\n      {', '.join(bad)}", hidden)
