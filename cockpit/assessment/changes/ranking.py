"""Ranks changes by how well they explain when it began, and where it stops.

Before the onset and near it; of what stands at, or before, what is bad; of a kind that can do that.
Nothing that came after explains anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from msgspec.structs import replace

from cockpit.model.observed.changes import EXPLAINS, Change, Onset, Ranked
from cockpit.model.observed.cluster import Cluster, NetworkPolicy
from cockpit.model.reading import spell
from cockpit.model.runbook import Cause, Match, Runbooks
from cockpit.model.signal import SignalStatus, StageStatus
from cockpit.sources.families import FAMILIES

#: What is scraped shows the first bad value a little before or after it is told.
SLACK_S = 20.0
#: A change explains less, the longer before the onset it was.
FADES_S = 450.0
#: Who scaled, where it was no person.
AUTOSCALER = "autoscaler "
#: What a change is worth of which it is not known whether it was before.
UNDATED = 0.6
#: What is left of a change that is not known to be able to do it.
UNFIT = 0.15
#: How much a kind of change can do at all.
WEIGHT: Mapping[str, float] = {
    "image": 1.0,
    "config": 0.95,
    "variable": 0.95,
    "replicas": 0.85,
    "policy": 0.85,
    "autoscaler": 0.8,
    "signer-set": 0.8,
    "step": 0.8,
    "node": 0.7,
    "certificate": 0.7,
    "paused": 0.4,
    "restart": 0.7,
    "market": 0.3,
    "workload": 0.5,
    "job": 0.2,
    "alert": 0.0,
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Holds what changes are held against."""

    runbooks: Runbooks
    cluster: Cluster
    signals: Mapping[str, SignalStatus]
    stages: Sequence[StageStatus]
    lead: Match | None
    onset: Onset | None
    selected: Callable[[NetworkPolicy, Cluster], frozenset[str]] = lambda policy, cluster: frozenset()


def ranked(changes: Sequence[Change], evidence: Evidence) -> list[Ranked]:
    """Return every change, the best explanation first; without an onset the newest first."""
    onset = evidence.onset
    if onset is None:
        return [Ranked(change) for change in sorted(changes, key=lambda each: -each.at)]
    newest: dict[tuple[str, str, str, str], Change] = {}
    for change in changes:
        if change.key not in newest or change.at > newest[change.key].at:
            newest[change.key] = change
    found = [_since(_judged(change, onset, evidence), newest[change.key]) for change in changes]
    return sorted(found, key=lambda each: (-each.score, abs(each.before_onset_s or 0.0)))


def _since(one: Ranked, newest: Change) -> Ranked:
    """Take what stands no more for no explanation of what is bad now, next to those that are."""
    if newest is one.change or newest.after == one.change.after or not one.explains:
        return one
    again = "taken back since" if newest.after == one.change.before else "changed again since"
    return replace(one, score=min(one.score, EXPLAINS - 0.01), why=f"{one.why}; {again}".lstrip("; "))


def _judged(change: Change, onset: Onset, evidence: Evidence) -> Ranked:
    before = onset.at - change.at
    slack = SLACK_S + onset.within_s
    fits, words = fit(change, evidence)
    near = math.exp(-max(0.0, before - slack) / FADES_S)
    if change.at_latest:  # it was so long before at least, and may have been earlier
        score = WEIGHT[change.kind] * near * fits * UNDATED
        return Ranked(change, score, before, f"{words}; when exactly is not seen".lstrip("; "))
    if before < -slack and not onset.at_latest:
        return Ranked(change, 0.0, before, "after it began")
    score = WEIGHT[change.kind] * near * fits
    if change.by.startswith(AUTOSCALER):
        score, words = score * 0.7, f"{words}; what {change.by} did"
    return Ranked(change, min(1.0, score), before, words)


def fit(change: Change, evidence: Evidence) -> tuple[float, str]:
    """Return how well the place and the kind of a change fit what is bad, and why."""
    able, words = _able(change, evidence)
    value, more = _value(change, evidence)
    return able * value, "; ".join(filter(None, (words, more)))


