"""A sample of `make matrix`: a step that helps is proven, one that does not is not."""

from __future__ import annotations

import pytest

from bench.matrix import report
from bench.matrix.__main__ import Task, everything

#: (scenario, steps): the cure among them, and some that an operator might try instead.
SAMPLE = [("rpc-outage", ("1/switch-rpc", "6/slow-polling", "6/scale-ingestors"))]


@pytest.mark.parametrize(("scenario", "steps"), SAMPLE)
def test_nothing_is_proven_that_is_not_so_and_the_cure_is(scenario: str, steps: tuple[str, ...]) -> None:
    results = everything([Task(scenario, 1, True, steps)], 1)
    assert len(results) == len(steps)
    assert {r.verdict for r in results if not r.case.cures} <= {"fail", "unknown"}
    assert not report.offenders(results), "\n".join(report.lines(results))
