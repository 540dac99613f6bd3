"""When a source asks again: at once when something asks for attention, half as often while all is well, and on the same beat.

What is asked in one burst costs a third of the same questions spread over the interval (each would wake a cold process), so the
rests end on a common grid of the monotonic clock instead of wherever the last answer came.
"""

from __future__ import annotations

import asyncio
import contextlib
from random import random

from cockpit.clock import Clock

CALM = 2.0  # times the interval, while all is well


class Tempo:
    """One for all sources of a loop. `calm` is set by whoever judges the situation; at the start nothing is known to be well.
    `phase_s` shifts the beats, at random by default: in an incident several cockpits look from one bastion."""

    def __init__(self, phase_s: float | None = None) -> None:
        self._phase_s = random() if phase_s is None else phase_s
        self._calm = False
        self._turned = asyncio.Event()

    @property
    def calm(self) -> bool:
        return self._calm

    @calm.setter
    def calm(self, calm: bool) -> None:
        """From the sources' loop. When it ends, who rests is woken as soon as its quicker interval is over."""
        if calm is not self._calm:
            self._calm = calm
            turned, self._turned = self._turned, asyncio.Event()
            turned.set()

    async def rest(self, clock: Clock, since: float, interval_s: float) -> None:
        """Until the next beat after `since` (monotonic seconds); `interval_s` is meant for when something is not well."""
        while True:
            every = interval_s * (CALM if self._calm else 1.0)
            left = ((since - self._phase_s) // every + 1.0) * every + self._phase_s - clock.mono()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._turned.wait()
