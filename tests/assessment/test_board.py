"""The board keeps what was last known, with its age, and never blanks."""

from __future__ import annotations

from cockpit.assessment.board import Board
from cockpit.model.reading import Fault, Reading, SourceState
from tests.support.readings import kept


def test_a_failed_reading_keeps_the_last_data_and_its_age() -> None:
    board = Board()
    board.put(Reading("k", data={"a": 1}, observed_at=10.0))
    board.put(Reading("k", fault=Fault(SourceState.DOWN, "connection refused")))
    reading = board.get("k")
    assert reading is not None
    assert kept(reading) == {"a": 1}
    assert reading.believed(25.0).age_s == 15.0
    assert reading.believed(25.0).down
    assert reading.believed(25.0).reason == "connection refused"


def test_old_data_is_stale_not_live() -> None:
    reading = Reading("k", data=1, observed_at=0.0, max_age_s=15.0)
    assert reading.believed(15.0).live
    assert reading.believed(15.1).stale


def test_never_read_is_not_live() -> None:
    assert Reading("k").believed(0.0).starting


def test_every_change_is_announced_by_the_version() -> None:
    board = Board()
    board.put(Reading("a/1", data=1, observed_at=0.0))
    version = board.version
    board.put(Reading("a/2", data=2, observed_at=0.0))
    assert board.version > version
    assert sorted(board.under("a/")) == ["a/1", "a/2"]
    board.drop("a/2")
    assert board.get("a/2") is None
