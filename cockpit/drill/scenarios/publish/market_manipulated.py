"""Stages runbook 12: somebody manipulates the odds of one market."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import MARKETS
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World

MARKET = "NBA_LAL_BOS"


def inject(world: World) -> None:
    """Move the odds of one sports market, at the source, to 1.45 times what is true.

    The other one of its domain is clean.
    """
    world.quant.manipulated[MARKET] = 1.45


def relent(world: World) -> None:
    """Void, at the source, what was manipulated."""
    world.quant.manipulated.clear()


SCENARIO = Scenario(
    name="market-manipulated",
    runbook=12,
    title="Pause a market: its odds are being manipulated",
    story="Somebody moves the odds of NBA_LAL_BOS at the source. The guardrails look at the average of a domain, in "
    "which one market "
    "is not enough to block: what is published of it is wrong, while all the others are well.",
    inject=inject,
    right_steps=("7/quarantine-connector",),  # who does without the source does without what was moved there
    wrong_steps=("1/relax-guardrail", "6/scale-ingestors"),
    holding_steps=("pause",),
    arguments={"market": MARKET, "connector": MARKETS[MARKET], "replicas": "8"},
    relent=relent,
    aged_s=420.0,
)
