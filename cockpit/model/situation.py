"""Describes the situation: everything the panels draw, in one immutable value.

Made in the sources' thread, drawn in the screen's.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from cockpit.model.incident import IncidentNow
from cockpit.model.observed.changes import ChangesNow
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.crosscheck import RateMismatch, SignerSetCheck
from cockpit.model.observed.metrics import Alert, Exposed, QueryResult
from cockpit.model.plan import Debt, JournalLine, Progress, Unfinished
from cockpit.model.reading import Reading, SourceState, believed, if_known
from cockpit.model.runbook import Match, Runbooks, Toggle
from cockpit.model.signal import Level, SignalStatus, StageStatus


class SourceLight(msgspec.Struct, frozen=True):
    """Describes one light of the top strip: a source's worst topic and its oldest data's age."""

    name: str  # "k8s", "prom", ...
    state: SourceState
    age_s: float | None
    reason: str = ""
    remedy: str = ""
    parts: tuple[tuple[str, SourceState, str], ...] = ()  # topics that are not live: (topic, state, reason)
    asked_s: float | None = None  # since it last answered: its samples may be older than that


class ToggleStatus(msgspec.Struct, frozen=True):
    name: str
    toggle: Toggle
    deployment: str
    value: str | None  # as shown: redacted; None: not set, or unknown (see `reason`)
    level: str  # "usual", "safest", "differs", "unset", "unknown"
    reason: str = ""
    chain: str = ""  # of a market's pause: what the chain says beside it


class ServiceStatus(msgspec.Struct, frozen=True):
    """Describes one deployment or statefulset as the Pods panel groups it, worst first."""

    name: str
    namespace: str
    kind: str
    ready: int
    desired: int
    restarts: int
    age_s: float | None
    why: str  # "" when healthy
    level: str  # a Level value
    pods: tuple[str, ...] = ()  # pod uids, problem first


class PublishingState(StrEnum):
    ON = "on"
    OURS = "stopped by us"
    ANOTHERS = "stopped by another"
    BROKEN = "broken"


class Publishing(msgspec.Struct, frozen=True):
    """Describes publishing: whether it is on, and whether what comes of it is safe.

    `words` say what stops it, since when and by whom. `danger`: why what is published now is
    harmful; `unsafe`: why it may be wrong; `doubts`: what of that cannot be read. `others`: what is
    stopped, paused or otherwise than usual and no step of this journal did.
    """

    state: PublishingState = PublishingState.ON
    words: str = ""
    journal: int | None = None  # number of the step of ours that stopped it
    since_wall: float | None = None
    paused: tuple[str, ...] = ()  # markets, on the chain or by a toggle
    markets: int = 0  # how many there are in all; 0: not known
    danger: tuple[str, ...] = ()
    unsafe: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def stopped(self) -> bool:
        return self.state in (PublishingState.OURS, PublishingState.ANOTHERS)


class ConditionStatus(msgspec.Struct, frozen=True):
    """Says whether a condition of the runbooks holds, and by which figures; None: not known."""

    held: bool | None
    because: str = ""


class Situation(msgspec.Struct, frozen=True):
    wall: float
    mono: float
    context: str
    namespaces: tuple[str, ...]
    production: bool
    read_only: bool
    cluster: Cluster
    cluster_now: float  # unix seconds on the cluster's clock: ages of objects are measured against it
    services: tuple[ServiceStatus, ...]
    kinds: Mapping[str, Reading[Any]]  # "pods/m0-prod" → reading without regard to data, for per-kind faults
    queries: Mapping[str, Reading[QueryResult]]
    alerts: tuple[Alert, ...]
    sources: tuple[SourceLight, ...]
    signals: Mapping[str, SignalStatus]
    stages: tuple[StageStatus, ...]
    matches: tuple[Match, ...]
    toggles: tuple[ToggleStatus, ...]
    runbooks: Runbooks
    progress: tuple[Progress, ...] = ()
    journal: tuple[JournalLine, ...] = ()
    debts: tuple[Debt, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    #: by service: its own /metrics, read while Prometheus cannot be asked
    metrics: Mapping[str, Reading[tuple[Exposed, ...]]] = {}
    #: topics below `solana/`: "endpoint/rpc-a", "program", "protocol", "signer-set", "markets"
    solana: Mapping[str, Reading[Any]] = {}
    postgres: Mapping[str, Reading[Any]] = {}  # topics below `postgres/`
    probes: Mapping[str, Reading[Any]] = {}  # topics below `probes/`
    #: which sources are: "kubernetes", "prometheus", "solana", "postgres", "probes"
    configured: frozenset[str] = frozenset()
    alerts_read: bool = True  # whether the list of alerts was ever read
    mismatches: tuple[RateMismatch, ...] = ()  # where metrics and chain disagree for longer than their windows explain
    signer_set: SignerSetCheck = SignerSetCheck()
    incident: IncidentNow | None = None  # the open one
    clock_behind_s: float | None = None  # this machine's clock behind the others', when it is off
    journals_unread: tuple[str, ...] = ()  # which journal of whom cannot be read: an incident in it is not known
    publishing: Publishing = Publishing()
    conditions: Mapping[str, ConditionStatus] = {}  # of the runbooks, by name
    changes: ChangesNow = ChangesNow()
    notices: tuple[str, ...] = ()  # said once at the top: a broken runbooks.toml, a locked journal, ...

    @property
    def calm(self) -> bool:
        """Return whether nothing asks for attention.

        No signal is bad or about to be, no incident is open, nothing is carried out.

        (What is unknown is not well, but asking it more often does not make it known: its source
        has its own pace.)
        """
        return not (self.incident is not None or any(each.running for each in self.progress) or self.unwell)

    def answer(self, query: str) -> QueryResult | None:
        """Return what a query of the runbooks says; None where that is not known now."""
        return if_known(believed(self.queries.get(query), self.mono))

    @property
    def unwell(self) -> frozenset[str]:
        """Return the signals that are bad, about to be, or recovering."""
        good = (Level.OK, Level.UNKNOWN)
        return frozenset(
            name for name, signal in self.signals.items() if signal.level not in good or signal.pending is not None
        )
