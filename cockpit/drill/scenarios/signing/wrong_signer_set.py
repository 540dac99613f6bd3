"""Stages runbook 2, causes 1 and 3: signer agents sign with keys that are not in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import SERVICES, SIGNER, SUBMITTER
from cockpit.drill.physics.releases import Traits
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Roll out both; the new agents open the key ring of staging.

    The submitter's new image is as good as the old one.
    """
    world.releases.roll_out(world.kube, SIGNER, "2026.11.2", Traits(stray_keys=True))
    world.releases.roll_out(world.kube, SUBMITTER, "2026.11.2")


SCENARIO = Scenario(
    name="wrong-signer-set",
    runbook=2,
    title="Invalid signatures: the new agents sign with other keys",
    story="Release 2026.11.2 of signer agents and submitter went out some minutes ago. The new agents open the key "
    "ring of staging: "
    "their signatures are good, of keys that the registry's signer set does not have. The chain rejects every reveal.",
    inject=inject,
    right_steps=("rollback-signers", "rollback-submitter-and-signers", "11/set-good-image", "11/undo-release"),
    wrong_steps=("rollback-submitter", "3/restart-signers"),
    arguments={"image": SERVICES[SIGNER].image, "revision": f"{SIGNER}:1"},
    aged_s=300.0,
    seen_by=frozenset({"prometheus", "solana"}),
)
