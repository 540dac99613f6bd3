"""Stages runbook 4, cause 3: blockhashes expire between commit and reveal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill import changes
from cockpit.drill.names import CONFIG
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Raise the reveal delay tenfold and crowd rpc-a: large transactions wait too long together."""
    # Imported here: listing the scenarios does without the cluster's code.
    world.network.endpoints["rpc-a"].crowded = 3.7
    changes.set_config(world.kube, CONFIG, "reveal_delay_ms", "10400")


SCENARIO = Scenario(
    name="blockhash-expiry",
    runbook=4,
    title="Reveals fail: blockhashes expire before they land",
    story="Since this morning's change a reveal waits ten seconds after its commit, and blocks are full: without a "
    "priority fee a "
    "large transaction waits seconds more at rpc-a. Commits are confirmed; every other reveal's blockhash has "
    "expired by then.",
    inject=inject,
    right_steps=("shorten-reveal-delay", "raise-priority-fee", "1/switch-rpc"),
    wrong_steps=("chunked-reveal", "smaller-bundles"),
    aged_s=240.0,
    seen_by=frozenset({"prometheus", "solana"}),
)
