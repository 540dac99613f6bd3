"""Chooses an incident that nobody has named, by the seed, so that it can be repeated."""

from __future__ import annotations

from random import Random

from cockpit.drill.scenarios import SCENARIOS


def surprise(seed: int, *, database: bool = True) -> str:
    """Return one of the scenarios that have a runbook; without a database, one that needs none."""
    chance = Random(f"surprise {seed}")
    known = [name for name, scenario in SCENARIOS.items() if scenario.runbook is not None]
    name = chance.choice(known)
    if SCENARIOS[name].needs_database and not database:
        name = chance.choice([each for each in known if not SCENARIOS[each].needs_database])
    return name
