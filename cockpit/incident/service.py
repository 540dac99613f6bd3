"""Serves the incident of one cockpit: the open one for the screen, actions, updates, evidence.

Slow things (the webhook, collecting) run on a thread and loop of their own; nothing here ever waits
for them but `close`, briefly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.clock import Clock
from cockpit.errors import UnknownName
from cockpit.incident import actions
from cockpit.incident.actions import IncidentProblem
from cockpit.incident.background import Background
from cockpit.incident.checklist import checklist, lines_of_checklist
from cockpit.incident.evidence.bundle import BUDGET_S, Captured
from cockpit.incident.evidence.capture import Capturer
from cockpit.incident.flight_recorder import Recorder
from cockpit.incident.posting import Poster
from cockpit.incident.reminders import reminder
from cockpit.incident.report.timeline import timeline
from cockpit.incident.report.writing import report_of
from cockpit.journal.incidents import Record, open_incident
from cockpit.journal.journal import Journal
from cockpit.journal.operator import Operator
from cockpit.journal.state_files import make_own, write_whole
from cockpit.model.incident import Incident, IncidentNow, TimelineEntry
from cockpit.model.plan import Plan
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.settings import WebhookSettings
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.incident.evidence.onchain import FindLast
    from cockpit.kubeapi.access import Access

TIMELINE_SHOWN = 300
_AGAIN_S = 2.0  # what depends on which processes live is looked at again this often
_LEAST_S = 1.0  # however much the flight recorder notes, the timeline is made anew no more often


class IncidentService:
    """Keeps the incident's record as one cockpit reads and writes it, from any thread.

    `situation` gives the newest; `access` reads the cluster's address (blocking); `find_last`
    finds the last reveal for evidence (`cockpit.incident.evidence.onchain`).
    """

    def __init__(
        self,
        journal: Journal,
        runbooks: Callable[[], Runbooks],
        clock: Clock,
        *,
        operator: Callable[[], Operator],
        state_dir: Path,
        situation: Callable[[], Situation | None],
        access: Callable[[], Access] | None = None,
        webhook: WebhookSettings | None = None,
        read_only: bool = False,
        record: bool = True,
        budget_s: float = BUDGET_S,
        find_last: FindLast | None = None,
    ) -> None:
        self.journal = journal
        self.recorder = Recorder(state_dir / "flight.jsonl", clock) if record else None
        self._state_dir = state_dir
        self._runbooks = runbooks
        self._clock = clock
        self._operator = operator
        self._situation = situation
        self._background = Background("incident")
        self._poster = Poster(
            journal=journal,
            clock=clock,
            operator=operator,
            place=self._place,
            background=self._background,
            webhook=webhook,
            read_only=read_only,
        )
        self.capturer = Capturer(
            journal=journal,
            runbooks=runbooks,
            clock=clock,
            operator=operator,
            directory=state_dir / "evidence",
            situation=situation,
            access=access,
            recorder=self.recorder,
            background=self._background,
            budget_s=budget_s,
            find_last=find_last,
        )
        self._seen: tuple[int, int] = (-1, -1)
        self._projected_at = float("-inf")
        self._known: _Projection | None = None

    # --- what is shown ----------------------------------------------------------------------------

    def snapshot(self, situation: Situation) -> IncidentNow | None:
        """Return the open incident as of this situation, which the flight recorder observes too.

        Never waits.
        """
        if self.recorder is not None:
            self.recorder.observe(situation)
        records = self.journal.records(wait=False)
        recorded = self.recorder.revision if self.recorder is not None else 0
        seen, since = (self.journal.revision, recorded), situation.mono - self._projected_at
        if seen[0] != self._seen[0] or (seen != self._seen and since >= _LEAST_S) or since >= _AGAIN_S:
            self._known = self._projected(records)
            self._seen, self._projected_at = seen, situation.mono
        known = self._known
        if known is None:
            return None
        return IncidentNow(
            incident=known.incident,
            reminder=reminder(known.incident, situation.wall),
            checklist=checklist(known.incident, known.records, situation, situation.runbooks),
            timeline=known.timeline,
            close_blocked=known.busy,
            close_wants=(*known.wants, *situation.publishing.others),
            webhook=self._poster.posts,
            capturing=self.capturer.under_way,
        )

    def _projected(self, records: Sequence[Record]) -> _Projection | None:
        incident = open_incident(records)
        if incident is None:
            return None
        changes = self.recorder.changes if self.recorder is not None else ()
        own = [r for r in records if float(r.get("at") or 0.0) >= incident.opened - 3600.0]
        return _Projection(
            incident=incident,
            records=own,
            timeline=timeline(incident, own, changes, limit=TIMELINE_SHOWN),
            busy=actions.under_way(own),
            wants=actions.close_wants(records),
        )

    @property
    def notices(self) -> tuple[str, ...]:
        """List faults that the operator must know of.

        These are an update that was not delivered, a recorder that cannot write, evidence
        that failed.
        """
        recorder = self.recorder.problem if self.recorder is not None else ""
        return tuple(filter(None, (recorder, self._poster.problem, self.capturer.problem)))

    # --- what the operator does -------------------------------------------------------------------

    def do(self, action: str, values: Mapping[str, str]) -> str:
        """Carry out an action of the operator and say what happened.

        One of open, close, severity, role, note, update, check, uncheck, evidence, report.
        Blocks for the journal's writes only. Raises IncidentProblem, UnknownName, JournalProblem.
        """
        own = getattr(self, f"_do_{action}", None)
        if own is None:
            raise IncidentProblem(f"there is no action {safe(action, 40)!r}")
        return str(own({key: str(value) for key, value in values.items()}))

    def _do_open(self, values: Mapping[str, str]) -> str:
        name = values.get("runbook", "")
        number: int | None = None
        if name:
            runbook = self._runbooks().runbook(name)
            name, number = runbook.id, runbook.number
        made = actions.open_(
            self.journal,
            self._operator(),
            title=values.get("title", ""),
            severity=values.get("severity", ""),
            runbook=name,
            runbook_number=number,
            commander=values.get("commander", ""),
            place=self._place(),
            since=actions.moment(values.get("since", ""), self._clock.wall()),
        )
        return f"incident #{made} is open"

    def _do_close(self, values: Mapping[str, str]) -> str:
        situation, known = self._situation(), self._known
        lines = (
            checklist(known.incident, known.records, situation, self._runbooks())
            if situation is not None and known is not None
            else ()
        )
        others = situation.publishing.others if situation is not None else ()
        number = actions.close(self.journal, self._operator(), values.get("reason", ""), lines, others)
        return f"incident #{number} is closed"

    def _do_severity(self, values: Mapping[str, str]) -> str:
        severity = actions.checked_severity(values.get("severity", ""))
        number = actions.set_severity(self.journal, self._operator(), severity, values.get("reason", ""))
        return f"incident #{number} is {severity}"

    def _do_role(self, values: Mapping[str, str]) -> str:
        number = actions.assign(self.journal, self._operator(), values.get("role", ""), values.get("name", ""))
        return f"incident #{number}: {values.get('role', '')} is {safe(values.get('name', ''), actions.NAME_LIMIT)}"

    def _do_note(self, values: Mapping[str, str]) -> str:
        return f"noted in incident #{actions.note(self.journal, self._operator(), values.get('words', ''))}"

    def _do_update(self, values: Mapping[str, str]) -> str:
        return self.update(values.get("words", ""))[0]

    def _do_check(self, values: Mapping[str, str]) -> str:
        return self._check(values, done=True)

    def _do_uncheck(self, values: Mapping[str, str]) -> str:
        return self._check(values, done=False)

    def _check(self, values: Mapping[str, str], *, done: bool) -> str:
        lines = lines_of_checklist(self._runbooks())
        item = values.get("item", "").strip()
        line = next((x for x in lines if item in (x.item, x.item.rpartition(".")[2])), None)
        if line is None:
            raise UnknownName("item", item, (x.item for x in lines), within="the incident checklist")
        actions.check(self.journal, self._operator(), line.item, line.text, done=done, words=values.get("words", ""))
        return f"{'checked' if done else 'unchecked'}: {line.text}"

    def _do_evidence(self, values: Mapping[str, str]) -> str:
        self.capture(values.get("reason") or "on demand")
        return "capturing evidence: the journal says when it is there"

    def _do_report(self, values: Mapping[str, str]) -> str:
        recording, now = self._state_dir / "flight.jsonl", self._clock.wall()
        number, text = report_of(self.journal, None, self._runbooks(), recording, now=now, situation=self._situation())
        path = self._state_dir / f"incident-{number}.md"
        try:
            make_own(path.parent)
            write_whole(path, text)
        except OSError as error:
            raise IncidentProblem(f"the report cannot be written: {error.strerror or error}", "see state-dir") from None
        return f"report written: {path}"

    def _place(self) -> str:
        situation = self._situation()
        return f"{situation.context}/{','.join(situation.namespaces)}" if situation is not None else ""

    def update(self, words: str, *, send: bool = True) -> tuple[str, Future[str] | None]:
        """Record and post an update (`Poster.update`)."""
        return self._poster.update(words, send=send)

    # --- evidence ---------------------------------------------------------------------------------

    def before_change(self, plan: Plan) -> None:
        """Begin to collect evidence before a confirmed plan is sent.

        In a SEV0 incident, and for runbooks 2 and 13, evidence is taken along before the
        first change: it is begun here and runs beside the sending, which it never delays.
        Never raises, never waits.
        """
        self.capturer.before_change(plan)

    def capture(self, reason: str) -> Future[Captured]:
        """Begin to collect a bundle (`Capturer.begin`)."""
        return self.capturer.begin(reason)

    async def evidence(self, reason: str) -> Captured:
        """Collect a bundle for a step of a runbook, on the caller's loop.

        Raises OSError, JournalProblem.
        """
        return await self.capturer.capture(reason)

    def close(self, timeout_s: float = 0.8) -> None:
        """Give the work under way a moment.

        An update that is still not delivered is journalled as failed.
        """
        self._background.wait(timeout_s)
        self._poster.close()
        self._background.close()
        if self.recorder is not None:
            self.recorder.close()


@dataclass(frozen=True, slots=True)
class _Projection:
    """Holds what was read of the open incident, until the journal changes."""

    incident: Incident
    records: Sequence[Record]
    timeline: tuple[TimelineEntry, ...]
    busy: str
    wants: tuple[str, ...]
