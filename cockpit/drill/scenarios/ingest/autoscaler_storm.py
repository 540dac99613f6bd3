"""Stages runbook 6: an autoscaler exceeds a provider's quota and undoes what is scaled by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import INGESTOR
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Let a new HPA want twelve ingestors; sports allows four calls a second, enough for four."""
    world.ingest.connectors["sports"].quota = 4.0
    world.kube.autoscaler(INGESTOR, target=INGESTOR, minimum=4, maximum=12, desired=12)


SCENARIO = Scenario(
    name="autoscaler-storm",
    runbook=6,
    title="Watermark lag: an autoscaler polls a provider into its rate limit",
    story="Last week's autoscaler on m0-ingestor has made twelve of four. Each polls on its own, and the sports "
    "provider answers "
    "most of it with 429. Whoever scales by hand is overruled within fifteen seconds.",
    inject=inject,
    right_steps=("slow-polling", "limit-connector", "raise-cache-ttl", "disable-connector"),
    wrong_steps=("scale-ingestors",),
    arguments={"connector": "sports", "replicas": "4", "limits": "sports=4"},
    aged_s=330.0,
)
