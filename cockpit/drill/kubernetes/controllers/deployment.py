"""Reconciles deployments as k8s.io/kubernetes does.

Revisions, rolling update and recreate, scaling, pause.

Conditions and status are in `rollout.py`.
"""

from __future__ import annotations

import math
from typing import Any

from cockpit.drill.clock import parse_rfc3339
from cockpit.drill.kubernetes.controllers import rollout
from cockpit.drill.kubernetes.controllers.context import ALPHABET, Context, owner
from cockpit.drill.kubernetes.objects.resources import DEPLOYMENTS, PODS, REPLICASETS, Obj
from cockpit.drill.kubernetes.objects.store import Stored, encode

REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
_MAX = "deployment.kubernetes.io/max-replicas"
_HISTORY = "deployment.kubernetes.io/revision-history"
_HASH = "pod-template-hash"
_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    _HISTORY,
    DESIRED,
    _MAX,
    "deprecated.deployment.rollback.to",
}
_COMPONENT = "deployment-controller"


def run(ctx: Context) -> None:
    for stored in ctx.store.select(DEPLOYMENTS):
        if "deletionTimestamp" not in stored.obj["metadata"]:
            _Sync(ctx, stored).run()


def template_hash(template: Obj) -> str:
    """Return the template's hash, stable for the same template.

    FNV-1a, its digits in the safe alphabet (`rand.SafeEncodeString`).
    """
    value = 0x811C9DC5
    for byte in encode(template):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(value))


def bounds(spec: Obj) -> tuple[int, int]:
    """Return (maxSurge, maxUnavailable) in pods.

    Percentages round up and down; both zero means one unavailable.
    """
    if spec["strategy"]["type"] != "RollingUpdate":
        return 0, 0
    rolling, replicas = spec["strategy"].get("rollingUpdate") or {}, spec.get("replicas", 1)
    surge = _share(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas)


def _share(value: Any, replicas: int, *, up: bool) -> int:
    if isinstance(value, str) and value.endswith("%"):
        part = float(value[:-1]) * replicas / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value)


def _same_template(a: Obj, b: Obj) -> bool:
    return _bare(a) == _bare(b)


def _bare(template: Obj) -> Obj:
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {k: v for k, v in (meta.get("labels") or {}).items() if k != _HASH}
    return {**template, "metadata": {k: v for k, v in meta.items() if v}}


def _revision(rs: Stored) -> int:
    try:
        return int((rs.obj["metadata"].get("annotations") or {}).get(REVISION, 0))
    except ValueError:
        return 0


def _replicas(stored: Stored) -> int:
    return int(stored.obj["spec"].get("replicas", 1))


