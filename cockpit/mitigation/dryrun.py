"""The server's own answer to the very request, with dryRun=All: what would differ, or why it would be refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict, Denied, Gone, Invalid, KubeError, NotFound
from cockpit.mitigation.objects import replicas
from cockpit.model.plan import DryRun, DryRunState, Request
from cockpit.text import clean

_UNTOLD = (("metadata", "resourceVersion"), ("metadata", "generation"), ("metadata", "managedFields"), ("status",))
_MOST = 40


async def ask(client: KubeClient, request: Request, before: Mapping[str, Any]) -> tuple[DryRun, Any]:
    """The verdict, and the object as it would be (None without one). Raises Conflict: read the object again, ask again."""
    try:
        answer = await client.send(
            request.method, request.path, params={**request.params, "dryRun": "All"}, body=request.body,
            content_type=request.content_type,
        )  # fmt: skip
        after = answer.json()
    except Conflict:
        raise
    except (Invalid, NotFound, Gone, Denied) as error:
        if error.status == 400 and re.search(r"(?i)dry.?run", error.reason):
            return DryRun(DryRunState.REFUSED, error.reason), None
        return DryRun(DryRunState.FAILED, error.reason), None
    except KubeError as error:
        return DryRun(DryRunState.UNKNOWN, error.reason), None
    if after.get("kind") == "Scale":
        wanted = int((after.get("spec") or {}).get("replicas") or 0)  # a scale of 0 answers `spec: {}`
        return DryRun(DryRunState.OK, "", ("spec.replicas",) if wanted != replicas(before) else ()), None
    changed = tuple(clean(path, 300) for path in differences(before, after))
    return DryRun(DryRunState.OK, "", changed[:_MOST]), after


def differences(before: Any, after: Any) -> list[str]:
    """Paths that differ, like `spec.template.spec.containers[m0-quant].env[X].value`; versions and status left out."""
    return [".".join(path) for path, _, _ in differing(before, after)]


def differing(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """(path, value before, value after) of each difference."""
    if path in _UNTOLD or before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from differing(before.get(key), after.get(key), (*path, key))
    elif _named(before) and _named(after):
        old, new = ({item["name"]: item for item in side} for side in (before or [], after or []))
        for name in [*old, *(n for n in new if n not in old)]:
            yield from differing(old.get(name), new.get(name), (*path[:-1], f"{path[-1]}[{name}]"))
        common = [n for n in old if n in new]
        if common != [n for n in new if n in old]:
            yield (*path[:-1], f"{path[-1]} (order)"), [*old], [*new]
    else:
        yield path, before, after


def _named(value: Any) -> bool:
    """A list of objects with distinct names; an absent list counts."""
    if value is None:
        return True
    if not isinstance(value, list) or not all(isinstance(i, Mapping) and "name" in i for i in value):
        return False
    return len({i["name"] for i in value}) == len(value)
