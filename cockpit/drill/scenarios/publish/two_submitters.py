"""Stages runbook 5, cause 1: two submitters publish at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill import changes
from cockpit.drill.names import SUBMITTER
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Scale the submitter to two."""
    # Imported here: listing the scenarios does without the cluster's code.
    changes.scale(world.kube, SUBMITTER, 2)


SCENARIO = Scenario(
    name="two-submitters",
    runbook=5,
    title="Replay protection: two submitters publish at once",
    story="Somebody has scaled the submitter to two to catch up with a backlog. There is no leader election: both "
    "take the same "
    "sequences, and of every pair of reveals the chain rejects at least one.",
    inject=inject,
    right_steps=("single-submitter",),
    wrong_steps=("reconcile", "restart-submitter"),
    aged_s=240.0,
    seen_by=frozenset({"prometheus", "solana"}),
)
