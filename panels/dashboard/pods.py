"""Shows pods, grouped by deployment, problem first.

Unhealthy groups show their problem pods; space or enter opens a group.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from cockpit.model.observed.cluster import Pod
from cockpit.model.reading import Known
from cockpit.model.signal import Level
from cockpit.model.situation import ServiceStatus, Situation
from cockpit.text import counted
from panels.dashboard.facts.metrics import Trouble, kind_age, kind_trouble
from panels.dashboard.frame.table import TablePanel
from panels.kit.spans import Column, Line, Span
from panels.kit.theme import MARK, Appearance
from panels.kit.words import age
from panels.messages import Selection

SHOWN_PROBLEMS = 5  # of a group that nobody opened
KINDS = ("pods", "deployments", "statefulsets")
_BROKEN = (
    "BackOff",
    "Error",
    "OOMKilled",
    "ErrImage",
    "InvalidImage",
    "CreateContainer",
    "RunContainer",
    "Evicted",
    "Failed",
    "Unknown",
)


class GroupKey(NamedTuple):
    namespace: str
    service: str


class PodKey(NamedTuple):
    uid: str


class MoreKey(NamedTuple):
    namespace: str
    service: str
    hidden: int


class PodsPanel(TablePanel):
    chooses = True
    empty = "no pods in the watched namespaces"
    columns = (
        Column("", 1),
        Column("service / pod", 19, grow=1, most=46, middle=True),
        Column("ready", 5, ">"),
        Column("restarts", 8, ">", drop=1),
        Column("age", 5, ">", drop=2),
        Column("why", 10, grow=3),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "open", "open group", show=False, id="pods.toggle"),
        Binding("a", "all", "all pods", show=False, id="pods.all"),
    ]

    def __init__(self, appearance: Appearance | None = None) -> None:
        super().__init__(appearance)
        self._open: dict[GroupKey, bool] = {}  # absent: problem pods only
        self._all = False
        self._groups: dict[GroupKey, ServiceStatus] = {}
        #: kept as long as the group's uids are the same
        self._rows: dict[GroupKey, tuple[tuple[str, ...], list[PodKey]]] = {}
        self._seen = -1

    # --- rows -------------------------------------------------------------------------------------

    def due(self, situation: Situation, last: float) -> bool:
        # A list that is still arriving is shown as it grows.
        grown = len(situation.cluster.pods) != self._seen and situation.mono - last >= 0.25
        return grown or super().due(situation, last)

    def keys(self, situation: Situation) -> Sequence[Hashable]:
        pods = situation.cluster.pods
        self._seen = len(pods)
        self._groups = {GroupKey(s.namespace, s.name): s for s in _with_strays(situation)}
        self._rows = {group: kept for group, kept in self._rows.items() if group in self._groups}
        if self.filter:
            return self._matching(situation)
        keys: list[Hashable] = []
        for group, service in self._groups.items():
            keys.append(group)
            opened = True if self._all else self._open.get(group)
            if opened:
                keys += self._rows_of(group, service)
            elif opened is None and service.pods:
                keys += self._problems(group, service, situation)
        return keys

    def _rows_of(self, group: GroupKey, service: ServiceStatus) -> list[PodKey]:
        kept = self._rows.get(group)
        if kept is None or kept[0] is not service.pods:
            kept = self._rows[group] = (service.pods, [PodKey(uid) for uid in service.pods])
        return kept[1]

    def _problems(self, group: GroupKey, service: ServiceStatus, situation: Situation) -> list[Hashable]:
        pods = situation.cluster.pods
        keys: list[Hashable] = []
        if service.level != Level.OK.value:
            bad = [uid for uid in service.pods if (pod := pods.get(uid)) is not None and not pod.healthy]
            keys += [PodKey(uid) for uid in bad[:SHOWN_PROBLEMS]]
            if len(bad) > SHOWN_PROBLEMS:
                keys.append(MoreKey(*group, len(bad) - SHOWN_PROBLEMS))
        # A pod that recovers under the cursor stays in sight as long as the cursor is on it.
        if (
            self._touched
            and isinstance(self.cursor, PodKey)
            and self.cursor not in keys
            and self.cursor.uid in service.pods
        ):
            keys.append(self.cursor)
        return keys

    def _matching(self, situation: Situation) -> list[Hashable]:
        words = self.filter.lower().split()
        keys: list[Hashable] = []
        for group, service in self._groups.items():
            named = f"{service.namespace}/{service.name}".lower()
            if not service.pods and all(w in named for w in words):
                keys.append(group)
            for uid in service.pods:
                pod = situation.cluster.pods.get(uid)
                if pod is None:
                    continue
                text = f"{named} {pod.name} {pod.reason} {pod.node}".lower()
                if all(w in text for w in words):
                    keys.append(PodKey(uid))
        return keys

    def columns_for(self, width: int) -> tuple[Column, ...]:
        wide = max((len(f"{s.ready}/{s.desired}") for s in self._groups.values()), default=5)
        return tuple(replace(c, width=max(c.width, wide)) if c.title == "ready" else c for c in self.columns)

    def cells(self, key: Hashable, situation: Situation) -> Sequence[Span]:
        if isinstance(key, PodKey):
            return self._pod_cells(key, situation)
        if isinstance(key, MoreKey):
            return ("", "dim"), (f"    … {key.hidden:,} more: space opens", "dim"), *[("", "dim")] * 4
        assert isinstance(key, GroupKey)
        service = self._groups.get(key)
        if service is None:
            return ("", "dim"), (key.service, "dim"), *[("", "dim")] * 3, ("gone", "dim")
        level = self._believed(Level(service.level), situation)
        opened = True if self._all else self._open.get(key)
        sign = (
            " " if not service.pods else "▾" if opened or (opened is None and service.level != Level.OK.value) else "▸"
        )
        calm = "text" if level is Level.OK else level.value
        # A service at 0 on purpose is not an error, but it must not look like the healthy ones
        # either.
        return (
            (MARK[level], level.value),
            (f"{sign} {service.name}", "text" if level is Level.OK else "bold"),
            (f"{service.ready}/{service.desired}", calm),
            (f"{service.restarts:,}", "text" if service.restarts else "faint"),
            (age(service.age_s) if service.age_s is not None else "", "dim"),
            (service.why, "text" if level is Level.OK else level.value),
        )

    def _believed(self, level: Level, situation: Situation) -> Level:
        """Return the level; what was well when the watch was last heard may not be well now."""
        return Level.UNKNOWN if level is Level.OK and not self._live(situation) else level

    def _live(self, situation: Situation) -> bool:
        return all(
            isinstance(reading.believed(situation.mono), Known)
            for kind, reading in situation.kinds.items()
            if kind.startswith("pods/")
        )

    def _pod_cells(self, key: PodKey, situation: Situation) -> Sequence[Span]:
        pod = situation.cluster.pods.get(key.uid)
        if pod is None:
            return ("", "dim"), ("    (gone)", "dim"), *[("", "dim")] * 4
        level, why = pod_state(pod)
        level = self._believed(level, situation)
        indent = "" if self.filter else "    "
        created = None if pod.created_at is None else situation.cluster_now - pod.created_at
        calm = "text" if level is Level.OK else level.value
        return (
            (MARK[level] if level is not Level.OK else "●", level.value),
            (f"{indent}{pod.name}", "text"),
            (f"{pod.ready}/{pod.total}", calm),
            (f"{pod.restarts:,}", "text" if pod.restarts else "faint"),
            (age(created) if created is not None else "", "dim"),
            (why, "dim" if level is Level.OK else level.value),
        )

    # --- what the panel says ----------------------------------------------------------------------

    def level(self, situation: Situation) -> Level:
        levels = [Level(s.level) for s in situation.services]
        if self.trouble(situation):
            levels.append(Level.UNKNOWN)
        return max(levels, key=lambda level: level.rank, default=Level.OK)

    def trouble(self, situation: Situation) -> list[Trouble]:
        return kind_trouble(situation, KINDS)

    def age_s(self, situation: Situation) -> float | None:
        return kind_age(situation, KINDS)

    def aside(self, situation: Situation) -> Line:
        if not situation.cluster.pods and not self._live(situation):
            return ()
        return ((counted(len(situation.cluster.pods), "pod"), "dim"),)

    @property
    def charted(self) -> dict[str, str]:
        chosen, situation = self.selection, self.situation
        if chosen is None or situation is None:
            return super().charted
        names = [one.name for one in situation.services if f"{chosen.name}-".startswith(f"{one.name}-")]
        return {"service": max(names, key=len, default=chosen.name)}

    @property
    def selection(self) -> Selection | None:
        """Return the pod or workload under the cursor; None when nothing is, or when it is gone."""
        key, situation = self.selected_key, self.situation
        if situation is None or key is None:
            return None
        if isinstance(key, PodKey):
            pod = situation.cluster.pods.get(key.uid)
            return None if pod is None else Selection("Pod", pod.namespace, pod.name, pod.uid)
        assert isinstance(key, GroupKey | MoreKey)
        service = self._groups.get(GroupKey(key.namespace, key.service))
        if service is None:
            return None
        workload = situation.cluster.workloads.get((key.namespace, key.service))
        return Selection(
            workload.kind if workload else service.kind, key.namespace, key.service, workload.uid if workload else ""
        )

    # --- what the operator does -------------------------------------------------------------------

    def action_open(self) -> None:
        key = self.selected_key
        if isinstance(key, PodKey):
            group = next((g for g, s in self._groups.items() if key.uid in s.pods), None)
        elif isinstance(key, GroupKey | MoreKey):
            group = GroupKey(key.namespace, key.service)
        else:
            group = None
        if group is None or self.filter:
            return
        # problem pods → all → none → problem pods; a healthy group has no problem pods, so it just
        # opens and closes.
        now, healthy = self._open.get(group), self._groups[group].level == Level.OK.value
        if now is None:
            self._open[group] = True
        elif now and not healthy:
            self._open[group] = False
        else:
            self._open.pop(group)
        if self._open.get(group) is not True:
            self.cursor = group
        self._touched = True
        self.reorder()

    def action_all(self) -> None:
        """Show every pod, or problem pods only."""
        self._all = not self._all
        self._open.clear()
        if not self._all and isinstance(self.cursor, PodKey):
            self.cursor = next((g for g, s in self._groups.items() if self.cursor.uid in s.pods), self.cursor)
        self.reorder()

    def find(self, namespace: str, name: str) -> bool:
        """Put the cursor on a service; False when there is none of that name."""
        return self.point_at(GroupKey(namespace, name))


def pod_state(pod: Pod) -> tuple[Level, str]:
    """Say how a pod looks and why: kubectl's STATUS, or the message or last exit that says more."""
    if pod.terminating:
        return Level.WARN, "Terminating"
    if pod.healthy:
        return Level.OK, "" if pod.reason == "Running" else pod.reason
    words = pod.reason if pod.reason not in ("", "Running") else "not ready"
    last = next((c for c in pod.containers if c.last_exit_code not in (None, 0)), None)
    detail = pod.message or next((c.message for c in pod.containers if c.message), "")
    if not detail and last is not None:
        detail = f"last exit {last.last_exit_code} {last.last_reason}".strip()
    level = Level.CRIT if any(word in pod.reason for word in _BROKEN) else Level.WARN
    return level, f"{words}: {detail}" if detail else words


