"""Stages runbook 1, cause A: the submitter's RPC endpoint fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Fail 38 % of rpc-a's requests and slow the rest to five seconds; its nodes fall behind."""
    endpoint = world.network.endpoints["rpc-a"]
    endpoint.failing = 0.38
    endpoint.confirm_ms = 4600.0
    endpoint.sigma = 0.3
    endpoint.behind = 48


SCENARIO = Scenario(
    name="rpc-outage",
    runbook=1,
    title="Publishing stops: the RPC endpoint fails",
    story="The provider behind rpc-a has lost half of its nodes: requests fail, confirmations take seconds, and the "
    "nodes that are left lag behind. "
    "Commits and reveals fall to almost nothing and consumers see old outputs.",
    inject=inject,
    right_steps=("switch-rpc",),
    wrong_steps=("restart-signers", "relax-guardrail"),
    aged_s=240.0,
    seen_by=frozenset({"prometheus", "solana"}),
)
