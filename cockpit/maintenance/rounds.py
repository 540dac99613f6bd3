"""Goes through the weekly and the monthly round (15.weekly.*, 15.monthly.*), line by line.

Names of queries and signals are those of runbooks.toml, whose PromQL is the operator's; a line's
signals are those of its own step there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cockpit.maintenance.answers import question
from cockpit.maintenance.chainfacts import authority, rotation
from cockpit.maintenance.costs import costs
from cockpit.maintenance.findings import by_label, counted, now, over_time
from cockpit.maintenance.lookups import Lookups
from cockpit.maintenance.measure import Ranges, Span
from cockpit.model.maintenance import Finding, Question, RoundLine
from cockpit.model.runbook import Runbook, Runbooks
from cockpit.model.situation import Situation

DAY_S = 86400.0
WINDOWS: Mapping[str, float] = {"weekly": 7 * DAY_S, "monthly": 30 * DAY_S}
#: A restore drill this old still counts.
RESTORE_TESTED_S = 35 * DAY_S
ROUTINE = "routine-maintenance"


@dataclass(frozen=True, slots=True)
class RoundInput:
    """Holds everything that a round looks at.

    `records`: the journal's; `wall`: the clock that they are stamped with.
    """

    name: str
    runbooks: Runbooks
    situation: Situation
    records: Sequence[Mapping[str, Any]]
    wall: float
    span: Span
    ranges: Ranges | None
    lookups: Lookups | None = None

    def ask(self, step: str, runbook: str = ROUTINE, fresh_s: float | None = None) -> Question | None:
        patience = WINDOWS[self.name] if fresh_s is None else fresh_s
        return question(self.records, self.runbooks, runbook, step, now=self.wall, fresh_s=patience)

    async def signals(self, item: str, *, trend: bool = False) -> list[Finding]:
        """Judge the signals of the line's own step over the round's time."""
        found: list[Finding] = []
        for name in _signals_of(self.runbooks, item):
            found += await over_time(name, self.runbooks, self.ranges, self.span, self.situation, trend=trend)
        return found

    async def rows(self, query: str, what: str, label: str, signal: str = "") -> list[Finding]:
        """Judge a query by label; `signal` lends it its bounds."""
        bound = self.runbooks.signals.get(signal)
        return await by_label(
            name=query, what=what, label=label, runbooks=self.runbooks, ranges=self.ranges, at=self.span, bound=bound
        )

    async def count(self, query: str, what: str, label: str = "", *, bad: bool = False) -> list[Finding]:
        return await counted(
            name=query, what=what, runbooks=self.runbooks, ranges=self.ranges, at=self.span, label=label, bad=bad
        )


async def lines(given: RoundInput) -> tuple[RoundLine, ...]:
    """Return the round's lines in the document's order.

    The monthly round goes through the weekly lines too.
    """
    wanted = _LINES if given.name == "weekly" else (*_MONTHLY, *_LINES)
    texts = _texts(given.runbooks)
    done = []
    for item, judge in wanted:
        findings, asked = await judge(given)
        done.append(RoundLine(item, texts.get(item, item), tuple(findings), asked))
    return tuple(done)


Line = tuple[list[Finding], Question | None]


async def _signers(at: RoundInput) -> Line:
    """Judge signer latency and misses, and each signer by itself."""
    found = await at.signals("15.weekly.1")
    found += await at.count("signer-misses", "threshold misses", bad=True)
    found += await at.rows("signer-p95", "p95", "signer", "signer-p95")
    found += await at.count("signer-errors", "signer errors", "signer")
    return found, None


async def _models(at: RoundInput) -> Line:
    """Judge drift, calibration error and risk, and each model by itself."""
    found = await at.signals("15.weekly.2")
    found += await at.rows("drift-by-model", "drift", "model", "drift")
    found += await at.rows("ece-by-model", "ECE", "model", "calibration")
    return found, None


async def _backups(at: RoundInput) -> Line:
    """Judge backups, archiving and the newest restore test in staging; ask where none is seen."""
    found = await at.signals("15.weekly.3")
    tested = await at.lookups.restore_tests(at.situation.cluster_now, RESTORE_TESTED_S) if at.lookups else []
    seen = any(one.state == "ok" for one in tested)
    return [*found, *tested], None if seen else at.ask("test-restore", "backup-restore", RESTORE_TESTED_S)


async def _rpc(at: RoundInput) -> Line:
    """Judge each RPC endpoint: errors, confirmation, requests, 429s, costs; ask for a price."""
    found = await at.signals("15.weekly.4")
    found += await at.rows("rpc-error-ratio", "errors", "endpoint")
    found += await at.rows("rpc-confirm-p95", "confirmation", "endpoint", "rpc-confirm")
    found += await at.count("rpc-requests", "requests", "endpoint")
    found += await at.count("rpc-throttled", "requests refused for their rate (429)", "endpoint", bad=True)
    spent, unpriced = await costs(at.lookups.prices if at.lookups else (), at.runbooks, at.ranges, at.span)
    return [*found, *spent], at.ask("weekly-rpc-costs") if unpriced else None


async def _keys(at: RoundInput) -> Line:
    """Judge what is due to be renewed: certificates, named secrets by age; ask for other keys."""
    found = [now("certificate-days", at.situation)] if "probes" in at.situation.configured else []
    found += await at.lookups.secret_ages(at.situation.cluster_now) if at.lookups else []
    return found, at.ask("weekly-keys")


async def _rotation(at: RoundInput) -> Line:
    """Judge the active signer set: its age, whether all sides agree on it, who answers."""
    return rotation(at.situation), at.ask("monthly-rotation")


async def _authority(at: RoundInput) -> Line:
    """Judge who may change program and code, as at the last round or not, and the multisig."""
    return authority(at.situation, at.records), at.ask("monthly-authority")


async def _capacity(at: RoundInput) -> Line:
    """Judge a month of load, with its trend and when it reaches the bound."""
    return await at.signals("15.monthly.3", trend=True), None


_LINES: tuple[tuple[str, Callable[[RoundInput], Awaitable[Line]]], ...] = (
    ("15.weekly.1", _signers),
    ("15.weekly.2", _models),
    ("15.weekly.3", _backups),
    ("15.weekly.4", _rpc),
    ("15.weekly.5", _keys),
)
_MONTHLY: tuple[tuple[str, Callable[[RoundInput], Awaitable[Line]]], ...] = (
    ("15.monthly.1", _rotation),
    ("15.monthly.2", _authority),
    ("15.monthly.3", _capacity),
)


def _runbook(runbooks: Runbooks) -> Runbook | None:
    return next((runbook for runbook in runbooks.runbooks if runbook.id == ROUTINE), None)


def _texts(runbooks: Runbooks) -> dict[str, str]:
    runbook = _runbook(runbooks)
    return {step.item: step.title for step in runbook.mitigations if step.item} if runbook is not None else {}


def _signals_of(runbooks: Runbooks, item: str) -> tuple[str, ...]:
    runbook = _runbook(runbooks)
    steps = runbook.mitigations if runbook is not None else ()
    return next((step.signals for step in steps if step.item == item), ())
