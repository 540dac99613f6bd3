"""Stages runbook 6: more events come than the ingestion workers can take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Multiply every connector's events by 2.6: election night, a cup final and a central bank."""
    world.ingest.burst = 2.6


def relent(world: World) -> None:
    """Bring the events back to normal."""
    world.ingest.burst = 1.0


SCENARIO = Scenario(
    name="ingest-backlog",
    runbook=6,
    title="Watermark lag: the ingestion workers are saturated",
    story="Every provider sends more than twice the usual events and four ingestors cannot keep up. "
    "The event log fills, watermarks fall behind and coverage drops.",
    inject=inject,
    right_steps=("scale-ingestors",),
    wrong_steps=("slow-polling", "disable-connector", "raise-cache-ttl"),
    arguments={"connector": "sports"},
    relent=relent,
    aged_s=240.0,
)
