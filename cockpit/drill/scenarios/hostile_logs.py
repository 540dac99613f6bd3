"""Rehearses a calm day on which services print what outsiders sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from cockpit.drill.world import World


def inject(world: World) -> None:
    """Put escape sequences, bidi overrides, markup or a secret into one log line in five."""
    world.hostile_logs = True


SCENARIO = Scenario(
    name="hostile-logs",
    runbook=None,
    title="A calm day with hostile log lines",
    story="Providers send names with escape sequences in them and the services log them as they are. "
    "Nothing of it may reach the terminal.",
    inject=inject,
    aged_s=60.0,
)
