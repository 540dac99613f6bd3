"""Tracks managedFields for ConfigMaps only.

Enough for server-side apply with conflicts (recordings 45–49).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cockpit.drill.kubernetes.objects.resources import Obj
from cockpit.drill.kubernetes.objects.statuses import ApiError

Path = tuple[str, ...]
_MAPS: tuple[Path, ...] = (("metadata", "labels"), ("metadata", "annotations"), ("data",), ("binaryData",))


def _values(obj: Obj) -> dict[Path, Any]:
    found: dict[Path, Any] = {}
    for path in _MAPS:
        below: Any = obj
        for step in path:
            below = (below or {}).get(step)
        for key, value in (below or {}).items():
            found[(*path, key)] = value
    return found


def _paths(fields: Obj, prefix: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for key, below in fields.items():
        if key == ".":
            continue
        path = (*prefix, key.removeprefix("f:"))
        inner = {k: v for k, v in below.items() if k != "."}
        found |= _paths(inner, path) if inner else {path} if path not in _MAPS else set()
    return found


def _fields(paths: Iterable[Path], maps: Iterable[Path] = (), dots: bool = False) -> Obj:
    root: Obj = {}
    for path in sorted({*paths, *maps}):
        below = root
        for i, step in enumerate(path):
            below = below.setdefault(f"f:{step}", {})
            if dots and path[: i + 1] in _MAPS and path not in _MAPS:
                below["."] = {}
    return root


def _entry(manager: str, operation: str, api_version: str, time: str, fields: Obj) -> Obj:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def last_applied(meta: Obj, data: Mapping[str, str]) -> Obj:
    """Return the annotation that `kubectl apply` writes: the ConfigMap as it was given."""
    given = {"apiVersion": "v1", "data": dict(data), "kind": "ConfigMap", "metadata": {"annotations": {}, **meta}}
    text = json.dumps(given, separators=(",", ":"), sort_keys=True) + "\n"
    return {"kubectl.kubernetes.io/last-applied-configuration": text}


def updated(old: Obj | None, new: Obj, manager: str, api_version: str, time: str) -> list[Obj]:
    """Return managedFields after `manager` wrote `new` by create, update or patch.

    What it changed is now its own.
    """
    before, after = _values(old or {"metadata": {}}), _values(new)
    changed = {path for path, value in after.items() if before.get(path, object()) != value}
    entries: list[Obj] = []
    mine = changed
    for entry in (old or {"metadata": {}})["metadata"].get("managedFields") or ():
        kept = {path for path in _paths(entry["fieldsV1"]) if path in after and path not in changed}
        if entry["manager"] == manager and entry["operation"] == "Update":
            mine = mine | kept
        elif kept:
            entries.append({**entry, "fieldsV1": _fields(kept, dots=entry["operation"] == "Update")})
    if mine:
        entries.append(_entry(manager, "Update", api_version, time, _fields(mine, dots=True)))
    return entries


def applied(old: Obj | None, wanted: Obj, manager: str, force: bool, time: str) -> Obj:
    """Apply a ConfigMap server-side.

    Returns the new object; raises ApiError 409 with one cause for each conflict.
    """
    current = old or {"metadata": dict(wanted["metadata"])}
    have, want = _values(current), _values(wanted)
    entries: list[Obj] = list(current["metadata"].get("managedFields") or ())
    conflicts: list[tuple[str, Path]] = []
    owned_before: set[Path] = set()
    others: list[Obj] = []
    owned_by_others: set[Path] = set()
    for entry in entries:
        paths = _paths(entry["fieldsV1"])
        if entry["manager"] == manager and entry["operation"] == "Apply":
            owned_before = paths
            continue
        lost = {path for path in paths if path in want and have.get(path) != want[path]}
        conflicts += [(entry["manager"], path) for path in sorted(lost)]
        keeps = paths - lost
        owned_by_others |= keeps
        maps = {path[:-1] for path in paths}
        others.append({**entry, "fieldsV1": _fields(keeps, maps, dots=bool(keeps) and entry["operation"] == "Update")})
    if conflicts and not force:
        raise _conflict(conflicts)
    dropped = {path for path in owned_before if path not in want and path not in owned_by_others}
    result = {**current, "metadata": dict(current["metadata"])}
    merged = {path: value for path, value in have.items() if path not in dropped} | want
    for where in _MAPS:
        inside = {path[-1]: value for path, value in merged.items() if path[:-1] == where}
        holder = result["metadata"] if len(where) == 2 else result
        if inside:
            holder[where[-1]] = inside
        else:
            holder.pop(where[-1], None)
    mine = _entry(manager, "Apply", "v1", time, _fields(want))
    same = [e for e in entries if e["manager"] == manager and e["operation"] == "Apply"]
    if same and same[0]["fieldsV1"] == mine["fieldsV1"] and merged == have:
        mine = same[0]  # applying the same again changes nothing, not even the time
    result["metadata"]["managedFields"] = [mine, *others]
    return result


def _conflict(conflicts: list[tuple[str, Path]]) -> ApiError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{who}" using v1', "field": "." + ".".join(path)}
        for who, path in conflicts
    ]
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        managers = dict.fromkeys(who for who, _ in conflicts)
        lines = []
        for who in managers:
            lines.append(f'conflicts with "{who}" using v1:')
            lines += [f"- .{'.'.join(path)}" for owner, path in conflicts if owner == who]
        text = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", text, {"causes": causes})
