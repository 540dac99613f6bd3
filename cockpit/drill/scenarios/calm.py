"""Rehearses a calm day: nothing happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Inject no cause at all."""


SCENARIO = Scenario(
    name="calm",
    runbook=None,
    title="A calm day",
    story="Everything publishes as it should. Use it to look around.",
    inject=inject,
)
