"""Stages runbook 7: one provider's odds are off by a factor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Let the sports provider's odds imply 1.7 times what everybody else's do."""
    world.ingest.connectors["sports"].skew = 1.7


SCENARIO = Scenario(
    name="source-diverges",
    runbook=7,
    title="Divergence: the sports provider's odds are off by a factor",
    story="Since a while the sports provider's odds imply far more than those of every other source. Guardrails "
    "block both sports "
    "markets; with a relaxed policy, or nothing left to compare with, the wrong numbers would be published.",
    inject=inject,
    right_steps=("quarantine-connector",),
    wrong_steps=("expect-fewer-sources", "1/relax-guardrail", "6/scale-ingestors"),
    arguments={"connector": "sports", "sources": "3"},
    aged_s=420.0,
)
