"""Computes kubectl's STATUS, READY and RESTARTS columns of a pod by kubectl's own algorithm.

Follows `printPod` in kubernetes/pkg/printers/internalversion/printers.go (1.32).
"""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.kubeapi.wire import ConditionW, ContainerStatus, Meta, PodSpec, PodStatus, State, Terminated

_NONE = State()


def columns(meta: Meta, spec: PodSpec, status: PodStatus) -> tuple[str, int, int, int]:
    """Return (STATUS, ready containers, containers, restarts)."""
    reason = status.reason or status.phase or ""
    conditions = [c for c in status.conditions or () if c is not None]
    if "SchedulingGated" in [c.reason for c in conditions if c.type == "PodScheduled"]:
        reason = "SchedulingGated"
    total = len([c for c in spec.containers or () if c is not None])
    ready = restarts = sidecar_restarts = 0
    waiting = ""
    if spec.init_containers or status.init_container_statuses:
        init_specs = [c for c in spec.init_containers or () if c is not None]
        sidecars = {c.name for c in init_specs if c.restart_policy == "Always"}
        total += len(sidecars)
        ready, restarts, sidecar_restarts, waiting = _init(
            status.init_container_statuses or (), sidecars, len(init_specs)
        )
    if waiting:
        reason = waiting
    if not waiting or _holds(conditions, "Initialized"):
        main_reason, main_ready, main_restarts, running = _main(status.container_statuses or ())
        reason = main_reason or reason
        ready += main_ready
        restarts = sidecar_restarts + main_restarts
        if reason == "Completed" and running:
            reason = "Running" if _holds(conditions, "Ready") else "NotReady"
    if meta.deletion_timestamp:
        if status.reason == "NodeLost":
            reason = "Unknown"
        elif status.phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return reason or "Unknown", ready, total, restarts


def _holds(conditions: Sequence[ConditionW], kind: str) -> bool:
    return any(c.type == kind and c.status == "True" for c in conditions)


def ended(state: Terminated) -> str:
    """Return the word for a terminated container: its reason, else its signal or exit code."""
    if state.reason:
        return state.reason
    return f"Signal:{state.signal}" if state.signal else f"ExitCode:{state.exit_code or 0}"


def _init(
    statuses: Sequence[ContainerStatus | None], sidecars: set[str | None], count: int
) -> tuple[int, int, int, str]:
    """Return (ready sidecars, restarts, restarts of sidecars, what it waits for or "")."""
    ready = restarts = sidecar_restarts = 0
    for index, one in enumerate(statuses):
        if one is None:
            continue
        restarts += one.restart_count or 0
        sidecar = one.name in sidecars
        if sidecar:
            sidecar_restarts += one.restart_count or 0
        state = one.state or _NONE
        if state.terminated is not None and not state.terminated.exit_code:
            continue
        if sidecar and one.started:
            ready += bool(one.ready)
            continue
        if state.terminated is not None:
            return ready, restarts, sidecar_restarts, f"Init:{ended(state.terminated)}"
        if state.waiting is not None and state.waiting.reason and state.waiting.reason != "PodInitializing":
            return ready, restarts, sidecar_restarts, f"Init:{state.waiting.reason}"
        return ready, restarts, sidecar_restarts, f"Init:{index}/{count}"
    return ready, restarts, sidecar_restarts, ""


def _main(statuses: Sequence[ContainerStatus | None]) -> tuple[str, int, int, bool]:
    """Return (reason or "", ready, restarts, one still runs), by the first container."""
    reason, ready, restarts, running = "", 0, 0, False
    for one in reversed(statuses):
        if one is None:
            continue
        restarts += one.restart_count or 0
        state = one.state or _NONE
        if state.waiting is not None and state.waiting.reason:
            reason = state.waiting.reason
        elif state.terminated is not None:
            reason = ended(state.terminated)
        elif one.ready and state.running is not None:
            running = True
            ready += 1
    return reason, ready, restarts, running
