"""Tells whether a workload is rolled out, and what is in the way.

kubectl's own conditions in kubectl's own order, then: no pod still terminating.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from cockpit.clock import Clock
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError, NotFound
from cockpit.mitigation.cluster.objects import object_path, paused, replicas, selector
from cockpit.mitigation.cluster.refusals import refused
from cockpit.model.plan import Rollout
from cockpit.text import safe

POLL_S = 1.0
TIMEOUT_S = 600.0
_EXPLAINED = 3
_LOG_EVERY_S = 5.0


def timeout_of(obj: Mapping[str, Any]) -> float:
    """Return the seconds to wait: ten minutes, longer when the deployment itself allows more."""
    deadline = obj["spec"].get("progressDeadlineSeconds")
    return max(TIMEOUT_S, float(deadline) + 60.0) if deadline and deadline < 2**31 - 1 else TIMEOUT_S


def snapshot(
    obj: Mapping[str, Any],
    generation: int,
    pods: Sequence[Mapping[str, Any]] | None,
    pods_reason: str = "",
    *,
    scaled: bool = False,
) -> Rollout:
    """Judge how far the rollout is, from one reading of the object and its pods.

    `pods` are those of the selector, None when they cannot be listed (`pods_reason`).

    `scaled`: a change of replicas goes on even while the deployment is paused.
    """
    status, desired = obj.get("status") or {}, replicas(obj)
    live = [p for p in pods or [] if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    ending = sum(1 for p in live if p["metadata"].get("deletionTimestamp"))
    if pods is None:
        ending = int(status.get("terminatingReplicas") or 0)
    updated = int(status.get("updatedReplicas") or 0)

    def state(words: str, *, done: bool = False, failed: bool = False) -> Rollout:
        return Rollout(done=done, failed=failed, words=words, updated=updated, desired=desired, terminating=ending)

    if paused(obj) and not scaled:
        return state("paused: it does not roll out until it is resumed", failed=True)
    observed = int(status.get("observedGeneration") or 0)
    if observed < max(generation, int(obj["metadata"].get("generation") or 0)):
        return state("waiting for the change to be observed")
    waiting = (
        _statefulset(obj, status, desired)
        if obj.get("kind") == "StatefulSet"
        else _deployment(status, desired, updated)
    )
    if waiting is not None:
        return state(waiting[0], failed=waiting[1])
    if desired == 0 and (live or pods is None):
        if pods is None and "terminatingReplicas" not in status:
            return state(f"scaled to 0, but whether a pod is left is not known: {pods_reason}")
        left = len(live) if pods is not None else ending
        if left:
            return state(f"{left} pod{'s' if left > 1 else ''} left, terminating")
    if ending:
        return state(f"rolled out; {ending} old pod{'s' if ending > 1 else ''} still terminating")
    if desired == 0:
        return state("stopped: no pod is left", done=True)
    known = (
        "" if pods is not None or "terminatingReplicas" in status else f"; terminating pods not known: {pods_reason}"
    )
    return state(f"rolled out: {updated} of {desired} pods{known}", done=True)


def _deployment(status: Mapping[str, Any], desired: int, updated: int) -> tuple[str, bool] | None:
    """Say what is waited for, and whether it failed; None when kubectl would call it rolled out."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return "exceeded its progress deadline", True
    if updated < desired:
        return f"{updated} of {desired} new pods made", False
    present = int(status.get("replicas") or 0)
    if present > updated:
        return f"{present - updated} old pods to end", False
    available = int(status.get("availableReplicas") or 0)
    if available < updated:
        return f"{available} of {updated} new pods available", False
    return None


