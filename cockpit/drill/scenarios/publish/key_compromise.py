"""Stages runbook 13: an intruder publishes through the submitter, with its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Forge bundles with the submitter's credentials, past guardrails and checks."""
    world.publish.forging = 1.0


def relent(world: World) -> None:
    """Close the hole and replace the credentials."""
    world.publish.forging = 0.0


SCENARIO = Scenario(
    name="key-compromise",
    runbook=13,
    title="Emergency: forged outputs are published with our key",
    story="Somebody has the submitter's credentials and publishes through it: outputs that no guardrail has seen, "
    "signed by agents "
    "that sign what the submitter asks for. Some are rejected for their signatures; most are on the chain, and "
    "consumers trade on them.",
    inject=inject,
    wrong_steps=("block-at-guardrail", "5/restart-submitter"),
    holding_steps=("stop-publishing",),
    by_hand={"communicate": relent},
    relent=relent,
    aged_s=300.0,
)
