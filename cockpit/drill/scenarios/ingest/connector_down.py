"""Stages runbook 6: one provider fails altogether."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Let the politics provider answer every poll with 502."""
    connector = world.ingest.connectors["politics"]
    connector.failing = 1.0
    connector.fault = "http_5xx"


SCENARIO = Scenario(
    name="connector-down",
    runbook=6,
    title="Watermark lag: the politics provider is down",
    story="The politics provider has been answering 502 for some minutes, and nothing that we do to our own workers "
    "brings its "
    "events back. Its markets live on features that grow older; every other connector is well.",
    inject=inject,
    right_steps=("disable-connector",),
    wrong_steps=("scale-ingestors", "slow-polling", "raise-cache-ttl"),
    arguments={"connector": "politics"},
    aged_s=300.0,
)
