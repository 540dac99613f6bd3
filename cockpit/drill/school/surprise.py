"""An incident that nobody has named: chosen by the seed, so that it can be had again."""

from __future__ import annotations

from random import Random

from cockpit.drill.scenarios import SCENARIOS


def surprise(seed: int) -> str:
    """One of the scenarios that have a runbook."""
    return Random(f"surprise {seed}").choice(
        [name for name, scenario in SCENARIOS.items() if scenario.runbook is not None]
    )
