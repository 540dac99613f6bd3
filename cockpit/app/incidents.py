"""Shows the incident: the form that opens one, its page, and what the operator does there.

The form that opens one, its page, and what the operator does there.
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
    from cockpit.session import Session
    from panels.app import overlays
else:
    overlays = LazyModule("panels.app.overlays")

HOLD_AT_MOST_S = 1.0
NOT_YET = "nothing is known yet: one moment"


class IncidentController:
    """Does what key `i` and all that follows from it ask for; the service records it."""

    def __init__(self, app: TerminalApp, session: Session) -> None:
        self._app = app
        self._session = session

    async def open(self) -> None:
        """Open the open incident's page; when none is open, the form."""
        situation = self._session.situation
        if situation is None:
            self._app.notify_line(NOT_YET)
        elif situation.incident is None:
            await self.ask(messages.AskIncident("open", {}))
        elif not self._app.base.query(overlays.IncidentView):
            await self._app.open_layer(overlays.IncidentView(situation, appearance=self._app.appearance))

    async def ask(self, event: messages.AskIncident) -> None:
        situation = self._session.situation
        if situation is None:
            self._app.notify_line(NOT_YET)
        elif situation.incident is None and event.action != "open":
            unread = situation.journals_unread
            self._app.notify_line(
                f"whether an incident is open is not known: {unread[0]}"
                if unread
                else "no incident is open: i opens one"
            )
        elif not self._app.base.query(overlays.IncidentForm):
            fixed = dict(event.values)
            if event.action == "open":
                fixed["runbook"] = overlays.best_match(situation)[2]
            form = overlays.INCIDENT_FORMS[event.action]
            await self._app.open_layer(
                overlays.IncidentForm(form, situation, fixed=fixed, appearance=self._app.appearance)
            )

    def act(self, event: messages.IncidentAct) -> None:
        if self._app.base.query(overlays.IncidentForm):
            self._app.hold_keys()  # what is typed ahead is meant for what lies below the form
            self._app.set_timer(HOLD_AT_MOST_S, self._app.release_keys)  # a disk that hangs holds no keys up
        self._app.run_worker(self._act(event), exit_on_error=False, group="incident")

    async def _act(self, event: messages.IncidentAct) -> None:
        """Do it in a thread, as the journal syncs to the disk.

        The form stays until it is written.
        """
        try:
            words = await asyncio.to_thread(lambda: self._session.incident.do(event.action, event.values))
        except Exception as error:
            self._app.call_later(self._refused, event.action, CockpitError.of(error).line())
        else:
            self._app.call_later(self._done, event.action, words)

    def _refused(self, action: str, reason: str) -> None:
        forms = [form for form in self._app.base.query(overlays.IncidentForm) if form.form.action == action]
        for form in forms:
            form.refused(reason)
        self._app.release_keys()
        if not forms:
            self._app.notify_line(reason, severity="error")

    async def _done(self, action: str, words: str) -> None:
        for form in self._app.base.query(overlays.IncidentForm):
            if form.form.action == action:
                await form.remove()
        self._app.release_keys()
        self._app.notify(safe(words), markup=False, timeout=4)
