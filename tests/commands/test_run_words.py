"""`run` prints of a plan, before it asks, all that the dialog says of a change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cockpit.commands.run import describe
from cockpit.model.plan import Change


def test_a_change_is_reported_with_what_is_empty_or_absent_and_with_its_note() -> None:
    changes = (
        Change("OFF", "politics", "sports", "politics not in it any more"),
        Change("TTL", "", "5000"),
        Change("NEW", None, "1"),
    )
    plan: Any = SimpleNamespace(
        title="t",
        target=SimpleNamespace(words="x"),
        changes=changes,
        request=None,
        harmless=True,
        blast=(),
        staged="",
        guards=(),
        danger_reasons=(),
        inverse=None,
        kubectl="",
    )
    assert describe(plan).splitlines()[2:] == [
        "  change   OFF: politics -> sports   (politics not in it any more)",
        "  change   TTL: (empty) -> 5000",
        "  change   NEW: (absent) -> 1",
    ]
