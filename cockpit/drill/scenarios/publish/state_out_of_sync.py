"""Stages runbook 5, cause 2: the publish state in the store is behind the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill import changes
from cockpit.drill.names import SUBMITTER
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World

BEHIND = 50_000


def inject(world: World) -> None:
    """Stop the submitter, restore the publish state from last night's snapshot, start it again."""
    # Imported here: listing the scenarios does without the cluster's code.
    world.publish.lost = BEHIND
    changes.restart(world.kube, SUBMITTER)


SCENARIO = Scenario(
    name="state-out-of-sync",
    runbook=5,
    title="Replay protection: the publish state is behind the chain",
    story="The publish state in the database was restored from last night's snapshot, and the submitter was "
    "restarted after that: "
    "it takes sequences that the chain has seen hours ago. Restarting it again reads the same old state.",
    inject=inject,
    right_steps=("realign",),
    wrong_steps=("restart-submitter", "reconcile"),
    aged_s=240.0,
    seen_by=frozenset({"prometheus", "solana"}),
)
