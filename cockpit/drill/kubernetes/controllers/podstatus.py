"""Renders a pod's status as the kubelet reports it (recordings 7, 58, 60)."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, Protocol

from cockpit.drill.clock import rfc3339
from cockpit.drill.kubernetes.objects.resources import Obj

Phase = Literal["pending", "creating", "pull-error", "pull-backoff", "running", "backoff", "done"]


class LifeLike(Protocol):
    uid: str
    key: tuple[str, str]
    phase: Phase
    host: str
    ip: str
    begun: float
    started_at: float
    restarts: int
    ready: bool
    problem: str
    delay_s: float
    last: Obj
    changed: dict[str, tuple[str, float]]


def container_id(uid: str, restarts: int) -> str:
    return f"containerd://{sha256(f'{uid}/{restarts}'.encode()).hexdigest()}"


def image_id(image: str) -> str:
    repository = image.partition("@")[0]
    slash = repository.rfind("/")
    if ":" in repository[slash + 1 :]:
        repository = repository[: repository.rindex(":")]
    digest = image.partition("@")[2] or f"sha256:{sha256(image.encode()).hexdigest()}"
    return f"{repository}@{digest}"


def render(life: LifeLike, pod: Obj, now: float) -> Obj:
    """Render the whole status.

    Conditions keep the time of their last change in `life.changed`.
    """
    names = [c["name"] for c in pod["spec"]["containers"]]
    conditions = [
        _condition(life, now, "Initialized", True),
        _condition(life, now, "Ready", life.ready, names),
        _condition(life, now, "ContainersReady", life.ready, names),
        _condition(life, now, "PodScheduled", True),
    ]
    status: Obj = {
        "phase": _phase(life),
        "conditions": conditions,
        "hostIP": "10.1.0.1",
        "hostIPs": [{"ip": "10.1.0.1"}],
    }
    if life.phase not in ("pending", "creating"):
        status |= {"podIP": life.ip, "podIPs": [{"ip": life.ip}]}
    status["startTime"] = rfc3339(life.begun)
    init = [_initialised(c, life) for c in pod["spec"].get("initContainers") or ()]
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = [_container(c, life, pod) for c in pod["spec"]["containers"]]
    status["qosClass"] = pod["status"].get("qosClass", "BestEffort")
    return status


def _phase(life: LifeLike) -> str:
    if life.phase == "done":
        return "Succeeded" if life.last.get("exitCode") == 0 else "Failed"
    return "Running" if life.phase in ("running", "backoff") else "Pending"


def _condition(life: LifeLike, now: float, kind: str, good: bool, unready: list[str] | None = None) -> Obj:
    status = "True" if good else "False"
    known = life.changed.get(kind)
    if known is None or known[0] != status:
        known = life.changed[kind] = (status, now)
    condition: Obj = {
        "type": kind,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(known[1]),
    }
    if not good and unready:
        text = f"containers with unready status: [{' '.join(unready)}]"
        condition |= {"reason": "ContainersNotReady", "message": text}
    return condition


def _state(life: LifeLike, name: str, image: str) -> Obj:
    if life.phase == "running":
        return {"running": {"startedAt": rfc3339(life.started_at)}}
    if life.phase == "done":
        return {"terminated": life.last}
    if life.phase == "backoff":
        if not life.delay_s:
            return {"terminated": life.last}
        delay = _go_duration(life.delay_s)
        where = f"pod={life.key[1]}_{life.key[0]}({life.uid})"
        text = f"back-off {delay} restarting failed container={name} {where}"
        return {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
    if life.phase == "pull-error":
        return {"waiting": {"reason": "ErrImagePull", "message": life.problem}}
    if life.phase == "pull-backoff":
        text = f'Back-off pulling image "{image}": ErrImagePull: {life.problem}'
        return {"waiting": {"reason": "ImagePullBackOff", "message": text}}
    return {"waiting": {"reason": "ContainerCreating"}}


def _go_duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _container(container: Obj, life: LifeLike, pod: Obj) -> Obj:
    image = container.get("image", "")
    begun = life.phase in ("running", "backoff", "done")
    status: Obj = {
        "name": container["name"],
        "state": _state(life, container["name"], image),
        "lastState": {"terminated": life.last} if life.last and life.phase != "done" and _past(life) else {},
        "ready": life.ready,
        "restartCount": life.restarts,
        "image": image,
        "imageID": image_id(image) if begun else "",
    }
    if begun:
        status["containerID"] = container_id(life.uid, life.restarts)
    status["started"] = life.phase == "running"
    return status


def _past(life: LifeLike) -> bool:
    """Return the state of a container that ended.

    It is its state at first; once it waits or runs again, its last state.
    """
    return not (life.phase == "backoff" and not life.delay_s)


def _initialised(container: Obj, life: LifeLike) -> Obj:
    done = {
        "exitCode": 0,
        "reason": "Completed",
        "startedAt": rfc3339(life.begun),
        "finishedAt": rfc3339(life.begun),
        "containerID": container_id(life.uid + container["name"], 0),
    }
    return {
        "name": container["name"],
        "state": {"terminated": done},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": container.get("image", ""),
        "imageID": image_id(container.get("image", "")),
        "started": False,
    }
