"""Puts named parts in where a list of runbooks.toml uses them, and an operator's keys over ours.

`[parts.NAME]` holds what several lines would say again: a step, a parameter, a line of validation.
An element with `use = "NAME"` has its keys, and those that it says itself. `[runbook.steps.ID]` in
an operator's file changes keys of one packaged step; `[runbook.steps.ID.params.NAME]` those of one
of its parameters. Whoever checks the result is told where in the file each key was said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cockpit.errors import nearest
from cockpit.runbooks.lines import Path
from cockpit.runbooks.shape import Report

PARTS, USE, STEPS = "parts", "use", "steps"


@dataclass
class Said:
    """Knows where in the file a key was said that stands elsewhere after parts were put in."""

    _keys: dict[Path, list[tuple[Collection[str], Path]]] = field(default_factory=dict)

    def note(self, at: Path, keys: Collection[str], said: Path) -> None:
        """Note that these keys of the table `at` were said in the table `said`."""
        self._keys.setdefault(at, []).insert(0, (keys, said))

    def where(self, path: Path) -> Path:
        for length in range(len(path) - 1, 0, -1):
            for keys, said in self._keys.get(path[:length], ()):
                if path[length] in keys:
                    return self.where((*said, *path[length:]))
        return path


def expanded(raw: Mapping[str, Any], parts: Mapping[str, Any], said: Said, report: Report) -> dict[str, Any]:
    """Return the file without its parts, each of them in every place that uses it.

    `parts`: the packaged ones too. Reports names that there are not, circles, and what nobody uses.
    """
    own = raw.get(PARTS, {})
    if not isinstance(own, dict) or not all(isinstance(part, dict) for part in own.values()):
        report((PARTS,), "expected tables [parts.NAME]")
        own = {}
    used: set[str] = set()
    known = {**parts, **own}

    def put_in(value: Any, path: Path, within: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [put_in(each, (*path, index), within) for index, each in enumerate(value)]
        if not isinstance(value, dict):
            return value
        kept = {key: put_in(each, (*path, key), within) for key, each in value.items() if key != USE}
        name, may_use = value.get(USE), isinstance(path[-1], int) or (path[0] == PARTS and len(path) == 2)
        if USE not in value or not may_use:
            return kept if may_use else {**kept, **({USE: name} if USE in value else {})}
        if not isinstance(name, str) or name not in known:
            near = nearest(str(name), list(known))
            report((*path, USE), f"expected the name of a part, there is no {name!r}{near}")
            return kept
        if name in within:
            report((*path, USE), f"expected no circle: {' → '.join([*within, name])}")
            return kept
        used.add(name)
        part = put_in(known[name], (PARTS, name), (*within, name))
        said.note(path, part.keys() - kept.keys(), (PARTS, name) if name in own else path)
        return {**part, **kept}

    whole = {key: put_in(value, (key,), ()) for key, value in raw.items() if key != PARTS}
    for name in own:
        if name not in used:
            report((PARTS, name), f"expected to be used: no line says use = {name!r}")
    return whole


def changed(
    packaged: Mapping[str, Any], own: Mapping[str, Any], at: tuple[Path, Path], said: Said, report: Report
) -> Any:
    """Lay the keys of `[runbook.steps.ID]` over the packaged steps; return the list of steps.

    `at`: the paths of the runbook in the merged file and in the operator's.
    """
    merged, mine = at
    changes, steps = own[STEPS], list(packaged.get("mitigations", ()))
    if not isinstance(changes, dict) or not all(isinstance(change, dict) for change in changes.values()):
        report((*mine, STEPS), "expected tables [runbook.steps.ID]")
        return steps
    places = {step["id"]: index for index, step in enumerate(steps)}
    for name, change in changes.items():
        here = (*mine, STEPS, name)
        if name not in places:
            report(here, f"expected a packaged step of this runbook{nearest(name, list(places))}")
            continue
        index = places[name]
        place = (*merged, "mitigations", index)
        params = change.get("params")
        said.note(place, change.keys() - ({"params"} if isinstance(params, dict) else set()), here)
        steps[index] = {**steps[index], **change}
        if isinstance(params, dict):
            before = packaged["mitigations"][index].get("params", [])
            steps[index]["params"] = _parameters(before, params, (place, here), said, report)
    return steps


def _parameters(before: list[Any], own: Mapping[str, Any], at: tuple[Path, Path], said: Said, report: Report) -> Any:
    place, here = at
    params = list(before)
    places = {param["name"]: index for index, param in enumerate(params)}
    for name, change in own.items():
        if name not in places or not isinstance(change, dict):
            report((*here, "params", name), f"expected a parameter of this step{nearest(name, list(places))}")
            continue
        said.note((*place, "params", places[name]), change.keys(), (*here, "params", name))
        params[places[name]] = {**params[places[name]], **change}
    return params
