"""Stages runbook 1, cause C: the guardrails block everything for a reason that is harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill import changes
from cockpit.drill.names import CONFIG
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Expect seven more feeds a domain than deliver: registered for next week.

    Nothing is wrong with the data.
    """
    # Imported here: listing the scenarios does without the cluster's code.
    changes.set_config(world.kube, CONFIG, "M0_EXPECTED_SOURCES", "11")


SCENARIO = Scenario(
    name="guardrail-blocks",
    runbook=1,
    title="Publishing stops: guardrails block for feeds that do not deliver yet",
    story="Seven feeds a domain have been registered that deliver from next week on. Coverage is counted against "
    "them and is just "
    "below what the STRICT policy lets through: every output is blocked, though no feed has failed and the data are "
    "as good as ever.",
    inject=inject,
    right_steps=("relax-guardrail", "7/expect-fewer-sources"),
    wrong_steps=("switch-rpc", "restart-signers", "6/scale-ingestors"),
    arguments={"sources": "4"},
    aged_s=240.0,
    seen_by=frozenset({"prometheus", "solana"}),
)
