"""Stages runbook 14: the archive's disk is full, so no new backup and no point-in-time recovery.

The document's runbook only verifies (14.verify) and restores; the archive is repaired by two steps
beside its items: the job that expires old backups, and the backup's own, run now. Either alone
leaves the newest backup as old as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World

_SINCE_S = 55 * 3600.0


def inject(world: World) -> None:
    """Fill the archive's disk: WAL segments pile up, and the last two nights' backups failed."""
    world.serve.database_troubles.add("fail_archiver")
    world.serve.backup_at = world.clock.now() - _SINCE_S


def relent(world: World) -> None:
    """Enlarge the disk and take a backup at once."""
    world.serve.expire_backups()
    world.serve.back_up()


SCENARIO = Scenario(
    name="archiver-failing",
    runbook=14,
    title="Backups: the archive's disk is full",
    story="Old backups were not expired for weeks, and nothing fits on the disk that backups and WAL are archived "
    "to. Everything works, "
    "and were the database lost now, two days would be lost with it. The expiry's job makes room, and only then can "
    "the backup's "
    "job write one (or the archive's own tools: `m0-cockpit drill --do free-archive`).",
    inject=inject,
    right_steps=("back-up-again",),
    wrong_steps=("make-room", "take-backup", "5/reconcile"),
    by_hand={"free-archive": relent},
    relent=relent,
    aged_s=120.0,
    needs_database=True,
)
