"""Follows a rollout until it is over, and explains the pods in the way.

How far it is, is judged in `rollout_state.py`.
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
from cockpit.mitigation.cluster.objects import object_path, selector
from cockpit.mitigation.cluster.refusals import refused
from cockpit.mitigation.cluster.rollout_state import owned, snapshot, stuck_pod
from cockpit.model.plan import Rollout
from cockpit.text import counted, safe

POLL_S = 1.0
TIMEOUT_S = 600.0
_EXPLAINED = 3
_LOG_EVERY_S = 5.0


def timeout_of(obj: Mapping[str, Any]) -> float:
    """Return the seconds to wait: ten minutes, longer when the deployment itself allows more."""
    deadline = obj["spec"].get("progressDeadlineSeconds")
    return max(TIMEOUT_S, float(deadline) + 60.0) if deadline and deadline < 2**31 - 1 else TIMEOUT_S


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
                parts.append(counted(container["restartCount"], "restart"))
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
    if ready is not None and all(c.get("ready") for c in status.get("containerStatuses") or [{}]):
        why = ready.get("reason") or "its containers are ready: is its node lost?"
        return safe(f"not ready: {why}{': ' + str(ready['message']) if ready.get('message') else ''}", 240)
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
    stood: str = ""  # the condition Progressing at the request: `rollout_state.stood_at`
    deletes: str = ""  # the step that deletes a pod: "step 11 delete-stuck-pod"; "" where there is none


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
        now = snapshot(obj, generation, pods, why, scaled=watched.scaled, stood=watched.stood)
        changed = (
            f"{watched.name} was deleted and made anew" if obj["metadata"]["uid"] != watched.uid else overtaken(obj)
        )
        if changed:
            return replace(now, done=False, failed=True, words=changed)
        if now.done:
            return now
        own = [pod for pod in pods or [] if owned(pod, obj)]
        why = await refused(self._client, watched.namespace, obj)
        words = f"{now.words}: {why}" if why else now.words
        lines = await self._blocking(watched.namespace, own)
        stuck = stuck_pod(obj, own) if obj.get("kind") == "StatefulSet" and not watched.scaled else ""
        if stuck:
            words += f" ({watched.deletes} does it)" if watched.deletes else ""
            lines = (f"delete it: kubectl -n {watched.namespace} delete pod {safe(stuck, 80)}", *lines)
        return replace(now, words=words, blocking=lines)

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
