"""Stages runbook 9: more requests come than the gateways take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Let a consumer's client ask in a loop: 220 requests a second where gateways take 135."""
    world.serve.demand = 220.0


SCENARIO = Scenario(
    name="gateway-overload",
    runbook=9,
    title="API errors: more requests than the gateways take",
    story="A large consumer has rolled out a client that polls in a loop. Three gateways take 135 requests a second "
    "and get 220; "
    "the rest is answered 503. The database is bored.",
    inject=inject,
    right_steps=("scale-gateway",),
    wrong_steps=("restart-gateway", "cache-only"),
    aged_s=240.0,
)
