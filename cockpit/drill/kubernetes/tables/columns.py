"""Builds server-side tables, column by column as kube-apiserver does (recordings 11 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cockpit.drill.kubernetes.objects.resources import Obj, Resource
from cockpit.drill.kubernetes.tables import printers
from cockpit.drill.kubernetes.tables.printers import Cells


@dataclass(frozen=True)
class Column:
    name: str
    type: str = "string"
    wide: bool = False
    description: str = ""

    def definition(self) -> Obj:
        text = self.description or f"{self.name} of the object."
        kind = "name" if self.name == "Name" else ""
        return {
            "name": self.name,
            "type": self.type,
            "format": kind,
            "description": text,
            "priority": 1 if self.wide else 0,
        }


_NAME = Column("Name", description="Name must be unique within a namespace.")
_AGE = Column("Age", description="CreationTimestamp is the server time when this object was created.")


_WIDE_TEMPLATE = (Column("Containers", wide=True), Column("Images", wide=True))
_SELECTOR = Column("Selector", wide=True)

Printer = Callable[[Obj, float], Cells]
_TABLES: dict[str, tuple[Sequence[Column], Printer]] = {
    "pods": (
        (
            _NAME,
            Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
            Column("Status", description="The aggregate status of the containers in this pod."),
            Column("Restarts", description="How often the containers in this pod were restarted, and when last."),
            _AGE,
            Column("IP", wide=True),
            Column("Node", wide=True),
            Column("Nominated Node", wide=True),
            Column("Readiness Gates", wide=True),
        ),
        printers.pod,
    ),
    "deployments.apps": (
        (
            _NAME,
            Column("Ready", description="Number of the pod with ready state"),
            Column("Up-to-date", description="Non-terminating pods that have the desired template spec."),
            Column("Available", description="Non-terminating pods ready for at least minReadySeconds."),
            _AGE,
            *_WIDE_TEMPLATE,
            _SELECTOR,
        ),
        printers.deployment,
    ),
    "replicasets.apps": (
        (
            _NAME,
            Column("Desired", "integer"),
            Column("Current", "integer"),
            Column("Ready", "integer"),
            _AGE,
            *_WIDE_TEMPLATE,
            _SELECTOR,
        ),
        printers.replicaset,
    ),
    "statefulsets.apps": ((_NAME, Column("Ready"), _AGE, *_WIDE_TEMPLATE), printers.statefulset),
    "events": (
        (
            Column("Last Seen"),
            Column("Type"),
            Column("Reason"),
            Column("Object"),
            Column("Subobject", wide=True),
            Column("Source", wide=True),
            Column("Message"),
            Column("First Seen", wide=True),
            Column("Count", "integer", wide=True),
            Column("Name", wide=True),
        ),
        printers.event,
    ),
    "horizontalpodautoscalers.autoscaling": (
        (
            _NAME,
            Column("Reference"),
            Column("Targets"),
            Column("MinPods"),
            Column("MaxPods", "integer"),
            Column("Replicas", "integer"),
            _AGE,
        ),
        printers.autoscaler,
    ),
    "jobs.batch": (
        (_NAME, Column("Status"), Column("Completions"), Column("Duration"), _AGE, *_WIDE_TEMPLATE, _SELECTOR),
        printers.job,
    ),
    "cronjobs.batch": (
        (
            _NAME,
            Column("Schedule"),
            Column("Timezone"),
            Column("Suspend", "boolean"),
            Column("Active", "integer"),
            Column("Last Schedule"),
            _AGE,
            *_WIDE_TEMPLATE,
            _SELECTOR,
        ),
        printers.cronjob,
    ),
    "configmaps": (
        (_NAME, Column("Data", "integer"), _AGE),
        lambda o, now: [o["metadata"]["name"], printers.count(o), printers.born(o, now)],
    ),
    "secrets": (
        (_NAME, Column("Type"), Column("Data", "integer"), _AGE),
        lambda o, now: [o["metadata"]["name"], o.get("type", "Opaque"), printers.count(o), printers.born(o, now)],
    ),
    "namespaces": (
        (_NAME, Column("Status"), _AGE),
        lambda o, now: [o["metadata"]["name"], (o.get("status") or {}).get("phase", ""), printers.born(o, now)],
    ),
    "leases.coordination.k8s.io": (
        (_NAME, Column("Holder"), _AGE),
        lambda o, now: [o["metadata"]["name"], (o.get("spec") or {}).get("holderIdentity", ""), printers.born(o, now)],
    ),
    "services": (
        (
            _NAME,
            Column("Type"),
            Column("Cluster-IP"),
            Column("External-IP"),
            Column("Port(s)"),
            _AGE,
            _SELECTOR,
        ),
        printers.service,
    ),
    "nodes": (
        (
            _NAME,
            Column("Status"),
            Column("Roles"),
            _AGE,
            Column("Version"),
            Column("Internal-IP", wide=True),
            Column("External-IP", wide=True),
            Column("OS-Image", wide=True),
            Column("Kernel-Version", wide=True),
            Column("Container-Runtime", wide=True),
        ),
        printers.node,
    ),
}
_PLAIN: tuple[Sequence[Column], Printer] = (
    (_NAME, Column("Created At", "date")),
    lambda o, _now: [o["metadata"]["name"], o["metadata"].get("creationTimestamp")],
)


def partial(obj: Obj) -> Obj:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def table(
    res: Resource, objects: Sequence[Obj], meta: Obj, now: float, *, include: str = "", columns: bool = True
) -> Obj:
    """Build a meta.k8s.io/v1 Table.

    `include`: `Metadata` (default), `Object` or `None`, as in `includeObject`.
    """
    shape, cells = _TABLES.get(res.storage, _PLAIN)
    rows: list[Obj] = []
    for obj in objects:
        row: Obj = {"cells": cells(obj, now)}
        if include == "Object":
            row["object"] = {"kind": res.kind, "apiVersion": res.api_version, **obj}
        elif include != "None":
            row["object"] = partial(obj)
        rows.append(row)
    definitions = [c.definition() for c in shape] if columns else None
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": definitions,
        "rows": rows,
    }
