"""Stages runbook 9: the primary database is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Kill the primary's node; the replica is well and waits to be promoted."""
    world.serve.database_down = True


def failover(world: World) -> None:
    """Fail over, as the database's own tool does."""
    world.serve.failover()


SCENARIO = Scenario(
    name="database-down",
    runbook=9,
    title="API errors: the primary database is down",
    story="The node of the primary database has died. Publishing goes on, but the reconciler cannot write and every "
    "request to the "
    "API is answered 503. The cache would serve the last outputs, which grow older; the replica waits to be promoted "
    "by the "
    "database's own tool ([failover] argv, or `m0-cockpit drill --do failover-db`).",
    inject=inject,
    right_steps=("failover-db",),
    wrong_steps=("restart-gateway", "scale-gateway"),
    holding_steps=("cache-only",),
    by_hand={"failover-db": failover},
    aged_s=120.0,
    seen_by=frozenset({"prometheus", "probes"}),
)
