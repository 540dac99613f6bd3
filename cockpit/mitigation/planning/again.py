"""Judges a confirmed plan again: a verdict that is worse than the one shown stops it.

What was not there when the operator said yes was not said yes to: a signal that turned bad, an
autoscaler, a mark of GitOps, a container that others put into the pods.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from cockpit.mitigation.cluster.differences import differences
from cockpit.mitigation.cluster.objects import replicas
from cockpit.mitigation.kind import Draft, Patch
from cockpit.model.plan import GuardResult, Verdict
from cockpit.text import clean

RANK = {Verdict.PASS: 0, Verdict.NOTE: 1, Verdict.CONFIRM: 2, Verdict.UNKNOWN: 2, Verdict.BLOCK: 3}
#: Asked in another way at the send: the lease is taken, the dry run becomes the real one.
ELSEWHERE = ("lease", "dry-run")
#: What nobody who stops publishing needs to wait for: why he does, and that a note has changed.
NOT_FOR_A_STOP = ("fresh",)


def worse(shown: Sequence[GuardResult], now: Sequence[GuardResult], *, stops: bool = False) -> str:
    """Say which verdicts are worse than those that were shown; "" when none is.

    `stops`: it only makes safer, so that notes and doubts about why do not hold it up.
    """
    known = {guard.guard: guard for guard in shown}
    found = []
    for guard in now:
        if guard.guard in ELSEWHERE or (stops and (guard.guard in NOT_FOR_A_STOP or guard.verdict is Verdict.NOTE)):
            continue
        before = known.get(guard.guard)
        rank = RANK[before.verdict] if before is not None else 0
        news = set(guard.about) - set(before.about if before is not None else ())
        if RANK[guard.verdict] > rank or (RANK[guard.verdict] > 1 and news):
            found.append(f"{guard.guard}: {guard.reason}")
    return "; ".join(found)


def with_object(draft: Draft, obj: Mapping[str, Any]) -> Draft:
    """Return the draft as it stands on another reading of its object."""
    if draft.patch is None:
        return draft
    subject = dataclasses.replace(draft.patch.subject, obj=obj)
    return dataclasses.replace(draft, patch=dataclasses.replace(draft.patch, subject=subject))


def grown(patch: Patch, obj: Mapping[str, Any]) -> str:
    """Say what others put into the pods that this would start, since it was planned."""
    before = patch.subject.obj
    count, now = replicas(before), replicas(obj)
    starts = patch.template or (patch.replicas_after or 0) > count
    template = (before.get("spec") or {}).get("template")
    if not starts or template is None:
        return ""
    if patch.template and now > count:
        return f"{now} pods would be replaced, {count} were shown"
    changed = differences({"template": template}, {"template": (obj.get("spec") or {}).get("template")})
    if not changed:
        return ""
    more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
    paths = ", ".join(clean(path, 120) for path in changed[:4])
    return f"{paths}{more} changed since the plan was made: the pods that start would carry it"
