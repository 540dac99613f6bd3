"""Stages runbook 8: a new version of the models is faulty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill import changes
from cockpit.drill.names import MODEL_VERSION, QUANT
from cockpit.drill.physics.models import VARIABLE
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Roll out version 2026.2, which transforms a feature twice."""
    # Imported here: listing the scenarios does without the cluster's code.
    world.quant.models.registry["2026.2"].fault = 0.28
    changes.set_env(world.kube, QUANT, {VARIABLE: "2026.2"})


SCENARIO = Scenario(
    name="bad-model-release",
    runbook=8,
    title="Model drift: a new model version is faulty",
    story="Model version 2026.2 went out with the last release. Its features are transformed twice: scores that look "
    "like drift, "
    "though neither the data nor the world have changed. No recalibration mends that.",
    inject=inject,
    right_steps=("rollback-model",),
    wrong_steps=("recalibrate",),
    holding_steps=("degrade",),
    arguments={"version": MODEL_VERSION},
    aged_s=420.0,
)
