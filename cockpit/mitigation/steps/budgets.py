"""Judges the end of one pod by the disruption budgets that are about it, as an eviction would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cockpit.kubeapi.errors import KubeError, NotFound
from cockpit.model.plan import GuardResult, Verdict
from cockpit.text import clean

if TYPE_CHECKING:
    from cockpit.mitigation.context import StepContext


async def budget(context: StepContext, labels: Mapping[str, str], ready: bool) -> GuardResult:
    """Keep disruption budgets, as an eviction would: a pod that is not ready takes nothing."""
    path = f"/apis/policy/v1/namespaces/{context.namespace}/poddisruptionbudgets"
    try:
        budgets = (await context.client.get(path)).get("items") or []
    except NotFound:
        budgets = []
    except KubeError as error:
        return GuardResult("budget", Verdict.UNKNOWN, f"disruption budgets cannot be read: {error.line()}")
    over = [one for one in budgets if fits((one.get("spec") or {}).get("selector"), labels)]
    if not over:
        return GuardResult("budget", Verdict.PASS, "no disruption budget is about it")
    names = clean(", ".join(str(one["metadata"]["name"]) for one in over), 200)
    if not ready:
        return GuardResult("budget", Verdict.PASS, f"{names}: it is not ready, so it takes nothing of it")
    left = min(int((one.get("status") or {}).get("disruptionsAllowed") or 0) for one in over)
    if left < 1:
        return GuardResult("budget", Verdict.BLOCK, f"the disruption budget {names} has none left")
    return GuardResult("budget", Verdict.PASS, f"{names}: {left} left")


def fits(wanted: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector takes a pod; an empty one takes all, none takes nothing."""
    if wanted is None:
        return False
    if any(labels.get(key) != value for key, value in (wanted.get("matchLabels") or {}).items()):
        return False
    for term in wanted.get("matchExpressions") or []:
        value, values = labels.get(term["key"]), term.get("values") or []
        holds = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds.get(term["operator"], True):
            return False
    return True
