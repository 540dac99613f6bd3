"""A sample of `python -m bench.situation`: the right runbook leads; a calm hour is quiet."""

from __future__ import annotations

import pytest

from bench.situation.ordinary import day
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


@pytest.mark.parametrize(
    ("case", "recognised", "hidden"),
    [
        (Case("signers-stuck+two-submitters"), True, {2, 5}),
        (Case("guardrail-blocks+signers-slow"), False, {3, 5}),
    ],
    ids=lambda c: getattr(c, "name", ""),
)
def test_what_cannot_show_behind_a_stop_is_named_by_its_cause_or_said(
    case: Case, recognised: bool, hidden: set[int]
) -> None:
    """Lists a cause that is seen behind a stop; where none can be, says what is not known."""
    seen = observe(case)
    assert seen.said and seen.recognised == recognised and hidden <= set(seen.hidden), str(seen)


def test_ordinary_life_matches_no_runbook_and_nothing_stays_crit() -> None:
    """Lives through releases, an autoscaler, a drain, a restart of Prometheus, an RPC hiccup."""
    found = day(seed=24, hours=0.2, every_s=80.0)
    assert (found.matched, found.crit) == ([], []), str(found)
    kinds = ("release", "a restart of", "autoscaler", "drained", "Prometheus restarts", "hiccups")
    assert all(any(kind in words for words in found.done) for kind in kinds), found.done
