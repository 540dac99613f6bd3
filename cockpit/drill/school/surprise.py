"""Chooses an incident that nobody has named, by the seed, so that it can be repeated."""

from __future__ import annotations

from random import Random

from cockpit.drill.scenarios import SCENARIOS


def surprise(seed: int) -> str:
    """Return one of the scenarios that have a runbook."""
    return Random(f"surprise {seed}").choice(
        [name for name, scenario in SCENARIOS.items() if scenario.runbook is not None]
    )
