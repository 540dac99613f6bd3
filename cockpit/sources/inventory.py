"""Counts pods by service, and only the services whose pods changed since the last snapshot.

A snapshot of 10,000 pods is compared with the one before by identity (about a millisecond), so that
neither signals nor the Pods panel pay for what did not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cockpit.model.observed.cluster import Cluster, Pod

ServiceKey = tuple[str, str]  # namespace, service

#: Above so many pods they are counted at most once in so many seconds.
MANY, MANY_EVERY_S = 1000, 1.0
#: Pods whose state never changes again and that no controller counts.
_ENDED = ("Succeeded", "Failed")
#: What a pod on its way up says: no reason to worry while enough others are ready.
STARTING = ("ContainerCreating", "PodInitializing", "Pending", "not ready")


@dataclass(frozen=True, slots=True)
class PodTally:
    """Counts one service's pods.

    `pods` problem first.
    """

    pods: tuple[Pod, ...]
    uids: tuple[str, ...]
    ready: int  # its condition Ready is True, not terminating, not completed
    running: int  # not ended: terminating ones included
    unready: int  # neither ready, nor terminating, nor completed
    restarts: int  # of all containers that are there
    last_ends: tuple[float, ...]  # when containers last ended, unix seconds
    youngest_at: float | None
    terminating: int
    expected: int  # neither terminating nor Succeeded
    reasons: Mapping[str, int]  # why those that are not well are not, as `pod_reason` says


class Inventory:
    """Tallies pods: call `update()` with each cluster; then read `tallies`.

    `revision` grows with every change.
    """

    def __init__(self) -> None:
        self.tallies: dict[ServiceKey, PodTally] = {}
        self.revision = 0
        self.grown = False  # the last update was a list that was just read, no churn
        self._updated = 0.0
        self._pods: Mapping[str, Pod] = {}
        self._by_service: dict[ServiceKey, dict[str, Pod]] = {}

    def update(self, cluster: Cluster, mono: float) -> None:
        """Take the pods of `cluster` over; more than `MANY` pods at most once a second.

        `mono`: monotonic seconds.
        """
        pods = cluster.pods
        before = self._pods
        if pods is before:
            return
        self.grown = abs(len(pods) - len(before)) > len(before) // 10
        if len(pods) > MANY and not self.grown and mono - self._updated < MANY_EVERY_S:
            return
        self._updated = mono
        changed: set[ServiceKey] = set()
        known = before.get
        stayed = len(pods)
        for uid, pod in [item for item in pods.items() if known(item[0]) is not item[1]]:
            old = known(uid)
            stayed -= old is None
            if old is not None and (old.namespace, old.service) != (pod.namespace, pod.service):
                changed.add(self._forget(old))
            key = (pod.namespace, pod.service)
            self._by_service.setdefault(key, {})[uid] = pod
            changed.add(key)
        if stayed != len(before):
            for uid in before.keys() - pods.keys():
                changed.add(self._forget(before[uid]))
        self._pods = pods
        for key in changed:
            group = self._by_service.get(key)
            if group:
                self.tallies[key] = tally(group.values())
            else:
                self._by_service.pop(key, None)
                self.tallies.pop(key, None)
        if changed:
            self.revision += 1

    def _forget(self, pod: Pod) -> ServiceKey:
        key = (pod.namespace, pod.service)
        self._by_service.get(key, {}).pop(pod.uid, None)
        return key

    def of(self, service: str) -> list[PodTally]:
        """Return the tallies of a service in every watched namespace."""
        return [tally for (_, name), tally in self.tallies.items() if name == service]


def tally(group: Iterable[Pod]) -> PodTally:
    pods = sorted(group, key=_problem_first)
    ready = running = unready = restarts = terminating = expected = 0
    reasons: dict[str, int] = {}
    ends: list[float] = []
    youngest: float | None = None
    for pod in pods:
        restarts += pod.restarts
        if pod.created_at is not None and (youngest is None or pod.created_at > youngest):
            youngest = pod.created_at
        if pod.restarts:
            ends += [c.last_finished_at for c in pod.containers if c.last_finished_at is not None and not c.init]
        if pod.deleted_at is not None:
            terminating += 1
        else:
            expected += pod.phase != "Succeeded"
            if not pod.healthy:
                reason = pod_reason(pod)
                reasons[reason] = reasons.get(reason, 0) + 1
        if pod.phase in _ENDED:
            continue
        running += 1
        if pod.deleted_at is not None:
            continue
        if pod.serving:
            ready += 1
        else:
            unready += 1
    return PodTally(
        pods=tuple(pods),
        uids=tuple([pod.uid for pod in pods]),
        ready=ready,
        running=running,
        unready=unready,
        restarts=restarts,
        last_ends=tuple(ends),
        youngest_at=youngest,
        terminating=terminating,
        expected=expected,
        reasons=reasons,
    )


def pod_reason(pod: Pod) -> str:
    """Return why a pod is not well, in kubectl's words where it has any."""
    if pod.reason and pod.reason not in ("Running", "Completed"):
        return pod.reason
    if pod.held_back:
        return f"not ready: {pod.held_back}"
    return "not ready" if pod.phase == "Running" else pod.phase or "Pending"


def _problem_first(pod: Pod) -> tuple[int, int, str]:
    if pod.deleted_at is not None:
        rank = 1
    elif pod.phase == "Failed" or (pod.phase != "Succeeded" and not pod.serving):
        rank = 0
    else:
        rank = 2
    return rank, -pod.restarts, pod.name