def _with_strays(situation: Situation) -> list[ServiceStatus]:
    """Return the services, and a group for pods that belong to none of them (jobs, bare pods)."""
    services = list(situation.services)
    pods = situation.cluster.pods
    if sum(len(s.pods) for s in services) >= len(pods):
        return services
    known = {uid for s in services for uid in s.pods}
    strays: dict[GroupKey, list[Pod]] = {}
    for uid, pod in pods.items():
        if uid not in known:
            strays.setdefault(GroupKey(pod.namespace, pod.service), []).append(pod)
    for (namespace, name), members in strays.items():
        level = max((pod_state(p)[0] for p in members), key=lambda found: found.rank)
        born = [p.created_at for p in members if p.created_at is not None]
        members.sort(key=lambda p: (p.healthy, p.name))
        services.append(
            ServiceStatus(
                name=name,
                namespace=namespace,
                kind=members[0].owner_kind or "Pod",
                ready=sum(p.healthy for p in members),
                desired=len(members),
                restarts=sum(p.restarts for p in members),
                age_s=situation.cluster_now - min(born) if born else None,
                why="" if level is Level.OK else pod_state(members[0])[1],
                level=level.value,
                pods=tuple(p.uid for p in members),
            )
        )
    return sorted(services, key=lambda s: -Level(s.level).rank)
