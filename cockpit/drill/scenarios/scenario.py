"""What a scenario is: a cause that is put into the world, and what an operator should, and should not, do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.drill.world import World


@dataclass(frozen=True, slots=True)
class Scenario:
    """`inject` changes causes, never metrics. `aged_s`: how old the incident is when a drill starts (simulated seconds).
    `right_steps` each cure it; `wrong_steps` do not (ids of runbook steps)."""

    name: str
    runbook: int | None
    title: str
    story: str
    inject: Callable[[World], None]
    right_steps: tuple[str, ...] = ()
    wrong_steps: tuple[str, ...] = ()
    aged_s: float = 0.0
