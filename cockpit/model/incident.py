"""Holds an incident as the journal tells it, and what the screen shows of it.

Times are wall unix seconds. Severities, roles and how often to update others follow checklist 16.2
of the operational runbooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import msgspec

SEVERITIES: Final = ("SEV0", "SEV1", "SEV2", "SEV3")
MEANING: Final = {
    "SEV0": "unsafe output published, key compromise, invalid signatures, or publishing halted everywhere",
    "SEV1": "publishing degraded for many markets, repeated commit or reveal failures, database outage",
    "SEV2": "partial impact, one connector out, drift without bad output",
    "SEV3": "near miss",
}
#: Id on the command line and in the journal → the role's name. Only `expert` may be held by
#: several.
ROLES: Final = {
    "commander": "incident commander",
    "on-call": "on-call engineer",
    "scribe": "scribe",
    "expert": "domain expert",
}


class Cadence(NamedTuple):
    """Says how many seconds after the last update to remind, and after how many it is overdue."""

    remind_s: float
    overdue_s: float


#: SEV0 and SEV1 every 15 to 30 minutes, SEV2 hourly, SEV3 no rule.
CADENCE: Final[Mapping[str, Cadence]] = {
    "SEV0": Cadence(900.0, 1800.0),
    "SEV1": Cadence(900.0, 1800.0),
    "SEV2": Cadence(2700.0, 3600.0),
}


class RoleHolder(msgspec.Struct, frozen=True):
    role: str  # an id of `ROLES`
    name: str
    since: float


class Note(msgspec.Struct, frozen=True):
    wall: float
    who: str
    words: str


class Update(msgspec.Struct, frozen=True):
    """Holds what was said to others.

    `delivery`: "sending", "delivered", "failed", "not sent" (no webhook, or read-only), or
    "unknown" (the process that sent it ended before it knew); `detail` says why, in words.
    """

    id: str
    wall: float
    who: str
    words: str
    delivery: str = "not sent"
    detail: str = ""


class Tick(msgspec.Struct, frozen=True):
    """Describes a line of the checklist that somebody ticked by hand."""

    wall: float
    who: str
    words: str = ""


class SeverityChange(msgspec.Struct, frozen=True):
    wall: float
    who: str
    severity: str
    was: str  # "" when the incident was opened
    reason: str = ""


class EvidenceFile(msgspec.Struct, frozen=True):
    """Describes a bundle that was captured.

    `name` in the evidence directory, and the tar's sha256 as the journal holds it.
    """

    wall: float
    who: str
    name: str
    sha256: str
    size: int
    parts: tuple[str, ...]
    missing: tuple[str, ...]  # "signer set: not configured"
    reason: str  # "on demand", "before the first change", ...


class Incident(msgspec.Struct, frozen=True):
    number: int
    title: str
    severity: str
    opened: float
    opened_by: str
    runbook: str = ""  # id of the runbook it matches
    runbook_number: int | None = None
    place: str = ""  # "prod-eu/m0-prod", where the cockpit that opened it looked
    closed: float | None = None
    closed_by: str = ""
    close_reason: str = ""
    roles: tuple[RoleHolder, ...] = ()  # in the order given; a newer holder replaces, except experts
    severities: tuple[SeverityChange, ...] = ()
    updates: tuple[Update, ...] = ()
    notes: tuple[Note, ...] = ()
    ticks: Mapping[str, Tick] = {}  # by item id
    evidence: tuple[EvidenceFile, ...] = ()
    #: item id → state and words of the checklist, as the cockpit saw it at the closing
    seen: Mapping[str, tuple[str, str]] = {}
    mitigations: tuple[int, ...] = ()  # journal numbers of what was done while it was open

    @property
    def open(self) -> bool:
        return self.closed is None

    def holder(self, role: str) -> str:
        """Return who holds the role; names joined for experts, "" for nobody."""
        return ", ".join(h.name for h in self.roles if h.role == role)


class Reminder(msgspec.Struct, frozen=True):
    """Says how urgent the next update is.

    `level`: "none" (no rule), "quiet", "due" (remind), "overdue", "failed" (the last update did
    not get out). `seconds` until it is overdue; negative: overdue for so long.
    """

    level: str
    seconds: float | None
    words: str


class CheckLine(msgspec.Struct, frozen=True):
    """Describes one line of checklist 16.2.

    `state`: "done", "open", "unknown", or "contradicted" (ticked, but the machine sees
    otherwise). `by` is "machine", the operator's name, or "" while nobody knows.
    """

    item: str
    text: str
    state: str
    by: str
    words: str
    wall: float | None = None


class TimelineEntry(msgspec.Struct, frozen=True):
    """Describes one line of the timeline.

    `kind`: "incident", "mitigation", "note", "update", "evidence", "check", "signal", "source",
    "service", "runbook", "event", "change", "cockpit". `level` is a signal level for its colour, or
    "".
    """

    wall: float
    kind: str
    words: str
    who: str = ""
    level: str = ""
    number: int | None = None  # in the journal, of a mitigation


class IncidentNow(msgspec.Struct, frozen=True):
    """Holds the open incident, ready to draw."""

    incident: Incident
    reminder: Reminder
    checklist: tuple[CheckLine, ...]
    timeline: tuple[TimelineEntry, ...]  # oldest first, the newest few hundred
    close_blocked: str = ""  # why it cannot be closed now at all
    close_wants: tuple[str, ...] = ()  # why closing needs a reason: debts, intents without an outcome
    webhook: bool = False  # updates are posted somewhere
    capturing: str = ""  # evidence under way, in words


class EvidenceCollector(Protocol):
    """Says what the executor may know of evidence.

    Called with a confirmed plan, before it is sent. Starts a capture when the rules ask for
    one; returns at once and never raises.
    """

    def before_change(self, plan: Any) -> None: ...
