"""The change that did it is named first, among others; and none where nothing was changed."""

from __future__ import annotations

import pytest

from bench.changes.named import Case, observe, singles


@pytest.mark.parametrize(("scenario", "decoys"), [("bad-config-release", 30), ("connector-down", 0)])
def test_what_did_it_is_named_first_ten_minutes_later(scenario: str, decoys: int) -> None:
    found = observe(Case(scenario, 1, decoys))
    assert found.right and found.dated, str(found)


@pytest.mark.long
@pytest.mark.parametrize("case", singles(1, 0), ids=lambda case: case.scenario)
def test_in_every_scenario(case: Case) -> None:
    found = observe(case)
    assert found.right and found.dated, str(found)
