"""Reads control toggles as they are set now: secrets never, URLs as scheme and host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cockpit.model.observed.cluster import Cluster, EnvVar, Workload
from cockpit.model.reading import NOTHING_READ, Known, Reading, Unknown, believed, kind_unknown
from cockpit.model.runbook import PAUSE_TOGGLE, Runbooks, Toggle
from cockpit.model.situation import ToggleStatus
from cockpit.text import HIDDEN, safe, url_hint

TWICE = "named twice: the last entry counts"


def toggles(
    runbooks: Runbooks, cluster: Cluster, kinds: Mapping[str, Reading[Any]], mono: float
) -> tuple[ToggleStatus, ...]:
    """Return one status for each toggle and deployment that carries it.

    For `NAME_*`: one for each variable found.
    """
    by_name: dict[str, list[Workload]] = {}
    for workload in cluster.workloads.values():
        by_name.setdefault(workload.name, []).append(workload)
    blind = kind_unknown(kinds, "deployments", mono, f"deployments: {NOTHING_READ}")
    found: list[ToggleStatus] = []
    for name, toggle in runbooks.toggles.items():
        for deployment in toggle.deployments:
            workloads = by_name.get(deployment, [])
            if not workloads or blind:
                reason = blind or f"there is no {deployment} in the watched namespaces"
                found.append(
                    ToggleStatus(
                        name=name, toggle=toggle, deployment=deployment, value=None, level="unknown", reason=reason
                    )
                )
            for workload in workloads if not blind else ():
                found += _of(name, toggle, workload, cluster)
    return tuple(found)


def beside_chain(
    statuses: tuple[ToggleStatus, ...], solana: Mapping[str, Reading[Any]], configured: bool, mono: float
) -> tuple[ToggleStatus, ...]:
    """Return them with what the chain says of each market's pause: it pauses without a toggle."""
    if not any(status.name.startswith(PAUSE_TOGGLE) for status in statuses):
        return statuses
    found = believed(solana.get("markets"), mono) if configured else None
    return tuple(
        msgspec.structs.replace(status, chain=_on_chain(status.name.removeprefix(PAUSE_TOGGLE), found))
        if status.name.startswith(PAUSE_TOGGLE)
        else status
        for status in statuses
    )


def _on_chain(market: str, found: Known[Any] | Unknown[Any] | None) -> str:
    if found is None:
        return "chain not read"
    if isinstance(found, Unknown):
        return f"chain ?: {safe(found.reason, 80)}"
    states: dict[str, bool] = {one.market_id: one.active for one in found.data.values()}
    if market in states:
        return "chain: active" if states[market] else "chain: paused"
    if market != "*":
        return "chain: no such market"
    paused = sorted(name for name, active in states.items() if not active)
    if not paused:
        return f"chain: none of {len(states)} paused"
    return safe(f"chain: {len(paused)} of {len(states)} paused ({', '.join(paused)})", 200)


def _of(name: str, toggle: Toggle, workload: Workload, cluster: Cluster) -> list[ToggleStatus]:
    if not name.endswith("*"):
        value = workload.env(name)
        return [_status(name, toggle, workload, value, cluster)]
    prefix = name[:-1]
    names = {v.name for c in workload.containers for v in c.env if v.name.startswith(prefix)}
    if toggle.configmap is not None:
        config = cluster.configmaps.get((workload.namespace, toggle.configmap))
        names |= {key for key in config.data if key.startswith(prefix)} if config is not None else set()
    maps = [(s.prefix, cluster.configmaps.get((workload.namespace, s.name))) for s in workload.env_from]
    names |= {
        f"{lead}{key}" for lead, of in maps if of is not None for key in of.data if f"{lead}{key}".startswith(prefix)
    }
    if not names:
        return [_status(name, toggle, workload, None, cluster)]
    return [_status(each, toggle, workload, workload.env(each), cluster) for each in sorted(names)]


def _status(name: str, toggle: Toggle, workload: Workload, variable: EnvVar | None, cluster: Cluster) -> ToggleStatus:
    status = _status_once(name, toggle, workload, variable, cluster)
    if not workload.named_twice(name):
        return status
    return msgspec.structs.replace(status, reason="; ".join(filter(None, (status.reason, TWICE))))


def _status_once(
    name: str, toggle: Toggle, workload: Workload, variable: EnvVar | None, cluster: Cluster
) -> ToggleStatus:
    value = variable.value if variable is not None else None
    reason = ""
    given = _given(name, workload, cluster) if variable is None else None
    if given is not None:
        value, reason = given
        if value is None:
            return ToggleStatus(
                name=name, toggle=toggle, deployment=workload.name, value=None, level="unknown", reason=reason
            )
    elif variable is None and toggle.configmap is not None:
        config = cluster.configmaps.get((workload.namespace, toggle.configmap))
        value = config.data.get(name) if config is not None else None
        reason = f"from configmap {toggle.configmap}" if value is not None else ""
    elif variable is not None and value is None:
        reason = f"from {variable.source}" if variable.source else ""
        value = _referred(variable.source, workload.namespace, cluster)
        if value is None:
            shown = HIDDEN if toggle.secret else None
            return ToggleStatus(
                name=name,
                toggle=toggle,
                deployment=workload.name,
                value=shown,
                level="usual" if toggle.secret else "unknown",
                reason=reason,
            )
    if value is None or (value == "" and toggle.usual != ""):
        if value is None and toggle.usual == "":
            return ToggleStatus(
                name=name, toggle=toggle, deployment=workload.name, value="", level="usual", reason=reason
            )
        return ToggleStatus(
            name=name, toggle=toggle, deployment=workload.name, value=None, level="unset", reason=reason
        )
    wrong = toggle.wrong(value)
    return ToggleStatus(
        name=name,
        toggle=toggle,
        deployment=workload.name,
        value=_shown(toggle, value),
        level="differs" if wrong else _level(toggle, value),
        reason="; ".join(filter(None, (wrong, reason))),
    )


def _given(name: str, workload: Workload, cluster: Cluster) -> tuple[str | None, str] | None:
    """Return the value that `envFrom` gives it, and whence; no value where that is not known.

    None: nothing gives it. Secrets are never read: one may set it, or override what a ConfigMap
    says.
    """
    doubts: list[str] = []
    for source in reversed(workload.env_from):
        if not name.startswith(source.prefix):
            continue
        config = cluster.configmaps.get((workload.namespace, source.name)) if source.kind == "configmap" else None
        if config is None:
            doubts.append(f"{source.kind} {source.name}")
        elif (value := config.data.get(name.removeprefix(source.prefix))) is not None:
            over = f"; {', '.join(doubts)} may override it" if doubts else ""
            return value, safe(f"from configmap {source.name}{over}", 200)
    return (None, safe(f"not known: {', '.join(doubts)} may set it", 200)) if doubts else None


def _referred(source: str, namespace: str, cluster: Cluster) -> str | None:
    """Return the value behind "configmap NAME/KEY", where that ConfigMap is watched."""
    kind, _, rest = source.partition(" ")
    name, _, key = rest.partition("/")
    config = cluster.configmaps.get((namespace, name)) if kind == "configmap" else None
    return config.data.get(key) if config is not None else None


def _level(toggle: Toggle, value: str) -> str:
    if toggle.usual is None or value == toggle.usual:
        return "usual"
    return "safest" if value == toggle.safest else "differs"


def _shown(toggle: Toggle, value: str) -> str:
    if toggle.secret:
        return HIDDEN
    return url_hint(value) if toggle.url else safe(value, 200)
