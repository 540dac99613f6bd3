"""Describes a scenario: the cause to inject, and what an operator should and should not do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.drill.world import World

Action = Callable[["World"], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Describes one incident; `inject` changes causes, never metrics.

    `aged_s`: how old the incident is when a drill starts (simulated seconds).

    Steps are ids of the scenario's runbook, or `RUNBOOK/ID` of another one. `right_steps` each cure
    it; `wrong_steps` do not; `holding_steps` stop its harm and do not cure it. `arguments`:
    parameter → value for them, where a step's default does not fit. `repeated`: the right ones of
    which one alone is half a cure, as of two sessions to end. `by_hand`: what the operator's
    own tools do where a step only asks whether it was done: step → effect. `relent`: ends the cause
    from outside, once a lesson is learnt. `seen_by`: sources, each of which is enough to tell it.
    `enlarged`: what cures it where the database's machine can grow, which a real one's cannot.
    `parts`: incidents that go on at once. `needs_database`: without a real PostgreSQL its causes
    cannot be told. `old_pods`: services whose pods it lives on: new ones would be well.
    """

    name: str
    runbook: int | None
    title: str
    story: str
    inject: Action
    right_steps: tuple[str, ...] = ()
    wrong_steps: tuple[str, ...] = ()
    holding_steps: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    by_hand: Mapping[str, Action] = field(default_factory=dict)
    relent: Action | None = None
    aged_s: float = 0.0
    seen_by: frozenset[str] = frozenset({"prometheus"})
    parts: tuple[Scenario, ...] = ()
    needs_database: bool = False
    old_pods: tuple[str, ...] = ()
    enlarged: tuple[str, ...] = ()

    @property
    def incidents(self) -> tuple[Scenario, ...]:
        """Return the single incidents, this one included when it is one."""
        return self.parts or (self,)

    @property
    def runbooks(self) -> tuple[int, ...]:
        return tuple(part.runbook for part in self.incidents if part.runbook is not None)

    def qualified(self, step: str) -> tuple[str, str]:
        """Return (runbook's number, step id) of one of the steps named here."""
        runbook, _, name = step.rpartition("/")
        return (runbook or str(self.runbook), name)


def together(parts: tuple[Scenario, ...]) -> Scenario:
    """Combine incidents into one scenario, each as old as it would be alone."""
    return Scenario(
        name="+".join(part.name for part in parts),
        runbook=None,
        title=" and ".join(part.title for part in parts),
        story=" ".join(part.story for part in parts),
        inject=partial(_inject, parts),
        by_hand={step: action for part in parts for step, action in part.by_hand.items()},
        aged_s=max(part.aged_s for part in parts),
        parts=parts,
    )


def _inject(parts: tuple[Scenario, ...], world: World) -> None:
    for part in parts:
        part.inject(world)
