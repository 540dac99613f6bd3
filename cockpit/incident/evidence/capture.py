"""Captures evidence on demand and before the first change of a SEV0, and journals its digest.

It is collected beside everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit import __version__
from cockpit.clock import Clock
from cockpit.incident.background import Background
from cockpit.incident.evidence.bundle import BUDGET_S, Captured, capture
from cockpit.incident.evidence.collectors import collectors, manifest_about
from cockpit.incident.flight_recorder import Recorder
from cockpit.journal.incidents import open_incident
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.journal.operator import Operator
from cockpit.model.plan import Plan
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.secrets import display_value
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.incident.evidence.collectors import ReadLogs
    from cockpit.incident.evidence.onchain import FindLast
    from cockpit.kubeapi.access import Access

#: Runbooks whose first change takes evidence along by itself, whatever the incident's severity.
_SEV0_RUNBOOKS = (2, 13)
_TAKEN_S = 3600.0  # outside an incident, evidence before a change is taken once in this time


class Capturer:
    """Collects bundles; `under_way` says what is being collected.

    `problem` says what went wrong last, until it goes well again.
    """

    def __init__(
        self,
        journal: Journal,
        runbooks: Callable[[], Runbooks],
        clock: Clock,
        operator: Callable[[], Operator],
        directory: Path,
        situation: Callable[[], Situation | None],
        access: Callable[[], Access] | None,
        recorder: Recorder | None,
        background: Background,
        *,
        budget_s: float = BUDGET_S,
        find_last: FindLast | None = None,
    ) -> None:
        self.problem = ""
        self._journal = journal
        self._runbooks = runbooks
        self._clock = clock
        self._operator = operator
        self._directory = directory
        self._situation = situation
        self._recorder = recorder
        self._background = background
        self._budget_s = budget_s
        self._find_last = find_last
        self._running: dict[int, str] = {}
        self._taken: dict[int | None, float] = {}  # incident → when evidence was begun before a change
        self.read_logs: ReadLogs | None = _reader(access) if access is not None else None

    @property
    def under_way(self) -> str:
        return "; ".join(list(self._running.values()))

    def before_change(self, plan: Plan) -> None:
        """Begin to collect before a confirmed plan is sent, if the rules ask for it.

        Never raises, never waits. A step that only reads is no change.
        """
        if plan.harmless:
            return
        with contextlib.suppress(Exception):
            incident = open_incident(self._journal.records(wait=False))
            number = incident.number if incident is not None else None
            severe = incident is not None and incident.severity == "SEV0"
            if not (severe or plan.runbook_number in _SEV0_RUNBOOKS) or (incident is not None and incident.evidence):
                return
            now, last = self._clock.mono(), self._taken.get(number)
            if last is not None and (number is not None or now - last < _TAKEN_S):
                return
            self._taken[number] = now
            self.begin(f"before the first change: {plan.title}")

    def begin(self, reason: str) -> Future[Captured]:
        """Collect on the background's loop.

        The future raises OSError, JournalProblem (then the bundle exists, but is not
        journalled).
        """
        return self._background.submit(self.capture(reason))

    async def capture(self, reason: str) -> Captured:
        """Collect, write and journal a bundle, on the caller's loop.

        Raises OSError, JournalProblem.
        """
        situation, key = self._situation(), id(asyncio.current_task())
        self._running[key] = f"collecting evidence ({safe(reason, 80)})"
        try:
            captured, record = await self._collect(situation, reason)
        except OSError as error:
            self.problem = f"evidence was NOT captured: {error.strerror or error}"
            raise
        finally:
            self._running.pop(key, None)
        try:
            await asyncio.to_thread(self._journal.append, record)
        except JournalProblem as problem:
            self.problem = f"evidence {captured.path.name} is there, but not journalled: {problem.line()}"
            raise
        self.problem = ""
        return captured

    async def _collect(self, situation: Situation | None, reason: str) -> tuple[Captured, dict[str, Any]]:
        records = await asyncio.to_thread(self._journal.records)
        incident = open_incident(records)
        number = incident.number if incident is not None else None
        wall, runbooks, who = self._clock.wall(), self._runbooks(), self._operator().record()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall))
        about = manifest_about(
            situation,
            incident=number,
            severity=incident.severity if incident is not None else "",
            reason=safe(reason, 200),
            who=who,
            version=__version__,
            journal_end=self._journal.end(),
        )
        parts = collectors(
            situation=situation,
            records=records,
            changes=self._recorder.changes if self._recorder is not None else (),
            runbooks=runbooks,
            read_logs=self.read_logs,
            shown=lambda variable, value: display_value(runbooks, variable, value),
            find=self._find_last,
        )
        name = f"incident-{number}-{stamp}" if number is not None else f"evidence-{stamp}"
        captured = await capture(self._directory, name, parts, about, wall=wall, budget_s=self._budget_s)
        return captured, {
            "kind": "evidence",
            "incident": number,
            "file": captured.path.name,
            "sha256": captured.sha256,
            "size": captured.size,
            "parts": list(captured.parts),
            "missing": [f"{part}: {why}" for part, why in captured.missing],
            "reason": safe(reason, 200),
            "operator": who,
        }


def _reader(access: Callable[[], Access]) -> ReadLogs:
    """Return a reader of logs with a client of its own, for the loop that collects."""

    async def read(namespace: str, pods: tuple[tuple[str, str | None], ...], tail: int) -> Sequence[Any]:
        from cockpit.kubeapi.client import KubeClient
        from cockpit.sources.kubernetes.logs import LogRequest, read_logs

        async with KubeClient(await asyncio.to_thread(access), read_only=True) as client:
            return [line async for line in read_logs(client, LogRequest(namespace, pods, follow=False, tail=tail))]

    return read
