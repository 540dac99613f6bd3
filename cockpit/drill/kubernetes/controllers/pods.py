"""Schedules and runs pods from Pending to gone, as their `Behaviour` says.

It runs on the simulated clock.

A pod's containers live and die together: the drill's services have one each. What status looks like
is in `podstatus.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cockpit.drill.clock import rfc3339
from cockpit.drill.kubernetes.behaviour import Behaviour, RunningPod
from cockpit.drill.kubernetes.controllers import podstatus
from cockpit.drill.kubernetes.controllers.context import Context, is_ready, service_of
from cockpit.drill.kubernetes.objects.resources import PODS, Obj, Resource
from cockpit.drill.kubernetes.objects.store import Change, Key, Stored

#: A Job's pod does its work in this time, unless the world says otherwise.
JOB_S = 5.0
_CREATE_S = 0.4
_PULL_S = 1.2
_BACKOFF_S = 10.0
_BACKOFF_MAX_S = 300.0
_BACKOFF_RESET_S = 600.0
_REPEAT_S = 12.0  # how often the kubelet repeats a BackOff or Unhealthy event


@dataclass
class Life:
    """Holds what the kubelet remembers of a pod.

    Times are simulated unix seconds.
    """

    key: Key
    uid: str
    service: str
    phase: podstatus.Phase = "pending"
    due: float = 0.0
    host: str = ""
    ip: str = ""
    begun: float = 0.0
    started_at: float = 0.0
    restarts: int = 0
    crashes: int = 0  # in a row, for the back-off
    pulls: int = 0
    ready: bool = False
    problem: str = ""
    delay_s: float = 0.0
    last: Obj = field(default_factory=dict)
    changed: dict[str, tuple[str, float]] = field(default_factory=dict)  # condition → (status, since)
    stop_at: float | None = None
    repeat_at: float = 0.0
    runs: tuple[int, str, Mapping[str, str]] | None = None  # the pod's version, image and environment
    #: The pod's version and behaviour in which only a new behaviour changes anything.
    steady: tuple[int, Behaviour] | None = None


class Kubelet:
    """Runs all nodes in one.

    Pods written by `flood` are ignored until someone deletes them.
    """

    def __init__(self, ctx: Context, nodes: tuple[str, ...]) -> None:
        self.ctx = ctx
        self.nodes = nodes
        self.lives: dict[str, Life] = {}
        self.ignoring = False
        self._images: set[str] = set()
        self._placed = 0
        self._ran: dict[str, tuple[int, Sequence[RunningPod]]] = {}
        ctx.store.listeners.append(self._notice)

    def _notice(self, res: Resource, change: Change) -> None:
        if res.storage != PODS.storage:
            return
        meta = change.new.obj["metadata"]
        uid = meta["uid"]
        if change.type == "DELETED":
            self.lives.pop(uid, None)
            self.ctx.logs.drop(uid)
        elif uid not in self.lives and not self.ignoring:
            if change.type == "ADDED":
                self.lives[uid] = Life(change.new.key, uid, service_of(change.new.obj))
            elif "deletionTimestamp" in meta:
                self.lives[uid] = Life(change.new.key, uid, service_of(change.new.obj), phase="running")

    def run(self) -> None:
        for life in list(self.lives.values()):
            pod = self.ctx.store.get(PODS, *life.key)
            if pod is not None and pod.obj["metadata"]["uid"] == life.uid:
                self._live(life, pod)

    def running(self, service: str) -> Sequence[RunningPod]:
        """Return the running pods, by name.

        What changes it changes a status too, so the store's version tells whether it still holds.
        """
        version, found = self._ran.get(service, (-1, ()))
        if version != self.ctx.store.rv:
            found = self._running(service)
            self._ran[service] = (self.ctx.store.rv, found)
        return found

    def _running(self, service: str) -> Sequence[RunningPod]:
        found: list[RunningPod] = []
        for life in self.lives.values():
            if life.service != service or life.phase != "running":
                continue
            pod = self.ctx.store.get(PODS, *life.key)
            if pod is None:
                continue
            leaving = "deletionTimestamp" in pod.obj["metadata"]
            image, env = main(pod.obj)
            found.append(
                RunningPod(
                    name=life.key[1],
                    uid=life.uid,
                    image=image,
                    env=env,
                    started_at=life.started_at,
                    ready=is_ready(pod.obj),
                    terminating=leaving,
                )
            )
        return sorted(found, key=lambda p: p.name)

    # one pod

    def _live(self, life: Life, pod: Stored) -> None:
        now = self.ctx.now()
        if "deletionTimestamp" in pod.obj["metadata"]:
            self._stop(life, pod, now)
            return
        if life.phase == "done":
            return
        if life.runs is None or life.runs[0] != pod.rv:
            life.runs = (pod.rv, *main(pod.obj))
        _, image, env = life.runs
        behaviour = self.ctx.behaviour(life.service, image, env)
        if life.steady == (pod.rv, behaviour):
            return
        if behaviour.crash_after_s is None and _of_job(pod.obj):
            behaviour = replace(behaviour, crash_after_s=JOB_S, exit_code=0)
        if life.phase == "pending":
            pod = self._schedule(life, pod, now)
        if life.phase == "creating" and now >= life.due:
            self._pull(life, pod, behaviour, now, image)
        elif life.phase in ("pull-error", "pull-backoff") and now >= life.due:
            self._retry_pull(life, pod, behaviour, now, image)
        elif life.phase == "backoff":
            self._wait(life, pod, behaviour, now)
        if life.phase == "running":
            self._run(life, pod, behaviour, now)
        current = self.ctx.current(PODS, pod)
        if current is not None:
            current = self.ctx.set_status(PODS, current, podstatus.render(life, current.obj, now))
            runs_on = life.phase == "running" and life.ready and not life.crashes and behaviour.crash_after_s is None
            life.steady = (current.rv, behaviour) if runs_on else None

    def _say(self, pod: Stored, reason: str, message: str, *, bad: bool = False, by: str = "kubelet") -> None:
        write = self.ctx.recorder.warn if bad else self.ctx.recorder.record
        host = pod.obj["spec"].get("nodeName", "") if by == "kubelet" else ""
        write(PODS, pod.obj, reason, message, by, host=host)

    def _schedule(self, life: Life, pod: Stored, now: float) -> Stored:
        life.host = pod.obj["spec"].get("nodeName") or self.nodes[self._placed % len(self.nodes)]
        self._placed += 1
        life.ip = f"10.1.{self._placed // 250 % 250}.{self._placed % 250 + 2}"
        life.begun = now
        spec = {**pod.obj["spec"], "nodeName": life.host}
        condition = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": rfc3339(now),
        }
        head, tail = {"phase": "Pending", "conditions": [condition]}, {"qosClass": "BestEffort"}
        pod = self.ctx.store.replace(PODS, pod, {**pod.obj, "spec": spec, "status": {**head, **tail}})
        text = f"Successfully assigned {life.key[0]}/{life.key[1]} to {life.host}"
        self._say(pod, "Scheduled", text, by="default-scheduler")
        image = main(pod.obj)[0]
        life.phase, life.due = "creating", now + _CREATE_S
        if image not in self._images:
            self._say(pod, "Pulling", f'Pulling image "{image}"')
            life.due += _PULL_S
        return pod

    def _pull(self, life: Life, pod: Stored, behaviour: Behaviour, now: float, image: str) -> None:
        if behaviour.pull_error is not None:
            life.pulls += 1
            life.problem = behaviour.pull_error
            life.phase, life.due = "pull-error", now + 1.0
            self._say(pod, "Failed", f'Failed to pull image "{image}": {behaviour.pull_error}', bad=True)
            self._say(pod, "Failed", "Error: ErrImagePull", bad=True)
            return
        if image in self._images:
            self._say(pod, "Pulled", f'Container image "{image}" already present on machine')
        else:
            self._images.add(image)
            took = f"in {_PULL_S}s ({_PULL_S}s including waiting). Image size: 48211234 bytes."
            self._say(pod, "Pulled", f'Successfully pulled image "{image}" {took}')
        self._start(life, pod, behaviour, now)

    def _retry_pull(self, life: Life, pod: Stored, behaviour: Behaviour, now: float, image: str) -> None:
        if life.phase == "pull-error":
            life.phase = "pull-backoff"
            life.due = now + min(_BACKOFF_S * 2 ** (life.pulls - 1), _BACKOFF_MAX_S)
            self._say(pod, "BackOff", f'Back-off pulling image "{image}"')
            self._say(pod, "Failed", "Error: ImagePullBackOff", bad=True)
            return
        self._say(pod, "Pulling", f'Pulling image "{image}"')
        self._pull(life, pod, behaviour, now, image)

    def _start(self, life: Life, pod: Stored, behaviour: Behaviour, now: float) -> None:
        life.phase, life.started_at, life.ready, life.problem = "running", now, False, ""
        for container in pod.obj["spec"]["containers"]:
            log = self.ctx.logs.start(life.uid, container["name"])
            for line in behaviour.log:
                log.write(now, line)
            self._say(pod, "Created", f"Created container: {container['name']}")
            self._say(pod, "Started", f"Started container {container['name']}")

    def _run(self, life: Life, pod: Stored, behaviour: Behaviour, now: float) -> None:
        ran = now - life.started_at
        if behaviour.crash_after_s is not None and ran >= behaviour.crash_after_s:
            self._crash(life, pod, behaviour, now)
            return
        if ran > _BACKOFF_RESET_S:
            life.crashes = 0
        life.ready = behaviour.ready and ran >= behaviour.startup_s
        if not behaviour.ready and ran >= behaviour.startup_s and now >= life.repeat_at:
            life.repeat_at = now + _REPEAT_S
            self._say(pod, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", bad=True)

    def _crash(self, life: Life, pod: Stored, behaviour: Behaviour, now: float) -> None:
        code = behaviour.exit_code
        reason = {0: "Completed", 137: "OOMKilled"}.get(code, "Error")
        life.ready = False
        life.last = {
            "exitCode": code,
            "reason": reason,
            "startedAt": rfc3339(life.started_at),
            "finishedAt": rfc3339(now),
            "containerID": podstatus.container_id(life.uid, life.restarts),
        }
        self.ctx.logs.end(life.uid)
        policy = pod.obj["spec"].get("restartPolicy", "Always")
        if policy == "Never" or (policy == "OnFailure" and code == 0):
            life.phase = "done"
            return
        life.crashes += 1
        # The first restart is at once (but for the kubelet's own pace); then 10 s, 20 s, … 5 min.
        life.delay_s = 0.0 if life.crashes == 1 else min(_BACKOFF_S * 2 ** (life.crashes - 2), _BACKOFF_MAX_S)
        life.phase, life.due, life.repeat_at = "backoff", now + max(life.delay_s, 1.0), now

    def _wait(self, life: Life, pod: Stored, behaviour: Behaviour, now: float) -> None:
        name = pod.obj["spec"]["containers"][0]["name"]
        if now >= life.due:
            life.restarts += 1
            self._say(pod, "Pulled", f'Container image "{main(pod.obj)[0]}" already present on machine')
            self._start(life, pod, behaviour, now)
        elif life.delay_s and now >= life.repeat_at:
            life.repeat_at = now + _REPEAT_S
            where = f"{life.key[1]}_{life.key[0]}({life.uid})"
            self._say(pod, "BackOff", f"Back-off restarting failed container {name} in pod {where}", bad=True)

    def _stop(self, life: Life, pod: Stored, now: float) -> None:
        meta = pod.obj["metadata"]
        grace = meta.get("deletionGracePeriodSeconds", 0)
        if life.stop_at is None:
            image, env = main(pod.obj)
            started = life.phase == "running" and life.started_at > 0
            wait = self.ctx.behaviour(life.service, image, env).stop_s if started else 0.0
            life.stop_at = now + min(wait, grace)
            if started:
                for container in pod.obj["spec"]["containers"]:
                    self._say(pod, "Killing", f"Stopping container {container['name']}")
        if now < min(life.stop_at, life.stop_at if grace else now):
            return
        final = {**meta, "deletionTimestamp": rfc3339(now), "deletionGracePeriodSeconds": 0}
        pod = self.ctx.store.replace(PODS, pod, {**pod.obj, "metadata": final})
        self.ctx.store.remove(PODS, pod)


def _of_job(pod: Obj) -> bool:
    return any(ref["kind"] == "Job" for ref in pod["metadata"].get("ownerReferences") or ())


def main(pod: Obj) -> tuple[str, Mapping[str, str]]:
    """Return image and literal environment of a pod's main container."""
    container = pod["spec"]["containers"][0]
    env = {v["name"]: v.get("value", "") for v in container.get("env") or () if "valueFrom" not in v}
    return container.get("image", ""), env
