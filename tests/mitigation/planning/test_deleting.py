"""What is being deleted: its controller has let go of it."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.mitigation.planning import guards
from cockpit.model.plan import Verdict
from tests.mitigation.planning.test_guards import deployment, env, given, verdict_of


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (("scale", {"replicas": 1}), Verdict.BLOCK),
        (("restart", {}), Verdict.BLOCK),
        (("set-env", env(A="1")), Verdict.BLOCK),
        (("scale", {"replicas": 0}), Verdict.NOTE),
    ],
)
def test_what_is_being_deleted_starts_nothing(made: tuple[str, Any], verdict: Verdict) -> None:
    """P6: "1 of 1 pod replaced: all" was promised of what its controller had let go."""
    obj = deployment(count=0 if made == ("scale", {"replicas": 1}) else 1, deletionTimestamp="2026-11-30T12:00:00Z")
    got, reason = verdict_of(guards.deleting(given(*made, obj)))
    assert got is verdict and "being deleted since 2026-11-30T12:00:00Z" in reason
    assert guards.deleting(given(*made)) is None
