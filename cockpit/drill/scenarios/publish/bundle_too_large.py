"""Stages runbook 4, cause 1: reveals have become larger than a transaction may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import MARKETS
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Enlarge politics' and macro's outcomes by names: 24 of them no longer fit into a packet."""
    for market, domain in MARKETS.items():
        if domain in ("politics", "macro"):
            world.publish.outcome_bytes[market] = 44


SCENARIO = Scenario(
    name="bundle-too-large",
    runbook=4,
    title="Reveals fail: bundles are larger than a transaction",
    story="Since today the outcomes of the politics and macro markets bear their names, and a bundle of 24 of them "
    "is larger than "
    "the 1,232 bytes of a transaction. Its commit is a hash and is confirmed; its reveal is never taken.",
    inject=inject,
    right_steps=("chunked-reveal", "smaller-bundles"),
    wrong_steps=("raise-priority-fee", "shorten-reveal-delay", "1/switch-rpc"),
    aged_s=240.0,
    seen_by=frozenset({"prometheus", "solana"}),
)