def _statefulset(obj: Mapping[str, Any], status: Mapping[str, Any], desired: int) -> tuple[str, bool] | None:
    strategy = obj["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return "its update strategy is OnDelete: pods change only when they are deleted", True
    ready = int(status.get("readyReplicas") or 0)
    if ready < desired:
        return f"{ready} of {desired} pods ready", False
    present = int(status.get("replicas") or 0)
    if present > desired:
        return f"{present - desired} pods to end", False
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    updated = int(status.get("updatedReplicas") or 0)
    if partition > 0:
        return (
            (f"{updated} of {desired - partition} pods of the partition updated", False)
            if updated < desired - partition
            else None
        )
    if desired and status.get("updateRevision") != status.get("currentRevision"):
        return f"{updated} of {desired} pods updated", False
    return None


def reason_of(pod: Mapping[str, Any]) -> str:
    """Say why a pod is not ready, worst container first; "" when it is.

    Texts are cleaned.
    """
    status = pod.get("status") or {}
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(field) or []:
            state = container.get("state") or {}
            waiting, ended = state.get("waiting"), state.get("terminated")
            trouble = waiting or (ended if ended and (field == "containerStatuses" or ended.get("exitCode")) else None)
            if not trouble:
                continue
            last = (container.get("lastState") or {}).get("terminated") or (ended or {})
            parts = [str(trouble.get("reason") or ("waiting" if waiting else "terminated"))]
            if last.get("exitCode") is not None:
                parts.append(f"exit {last['exitCode']}{' ' + str(last['reason']) if last.get('reason') else ''}")
            if container.get("restartCount"):
                parts.append(f"{container['restartCount']} restarts")
            if trouble.get("message"):
                parts.append(str(trouble["message"]))
            return safe(", ".join(parts), 240)
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    scheduled, ready = conditions.get("PodScheduled"), conditions.get("Ready")
    if scheduled is not None and scheduled.get("status") == "False":
        return safe(f"{scheduled.get('reason') or 'not scheduled'}: {scheduled.get('message') or ''}", 240)
    if pod["metadata"].get("deletionTimestamp"):
        return f"terminating since {safe(pod['metadata']['deletionTimestamp'], 40)}"
    if ready is not None and ready.get("status") == "True":
        return ""
    return safe(status.get("reason") or "not ready: its readiness probe has not passed", 240)


@dataclass(frozen=True, slots=True)
class Watched:
    """Names the object that a rollout is watched of, and the generation that must be observed."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int | None  # None (a Scale's answer tells none): that of the first reading
    scaled: bool = False


class Watcher:
    """Polls until done, failed or out of time.

    Errors of reading are said and outlived.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        *,
        poll_s: float = POLL_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._clock = clock
        self._poll_s = poll_s
        self._sleep = sleep
        self._logs: dict[tuple[str, int], tuple[float, str]] = {}

    async def follow(
        self,
        watched: Watched,
        on_progress: Callable[[Rollout], None],
        overtaken: Callable[[Mapping[str, Any]], str],
    ) -> Rollout:
        """Poll until the rollout is over; `on_progress` hears each reading.

        `overtaken` says why an object is no longer as the step left it ("" when it is).
        """
        started = self._clock.mono()
        generation, limit_s = watched.generation, TIMEOUT_S
        last = Rollout(done=False, failed=False, words="reading the object")
        while True:
            try:
                obj = await self._client.get(object_path(watched.kind, watched.namespace, watched.name))
                limit_s = timeout_of(obj)
                if generation is None:
                    generation = int(obj["metadata"].get("generation") or 0)
                last = await self._read(watched, obj, generation, overtaken)
            except NotFound:
                last = replace(last, done=False, failed=True, words=f"{watched.name} is gone", blocking=())
            except KubeError as error:
                last = replace(last, done=False, failed=False, words=f"cannot read the rollout: {error.line()}")
            if not (last.done or last.failed) and self._clock.mono() - started >= limit_s:
                last = replace(last, failed=True, words=f"not rolled out within {limit_s:.0f} s: {last.words}")
            on_progress(last)
            if last.done or last.failed:
                return last
            await self._sleep(self._poll_s)

    async def _read(
        self, watched: Watched, obj: Mapping[str, Any], generation: int, overtaken: Callable[[Mapping[str, Any]], str]
    ) -> Rollout:
        pods, why = await self._pods(watched.namespace, obj)
        now = snapshot(obj, generation, pods, why, scaled=watched.scaled)
        changed = (
            f"{watched.name} was deleted and made anew" if obj["metadata"]["uid"] != watched.uid else overtaken(obj)
        )
        if changed:
            return replace(now, done=False, failed=True, words=changed)
        if now.done:
            return now
        why = await refused(self._client, watched.namespace, obj)
        words = f"{now.words}: {why}" if why else now.words
        return replace(now, words=words, blocking=await self._blocking(watched.namespace, pods or []))

    async def _pods(self, namespace: str, obj: Mapping[str, Any]) -> tuple[list[dict[str, Any]] | None, str]:
        try:
            listed = await self._client.get(_pods_path(namespace), {"labelSelector": selector(obj)})
        except KubeError as error:
            return None, error.line()
        return list(listed.get("items") or []), ""

    async def _blocking(self, namespace: str, pods: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        lines: list[str] = []
        newest = sorted(pods, key=lambda p: str(p["metadata"].get("creationTimestamp") or ""), reverse=True)
        for pod in newest:
            why = reason_of(pod)
            if not why or len(lines) >= _EXPLAINED:
                continue
            log = await self._last_lines(namespace, pod)
            lines.append(f"{safe(pod['metadata']['name'], 80)}: {why}" + (f" | log: {log}" if log else ""))
        return tuple(lines)

    async def _last_lines(self, namespace: str, pod: Mapping[str, Any]) -> str:
        """Read the last three log lines of a container that ended or restarted.

        Asked for at most every few seconds.
        """
        failing = [
            c
            for c in (pod.get("status") or {}).get("containerStatuses") or []
            if c.get("restartCount") or (c.get("state") or {}).get("terminated")
        ]
        if not failing:
            return ""
        key = (pod["metadata"]["uid"], int(failing[0].get("restartCount") or 0))
        cached = self._logs.get(key)
        if cached is not None and self._clock.mono() - cached[0] < _LOG_EVERY_S:
            return cached[1]
        path = f"{_pods_path(namespace)}/{quote(pod['metadata']['name'], safe='')}/log"
        try:
            answer = await self._client.send(
                "GET",
                path,
                params={"container": failing[0]["name"], "tailLines": "3", "limitBytes": "4000"},
                accept="*/*",
                timeout_s=5.0,
            )
            text = " / ".join(
                safe(line, 160) for line in answer.body.decode("utf-8", "replace").splitlines()[-3:] if line
            )
        except KubeError:
            text = ""
        self._logs[key] = (self._clock.mono(), text)
        return text


def _pods_path(namespace: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"
