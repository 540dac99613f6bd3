"""Stages runbook 1, cause B: signer agents that have run for days hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import SIGNER
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Hang four of the seven agents, four days old: they take requests and answer none.

    New pods would be well.
    """
    world.sign.hang(4)


SCENARIO = Scenario(
    name="signers-stuck",
    runbook=1,
    title="Publishing stops: signer agents hang",
    story="Four signer agents have run into a deadlock after four days: they take every request and answer none. "
    "Their pods are "
    "Running and ready, the other three are as quick as ever, and no bundle gets its five signatures.",
    inject=inject,
    right_steps=("restart-signers",),
    wrong_steps=("switch-rpc", "relax-guardrail", "3/reduce-concurrency"),
    aged_s=240.0,
    old_pods=(SIGNER,),
    seen_by=frozenset({"prometheus", "solana"}),
)
