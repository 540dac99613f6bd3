"""Stages runbook 3: the KMS refuses agents whose sessions have expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import SIGNER
from cockpit.drill.physics.sign import KmsSession
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Let the KMS refuse three agents' sessions now and then, and slow the rest of their requests.

    A new pod opens a new session.
    """
    # Imported here: listing the scenarios does without the chain's code.
    world.sign.refuse(3, KmsSession(refused=0.3, slow=6.0))


SCENARIO = Scenario(
    name="kms-denied",
    runbook=3,
    title="Signer threshold: the KMS refuses three agents",
    story="The KMS has begun to refuse sessions older than four days: three agents are throttled, and refused now "
    "and then. One "
    "bundle in five gets only four signatures in time. Agents that are started now get a session as always.",
    inject=inject,
    right_steps=("restart-signers", "rotate-to-healthy"),
    wrong_steps=("reduce-concurrency",),
    arguments={"set_id": "101", "threshold": "4", "pubkeys": "signer-3 signer-4 signer-5 signer-6"},
    aged_s=240.0,
    old_pods=(SIGNER,),
)
