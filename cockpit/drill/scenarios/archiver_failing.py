"""Runbook 14: the archive's disk is full, so there is neither a new backup nor point-in-time recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World

_SINCE_S = 55 * 3600.0


def inject(world: World) -> None:
    """Nothing fits on the archive's disk any more: WAL segments pile up, and the last two nights' backups failed."""
    world.serve.database_troubles.add("fail_archiver")
    world.serve.backup_at = world.clock.now() - _SINCE_S


def relent(world: World) -> None:
    """The disk is larger now, and a backup was taken at once."""
    world.serve.database_troubles.discard("fail_archiver")
    world.serve.backup_at = world.clock.now()


SCENARIO = Scenario(
    name="archiver-failing",
    runbook=14,
    title="Backups: the archive's disk is full",
    story="Nothing fits on the disk that backups and WAL are archived to. Everything works, and were the database lost now, two days "
    "would be lost with it. The archive's own tools make room (in a drill: `m0-cockpit drill --do free-archive`).",
    inject=inject,
    by_hand={"free-archive": relent},
    relent=relent,
    aged_s=120.0,
)
