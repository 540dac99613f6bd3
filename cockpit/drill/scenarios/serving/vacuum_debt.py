"""Stages runbook 10: a queue's dead rows were never vacuumed away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Switch autovacuum off for the publish queue; its dead rows are all still there."""
    world.serve.database_troubles.add("vacuum_debt")


def relent(world: World) -> None:
    world.serve.database_troubles.discard("vacuum_debt")


SCENARIO = Scenario(
    name="vacuum-debt",
    runbook=10,
    title="Postgres saturation: a queue is full of dead rows",
    story="Autovacuum was switched off for the publish queue, for a load, and never switched on again. Forty rows "
    "live in it; a look "
    "at them reads hundreds of thousands of dead ones. No index helps; VACUUM does (without a real PostgreSQL: "
    "`m0-cockpit drill "
    "--do vacuum-table`).",
    inject=inject,
    # by old statistics the planner reads the dead rows with two more processes, a hundred times as
    # slow as usual; by new ones it takes a tenth of that, which nobody feels, though the debt stays
    right_steps=("vacuum-table", "analyze-table"),
    wrong_steps=("write-less", "9/restart-gateway", "9/scale-gateway"),
    by_hand={"vacuum-table": relent, "analyze-table": relent},
    relent=relent,
    aged_s=300.0,
    needs_database=True,
    enlarged=("scale-db",),
)
