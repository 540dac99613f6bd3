"""Stages runbook 6: a provider limits our rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Cut the sports provider's quota to two calls a second; four ingestors make four."""
    world.ingest.connectors["sports"].quota = 2.0


SCENARIO = Scenario(
    name="connector-rate-limited",
    runbook=6,
    title="Watermark lag: the sports provider limits our rate",
    story="The sports provider has cut our quota and answers most polls with 429. "
    "Its watermark falls behind while every other connector is well.",
    inject=inject,
    right_steps=("slow-polling", "limit-connector", "raise-cache-ttl", "disable-connector"),
    wrong_steps=("scale-ingestors",),
    arguments={"connector": "sports", "limits": "sports=2"},
    aged_s=330.0,
)
