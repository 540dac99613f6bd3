"""When a source asks again: on the beat of its interval, half as often while all is well, at once
when that ends.
"""

from __future__ import annotations

import asyncio

from cockpit.clock import ManualClock, SystemClock
from cockpit.sources.timing import PollSchedule
from tests.support.waiting import HANG_S

LONG_S = 1000.0


async def test_a_rest_ends_on_the_beat_of_its_interval_and_not_before() -> None:
    clock = SystemClock()
    for calm, phase in ((False, 0.0), (True, 0.0), (False, 0.015), (True, 0.015)):
        polls = PollSchedule(phase)
        polls.relaxed = calm
        every = 0.04 if calm else 0.02
        since = clock.mono()
        await polls.rest(clock, since, 0.02)
        assert clock.mono() >= ((since - phase) // every + 1) * every + phase - 1e-6


async def test_who_rests_while_all_is_well_is_woken_when_it_is_not() -> None:
    clock, polls = ManualClock(since=0.0), PollSchedule(0.0)
    polls.relaxed = True
    resting = [asyncio.create_task(polls.rest(clock, 0.0, LONG_S)) for _ in range(3)]
    await asyncio.sleep(0)
    clock.advance(LONG_S + 1)  # past the quick beat, not past the calm one
    polls.relaxed = True  # no news
    await asyncio.sleep(0)
    assert not any(task.done() for task in resting)
    polls.relaxed = False
    async with asyncio.timeout(HANG_S):
        await asyncio.gather(*resting)


async def test_a_poll_that_took_longer_than_its_interval_is_followed_by_the_next_at_once() -> None:
    clock, polls = ManualClock(since=0.0), PollSchedule(0.0)
    clock.advance(2 * LONG_S)
    async with asyncio.timeout(HANG_S):
        await polls.rest(clock, 1.0, LONG_S)
