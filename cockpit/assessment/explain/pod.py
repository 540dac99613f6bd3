"""Describes a pod's containers, and says what an operator does about each kind of trouble."""

from __future__ import annotations

from cockpit.model.observed.cluster import Container, Pod

#: Waiting reasons of images that cannot be had.
_IMAGE = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_SIGNALS = {
    137: "killed (SIGKILL)",
    139: "segmentation fault (SIGSEGV)",
    143: "terminated (SIGTERM)",
    134: "aborted (SIGABRT)",
}


def span(seconds: float) -> str:
    """Return a length of time as "12 s", "3 min", "2 h", "4 d"."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"


def ago(now: float, at: float | None) -> str:
    return f"{span(now - at)} ago" if at is not None else "at an unknown time"


def pod_summary(pod: Pod, now: float) -> str:
    """Return one line for a pod without trouble."""
    age = f", {span(now - pod.created_at)} old" if pod.created_at is not None else ""
    if pod.phase == "Succeeded":
        return f"Completed{age}"
    if not pod.containers and pod.phase == "Pending":
        return f"Pending{age}: nothing is known of its containers yet"
    state = "All well" if pod.healthy else f"{pod.reason or pod.phase or 'Unknown'}"
    if pod.held_back:
        return f"Not ready: {held_back(pod)}{age}"
    restarts = f", restarted {pod.restarts}×" if pod.restarts else ""
    return f"{state}: {pod.ready} of {pod.total} containers ready{restarts}{age}"


def held_back(pod: Pod) -> str:
    """Say what keeps a pod from being ready whose containers all are: its node, or a gate."""
    ready = next((c for c in pod.conditions if c.type == "Ready"), None)
    why = f": {ready.message}" if ready is not None and ready.message else ""
    if ready is not None and not ready.reason:
        node = f" {pod.node}" if pod.node else ""
        why = f": its node{node} may be lost"
    return f"{pod.held_back}{why}; its containers say they are ready"


def container_lines(pod: Pod, now: float) -> list[str]:
    """Return one line for each container that is not well, worst first."""
    lines = [(rank, line) for c in pod.containers for rank, line in _container(c, pod, now)]
    return [line for _, line in sorted(lines, key=lambda each: each[0])]


def _container(c: Container, pod: Pod, now: float) -> list[tuple[int, str]]:
    name = f"init container {c.name}" if c.init else f"container {c.name}"
    if c.phase == "waiting":
        return [_waiting(c, name, now)]
    if c.phase == "terminated":
        if c.exit_code == 0 and (c.init or pod.phase == "Succeeded"):
            return []
        why = f"{c.reason or 'Terminated'}: {name} ended {ago(now, c.finished_at)}"
        return [(0, f"{why}, {exit_words(c.exit_code, c.reason)}{_tail(c.message)}")]
    if c.phase == "running":
        return _running(c, name, now)
    if pod.phase == "Pending" or c.init:
        return []
    return [(4, f"Unknown: the kubelet has said nothing of {name} yet")]


def _waiting(c: Container, name: str, now: float) -> tuple[int, str]:
    if c.reason == "CrashLoopBackOff":
        last = _last(c, now) or "how it ended is not recorded"
        return 0, f"CrashLoopBackOff: {name} restarted {c.restarts}×, {last}{_tail(c.message)}"
    if c.reason in _IMAGE:
        return 0, f"{c.reason}: {name} cannot pull {c.image or 'its image'}{_tail(c.message)}"
    if c.reason in _CONFIG:
        return 0, f"{c.reason}: {name} cannot be made{_tail(c.message)}"
    last = _last(c, now)
    return 3, f"{c.reason or 'Waiting'}: {name} has not started{f', {last}' if last else ''}{_tail(c.message)}"


def _running(c: Container, name: str, now: float) -> list[tuple[int, str]]:
    if c.ready or c.init:
        last = _last(c, now)
        recent = c.last_finished_at is not None and now - c.last_finished_at < 600
        return [(2, f"Restarted: {name} {c.restarts}×, {last}")] if last and recent and not c.init else []
    since = f" for {span(now - c.started_at)}" if c.started_at is not None else ""
    last = _last(c, now)
    return [(1, f"Not ready: {name} runs{since}, but its readiness probe fails{f'; {last}' if last else ''}")]


def _last(c: Container, now: float) -> str:
    if c.last_exit_code is None and not c.last_reason:
        return ""
    killed = "OOMKilled: out of memory, " if c.last_reason == "OOMKilled" else ""
    ended = exit_words(c.last_exit_code, c.last_reason)
    return f"{killed}last {ended} {ago(now, c.last_finished_at)}{_tail(c.last_message)}"


def exit_words(code: int | None, reason: str = "") -> str:
    """Return "exit 1 (Error)" or "exit 137 killed (SIGKILL)"."""
    if code is None:
        return f"exit code unknown ({reason})" if reason else "exit code unknown"
    meaning = _SIGNALS.get(code, "")
    if reason and reason not in ("Error", "Completed", "OOMKilled"):
        meaning = reason
    return f"exit {code}{f' {meaning}' if meaning else ''}"


def _tail(message: str) -> str:
    return f": {message}" if message else ""


def next_step(pod: Pod) -> str:
    """Return what helps most often; empty for a healthy pod."""
    if pod.terminating:
        return "wait for its grace period; then look at its node and finalizers"
    scheduled = next((c for c in pod.conditions if c.type == "PodScheduled"), None)
    if scheduled is not None and scheduled.status == "False":
        return "free or add capacity, or correct node selectors, taints and volume claims"
    waiting = {c.reason for c in pod.containers if c.phase == "waiting"}
    if waiting & set(_IMAGE):
        return "check the image's name, digest and pull secret; go back to the last good image (runbook 11)"
    if waiting & set(_CONFIG):
        return "check the ConfigMaps and Secrets that it refers to"
    if any("OOMKilled" in (c.reason, c.last_reason) for c in pod.containers):
        return "raise its memory limit, or give it less to do; the previous container's log (l, p) shows what it did"
    if "CrashLoopBackOff" in waiting:
        return "read the previous container's log (l, p); if it began with a release, go back (runbook 11)"
    if pod.phase == "Failed":
        return "read its log (l) and its node's conditions"
    if pod.held_back:
        return "look at its node, and at its readiness gates"
    if not pod.healthy and any(c.phase == "running" and not c.ready for c in pod.containers):
        return "read its log (l): what does its readiness endpoint wait for?"
    return ""
