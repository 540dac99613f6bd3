"""Measures the runbooks' named conditions: what is known of each, and by which figures.

What cannot be read makes a condition unknown, which never counts as held.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.assessment.baseline import amount, judge, merged
from cockpit.assessment.imagehistory import runs
from cockpit.assessment.usual.configs import changed_keys
from cockpit.model.observed.cluster import Cluster, Workload
from cockpit.model.observed.metrics import QueryResult
from cockpit.model.plan import JournalLine
from cockpit.model.reading import NOTHING_READ, Reading, believed, if_known, kind_unknown, last_known
from cockpit.model.runbook import Condition, Runbooks, SignalDef
from cockpit.model.sections.order import names_of
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import ConditionStatus, ToggleStatus
from cockpit.sources.families import FAMILIES
from cockpit.sources.values import Snapshot
from cockpit.text import safe

#: The annotation by which a workload says what it can do, in names parted by commas.
CAPABILITIES = "m0club.io/capabilities"
#: A change of a variable that is older than this explains no regression of today.
RECENT_CHANGE_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Holds what conditions are measured by."""

    runbooks: Runbooks
    signals: Mapping[str, SignalStatus]
    toggles: Sequence[ToggleStatus]
    kinds: Mapping[str, Reading[object]]
    namespaces: tuple[str, ...]
    snapshot: Snapshot
    configured: frozenset[str]
    journal: Sequence[JournalLine] = ()

    @property
    def cluster(self) -> Cluster:
        return self.snapshot.cluster

    def workload(self, service: str) -> Workload | str:
        """Return the service's workload, or why it is not known."""
        why = kind_unknown(self.kinds, "deployments", self.snapshot.mono, f"deployments: {NOTHING_READ}")
        found = [w for w in self.cluster.workloads.values() if w.name == service and w.namespace in self.namespaces]
        if why or not found:
            return why or f"there is no {service} in the watched namespaces"
        return found[0] if len(found) == 1 else f"there are {len(found)} of {service}"


class Conditions:
    """Remembers since when each of those that must hold for a time does, and what was listed."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._refuted: set[str] = set()  # seen not to hold, and never unknown since
        self._listed: dict[str, set[str]] = {}

    def measure(self, known: Known) -> dict[str, ConditionStatus]:
        """Return the status of every condition."""
        for condition in known.runbooks.conditions.values():
            if condition.among is not None:
                seen = self._listed.setdefault(condition.among, set())
                seen.update(sorted(listed_in(condition.among, known.snapshot))[: MOST_LISTED - len(seen)])
        return {name: self._lasting(name, one, known) for name, one in known.runbooks.conditions.items()}

    def _lasting(self, name: str, condition: Condition, known: Known) -> ConditionStatus:
        found = status_of(condition, known, self._listed.get(condition.among or "", ()))
        if condition.hold <= 0:
            return found
        if found.held is not True:
            self._since.pop(name, None)
            (self._refuted.add if found.held is False else self._refuted.discard)(name)
            return found
        mono = known.snapshot.mono
        names = condition.signals or condition.one_of
        deciding = [n for n in names if _at(known.signals.get(n), condition.at)]
        began = [s.since for n in deciding if (s := known.signals.get(n)) is not None and s.since is not None]
        since = self._since.setdefault(name, max(began, default=mono))
        lasted, certain = mono - since, name in self._refuted
        spans = [lasting(known.runbooks.signals.get(n), known.signals[n], condition.at, known) for n in deciding]
        longest = (min if condition.signals else max)(spans, key=lambda one: one[0], default=(0.0, False))
        if longest[0] > lasted:
            lasted, certain = longest[0], longest[1]
        words = f"{found.because}, for {_minutes(lasted)} of {_minutes(condition.hold)}"
        if lasted >= condition.hold:
            return ConditionStatus(True, words)
        if certain or longest[1]:
            return ConditionStatus(False, words)
        return ConditionStatus(None, f"{words} at least: since when is not known")


#: So many names of one list are remembered.
MOST_LISTED = 256
#: Between points of a history that lie farther apart nothing is known.
GAP_S = 90.0


def lasting(definition: SignalDef | None, status: SignalStatus, level: str, known: Known) -> tuple[float, bool]:
    """Return for how long a signal has been at the level by its history, and whether that is all.

    Of what has no history nothing is known: 0 seconds, and it may have been longer.
    """
    reading = known.snapshot.board.get(f"prometheus/signals/{status.name}")
    if definition is None or definition.promql is None or reading is None:
        return 0.0, False
    result = if_known(believed(reading, known.snapshot.mono, QueryResult))
    if result is None or result.evaluated_at is None:
        return 0.0, False
    points, shows, newest = merged(result.history, definition.direction), False, result.evaluated_at
    began = newest
    for at, value in reversed(points):
        if began - at > GAP_S:
            break
        judged = judge(value, definition.direction, status.warn, status.crit)
        if not (judged is Level.CRIT if level == "crit" else judged.bad if level == "warn" else judged is Level.OK):
            shows = True
            break
        began = min(began, at)
    return newest - began, shows


def listed_in(among: str, snapshot: Snapshot) -> set[str]:
    """Return the values of a query's label, now and in what is kept of it."""
    query, _, label = among.partition(":")
    result = last_known(believed(snapshot.board.get(f"prometheus/queries/{query}"), snapshot.mono, QueryResult))
    if result is None:
        return set()
    rows = [*(sample.labels for sample in result.samples), *(series.labels for series in result.history)]
    return {labels[label] for labels in rows if label in labels}


