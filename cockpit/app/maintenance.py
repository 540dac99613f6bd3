"""Brings rounds of maintenance to the screen: the view asks, the service makes them.

The view asks, the service makes them, the answer comes back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cockpit.errors import CockpitError
from cockpit.text import safe
from panels import messages
from panels.kit.lazy_module import LazyModule
from panels.kit.terminal_app import TerminalApp

if TYPE_CHECKING:
    from cockpit.model.maintenance import Round
    from cockpit.session import Session
    from panels.app import overlays
else:
    overlays = LazyModule("panels.app.overlays")


class MaintenanceController:
    """Makes and keeps the rounds that the view "maintenance" asks for."""

    def __init__(self, app: TerminalApp, session: Session) -> None:
        self._app = app
        self._session = session

    def make(self, event: messages.MakeRound) -> None:
        self._app.run_worker(self._make(event.name), exit_on_error=False, group="round", exclusive=True)

    async def _make(self, name: str) -> None:
        made, problem = None, ""
        try:
            made = await asyncio.wrap_future(self._session.maintenance.begin(name))
        except Exception as error:
            problem = CockpitError.of(error).line()
        for view in self._app.base.query(overlays.MaintenanceView):
            view.tell(name, made, problem)

    def keep(self, event: messages.KeepRound) -> None:
        self._app.run_worker(self._keep(event.made), exit_on_error=False, group="keep-round")

    async def _keep(self, made: Round) -> None:
        """Write it in a thread: the journal syncs to the disk."""
        try:
            path = await asyncio.to_thread(lambda: self._session.maintenance.keep(made, None))
        except Exception as error:
            self._app.notify_line(f"not written: {CockpitError.of(error).line()}", severity="error")
        else:
            self._app.notify(safe(f"report written: {path}"), markup=False, timeout=6)

    def answered(self) -> None:
        """Make the shown round anew: a question of it may have been answered."""
        for view in self._app.base.query(overlays.MaintenanceView):
            view.action_again()
