"""Hands a chart that is asked for to the sources' thread, and what it answers to the page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from panels import messages
from panels.kit.lazy_module import LazyModule
from panels.kit.terminal_app import TerminalApp

if TYPE_CHECKING:
    from cockpit.assessment.charts.follower import Answer, ChartFollower
    from cockpit.model.runbook import Runbooks
    from cockpit.model.situation import Situation
    from cockpit.session import Session
    from panels.app import overlays
else:
    overlays = LazyModule("panels.app.overlays")

LIMIT_S = 30.0  # so long an answer is waited for: a month is a long question


class ChartController:
    """Asks for the chart of the page that is open, and gives up what nobody looks at any more."""

    def __init__(self, app: TerminalApp, session: Session) -> None:
        self._app = app
        self._session = session
        self._follower: ChartFollower | None = None

    @property
    def follower(self) -> ChartFollower:
        """Return what follows the chart that is shown, made at its first use."""
        if self._follower is None:
            from cockpit.assessment.charts.follower import ChartFollower

            session, engine = self._session, self._session.engine

            def ranged(promql: str, start: float, end: float, step: float) -> Awaitable[Answer]:
                return engine.prometheus().ranged(promql, start, end, step, LIMIT_S)

            def runbooks() -> Runbooks:
                return session.runbooks

            def situation() -> Situation | None:
                return session.situation

            own = engine.own_history
            self._follower = ChartFollower(engine.submit, ranged, situation, runbooks, own, session.clock)
        return self._follower

    def want(self, event: messages.WantChart) -> None:
        """Ask for it; the answer is drawn as soon as it is there."""
        loop, tick = asyncio.get_running_loop(), self._app.in_turn(self.feed)

        def heard() -> None:
            with contextlib.suppress(RuntimeError):  # the screen has ended meanwhile
                loop.call_soon_threadsafe(tick)

        self.follower.heard = heard
        self.follower.open(event.of, event.range)

    def feed(self) -> None:
        """Hand what is known by now to the page, if it is open."""
        for view in self._app.base.query(overlays.ChartView):
            now = self.follower.now
            if now is not None:
                view.tell(now, self._session.clock.mono())

    def stop(self) -> None:
        self.follower.stop()
