"""Stages runbook 9: gateways that have run for long have lost their connections to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import API
from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Leak a connection now and then; after three days the pool is empty.

    These gateways have run for four.
    """
    world.serve.leaks_after_s = 3 * 86400.0


def failover(world: World) -> None:
    """Fail over, as the database's own tool does."""
    world.serve.failover()


SCENARIO = Scenario(
    name="gateway-leak",
    runbook=9,
    title="API errors: the gateways leak database connections",
    story="The gateways lose a database connection now and then and have not been restarted for four days: their "
    "pools are "
    "exhausted and most requests fail. New gateways would be well, the old ones stay as they are.",
    inject=inject,
    right_steps=("restart-gateway",),
    wrong_steps=("scale-gateway", "failover-db"),
    by_hand={"failover-db": failover},
    aged_s=240.0,
    old_pods=(API,),
)
