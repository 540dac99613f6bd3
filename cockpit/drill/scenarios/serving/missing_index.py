"""Stages runbook 10: a release forgot an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Drop the index that the API's query stands on, as a migration did."""
    world.serve.database_troubles.add("missing_index")


def relent(world: World) -> None:
    world.serve.database_troubles.discard("missing_index")


SCENARIO = Scenario(
    name="missing-index",
    runbook=10,
    title="Postgres saturation: a large table is read whole",
    story="A migration has dropped the index by which the API finds a market's outputs: each of its queries reads "
    "the whole table, "
    "the database's CPU is used up, and requests that are not in the cache time out. Building the index, "
    "concurrently, ends it "
    "(without a real PostgreSQL: `m0-cockpit drill --do add-index`).",
    inject=inject,
    right_steps=("add-index",),
    wrong_steps=("write-less", "9/restart-gateway", "9/scale-gateway"),
    by_hand={"add-index": relent},
    relent=relent,
    aged_s=300.0,
    needs_database=True,
    enlarged=("scale-db",),
)
