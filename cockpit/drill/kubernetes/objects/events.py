"""Keeps events: one store, views core/v1 and events.k8s.io/v1, and a recorder that counts."""

from __future__ import annotations

from cockpit.drill.clock import SimClock, rfc3339
from cockpit.drill.kubernetes.objects.resources import EVENTS, Obj, Resource
from cockpit.drill.kubernetes.objects.store import Store

_TTL_S = 3600.0  # kube-apiserver --event-ttl
_TO_NEW = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_TO_OLD = {new: old for old, new in _TO_NEW.items()}
_NEW_ORDER = (
    "metadata",
    "eventTime",
    "series",
    "reportingController",
    "reportingInstance",
    "action",
    "reason",
    "regarding",
    "related",
    "note",
    "type",
    "deprecatedSource",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "deprecatedCount",
)


def as_new(event: Obj) -> Obj:
    """Show a stored core/v1 event as events.k8s.io/v1 does (recording 55)."""
    renamed = {_TO_NEW.get(k, k): v for k, v in event.items()}
    if not renamed.get("reportingInstance"):
        renamed.pop("reportingInstance", None)
    for field in ("deprecatedFirstTimestamp", "deprecatedLastTimestamp"):
        if renamed.get(field) is None:
            renamed.pop(field, None)
    return {
        **{k: renamed[k] for k in _NEW_ORDER if k in renamed},
        **{k: v for k, v in renamed.items() if k not in _NEW_ORDER},
    }


def as_old(event: Obj) -> Obj:
    """Return an events.k8s.io/v1 event as it is stored."""
    return {_TO_OLD.get(k, k): v for k, v in event.items()}


class EventRecorder:
    """Writes events as the controllers' recorders do.

    The same event again raises `count` and `lastTimestamp`.
    """

    def __init__(self, store: Store, clock: SimClock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[tuple[str, str, str, str], str] = {}
        self._written = 0
        self._next_sweep = clock.now() + 60.0

    def record(self, res: Resource, about: Obj, reason: str, message: str, component: str, *, host: str = "") -> None:
        self._write(res, about, kind="Normal", reason=reason, message=message, component=component, host=host)

    def warn(self, res: Resource, about: Obj, reason: str, message: str, component: str, *, host: str = "") -> None:
        self._write(res, about, kind="Warning", reason=reason, message=message, component=component, host=host)

    def _write(
        self, res: Resource, about: Obj, *, kind: str, reason: str, message: str, component: str, host: str
    ) -> None:
        meta = about["metadata"]
        namespace = meta.get("namespace", "")
        now = rfc3339(self._clock.now())
        key = (meta["uid"], reason, message, component)
        name = self._known.get(key)
        known = self._store.get(EVENTS, namespace, name) if name else None
        if known is not None:
            again = {**known.obj, "lastTimestamp": now, "count": known.obj["count"] + 1}
            self._store.replace(EVENTS, known, again)
            return
        self._written += 1
        name = f"{meta['name']}.{int(self._clock.now() * 1000) * 1_000_000 + self._written:x}"
        involved: Obj = {
            "kind": res.kind,
            "namespace": namespace,
            "name": meta["name"],
            "uid": meta["uid"],
            "apiVersion": res.api_version,
            "resourceVersion": meta["resourceVersion"],
        }
        if res.kind == "Pod" and component == "kubelet" and reason not in ("FailedScheduling",):
            involved["fieldPath"] = f"spec.containers{{{about['spec']['containers'][0]['name']}}}"
        source: Obj = {"component": component}
        if host:
            source["host"] = host
        self._known[key] = name
        self._store.create(
            EVENTS,
            {
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": involved,
                "reason": reason,
                "message": message,
                "source": source,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": kind,
                "eventTime": None,
                "reportingComponent": component,
                "reportingInstance": host,
            },
        )

    def sweep(self) -> None:
        """Forget events that were last seen an hour ago, once a simulated minute."""
        now = self._clock.now()
        if now < self._next_sweep:
            return
        self._next_sweep = now + 60.0
        oldest = rfc3339(now - _TTL_S)
        for stored in list(self._store.select(EVENTS)):
            seen = stored.obj.get("lastTimestamp") or stored.obj["metadata"]["creationTimestamp"]
            if seen < oldest:
                self._store.remove(EVENTS, stored)
        alive = {s.key[1] for s in self._store.select(EVENTS)}
        self._known = {key: name for key, name in self._known.items() if name in alive}
