"""Enforces on their targets what HPAs want, which the world sets.

So they may undo a manual scale.
"""

from __future__ import annotations

from cockpit.drill.clock import rfc3339
from cockpit.drill.kubernetes.controllers.context import Context
from cockpit.drill.kubernetes.objects.resources import AUTOSCALERS, DEPLOYMENTS, STATEFULSETS, Obj

_COMPONENT = "horizontal-pod-autoscaler"
_SYNC_S = 15.0


class Autoscalers:
    """Holds `desired` by (namespace, HPA name).

    An HPA without an entry leaves its target within min and max.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.desired: dict[tuple[str, str], int] = {}
        self._next = 0.0

    def run(self) -> None:
        """Act every 15 simulated seconds, as the real one does."""
        now = self.ctx.now()
        if now < self._next:
            return
        self._next = now + _SYNC_S
        for hpa in self.ctx.store.select(AUTOSCALERS):
            spec = hpa.obj["spec"]
            ref = spec.get("scaleTargetRef") or {}
            res = STATEFULSETS if ref.get("kind") == "StatefulSet" else DEPLOYMENTS
            target = self.ctx.store.get(res, hpa.key[0], str(ref.get("name")))
            if target is None:
                continue
            have = target.obj["spec"].get("replicas", 1)
            least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 1)
            want = min(max(self.desired.get(hpa.key, have), least), most)
            status: Obj = dict(hpa.obj.get("status") or {})
            if have == 0:
                want = 0  # a target at 0 replicas disables its autoscaler
            elif have != want:
                self.ctx.set_replicas(res, target, want)
                status["lastScaleTime"] = rfc3339(now)
                text = f"New size: {want}; reason: cpu resource utilization (percentage of request) above target"
                self.ctx.recorder.record(AUTOSCALERS, hpa.obj, "SuccessfulRescale", text, _COMPONENT)
            status["currentReplicas"] = target.obj["status"].get("replicas", 0)
            status["desiredReplicas"] = want
            status.setdefault("conditions", [])
            self.ctx.set_status(AUTOSCALERS, hpa, status)
