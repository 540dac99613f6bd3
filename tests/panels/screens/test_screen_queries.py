"""The view of queries by name: an own one is shown, by label, and says when it is not live."""

from __future__ import annotations

import pytest
from msgspec import structs

from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Query
from cockpit.model.situation import Situation
from panels.screens.queries import QueriesView
from tests.support.samples import situations
from tests.support.samples.dialogs import HOSTILE, Harness

SAMPLES = (Sample({"cache": "a"}, 12.0), Sample({"cache": HOSTILE}, float("nan")))
HISTORY = (History({"cache": "a"}, ((1.0, 1.0), (2.0, 12.0))),)


def situation_of(fault: Fault | None = None) -> Situation:
    calm = situations.calm()
    queries = {**calm.runbooks.queries, "cache-hits": Query(promql="x", unit="/s")}
    reading = Reading(
        "prometheus/queries/cache-hits",
        QueryResult(SAMPLES, (), HISTORY, situations.WALL),
        situations.MONO - 3.0,
        max_age_s=30.0,
        fault=fault,
    )
    return structs.replace(
        calm,
        runbooks=structs.replace(calm.runbooks, queries=queries),
        queries={**calm.queries, "cache-hits": reading},
    )


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_each_label_has_its_value(size: tuple[int, int]) -> None:
    """D(2): an operator's own query was shown nowhere."""
    app = Harness(lambda: QueriesView(("cache-hits",), situation_of()))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        words = app.words()
        assert "cache-hits" in words and "cache=a" in words and "12/s" in words and "● 3s" in words
        assert "signer-p50" not in words and "nan" not in words.lower()


async def test_what_is_not_live_says_why_and_what_there_is_not_is_said() -> None:
    """D(2): the last value stays, and is no value of now."""
    fault = Fault(SourceState.DOWN, "Prometheus refuses the connection")
    app = Harness(lambda: QueriesView(("cache-hits", "nothing"), situation_of(fault)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        words = app.words()
        assert "? UNKNOWN" in words and "refuses the connection" in words and "12/s" in words
        assert "no query of that name" in words


async def test_without_names_all_are_there() -> None:
    """D(2): each query of the file."""
    app = Harness(lambda: QueriesView((), situation_of()))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        first = app.words()
        await pilot.press("end")
        await pilot.pause()
        assert "signer-p50" in first and "cache-hits" in app.words()
