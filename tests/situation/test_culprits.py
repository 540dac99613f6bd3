"""Everything that a signal is bad of is named, not the worst alone."""

from __future__ import annotations

import pytest

from cockpit.model.runbook import SignalDef
from tests.assessment.test_signals import Evaluation, above, below


@pytest.mark.parametrize(
    ("signal", "values", "where"),
    [
        (above(), (1.0, 2.0), ""),
        (above(), (1.0, 31.0), "1"),
        (above(), (6.0, 31.0, 1.0), "1, 0"),
        (above(), (25.0, 31.0, 5.0, 40.0), "all 4 ons"),
        (below(), (0.4, 0.84, 0.9), "0, 1"),
        (above(), (9.0, 8.0, 7.0, 6.0, 5.0, 0.0), "0, 1, 2 and 2 more"),
        (above(), (31.0,), "0"),
    ],
)
def test_everything_that_is_bad_is_named_not_the_worst_alone(
    signal: SignalDef, values: tuple[float, ...], where: str
) -> None:
    """Names every culprit, and says so where it is all of them (B28)."""
    status = Evaluation(signal).read(*values)
    assert status.where == where
    assert not where or where in status.reason or status.reason.endswith(f"(on={where})")
