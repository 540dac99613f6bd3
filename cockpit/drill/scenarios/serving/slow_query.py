"""Stages runbook 10: somebody runs a heavy report on the primary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Join every output with every feature, over and over, on two sessions of a notebook."""
    world.serve.database_troubles.add("slow_query")


def relent(world: World) -> None:
    world.serve.database_troubles.discard("slow_query")


SCENARIO = Scenario(
    name="slow-query",
    runbook=10,
    title="Postgres saturation: a heavy report on the primary",
    story="An analyst's notebook joins every output with every feature of its market, on two sessions of the "
    "primary, over and over. "
    "Ending both sessions ends it, and the report belongs elsewhere (without a real PostgreSQL: `m0-cockpit drill "
    "--do end-session`).",
    inject=inject,
    right_steps=("end-session", "analytics-moved"),
    repeated=("end-session",),
    wrong_steps=("write-less", "9/restart-gateway", "9/scale-gateway"),
    by_hand={"end-session": relent, "analytics-moved": relent},
    relent=relent,
    aged_s=300.0,
    needs_database=True,
    enlarged=("scale-db",),
)
