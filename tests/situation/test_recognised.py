"""A sample of `python -m bench.situation`: the right runbook leads, also with a source down."""

from __future__ import annotations

import pytest

from bench.situation.recognised import Case, observe


@pytest.mark.parametrize(
    "case",
    [Case("key-compromise+ingest-backlog"), Case("wrong-signer-set", without="prometheus")],
    ids=lambda c: c.name,
)
def test_the_right_runbook_leads(case: Case) -> None:
    """B6, B7: a SEV0 before all else, and without Prometheus too."""
    seen = observe(case)
    assert seen.recognised, str(seen)
    assert seen.listed[0][0] in (2, 13), str(seen)