class _Sync:
    """Reconciles one deployment once.

    ReplicaSets are re-read after each write: versions never go stale.
    """

    def __init__(self, ctx: Context, deployment: Stored) -> None:
        self.ctx = ctx
        self.d = deployment
        self.spec = deployment.obj["spec"]
        self.wanted = _replicas(deployment)
        self.surge, self.unavailable = bounds(self.spec)
        self.created = ""
        self._load()

    def _load(self) -> None:
        owned = self.ctx.store.owned(REPLICASETS, self.d.obj["metadata"]["uid"])
        owned.sort(key=lambda s: (parse_rfc3339(s.obj["metadata"]["creationTimestamp"]), s.rv))
        template = self.spec["template"]
        self.new = next((rs for rs in owned if _same_template(rs.obj["spec"]["template"], template)), None)
        self.old = [rs for rs in owned if rs is not self.new]

    @property
    def all(self) -> list[Stored]:
        return [*self.old, *([self.new] if self.new else [])]

    def run(self) -> None:
        paused = bool(self.spec.get("paused"))
        if paused or self._scaling():
            if self.new is not None and not paused:
                self._revise()
            self._scale_all()
        elif self.spec["strategy"]["type"] == "Recreate":
            self._recreate()
        else:
            self._new_replicaset()
            if not self._grow_new():
                self._shrink_old()
        self._load()
        current = self.ctx.current(DEPLOYMENTS, self.d)
        if current is None:
            return
        status = rollout.status(
            ctx=self.ctx, d=current, new=self.new, old=self.old, unavailable=self.unavailable, created=self.created
        )
        current = self.ctx.set_status(DEPLOYMENTS, current, status)
        if rollout.complete(current.obj):
            self._clean_up()

    def _scaling(self) -> bool:
        for rs in self.all:
            noted = (rs.obj["metadata"].get("annotations") or {}).get(DESIRED)
            if _replicas(rs) > 0 and noted is not None and noted != str(self.wanted):
                return True
        return False

    # revisions

    def _notes(self, revision: int) -> dict[str, str]:
        mine = self.d.obj["metadata"].get("annotations") or {}
        copied = {k: v for k, v in mine.items() if k not in _NOT_COPIED}
        return {**copied, DESIRED: str(self.wanted), _MAX: str(self.wanted + self.surge), REVISION: str(revision)}

    def _revise(self) -> None:
        """Give the new ReplicaSet, and the deployment, the highest revision.

        The ReplicaSet bears the deployment's annotations too (change-cause).
        """
        assert self.new is not None
        revision = max([0, *(_revision(rs) for rs in self.old)]) + 1
        have = _revision(self.new)
        notes = self._notes(max(revision, have))
        if have and revision > have:
            past = (self.new.obj["metadata"].get("annotations") or {}).get(_HISTORY)
            notes[_HISTORY] = f"{past},{have}" if past else str(have)
        self.new = self.ctx.annotate(REPLICASETS, self.new, notes)
        self.d = self.ctx.annotate(DEPLOYMENTS, self.d, {REVISION: notes[REVISION]})

    def _new_replicaset(self) -> None:
        if self.new is not None:
            self._revise()
            return
        meta = self.d.obj["metadata"]
        template = self.spec["template"]
        digest = template_hash(template)
        labels = {**((template.get("metadata") or {}).get("labels") or {}), _HASH: digest}
        revision = max([0, *(_revision(rs) for rs in self.old)]) + 1
        selector = {
            **self.spec["selector"],
            "matchLabels": {**(self.spec["selector"].get("matchLabels") or {}), _HASH: digest},
        }
        below = {**(template.get("metadata") or {}), "labels": labels}
        spec: Obj = {
            "replicas": 0,
            "selector": selector,
            "template": {**template, "metadata": below},
        }
        name = f"{meta['name']}-{digest}"
        while self.ctx.store.get(REPLICASETS, meta["namespace"], name) is not None:
            name += self.ctx.suffix(1)  # a hash collision, or a ReplicaSet of an older deployment of the same name
        head = {
            "name": name,
            "namespace": meta["namespace"],
            "generation": 1,
            "labels": labels,
            "annotations": self._notes(revision),
            "ownerReferences": [owner(DEPLOYMENTS, self.d.obj)],
        }
        body = {"metadata": head, "spec": spec, "status": {"replicas": 0}}
        self.new = self.ctx.store.create(REPLICASETS, body)
        self.created = name
        self.d = self.ctx.annotate(DEPLOYMENTS, self.d, {REVISION: str(revision)})

    # scaling

    def _scale(self, rs: Stored, replicas: int) -> Stored:
        before = _replicas(rs)
        notes = {DESIRED: str(self.wanted), _MAX: str(self.wanted + self.surge)}
        rs = self.ctx.annotate(REPLICASETS, rs, notes)
        if before == replicas:
            return rs
        rs = self.ctx.set_replicas(REPLICASETS, rs, replicas)
        way = "up" if replicas > before else "down"
        message = f"Scaled {way} replica set {rs.key[1]} from {before} to {replicas}"
        self.ctx.recorder.record(DEPLOYMENTS, self.d.obj, "ScalingReplicaSet", message, _COMPONENT)
        return rs

    def _scale_all(self) -> None:
        """Scale the only active ReplicaSet, or several in proportion.

        For a change of `replicas` alone.
        """
        active = [rs for rs in self.all if _replicas(rs) > 0]
        if len(active) <= 1:
            target = active[0] if active else self.new or (self.old[-1] if self.old else None)
            if target is not None:
                self._scale(target, self.wanted)
            return
        if self.new is not None and rollout.available(self.new) >= self.wanted == _replicas(self.new):
            for rs in self.old:
                self._scale(rs, 0)
            return
        total = sum(_replicas(rs) for rs in active)
        change = (self.wanted + self.surge if self.wanted else 0) - total
        left = change
        for rs in sorted(active, key=_replicas, reverse=True):
            part = round(_replicas(rs) * change / total)
            part = max(min(part, left), 0) if change > 0 else min(max(part, left), 0)
            left -= part
            self._scale(rs, max(0, _replicas(rs) + part))
        if left and (largest := self.ctx.current(REPLICASETS, max(active, key=_replicas))) is not None:
            self._scale(largest, max(0, _replicas(largest) + left))

    def _grow_new(self) -> bool:
        """Take one step of the new ReplicaSet; return whether it changed."""
        assert self.new is not None
        have = _replicas(self.new)
        goal = have
        if have > self.wanted:
            goal = self.wanted
        elif have < self.wanted:
            total = sum(_replicas(rs) for rs in self.all)
            goal = have + max(0, min(self.wanted + self.surge - total, self.wanted - have))
        changed = goal != have
        self.new = self._scale(self.new, goal)
        return changed

    def _shrink_old(self) -> None:
        """Take from the old ReplicaSets what availability allows.

        Unhealthy pods first, then the oldest set.
        """
        assert self.new is not None
        total = sum(_replicas(rs) for rs in self.all)
        least = self.wanted - self.unavailable
        spare = total - least - (_replicas(self.new) - rollout.available(self.new))
        if spare <= 0:
            return
        for i, rs in enumerate(self.old):
            sick = min(spare, _replicas(rs) - rollout.available(rs))
            if sick > 0:
                self.old[i] = self._scale(rs, _replicas(rs) - sick)
                spare -= sick
        spare = min(spare, sum(rollout.available(rs) for rs in self.all) - least)
        for i, rs in enumerate(self.old):
            part = min(spare, _replicas(rs))
            if part > 0:
                self.old[i] = self._scale(rs, _replicas(rs) - part)
                spare -= part

    def _recreate(self) -> None:
        """Wait until all old pods are gone, terminating ones included, before the first new one."""
        for i, rs in enumerate(self.old):
            self.old[i] = self._scale(rs, 0)
        if any(self.ctx.store.owned(PODS, rs.obj["metadata"]["uid"]) for rs in self.old):
            return
        self._new_replicaset()
        assert self.new is not None
        self.new = self._scale(self.new, self.wanted)

    def _clean_up(self) -> None:
        limit = self.spec.get("revisionHistoryLimit", 10)
        idle = [rs for rs in self.old if _replicas(rs) == 0 and rs.obj["status"].get("replicas", 0) == 0]
        for rs in sorted(idle, key=_revision)[: max(0, len(idle) - limit)]:
            self.ctx.store.remove(REPLICASETS, rs)
