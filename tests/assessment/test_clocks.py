"""R10: a clock that is hours off is marked, with whose it is; one that runs faster is a drill's."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest
from aiohttp import web

from cockpit.assessment.board import Board
from cockpit.assessment.clocks import ClockCheck, Clocks
from cockpit.clock import ManualClock, SystemClock
from cockpit.model.reading import Reading, Unknown
from cockpit.sources.probes.settings import ProbesSettings
from cockpit.sources.probes.source import ProbesSource
from tests.support.api_double import ApiDouble, serving
from tests.support.waiting import HANG_S

WALL = 1_790_000_000.0
TWO_HOURS = 7203.0


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has a clock that tells both")
def test_what_was_read_before_the_machine_slept_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """P12: after a night with the lid closed signals were "1 s" old, and a plan was good."""
    clock, kind = SystemClock(), time.CLOCK_BOOTTIME
    real = time.clock_gettime
    before = Reading("x", data=1, observed_at=clock.mono(), max_age_s=15.0)
    monkeypatch.setattr(time, "clock_gettime", lambda which: real(which) + (8 * 3600.0 if which == kind else 0.0))
    found = before.believed(clock.mono())
    assert isinstance(found, Unknown) and found.age_s is not None and found.age_s > 8 * 3600.0 - 1


def checked(pace: float = 1.0, **ahead: float) -> ClockCheck:
    """What is said after ten seconds of clocks that are so far ahead of this machine's."""
    clocks, found = Clocks(), ClockCheck()
    for passed in range(11):
        mono = 100.0 + passed
        board = Board()
        for family, by in ahead.items():
            at = WALL + by + passed * pace - 3.0
            board.put(Reading(f"{family}/x", {}, mono - 3.0, server_time=at))
        found = clocks.update(board, WALL + passed, mono)
    return found


def test_this_machines_clock_is_wrong_when_all_others_say_so() -> None:
    found = checked(kubernetes=TWO_HOURS, prometheus=TWO_HOURS + 0.4)
    assert found.behind_s == pytest.approx(TWO_HOURS)
    assert found.words.startswith("this machine's clock is 2:00:03 behind the API server's and Prometheus': ")
    assert "journal's times are off" in found.words
    assert "2:00:03 ahead of the API server's" in checked(kubernetes=-TWO_HOURS).words


def test_one_clock_among_several_that_agree_is_the_wrong_one() -> None:
    found = checked(kubernetes=0.5, prometheus=-TWO_HOURS)
    assert found.behind_s is None, "ours is right, and so are the journal's times"
    assert found.words == "Prometheus' clock is 2:00:03 behind this machine's and the API server's: ages are wrong"


def test_what_the_network_bears_and_a_drill_that_runs_faster_are_not_wrong() -> None:
    assert checked(kubernetes=14.0) == ClockCheck()
    assert checked(pace=10.0, kubernetes=40.0) == ClockCheck()
    assert checked() == ClockCheck()


async def test_the_date_of_a_real_answer_is_what_counts() -> None:
    """The clock is compared by the Date of HTTP on the wire, however old the answer is."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok", headers={"Date": "Mon, 21 Sep 2026 14:13:20 GMT"})

    api = ApiDouble()
    api.on("", healthz)
    clock, board = ManualClock(now=WALL - TWO_HOURS), Board()
    async with serving(api), asyncio.timeout(HANG_S):
        source = ProbesSource(ProbesSettings(services={"m0-x": api.url}), clock)
        async with aclosing(source.readings()) as readings:
            async for reading in readings:
                board.put(reading)
                if reading.topic == "probes/m0-x/healthz":
                    break
    clocks = Clocks()
    clocks.update(board, clock.wall(), clock.mono())
    clock.advance(5.0)
    found = clocks.update(board, clock.wall(), clock.mono())
    assert (
        found.behind_s is not None
        and found.behind_s == pytest.approx(TWO_HOURS, abs=2.0)
        and "the services'" in found.words
    )
