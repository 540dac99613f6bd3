"""Stages runbook 10: the publishers write more than the database can take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Let each concurrent publisher write its whole state at every tick, all the same rows."""
    world.serve.checkpointing = True


def relent(world: World) -> None:
    world.serve.checkpointing = False


SCENARIO = Scenario(
    name="database-writes",
    runbook=10,
    title="Postgres saturation: the publishers write too much",
    story="Each of the submitter's concurrent publishers has begun to write its whole state at every tick, and all "
    "of them write the "
    "same rows: the reconciler waits its turn, and so does the API. No query is slow by itself and no index is "
    "missing; fewer "
    "concurrent publishers write less, and two are enough for the cadence; so does publishing half as often.",
    inject=inject,
    right_steps=("slower-cadence", "write-less"),
    wrong_steps=("9/restart-gateway", "9/scale-gateway"),
    relent=relent,
    aged_s=300.0,
    needs_database=True,
    enlarged=("scale-db",),
)