def _able(change: Change, evidence: Evidence) -> tuple[float, str]:
    """Tell whether such a change can do what is seen: by the likely causes, else by the signals."""
    services = concerned(change, evidence)
    if evidence.lead is not None:
        likely = [cause for cause in evidence.lead.runbook.causes if _holds(cause, evidence.signals)]
        said = [cause for cause in likely if cause.changes is not None]
        allowed = [entry for cause in said for entry in cause.changes or ()]
        if not said and evidence.lead.runbook.changes is not None:
            said, allowed = list(likely), list(evidence.lead.runbook.changes)
        if said or evidence.lead.runbook.changes is not None:
            if not any(_names(entry, change, services) for entry in allowed):
                return UNFIT, f"not what runbook {evidence.lead.runbook.number} looks for"
            cause = next((c for c in said if any(_names(e, change, services) for e in c.changes or ())), None)
            return 1.0, _at(services, evidence) or (cause.text if cause is not None else "")
    defined = evidence.runbooks.signals
    moved = [set(defined[n].moved_by) for n, s in evidence.signals.items() if s.level.bad and n in defined]
    moved = [each for each in moved if each]
    if not moved or not services:
        return (0.5, "") if not moved else (UNFIT, "of no service that is known to do this")
    share = sum(bool(each & services) for each in moved) / len(moved)
    return max(UNFIT, share), _at(services, evidence)


def _holds(cause: Cause, signals: Mapping[str, SignalStatus]) -> bool:
    return any(name in signals and signals[name].level.bad for name in cause.signals)


def _names(entry: str, change: Change, services: Collection[str]) -> bool:
    kind, colon, name = entry.partition(":")
    if colon:
        return change.kind == kind and name in services
    return entry in services or entry in (change.field, change.kind)


def _at(services: Collection[str], evidence: Evidence) -> str:
    """Say which stage of the pipeline they are, where that is told by their pods."""
    found = [stage for service, stage in stages_of(evidence.runbooks).items() if service in services]
    stops = next((stage.name for stage in evidence.stages if stage.stops_here), "")
    return f"on {found[0]}, where it stops" if stops in found and found else f"on {found[0]}" if found else ""


def _value(change: Change, evidence: Evidence) -> tuple[float, str]:
    if change.kind in ("config", "variable"):
        return _of_key(change, evidence)
    return 1.0, ""


def _of_key(change: Change, evidence: Evidence) -> tuple[float, str]:
    known = evidence.runbooks.variable(change.field)
    if known is None:
        return 0.4, "the runbooks know no such key"
    if known.usual is not None and change.after == known.usual:
        return 0.2, "it is as usual now"
    share = 1.0
    words = f"usually {known.usual}" if known.usual is not None else ""
    apart = _apart(change.before if change.before_seen else known.usual, change.after)
    if apart is not None and apart < 1.3:
        share = 0.4
    return share, words


def _apart(before: str | None, after: str | None) -> float | None:
    """Return how many times a number has become another; None for what are no numbers."""
    try:
        old, new = abs(float(before or "")), abs(float(after or ""))
    except ValueError:
        return None
    return max(old, new) / min(old, new) if min(old, new) > 0 else math.inf if max(old, new) > 0 else 1.0


def concerned(change: Change, evidence: Evidence) -> frozenset[str]:
    """Return the services that a change is of; empty where that cannot be told."""
    services = evidence.runbooks.services
    if change.owner in ("Deployment", "StatefulSet"):
        return frozenset({change.name})
    if change.kind == "config":
        known = evidence.runbooks.variable(change.field)
        return frozenset((known.services or getattr(known, "deployments", ())) if known is not None else ())
    if change.kind == "autoscaler":
        return frozenset({change.field.partition(" ")[0]})
    if change.kind == "policy":
        policy = evidence.cluster.policies.get((change.namespace, change.name))
        return frozenset() if policy is None else evidence.selected(policy, evidence.cluster)
    if change.kind == "job":
        return frozenset({name for name in services if change.name.startswith(name)})
    if change.kind == "node":
        return frozenset(pod.service for pod in evidence.cluster.pods.values() if change.name in (pod.node, pod.name))
    return frozenset()


@lru_cache(maxsize=8)
def _stages_of(stages: tuple[tuple[str, tuple[str, ...]], ...]) -> Mapping[str, str]:
    return {service: stage for stage, services in stages for service in services}


def stages_of(runbooks: Runbooks) -> Mapping[str, str]:
    """Return service → the stage whose signals tell of its pods."""
    rows = []
    for stage in runbooks.stages:
        values = [runbooks.signals[name].value for name in (stage.headline, *stage.signals) if name in runbooks.signals]
        found = [FAMILIES[v.partition(".")[0]].service_of(v) for v in values if v is not None]
        rows.append((stage.name, tuple(each for each in found if each)))
    return _stages_of(tuple(rows))


def distance(ranked_: Ranked) -> str:
    """Say how far a change is from the onset: "20 s before", "3:10 after"."""
    if ranked_.before_onset_s is None:
        return ""
    side = "before" if ranked_.before_onset_s >= 0 else "after"
    return f"{spell(abs(ranked_.before_onset_s))} {side}"
