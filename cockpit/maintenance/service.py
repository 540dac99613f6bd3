"""Makes rounds in the background, keeps each as a report, and notes it in the journal."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.clock import Clock
from cockpit.errors import CockpitError
from cockpit.incident.report.writing import write
from cockpit.maintenance import report, rounds
from cockpit.maintenance.chainfacts import authority_now, upgrade_authority_now
from cockpit.maintenance.deploy import Deploying, deploy_lines
from cockpit.maintenance.lookups import Lookups
from cockpit.maintenance.measure import Ranges, Span
from cockpit.model.maintenance import Finding, Round, RoundLine
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation

if TYPE_CHECKING:
    from cockpit.journal.journal import Journal
    from cockpit.journal.operator import Operator
    from cockpit.settings import MaintenanceSettings

TITLES = {
    "weekly": "Weekly round of routine maintenance",
    "monthly": "Monthly round of routine maintenance",
    "deploy": "Deploy checklist",
    "incident": "Incident checklist",
}
_STATE = {"done": "ok", "open": "attention", "contradicted": "attention", "unknown": "unknown"}
NO_INCIDENT = "no incident is open: `i` opens one, and its page has this list"


class RoundProblem(CockpitError):
    """A maintenance round cannot be made, or not be kept."""

    usual_remedy = "`m0-cockpit maintenance --help` lists the rounds"


@dataclass(frozen=True, slots=True)
class MaintenanceService:
    """Makes and keeps the rounds of one cockpit.

    `ranges` None: no Prometheus is configured. `journal` None: nothing was answered, and
    nothing is noted.
    """

    runbooks: Callable[[], Runbooks]
    situation: Callable[[], Situation | None]
    clock: Clock
    operator: Callable[[], Operator]
    state_dir: Path
    settings: MaintenanceSettings
    ranges: Ranges | None
    journal: Journal | None
    lookups: Lookups | None = None

    def begin(self, name: str) -> Future[Round]:
        """Make a round on a thread and loop of its own: a month of history takes a while.

        Raises RoundProblem by the future.
        """
        pool = ThreadPoolExecutor(1, thread_name_prefix="round")
        future = pool.submit(lambda: asyncio.run(self.make(name)))
        pool.shutdown(wait=False)
        return future

    async def make(self, name: str) -> Round:
        """Make a round.

        Raises RoundProblem.
        """
        situation = self.situation()
        if name not in TITLES:
            raise RoundProblem(f"there is no round {name!r}", f"one of {', '.join(TITLES)}")
        if situation is None:
            raise RoundProblem("nothing is known yet", "one moment")
        records = self.journal.records() if self.journal is not None else ()
        since: float | None = None
        lines: Sequence[RoundLine]
        if name in rounds.WINDOWS:
            span = Span(situation.cluster_now - rounds.WINDOWS[name], situation.cluster_now)
            since = span.start
            lines = await rounds.lines(
                rounds.RoundInput(
                    name=name,
                    runbooks=self.runbooks(),
                    situation=situation,
                    records=records,
                    wall=self.clock.wall(),
                    span=span,
                    ranges=self.ranges,
                    lookups=self.lookups,
                )
            )
        elif name == "deploy":
            own = self.settings
            lines = deploy_lines(
                Deploying(
                    situation=situation,
                    runbooks=self.runbooks(),
                    records=records,
                    wall=self.clock.wall(),
                    canaries=own.canary_markets,
                    migration_jobs=own.migration_jobs,
                )
            )
        else:
            lines = _incident(situation)
        place = f"{situation.context}/{','.join(situation.namespaces)}"
        return Round(
            name=name,
            title=TITLES[name],
            place=place,
            operator=self.operator().name,
            wall=self.clock.wall(),
            at=situation.cluster_now,
            since=since,
            lines=tuple(lines),
            notes=() if self.journal is not None else ("No journal is open: what people answered is not known.",),
        )

    def keep(self, made: Round, out: Path | None = None) -> Path:
        """Write the report and note it in the journal, with its digest.

        Raises RoundProblem, JournalProblem.
        """
        try:
            if out is None:
                path = report.write(self.state_dir, made)
            else:
                path = out
                write(path, report.markdown(made))
        except OSError as error:
            raise RoundProblem(f"the report cannot be written: {error.strerror or error}", "see state-dir") from None
        if self.journal is not None and not self.journal.read_only_reason:
            situation = self.situation()
            self.journal.append(
                {
                    "kind": "maintenance",
                    "round": made.name,
                    "file": path.name,
                    "sha256": hashlib.sha256(report.markdown(made).encode()).hexdigest(),
                    "attention": made.count("attention"),
                    "unknown": made.count("unknown"),
                    "asked": made.count("ask"),
                    "authority": authority_now(situation) if situation is not None else "",
                    "upgrade_authority": upgrade_authority_now(situation) if situation is not None else "",
                    "operator": self.operator().record(),
                }
            )
        return path


def _incident(situation: Situation) -> tuple[RoundLine, ...]:
    """Return 16.incident.* as the open incident's own page has it."""
    running = situation.incident
    if running is None:
        lines = [
            line
            for runbook in situation.runbooks.runbooks
            for line in runbook.checklist
            if line.item.startswith("16.incident.")
        ]
        return tuple(RoundLine(line.item, line.text, (Finding("unknown", NO_INCIDENT),)) for line in lines)
    return tuple(
        RoundLine(
            line.item,
            line.text,
            (Finding(_STATE.get(line.state, "unknown"), line.words + (f" ({line.by})" if line.by else "")),),
        )
        for line in running.checklist
    )
