"""One look without a screen waits for what is on its way, and no longer than its patience."""

from __future__ import annotations

from threading import Event
from types import SimpleNamespace
from typing import Any

from cockpit.commands.status import first_situation
from cockpit.model.observed.chain import ProgramActivity
from cockpit.model.reading import Reading
from tests.support.readings import kept


class Session:
    """Gives one situation after the other, the last one for ever."""

    def __init__(self, *covered: int | None) -> None:
        self._situations = [situation(slot) for slot in covered]
        self.engine = SimpleNamespace(located=Event())
        self.engine.located.set()
        self.runbooks = SimpleNamespace(signals={})

    @property
    def situation(self) -> Any:
        return self._situations.pop(0) if len(self._situations) > 1 else self._situations[0]


def situation(covered: int | None) -> Any:
    activity = ProgramActivity("M0Prog1111", "rpc-a", 0.0, complete=covered is not None, covered_slot=covered)
    return SimpleNamespace(
        sources=(), signals={}, mono=100.0, solana={"program": Reading("solana/program", activity, 99.0)}
    )


def covered(found: Any) -> int | None:
    activity: ProgramActivity = kept(found.solana["program"])
    return activity.covered_slot


def test_status_waits_until_the_chains_last_minutes_are_read() -> None:
    assert covered(first_situation(Session(None, None, 88_214), read_back=True)) == 88_214


def test_it_does_not_wait_for_ever() -> None:
    assert covered(first_situation(Session(None), 0.0, read_back=True)) is None


def test_who_has_something_to_do_does_not_wait_for_it() -> None:
    assert covered(first_situation(Session(None, 88_214))) is None
