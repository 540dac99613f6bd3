"""Says before a sequence what its parts will want to be confirmed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cockpit.model.runbook import Step
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.text import counted


def wanted_of(parts: Sequence[Step], parameters: Mapping[str, str]) -> list[str]:
    """Say, part by part, what each will want to be confirmed with, and all of it in one line."""
    lines, names = [f"in order, {counted(len(parts), 'part')}; each is confirmed on its own:"], []
    for index, part in enumerate(parts):
        spec = STEP_KINDS[part.kind]
        name = _name_of(part, parameters)
        if spec.asks or spec.opens_view:
            how = "asked" if spec.asks else "looked at, on the screen"
        elif spec.only_reads:
            how = "changes nothing"
        else:
            names.append(name)
            how = f"wants {name} typed" if part.dangerous else f"y, or {name} where a guard wants it"
        lines.append(f"  {index + 1} {part.title}: {how}")
    once = ",".join(dict.fromkeys(names))
    return [*lines, *([f"  all of it at once: --yes --confirm {once}"] if names else [])]


def _name_of(part: Step, parameters: Mapping[str, str]) -> str:
    """Return what a part's target is called, as it must be typed."""
    text = part.service or part.args.get("target") or part.args.get("configmap") or part.args.get("cronjob") or ""
    if not text and part.params:
        text = "{" + part.params[0].name + "}"
    for param in part.params:
        given = parameters.get(param.name, f"<{param.title or param.name}>")
        text = text.replace("{" + param.name + "}", given)
    return text or part.id
