"""Stages runbook 11: the engine's new image is slow, produces invalid outputs and leaks memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import QUANT, SERVICES
from cockpit.drill.physics.releases import Traits
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Roll out an image that keeps features too long, rounds outcomes singly and frees no model."""
    traits = Traits(delay_s=12.0, malformed=0.08, leaks_after_s=420.0)
    world.releases.roll_out(world.kube, QUANT, "2026.11.4", traits)


SCENARIO = Scenario(
    name="bad-release",
    runbook=11,
    title="A release made it worse: the engine's new image",
    story="Release 2026.11.4 of the engine went out ten minutes ago. It holds features back for seconds, its "
    "outcomes do not always "
    "sum to one, and it is killed for its memory every few minutes. The image before ran well for days.",
    inject=inject,
    right_steps=("set-good-image", "undo-release"),
    wrong_steps=("6/scale-ingestors", "1/restart-signers"),
    arguments={"image": SERVICES[QUANT].image, "revision": f"{QUANT}:1", "replicas": "8"},
    aged_s=600.0,
    seen_by=frozenset({"prometheus", "kubernetes"}),
)