def status_of(condition: Condition, known: Known, listed: Collection[str] = ()) -> ConditionStatus:
    """Measure one condition now, whatever time it must hold for.

    `listed`: what `among` named before.
    """
    if condition.signals or condition.one_of:
        return _of_signals(condition, known.signals)
    if condition.value is not None:
        return _of_value(condition, condition.value, known)
    if condition.toggle is not None:
        return _of_toggle(condition, condition.toggle, known.toggles)
    if condition.scales is not None:
        return _scales(condition.scales, known)
    if condition.unusual is not None:
        return _unusual(condition.unusual, known)
    service, _, name = (condition.capability or condition.changed or condition.sets or "").partition(":")
    if condition.capability is not None:
        return _capable(service, name, known)
    if condition.changed is not None:
        return _changed(service, name, known)
    return _set(service, name, known, condition.among, listed)


def _of_signals(condition: Condition, signals: Mapping[str, SignalStatus]) -> ConditionStatus:
    names = condition.signals or condition.one_of
    some = [name for name in names if (s := signals.get(name)) is None or not s.off] or list(names)
    verdicts = [(name, _at(signals.get(name), condition.at)) for name in some]
    wanted = all(held for _, held in verdicts) if condition.signals else any(held for _, held in verdicts)
    doubts = [name for name, held in verdicts if held is None]
    refuted = any(held is False for _, held in verdicts) if condition.signals else not wanted and not doubts
    if wanted or refuted:
        deciding = [name for name, held in verdicts if held is wanted]
        return ConditionStatus(wanted, _figures(deciding, signals))
    return ConditionStatus(None, _figures(doubts, signals))


def _at(status: SignalStatus | None, level: str) -> bool | None:
    if status is None or status.level is Level.UNKNOWN:
        return None
    if level == "ok":
        return status.level is Level.OK and status.pending is None
    return status.level is Level.CRIT if level == "crit" else status.level.bad


def _figures(names: Iterable[str], signals: Mapping[str, SignalStatus]) -> str:
    return ", ".join(_figure(name, signals.get(name)) for name in names)


def _figure(name: str, status: SignalStatus | None) -> str:
    if status is None or status.level is Level.UNKNOWN:
        reason = "not evaluated" if status is None else safe(status.reason, 80) or "unknown"
        return f"{name} unknown: {reason}"
    number = "" if status.value is None else f" {amount(status.value)} {status.unit}".rstrip()
    return f"{name}{number} ({status.level.value})"


def _of_value(condition: Condition, name: str, known: Known) -> ConditionStatus:
    family = name.partition(".")[0]
    if family not in known.configured:
        return ConditionStatus(None, f"{family} is not configured")
    value = FAMILIES[family].values(known.snapshot).get(name)
    if value.number is None or not math.isfinite(value.number):
        return ConditionStatus(None, f"{name} unknown: {value.reason or 'no value'}")
    low, high = condition.at_least, condition.at_most
    held = (low is None or value.number >= low) and (high is None or value.number <= high)
    return ConditionStatus(held, f"{name} {amount(value.number)}")


def _of_toggle(condition: Condition, name: str, toggles: Sequence[ToggleStatus]) -> ConditionStatus:
    own = [one for one in toggles if one.name == name]
    for one in own:
        if one.level == "unknown" or (one.value is None and one.toggle.unset is None):
            return ConditionStatus(None, f"{name} of {one.deployment}: {one.reason or 'not set'}")
    if not own:
        return ConditionStatus(None, f"{name} is not read")
    values = [one.toggle.unset if one.value is None else one.value for one in own]
    said = ", ".join(dict.fromkeys(str(value) or "(empty)" for value in values))
    return ConditionStatus(all(value in condition.values for value in values), f"{name} is {said}")


