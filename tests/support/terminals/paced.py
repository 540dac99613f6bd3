"""A drill whose time goes by as outside, and by as much more as a test gives, at once.

The world, and the sources and the executor of a cockpit on it, run on one loop of simulated time:
between two moves of the world each of them has done what it had to do by then. So a proof needs
the minutes that its runbook asks for, and no test waits for them. The screen is not on that loop.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

from bench.matrix.loop import GRAIN_S, LoopClock, Selector, SimulatedLoop, simulate
from bench.matrix.rig import START
from cockpit.drill.server import DrillThread
from cockpit.model.runbook import Runbooks
from cockpit.session import Session
from cockpit.settings import Settings
from tests.support.waiting import wait_for

#: Simulated seconds between two situations: while a step runs there would be four in one.
ASSESS_EVERY_S = 1.0
TICK_S = 0.5  # simulated seconds between two moves of the world
PATIENCE_S = 5.0  # real seconds without a word from outside; then time goes on without it
AWAITED_S = 0.05  # real seconds between two looks while something outside is awaited


class _PacedSelector(Selector):
    """Lets time go by as outside while something there is awaited: a child process, a socket."""

    def __init__(self) -> None:
        super().__init__()
        self._outside: set[int] = set()
        self._heard = 0.0  # when something last came from there, in real seconds

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        wait = timeout is None or timeout > 0
        outside = {number for number in self._fd_to_key if number not in self.idle}  # type: ignore[attr-defined]
        if outside != self._outside:
            self._outside, self._heard = outside, time.monotonic()
        awaited = wait and bool(outside) and time.monotonic() - self._heard < PATIENCE_S
        found = self.poll(AWAITED_S if awaited else 0)
        if any(key.fd in outside for key, _ in found):
            self._heard = time.monotonic()
        if not found and wait:
            self.pass_time(min(AWAITED_S, timeout or AWAITED_S) if awaited else timeout)
        return found

    def poll(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        return selectors.PollSelector.select(self, timeout)


class PacedLoop(SimulatedLoop):
    """Keeps a time that is never ahead of the real one and what was granted."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._granted = 0.0
        self._pacing = _PacedSelector()
        super().__init__(self._pacing)

    def grant(self, seconds: float) -> float:
        """Let so many seconds pass as soon as they can; return the time at which they have.

        May be called from any thread.
        """
        self._granted += seconds
        self.call_soon_threadsafe(lambda: None)
        return self._allowed()

    def _allowed(self) -> float:
        return time.monotonic() - self._began + self._granted

    def _pass_time(self, timeout: float | None) -> None:
        due = float("inf") if timeout is None else self._now + timeout + GRAIN_S
        if due > self._allowed():
            self._pacing.poll(min(due - self._allowed(), 1.0))
        self._now = max(self._now, min(due, self._allowed()))


class PacedDrill(DrillThread):
    """Runs a drill on a loop that a cockpit shares: `PacedSession`."""

    def __init__(self, scenario: str, **options: Any) -> None:
        super().__init__(scenario, speed=0, start_at=START, tls=False, **options)
        self.loop = PacedLoop()
        self.clock = LoopClock(self.loop, START)

    def pass_time(self, seconds: float) -> None:
        """Let so many simulated seconds pass, and wait until all that was due in them is done."""
        then = self.loop.grant(seconds)
        wait_for(lambda: self.loop.time() >= then)

    def _run(self) -> None:
        try:
            simulate(self._live(), self.loop)
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _live(self) -> None:
        driving = asyncio.create_task(self._drive())
        try:
            await super()._live()
        finally:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in (driving, *rest):
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    async def _drive(self) -> None:
        """Move the world on with the loop's time, once it is there."""
        while True:
            await asyncio.sleep(TICK_S)
            if self._ready.done():
                self._drill.world.advance(self.clock.wall() - self._drill.world.clock.now())


class PacedSession(Session):
    """Runs the cockpit's sources and executor on a drill's loop, by its clock."""

    def __init__(self, settings: Settings, runbooks: Runbooks, drill: PacedDrill) -> None:
        super().__init__(settings, runbooks, drill.clock)
        self.loop = drill.loop

    def start(self, on_situation: Callable[[bool], None] | None = None) -> None:
        super().start(on_situation)
        self.engine.assess_every_s = ASSESS_EVERY_S
