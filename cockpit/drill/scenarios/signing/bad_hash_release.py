"""Stages runbook 2, cause 2: submitter and signer agents hash a bundle differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import SERVICES, SIGNER, SUBMITTER
from cockpit.drill.physics.releases import Traits
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Roll out both; the new submitter's canonical form has another order of fields.

    The agents' has not.
    """
    world.releases.roll_out(world.kube, SIGNER, "2026.11.3")
    world.releases.roll_out(world.kube, SUBMITTER, "2026.11.3", Traits(hashing="v2"))


SCENARIO = Scenario(
    name="bad-hash-release",
    runbook=2,
    title="Invalid signatures: submitter and agents hash differently",
    story="Release 2026.11.3 of signer agents and submitter went out some minutes ago. The new submitter hashes "
    "another canonical "
    "form than the agents sign: the signatures are good, of another hash than the one that is revealed.",
    inject=inject,
    right_steps=("rollback-submitter", "rollback-submitter-and-signers", "11/set-good-image", "11/undo-release"),
    wrong_steps=("rollback-signers", "3/restart-signers", "5/restart-submitter"),
    arguments={"image": SERVICES[SUBMITTER].image, "revision": f"{SUBMITTER}:1"},
    aged_s=300.0,
    seen_by=frozenset({"prometheus", "solana"}),
)