def _scales(service: str, known: Known) -> ConditionStatus:
    said = known.runbooks.services.get(service)
    if said is not None and (said.singleton or not said.scalable):
        return ConditionStatus(False, f"{service} is not scalable, as the runbooks say")
    found = known.workload(service)
    if isinstance(found, str):
        return ConditionStatus(None, found)
    if found.kind == "StatefulSet":
        return ConditionStatus(False, f"{service} is a StatefulSet: its pods are no equals")
    if found.claims:
        return ConditionStatus(False, f"{service} keeps state in volume {', '.join(found.claims)}")
    return ConditionStatus(True, f"{service} is a Deployment without volumes of its own, and scalable")


def _capable(service: str, name: str, known: Known) -> ConditionStatus:
    """Tell by the workload's own annotation, else by what the runbooks say of the service."""
    found = known.workload(service)
    if isinstance(found, str):
        return ConditionStatus(None, found)
    annotation = found.annotations.get(CAPABILITIES)
    said = known.runbooks.services.get(service)
    if annotation is not None:
        names = [word.strip() for word in annotation.split(",") if word.strip()]
        return ConditionStatus(name in names, f"{service} says it can: {safe(', '.join(names), 80) or 'nothing'}")
    if said is not None and said.capabilities is not None:
        return ConditionStatus(name in said.capabilities, "as the runbooks say")
    return ConditionStatus(None, f"{service} does not say what it can do (annotation {CAPABILITIES})")


def _changed(service: str, variable: str, known: Known) -> ConditionStatus:
    """Tell whether the kept revisions show another value, not long ago."""
    found = known.workload(service)
    if isinstance(found, str):
        return ConditionStatus(None, found)
    why = kind_unknown(known.kinds, "replicasets", known.snapshot.mono, f"replicasets: {NOTHING_READ}")
    if why:
        return ConditionStatus(None, why)
    kept = runs(known.cluster, found.namespace, service)
    now = next((ran.env.get(variable) for ran in kept if ran.current), None)
    if now is None:
        return ConditionStatus(None, f"{variable} of {service} is not set by a literal")
    other = next((ran for ran in kept if ran.env.get(variable) not in (None, now)), None)
    if other is None:
        return ConditionStatus(False, f"{variable} was {now} in every kept revision")
    ago = None if other.ended is None else known.snapshot.cluster_now - other.ended
    words = f"{variable} was {other.env[variable]}" + ("" if ago is None else f" until {_minutes(ago)} ago")
    return ConditionStatus(None if ago is None else ago <= RECENT_CHANGE_S, words)


def _set(
    service: str, variable: str, known: Known, among: str | None = None, listed: Collection[str] = ()
) -> ConditionStatus:
    """Tell whether a variable is set: with `among` only to names that there are."""
    found = known.workload(service)
    if isinstance(found, str):
        return ConditionStatus(None, found)
    held = found.env(variable)
    if held is not None and held.value is None:
        return ConditionStatus(None, f"{variable} comes from {held.source or 'elsewhere'}")
    value = held.value if held is not None else None
    if not value or among is None:
        return ConditionStatus(bool(value), f"{variable} is {value}" if value else f"{variable} is not set")
    there = listed_in(among, known.snapshot) | set(listed)
    real = [name for name in names_of(value) if name in there]
    if real:
        return ConditionStatus(True, f"{variable} is {safe(value, 80)}, of which there is {safe(', '.join(real), 80)}")
    of = f"known are {safe(', '.join(sorted(there)), 80)}" if there else "which there are is not known"
    return ConditionStatus(None, f"{variable} is {safe(value, 80)}: {of}")


def _unusual(name: str, known: Known) -> ConditionStatus:
    """Tell whether a key of a ConfigMap is not as it was; of one only written it is unknown."""
    found = changed_keys(
        known.runbooks, known.cluster, known.namespaces, name, known.journal, known.snapshot.cluster_now
    )
    if isinstance(found, str):
        return ConditionStatus(None, found)
    if not found:
        return ConditionStatus(False, f"no key of {name} is known to have changed")
    held = True if any(each.before for each in found) else None
    return ConditionStatus(held, " · ".join(each.words for each in found))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else _hours(seconds)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"
