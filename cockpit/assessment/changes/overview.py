"""Makes one value of all that is known of changes, again and again, as cheaply as it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from cockpit.assessment.changes.back import back
from cockpit.assessment.changes.collected import MOST, CollectedChanges
from cockpit.assessment.changes.ranking import Evidence, ranked
from cockpit.assessment.changes.rebuilt import rebuilt
from cockpit.assessment.changes.watched import ChainWatch, watched
from cockpit.model.observed.changes import Change, ChangesNow, Onset, Ranked
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.metrics import Alert
from cockpit.model.plan import JournalLine
from cockpit.model.reading import Reading, kind_unknown
from cockpit.model.runbook import Match, Runbooks
from cockpit.model.signal import SignalStatus, StageStatus
from cockpit.sources.values import Onset as FirstSeen

#: How often what the cluster keeps is gone through again, and how often changes are ranked.
REBUILD_S, RANK_S = 2.0, 1.0
#: What led is held on to for so long: while it mends, who goes back over it needs the same list.
LASTS_S = 180.0
#: How far back changes are listed.
SINCE_S = 2 * 86400.0
#: Of so many, the best, the step that takes it back is looked for.
_PLANNED = 200
_KINDS = ("deployments", "replicasets", "configmaps", "horizontalpodautoscalers", "networkpolicies", "jobs", "events")


@dataclass(frozen=True, slots=True)
class Given:
    """Holds what a situation knows so far, for the changes to be made of.

    `seen`: since when each bad signal is, as far as its own short history tells. `dated`: by
    Prometheus' long one. `now`: unix seconds on the cluster's clock.
    """

    runbooks: Runbooks
    cluster: Cluster
    kinds: Mapping[str, Reading[Any]]
    solana: Mapping[str, Reading[Any]]
    alerts: Sequence[Alert]
    journal: Sequence[JournalLine]
    signals: Mapping[str, SignalStatus]
    stages: Sequence[StageStatus]
    matches: Sequence[Match]
    seen: Mapping[str, FirstSeen]
    dated: Mapping[str, Onset]
    now: float
    mono: float
    trouble: str = ""  # why history could not be asked


class Overview:
    """Remembers the cluster of a moment ago, what changed since, and since when it watches."""

    def __init__(self) -> None:
        self._before: Cluster | None = None
        self._complete = False
        self._kept = CollectedChanges()
        self._chain = ChainWatch()
        self._rebuilt: dict[tuple[Any, ...], Change] = {}
        self._rebuilt_at = self._ranked_at = float("-inf")
        self._since: float | None = None  # unix: when it began to watch
        self._now = ChangesNow()
        self._lasts: tuple[Match | None, Onset | None, float] = (None, None, float("-inf"))
        self._ranked_of: tuple[Any, ...] = ()

    def update(self, given: Given) -> ChangesNow:
        """Return what is known of changes now."""
        whole = not any(kind_unknown(given.kinds, kind, given.mono) for kind in ("deployments", "replicasets"))
        before, self._before = self._before, given.cluster
        if self._since is None and whole:
            self._since = given.now
        if before is not None and before is not given.cluster:
            self._kept.watch(watched(before, given.cluster, given.now))
        self._kept.watch(self._chain.markets(given.solana, given.mono, given.now))
        self._kept.watch(self._chain.alerts(tuple(given.alerts), given.now))
        if given.mono - self._rebuilt_at >= REBUILD_S:
            self._rebuild(given)
        onsets = _onsets(given)
        lead = _leading(given.matches)
        onset = _of_match(lead, onsets)
        if onset is not None:
            self._lasts = (lead, onset, given.mono)
        elif given.mono - self._lasts[2] < LASTS_S:
            lead, onset = self._lasts[:2]
        of = (onset, lead.runbook.id if lead is not None else "", tuple(onsets), self._rebuilt_at)
        if of != self._ranked_of or given.mono - self._ranked_at >= RANK_S:
            self._ranked_of, self._ranked_at = of, given.mono
            self._now = ChangesNow(
                ranked=self._rank(given, lead, onset),
                onset=onset,
                onsets=onsets,
                unseen=self._unseen(given),
                dropped=self._kept.dropped,
            )
        return self._now

    def _rebuild(self, given: Given) -> None:
        """Go through what the cluster keeps; what it forgets meanwhile is not forgotten here."""
        self._rebuilt_at = given.mono
        for change in rebuilt(given.cluster, given.now - SINCE_S):
            when = None if change.at_latest or not change.before_seen else change.at
            self._rebuilt[(*change.key, change.before, change.after, when)] = change
        if len(self._rebuilt) > MOST:
            newest = sorted(self._rebuilt.items(), key=lambda one: -one[1].at)[: MOST * 9 // 10]
            self._rebuilt = dict(newest)

    def _rank(self, given: Given, lead: Match | None, onset: Onset | None) -> tuple[Ranked, ...]:
        changes = self._kept.together(tuple(self._rebuilt.values()), given.journal, given.now)
        evidence = Evidence(given.runbooks, given.cluster, given.signals, given.stages, lead, onset)
        name = lead.runbook.id if lead is not None else ""
        order = ranked(changes, evidence)
        return tuple(
            replace(one, back=back(one.change, given.runbooks, name)) if place < _PLANNED else one
            for place, one in enumerate(order)
        )

    def _unseen(self, given: Given) -> tuple[str, ...]:
        """Say what cannot be seen, and of which time."""
        lines = []
        for kind in _KINDS:
            why = kind_unknown(given.kinds, kind, given.mono)
            if why:
                lines.append(f"{kind}: not seen ({why})")
        since = "" if self._since is None else f"{datetime.fromtimestamp(self._since, UTC):%H:%M}"
        never = sorted(one.name for one in given.cluster.configmaps.values() if not one.applied)
        if since and never:
            lines.append(f"keys of configmap {', '.join(never)} before {since}: not seen (never applied by kubectl)")
        if since and any(one.kind == "StatefulSet" for one in given.cluster.workloads.values()):
            lines.append(f"what StatefulSets ran before {since}: not seen")
        if since:
            lines.append(f"pauses of markets and signer sets before {since}: not seen")
            lines.append("replicas, more than an hour back: not seen (events are gone); nodes: not read")
        if given.trouble:
            lines.append(f"since when it is bad: not known exactly ({given.trouble})")
        return tuple(lines)


def _leading(matches: Sequence[Match]) -> Match | None:
    return next((m for m in matches if (m.holds or m.pinned or m.suspected) and not m.held_back), None)


def _onsets(given: Given) -> dict[str, Onset]:
    """Return since when each bad signal is bad: by the longest history that tells."""
    found: dict[str, Onset] = {}
    for name, status in given.signals.items():
        if not status.level.bad:
            continue
        if name in given.dated:
            found[name] = given.dated[name]
        elif name in given.seen:
            first = given.seen[name]
            found[name] = Onset(first.at, 15.0, name, first.title, at_latest=first.at_latest)
    return found


def _of_match(lead: Match | None, onsets: Mapping[str, Onset]) -> Onset | None:
    """Return when the first signal of the runbook's symptoms left its band."""
    if lead is None:
        return None
    own = [onsets[n] for s in lead.symptoms if s.held for n in s.symptom.witnesses if n in onsets]
    own = own or [onsets[n] for cause in lead.runbook.causes for n in cause.signals if n in onsets]
    own = own or list(onsets.values())  # of a runbook whose symptoms are held against the others' onsets
    sure = [onset for onset in own if not onset.at_latest]
    return min(sure or own, key=lambda onset: onset.at, default=None)
