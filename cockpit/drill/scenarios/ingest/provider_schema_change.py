"""Stages runbook 7: a provider has changed its format, and part of what it sends is misread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Garble a third of the politics provider's answers; the rest, misread, imply too little."""
    connector = world.ingest.connectors["politics"]
    connector.garbled = 0.35
    connector.skew = 0.6


SCENARIO = Scenario(
    name="provider-schema-change",
    runbook=7,
    title="Divergence: the politics provider has changed its schema",
    story="The politics provider has rolled out a new answer format. A third of its events are dropped, the others "
    "are read with "
    "the old schema and mean something else: its markets are degraded.",
    inject=inject,
    right_steps=("quarantine-connector",),
    wrong_steps=("expect-fewer-sources", "6/slow-polling"),
    arguments={"connector": "politics", "sources": "3"},
    aged_s=420.0,
)
