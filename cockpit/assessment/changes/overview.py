"""Makes one value of all that is known of changes, again and again, as cheaply as it can."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from cockpit.assessment.changes.back import back
from cockpit.assessment.changes.collected import MOST, CollectedChanges
from cockpit.assessment.changes.ranking import Evidence, ranked
from cockpit.assessment.changes.rebuilt import rebuilt
from cockpit.assessment.changes.watched import ChainWatch, watched
from cockpit.model.observed.changes import Back, Change, ChangesNow, Onset, Ranked
from cockpit.model.observed.cluster import Cluster, NetworkPolicy
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
#: What the cluster keeps of the past: while none of it is replaced, nothing is gone through again
_TELLING = ("workloads", "replicasets", "events", "configmaps", "autoscalers", "policies", "jobs")
#: … but this often: a scaling is parted from a rollout after a while.
RESETTLE_S = 30.0
#: So many objects are gone through in a thread: the loop that reads sources must not be held.
LARGE = 800
_WORKER = ThreadPoolExecutor(1, "changes")
#: How far back changes are listed.
SINCE_S = 2 * 86400.0
#: Of so many, the best, the step that takes it back is looked for.
_PLANNED = 60
_UNKNOWN = Back("", "", {}, "")
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
        self._kept = CollectedChanges()
        self._chain = ChainWatch()
        self._rebuilt: dict[tuple[Any, ...], Change] = {}
        self._rebuilt_at = self._ranked_at = float("-inf")
        self._working: Future[list[Change]] | None = None
        self._taken = 0
        self._at = 0.0  # monotonic, of what is ranked
        self._since: float | None = None  # unix: when it began to watch
        self._now = ChangesNow()
        self._lasts: tuple[Match | None, Onset | None, float] = (None, None, float("-inf"))
        self._ranked_of: tuple[Any, ...] = ()
        self._rebuilt_of: tuple[Any, ...] = ()
        self._reached: dict[int, tuple[object, frozenset[str], float]] = {}
        self._journal: Sequence[JournalLine] = ()
        self._ways: dict[tuple[str, Change], Back | None] = {}

    def update(self, given: Given) -> ChangesNow:
        """Return what is known of changes now."""
        before, self._before = self._before, given.cluster
        first = self._since is None and _arrived(given)
        if first:
            self._since = given.now
        if before is not None and before is not given.cluster:
            self._kept.watch(watched(before, given.cluster, given.now))
        self._kept.watch(self._chain.markets(given.solana, given.mono, given.now))
        self._kept.watch(self._chain.alerts(tuple(given.alerts), given.now))
        if first or given.mono - self._rebuilt_at >= REBUILD_S:
            kept = tuple(getattr(given.cluster, name) for name in _TELLING)
            same = len(self._rebuilt_of) == len(kept) and all(map(operator.is_, kept, self._rebuilt_of))
            if not same or given.mono - self._rebuilt_at >= RESETTLE_S:
                self._rebuilt_of = kept
                self._rebuild(given)
        if self._working is not None and self._working.done():
            done, self._working = self._working, None
            self._taken += 1
            self._take(done.result())
        onsets = _onsets(given)
        lead = _leading(given.matches)
        onset = _of_match(lead, onsets)
        if onset is not None:
            self._lasts = (lead, onset, given.mono)
        elif given.mono - self._lasts[2] < LASTS_S:
            lead, onset = self._lasts[:2]
        stages = tuple((stage.level, stage.stops_here) for stage in given.stages)
        runbook = lead.runbook.id if lead is not None else ""
        of = (
            onset,
            runbook,
            self._since,
            tuple(onsets),
            stages,
            self._kept.revision,
            self._rebuilt_at,
            self._taken,
            given.trouble,
        )
        apart = RANK_S if given.journal is self._journal else 0.0
        if of != self._ranked_of and given.mono - self._ranked_at >= apart:
            self._ranked_of, self._ranked_at, self._journal = of, given.mono, given.journal
            self._now = ChangesNow(
                ranked=self._rank(given, lead, onset),
                onset=onset,
                onsets=onsets,
                unseen=self._unseen(given),
                dropped=self._kept.dropped,
                since=None if self._working is not None and not self._taken else self._since,
            )
        return self._now

    def _rebuild(self, given: Given) -> None:
        """Go through what the cluster keeps: of a large one in a thread, taken up when done."""
        self._rebuilt_at = given.mono
        since, now, cluster = given.now - SINCE_S, given.now, given.cluster
        if len(cluster.replicasets) + len(cluster.events) < LARGE:
            self._take(rebuilt(cluster, since, now))
        elif self._working is None:
            self._working = _WORKER.submit(rebuilt, cluster, since, now)

    def _take(self, found: Sequence[Change]) -> None:
        """Add what the cluster tells; what it forgets meanwhile is not forgotten here."""
        for change in found:
            when = None if change.at_latest or not change.before_seen else change.at
            self._rebuilt[(*change.key, change.before, change.after, when)] = change
        if len(self._rebuilt) > MOST:
            newest = sorted(self._rebuilt.items(), key=lambda one: -one[1].at)[: MOST * 9 // 10]
            self._rebuilt = dict(newest)

    def _rank(self, given: Given, lead: Match | None, onset: Onset | None) -> tuple[Ranked, ...]:
        changes = self._kept.together(tuple(self._rebuilt.values()), given.journal, given.now)
        evidence = Evidence(given.runbooks, given.cluster, given.signals, given.stages, lead, onset, self._services_of)
        self._at = given.mono
        name = lead.runbook.id if lead is not None else ""
        order = ranked(changes, evidence)
        ways = {(name, one.change): self._way(one.change, given.runbooks, name) for one in order[:_PLANNED]}
        self._ways = ways  # those that are listed no more are forgotten
        return tuple(replace(one, back=ways.get((name, one.change))) for one in order)

    def _way(self, change: Change, runbooks: Runbooks, lead: str) -> Back | None:
        known = self._ways.get((lead, change), _UNKNOWN)
        return back(change, runbooks, lead) if known is _UNKNOWN else known

    def _services_of(self, policy: NetworkPolicy, cluster: Cluster) -> frozenset[str]:
        """Return the services whose pods a policy selects, worked out anew every half minute."""
        known = self._reached.get(id(policy))
        if known is None or known[0] is not policy or self._at - known[2] > RESETTLE_S:
            own = (pod for pod in cluster.pods.values() if pod.namespace == policy.namespace)
            found = frozenset(pod.service for pod in own if policy.selector.selects(pod.labels))
            self._reached = {k: v for k, v in self._reached.items() if self._at - v[2] < 4 * RESETTLE_S}
            known = self._reached[id(policy)] = (policy, found, self._at)
        return known[1]

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


def _arrived(given: Given) -> bool:
    """Tell whether every kind was read whole, or cannot be: what is not there may come yet."""
    found = [reading.believed(given.mono) for reading in given.kinds.values()]
    kinds = {topic.partition("/")[0] for topic in given.kinds}
    wanted = {"deployments", "replicasets", "events"}
    wanted |= {"configmaps" for toggle in given.runbooks.toggles.values() if toggle.configmap}
    return wanted <= kinds and not any(each.starting for each in found)


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
