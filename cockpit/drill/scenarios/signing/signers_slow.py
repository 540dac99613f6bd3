"""Stages runbook 3: signer agents have too little CPU for what is asked of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import SIGNERS
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Cut the agents' CPU: each bundle that is signed at the same time makes the others wait."""
    for signer in SIGNERS:
        world.sign.contention[signer] = 1.2


SCENARIO = Scenario(
    name="signers-slow",
    runbook=3,
    title="Signer threshold: the agents' CPU is throttled",
    story="Somebody has halved the CPU of the node pool that the signer agents run on. A bundle alone is signed as "
    "quickly as ever; "
    "four at once throttle every agent, and one bundle in five misses its threshold.",
    inject=inject,
    right_steps=("reduce-concurrency", "scale-signers"),
    wrong_steps=("restart-signers",),
    arguments={"replicas": "14"},
    aged_s=240.0,
)
