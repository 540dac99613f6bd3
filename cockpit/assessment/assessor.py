"""Judges the board: makes all that panels draw one value, several times a second and cheaply."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cockpit.assessment.board import Board
from cockpit.assessment.changes.overview import Given, Overview
from cockpit.assessment.clocks import Clocks, newest_clock
from cockpit.assessment.crosscheck import CrossCheck
from cockpit.assessment.lights import lights
from cockpit.assessment.match import Recovering, match
from cockpit.assessment.publishing.state import publishing, stopped_services
from cockpit.assessment.services import services
from cockpit.assessment.signals import Evaluator
from cockpit.assessment.signerset import check as check_signer_set
from cockpit.assessment.toggles import beside_chain, toggles
from cockpit.assessment.usual.kept import KeptBaselines
from cockpit.assessment.verdicts.conditions import Conditions, Known
from cockpit.assessment.verdicts.stages import Marked, stages
from cockpit.clock import Clock
from cockpit.model.incident import IncidentNow
from cockpit.model.observed.changes import Onset
from cockpit.model.observed.cluster import Cluster
from cockpit.model.plan import Debt, JournalLine, Progress, Unfinished
from cockpit.model.reading import Reading, believed, last_known
from cockpit.model.runbook import CADENCE, PAUSE_TOGGLE, Runbooks
from cockpit.model.situation import PublishingState, ServiceStatus, Situation, ToggleStatus
from cockpit.sources.inventory import Inventory
from cockpit.sources.values import Snapshot

#: Services are made anew at least this often (their ages grow), and with many pods no more often.
SERVICES_EVERY_S = 1.0

#: The runbook of publishing that stands still: held back while it was stopped on purpose.
STOPS = "publishing-stops"

#: Field of `Cluster` → the plurals that feed it.
_FEEDS: Mapping[str, tuple[str, ...]] = {
    "pods": ("pods",),
    "workloads": ("deployments", "statefulsets"),
    "replicasets": ("replicasets",),
    "events": ("events",),
    "autoscalers": ("horizontalpodautoscalers",),
    "jobs": ("jobs",),
    "policies": ("networkpolicies",),
    "configmaps": ("configmaps",),
}


class Assessor:
    """Keeps what must be remembered between situations: held levels, baselines, counted pods."""

    def __init__(
        self,
        runbooks: Runbooks,
        clock: Clock,
        *,
        context: str,
        namespaces: tuple[str, ...],
        production: bool,
        read_only: bool,
        configured: frozenset[str],
        kept: KeptBaselines | None = None,
    ) -> None:
        self.context = context
        self.namespaces = namespaces
        self._runbooks = runbooks
        self._clock = clock
        self._production = production
        self._read_only = read_only
        self._configured = configured
        self._inventory = Inventory()
        self._evaluator = Evaluator(runbooks, clock, configured=configured, inventory=self._inventory, kept=kept)
        self._recovering, self._marked = Recovering(), Marked()
        self._crosscheck = CrossCheck()
        self._conditions = Conditions()
        self._clocks = Clocks()
        self._overview = Overview()
        self._merged: dict[str, tuple[tuple[Any, ...], Mapping[Any, Any]]] = {}
        self._services: tuple[ServiceStatus, ...] = ()
        self._services_of: tuple[int, Any, frozenset[str]] | None = None
        self._services_at = 0.0
        self._toggles: tuple[ToggleStatus, ...] = ()
        self._toggles_of: tuple[Any, ...] = ()
        self._journal: tuple[JournalLine, ...] = ()
        self._switched_off: frozenset[str] = frozenset()

    def assess(
        self,
        board: Board,
        progress: tuple[Progress, ...] = (),
        journal: tuple[JournalLine, ...] = (),
        debts: tuple[Debt, ...] = (),
        unfinished: tuple[Unfinished, ...] = (),
        notices: tuple[str, ...] = (),
        journals_unread: tuple[str, ...] = (),
        incident: IncidentNow | None = None,
        dated: tuple[Mapping[str, Onset], str] = ({}, ""),
    ) -> Situation:
        """Return the situation now.

        `dated`: when bad signals left their bands, by a long history, and why that is not known.
        Never raises for what is on the board.
        """
        wall, mono = self._clock.wall(), self._clock.mono()
        kinds = _below(board, "kubernetes/")
        queries = _below(board, "prometheus/queries/")
        cluster = self._cluster(kinds, mono)
        server = newest_clock(kinds, mono)
        now = server if server is not None else wall
        if journal is not self._journal:
            self._journal, self._switched_off = journal, switched_off(journal)
        desired = _desired(cluster)
        stopped = stopped_services(desired, journal, wall)
        signals = self._evaluator.evaluate(board, cluster, now, self._switched_off, stopped, tempo(journal))
        alerts = last_known(believed(board.get("prometheus/alerts"), mono))
        solana, probes = _below(board, "solana/"), _below(board, "probes/")
        clocks = self._clocks.update(board, wall, mono)
        toggles_now = self._toggle_statuses(cluster, kinds, mono)
        snapshot = Snapshot(board, cluster, self._inventory, now, mono)
        state = publishing(self._runbooks, desired, toggles_now, snapshot.paused, signals, journal, wall)
        matches = match(
            self._runbooks,
            signals,
            pinned=incident.incident.runbook if incident is not None else "",
            held_back={STOPS: state.words} if state.state is PublishingState.OURS else {},
        )
        matches = self._recovering.mark(matches, signals)
        if state.state is PublishingState.ON and any(m.runbook.id == STOPS and m.whole for m in matches):
            state = msgspec.structs.replace(state, state=PublishingState.BROKEN)
        stages_now = self._marked.settle(stages(self._runbooks, signals), mono)
        changes = self._overview.update(
            Given(
                runbooks=self._runbooks,
                cluster=cluster,
                kinds=kinds,
                solana=solana,
                alerts=alerts or (),
                journal=journal,
                signals=signals,
                stages=stages_now,
                matches=matches,
                seen=self._evaluator.onsets,
                dated=dated[0],
                trouble=dated[1],
                now=now,
                mono=mono,
            )
        )
        return Situation(
            wall=wall,
            mono=mono,
            context=self.context,
            namespaces=self.namespaces,
            production=self._production,
            read_only=self._read_only,
            cluster=cluster,
            cluster_now=now,
            services=self._service_statuses(cluster, now, mono, stopped),
            kinds=kinds,
            queries=queries,
            alerts=tuple(alerts or ()),
            alerts_read=alerts is not None,
            sources=lights(board, mono, self._configured),
            signals=signals,
            stages=stages_now,
            changes=changes,
            matches=matches,
            publishing=state,
            conditions=self._conditions.measure(
                Known(
                    runbooks=self._runbooks,
                    signals=signals,
                    toggles=toggles_now,
                    kinds=kinds,
                    namespaces=self.namespaces,
                    snapshot=snapshot,
                    configured=self._configured,
                    journal=journal,
                )
            ),
            toggles=beside_chain(toggles_now, solana, "solana" in self._configured, mono),
            runbooks=self._runbooks,
            progress=tuple(progress),
            journal=tuple(journal),
            debts=tuple(debts),
            unfinished=tuple(unfinished),
            metrics=_below(board, "metrics/"),
            solana=solana,
            postgres=_below(board, "postgres/"),
            probes=probes,
            configured=self._configured,
            mismatches=self._crosscheck.update(queries, solana.get("program"), wall, mono),
            signer_set=check_signer_set(solana, probes, toggles_now, self._configured, mono),
            incident=incident,
            clock_behind_s=clocks.behind_s,
            notices=tuple(dict.fromkeys((*self._runbooks.problems, *filter(None, (clocks.words,)), *notices))),
            journals_unread=journals_unread,
        )

    def _cluster(self, kinds: Mapping[str, Reading[Any]], mono: float) -> Cluster:
        parts: dict[str, list[Any]] = {name: [] for name in _FEEDS}
        by_plural = {plural: name for name, plurals in _FEEDS.items() for plural in plurals}
        for topic, reading in kinds.items():
            name = by_plural.get(topic.partition("/")[0])
            objects = last_known(reading.believed(mono)) if name is not None else None
            if name is not None and isinstance(objects, Mapping):
                parts[name].append(objects)
        return Cluster(**{name: self._merge(name, tuple(each)) for name, each in parts.items()})

    def _merge(self, name: str, parts: tuple[Any, ...]) -> Mapping[Any, Any]:
        """Return one mapping over namespaces; the same object as before if no part was replaced."""
        if len(parts) == 1:
            mapping: Mapping[Any, Any] = parts[0]
            return mapping
        kept = self._merged.get(name)
        if kept is not None and len(kept[0]) == len(parts) and all(a is b for a, b in zip(kept[0], parts, strict=True)):
            return kept[1]
        whole: dict[Any, Any] = {}
        for part in parts:
            whole.update(part)
        self._merged[name] = (parts, whole)
        return whole

    def _service_statuses(
        self, cluster: Cluster, now: float, mono: float, stopped: Mapping[str, str]
    ) -> tuple[ServiceStatus, ...]:
        seen = (self._inventory.revision, cluster.workloads, frozenset(stopped))
        before = self._services_of
        same = before is not None and before[0] == seen[0] and before[1] is seen[1] and before[2] == seen[2]
        many = len(self._inventory.tallies) > 100
        due = mono - self._services_at >= SERVICES_EVERY_S
        if before is None or due or (not same and (not many or self._inventory.grown)):
            self._services = services(cluster, self._inventory, self._runbooks.services, now, stopped)
            self._services_of, self._services_at = seen, mono
        return self._services

    def _toggle_statuses(
        self, cluster: Cluster, kinds: Mapping[str, Reading[Any]], mono: float
    ) -> tuple[ToggleStatus, ...]:
        believed_ = [(t, r.believed(mono)) for t, r in kinds.items() if t.startswith("deployments/")]
        states = tuple((topic, found.live, found.reason) for topic, found in believed_)
        before = self._toggles_of
        if (
            not before
            or before[0] is not cluster.workloads
            or before[1] is not cluster.configmaps
            or before[2] != states
        ):
            self._toggles = toggles(self._runbooks, cluster, kinds, mono)
            self._toggles_of = (cluster.workloads, cluster.configmaps, states)
        return self._toggles


def switched_off(journal: Sequence[JournalLine]) -> frozenset[str]:
    """Return the words that steps, applied and not undone, changed: a connector, a release.

    Of a list, what stands in it only before, or only after. A target is named as `NAME-`, too: its
    pods were replaced.
    """
    names: set[str] = set()
    for line in journal:
        if line.undoable and not line.undone:
            place = line.target.split(" / ")  # context / namespace / kind name
            target = place[2].rpartition(" ")[2] if len(place) > 2 else ""
            names |= {target, f"{target}-"} if target else set()
            for change in line.changes:
                names |= _words(change.before) ^ _words(change.after)
                names |= {change.field.removeprefix(PAUSE_TOGGLE)} if change.field.startswith(PAUSE_TOGGLE) else set()
    return frozenset(names)


def tempo(journal: Sequence[JournalLine]) -> float:
    """Return how often markets publish after our steps, of what they did before."""
    share = 1.0
    for line in journal:
        for change in line.changes if line.undoable and not line.undone else ():
            before, after = (change.before or "").strip(), (change.after or "").strip()
            if change.field.endswith(CADENCE) and before.isdecimal() and after.isdecimal() and int(after):
                share *= int(before) / int(after)
    return share or 1.0


def _desired(cluster: Cluster) -> Mapping[str, int]:
    """Return the replicas that are asked for, by service, over all namespaces."""
    found: dict[str, int] = {}
    for workload in cluster.workloads.values():
        found[workload.name] = found.get(workload.name, 0) + workload.desired
    return found


def _words(value: str | None) -> set[str]:
    return {word for word in re.split(r"[\s,;]+", value or "") if word}


def _below(board: Board, prefix: str) -> Mapping[str, Reading[Any]]:
    return {topic.removeprefix(prefix): reading for topic, reading in board.under(prefix).items()}
