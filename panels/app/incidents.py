"""The incident on the screen: the form that opens one, its page, and what the operator does there.

The session does it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on

from cockpit.errors import CockpitError
from cockpit.text import safe
from panels import messages
from panels.app.mitigations import ActingApp
from panels.kit.lazy_module import LazyModule

if TYPE_CHECKING:
    from panels.app import overlays
else:
    overlays = LazyModule("panels.app.overlays")

HOLD_AT_MOST_S = 1.0
NOT_YET = "nothing is known yet: one moment"


class IncidentApp(ActingApp):
    """Key `i` and all that follows from it."""

    @on(messages.OpenIncident)
    async def action_incident(self) -> None:
        """The open incident's page; when none is open, the form."""
        situation = self._acts.situation
        if situation is None:
            self.notify_line(NOT_YET)
        elif situation.incident is None:
            await self._ask_incident(messages.AskIncident("open", {}))
        elif not self.base.query(overlays.IncidentView):
            await self.open_layer(overlays.IncidentView(situation, look=self.look))

    @on(messages.AskIncident)
    async def _ask_incident(self, event: messages.AskIncident) -> None:
        situation = self._acts.situation
        if situation is None:
            self.notify_line(NOT_YET)
        elif situation.incident is None and event.action != "open":
            self.notify_line("no incident is open: i opens one")
        elif not self.base.query(overlays.IncidentForm):
            fixed = dict(event.values)
            if event.action == "open":
                fixed["runbook"] = overlays.best_match(situation)[2]
            form = overlays.INCIDENT_FORMS[event.action]
            await self.open_layer(overlays.IncidentForm(form, situation, fixed=fixed, look=self.look))

    @on(messages.IncidentAct)
    def _act_on_incident(self, event: messages.IncidentAct) -> None:
        if self.base.query(overlays.IncidentForm):
            self.hold_keys()  # what is typed ahead is meant for what lies below the form
            self.set_timer(HOLD_AT_MOST_S, self.release_keys)  # a disk that hangs holds no keys up
        self.run_worker(self._carry_incident(event), exit_on_error=False, group="incident")

    async def _carry_incident(self, event: messages.IncidentAct) -> None:
        """In a thread: the journal syncs to the disk.

        The form stays until it is written.
        """
        try:
            words = await asyncio.to_thread(self._acts.incident, event.action, event.values)
        except Exception as error:
            self.call_later(self._incident_refused, event.action, CockpitError.of(error).line())
        else:
            self.call_later(self._incident_done, event.action, words)

    def _incident_refused(self, action: str, reason: str) -> None:
        forms = [form for form in self.base.query(overlays.IncidentForm) if form.form.action == action]
        for form in forms:
            form.refused(reason)
        self.release_keys()
        if not forms:
            self.notify_line(reason, severity="error")

    async def _incident_done(self, action: str, words: str) -> None:
        for form in self.base.query(overlays.IncidentForm):
            if form.form.action == action:
                await form.remove()
        self.release_keys()
        self.notify(safe(words), markup=False, timeout=4)
