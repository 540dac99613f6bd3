"""Records updates, posts them to the webhook in the background, and records how that went."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from cockpit.clock import Clock
from cockpit.incident import actions
from cockpit.incident.background import Background
from cockpit.incident.webhook import Message, Webhook
from cockpit.journal.incidents import open_incident
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.journal.operator import Operator
from cockpit.model.incident import Incident
from cockpit.settings import WebhookSettings
from cockpit.text import safe


class Poster:
    """Posts updates; `problem` says which delivery failed last, until one gets through."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        operator: Callable[[], Operator],
        place: Callable[[], str],
        background: Background,
        webhook: WebhookSettings | None,
        *,
        read_only: bool,
    ) -> None:
        self.problem = ""
        self._journal = journal
        self._clock = clock
        self._operator = operator
        self._place = place
        self._background = background
        self._webhook = webhook if webhook is not None and webhook.configured else None
        self._read_only = read_only
        self._mutex = threading.Lock()
        self._open: dict[str, int] = {}  # update id → incident: posted, and not settled yet

    @property
    def posts(self) -> bool:
        return self._webhook is not None and not self._read_only

    def update(self, words: str, *, send: bool = True) -> tuple[str, Future[str] | None]:
        """Record what others should know, and post it.

        Returns what happens, in words; and, when it is posted, a future of why it could not
        be delivered ("" when it was). Raises IncidentProblem, JournalProblem.
        """
        why_not = (
            "read-only: nothing is sent"
            if self._read_only
            else "no webhook is configured"
            if self._webhook is None
            else ""
            if send
            else "asked not to be sent"
        )
        made = actions.update(self._journal, self._operator(), words, sending=not why_not, why_not=why_not)
        incident = open_incident(self._journal.records())
        if why_not or incident is None:
            return f"update recorded, not sent ({why_not})", None
        with self._mutex:
            self._open[made] = incident.number
        sent = safe(words, actions.WORDS_LIMIT)
        return "update recorded; being sent", self._background.submit(self._deliver(incident, made, sent))

    async def _deliver(self, incident: Incident, made: str, words: str) -> str:
        assert self._webhook is not None
        message = Message(
            incident=incident.number,
            title=incident.title,
            severity=incident.severity,
            words=words,
            who=self._operator().name,
            commander=incident.holder("commander"),
            place=self._place(),
            at=self._clock.wall(),
            journal=self._journal.end(),
        )
        problem, tries = await Webhook(self._webhook).deliver(message)
        await asyncio.to_thread(self._settle, made, problem, tries)
        return problem

    def _settle(self, made: str, problem: str, tries: int) -> None:
        """Journal how a delivery ended, once."""
        with self._mutex:
            number = self._open.pop(made, None)
        if number is None:
            return
        self.problem = f"an update of incident #{number} was NOT delivered: {problem}" if problem else ""
        try:
            actions.sent(
                journal=self._journal,
                operator=self._operator(),
                number=number,
                update_id=made,
                problem=problem,
                tries=tries,
            )
        except JournalProblem as lost:
            self.problem = f"how an update was delivered is not journalled: {lost.line()}"

    def close(self) -> None:
        """Record that whatever is still not delivered has failed."""
        for made in list(self._open):
            self._settle(made, "the cockpit ended before it was confirmed", 0)
