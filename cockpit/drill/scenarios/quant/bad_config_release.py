"""Stages runbook 11: what made it worse is a configuration key that changed with the release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill import changes
from cockpit.drill.names import CONFIG, QUANT, SERVICES
from cockpit.drill.physics.releases import BATCH, USUAL_BATCH, Traits
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Roll out an image short of memory, and raise the batch beyond what any image bears."""
    # Imported here: listing the scenarios does without the cluster's code.
    world.releases.roll_out(world.kube, QUANT, "2026.11.5", Traits(leaks_after_s=420.0))
    changes.set_config(world.kube, CONFIG, BATCH, "512")


SCENARIO = Scenario(
    name="bad-config-release",
    runbook=11,
    title="A release made it worse: an image and a configuration key",
    story="Release 2026.11.5 of the engine went out ten minutes ago, and with it feature_batch went from 16 to 512. "
    "The image is "
    "killed for its memory; the batch makes whichever image runs late, and its outputs invalid now and then.",
    inject=inject,
    right_steps=("roll-back-all",),
    wrong_steps=("6/scale-ingestors",),
    arguments={"image": SERVICES[QUANT].image, "key": BATCH, "value": USUAL_BATCH, "replicas": "8"},
    aged_s=600.0,
    seen_by=frozenset({"prometheus", "kubernetes"}),
)
