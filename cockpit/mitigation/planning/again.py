"""Finds what others changed in an object since a plan of it was made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cockpit.mitigation.cluster.differences import differences
from cockpit.mitigation.cluster.objects import replicas
from cockpit.mitigation.kind import Draft, Patch
from cockpit.text import clean


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
