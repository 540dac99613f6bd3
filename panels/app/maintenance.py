"""Rounds of maintenance on the screen: the view asks, the session makes them beside everything
else, the answer comes back.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, cast

from textual import on

from cockpit.errors import CockpitError
from cockpit.text import safe
from panels import messages
from panels.app.incidents import IncidentApp
from panels.kit.lazy_module import LazyModule

if TYPE_CHECKING:
    from cockpit.model.maintenance import Round
    from panels.app import overlays
else:
    overlays = LazyModule("panels.app.overlays")


class MakesRounds(Protocol):
    """What is asked of the session here."""

    def round(self, name: str) -> Future[Round]: ...
    def keep_round(self, made: Round) -> str: ...


class RoundsApp(IncidentApp):
    """The view "maintenance" and what follows from it."""

    @property
    def _rounds(self) -> MakesRounds:
        return cast(MakesRounds, self._acts)

    @on(messages.MakeRound)
    def _look_around(self, event: messages.MakeRound) -> None:
        self.run_worker(self._made(event.name), exit_on_error=False, group="round", exclusive=True)

    async def _made(self, name: str) -> None:
        made, problem = None, ""
        try:
            made = await asyncio.wrap_future(self._rounds.round(name))
        except Exception as error:
            problem = CockpitError.of(error).reason
        for view in self.base.query(overlays.MaintenanceView):
            view.tell(name, made, problem)

    @on(messages.KeepRound)
    def _keep_round(self, event: messages.KeepRound) -> None:
        self.run_worker(self._kept(event.made), exit_on_error=False, group="keep-round")

    async def _kept(self, made: Round) -> None:
        """In a thread: the journal syncs to the disk."""
        try:
            path = await asyncio.to_thread(self._rounds.keep_round, made)
        except Exception as error:
            self.notify_line(f"not written: {CockpitError.of(error).reason}", severity="error")
        else:
            self.notify(safe(f"report written: {path}"), markup=False, timeout=6)

    async def _note(self, event: messages.ManualAnswer) -> None:
        await super()._note(event)
        for view in self.base.query(overlays.MaintenanceView):
            view.action_again()
