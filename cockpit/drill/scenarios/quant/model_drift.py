"""Stages runbook 8: the world has moved away from what the models were fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Shift the regime for all models; the data are complete and fresh."""
    world.quant.models.shift = 0.27


SCENARIO = Scenario(
    name="model-drift",
    runbook=8,
    title="Model drift: the world has changed, the models have not",
    story="Complete and fresh data, and yet every model is further from them by the hour: a regime has changed. The "
    "version before "
    "knows the new world even less; the guardrails would block all that it says.",
    inject=inject,
    right_steps=("recalibrate",),
    wrong_steps=("rollback-model", "7/expect-fewer-sources"),
    holding_steps=("degrade",),
    arguments={"version": "2025.12", "sources": "3"},
    aged_s=420.0,
)
