"""`status` without --json keeps its columns apart whatever the titles.

A whole number is read without an exponent.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cockpit.commands.status import as_text
from cockpit.model.signal import Level
from cockpit.model.situation import Publishing


def test_titles_values_and_reasons_stay_apart_and_numbers_are_read_as_people_write_them() -> None:
    def signal(title: str, value: float, unit: str, level: Level) -> SimpleNamespace:
        return SimpleNamespace(title=title, value=value, unit=unit, level=level, off=False, reason=f"why {level.value}")

    long = "Event log backlog, the worst of all its topics"
    situation: Any = SimpleNamespace(
        context="c",
        namespaces=("n",),
        sources=(),
        stages=(),
        services=(),
        matches=(),
        publishing=Publishing(),
        signals={"a": signal(long, 108_635.0, "events", Level.CRIT), "b": signal("Coverage", 0.68821, "", Level.WARN)},
    )
    _, _, crit, warn = as_text(situation).splitlines()
    assert crit == f"  CRIT    {long}  108,635 events  why crit"
    assert warn.index("0.6882") == crit.index("108,635 events") and warn.index("why") == crit.index("why")
