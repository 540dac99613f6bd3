"""Prints a runbook in plain text, for `m0-cockpit runbooks show`."""

from __future__ import annotations

from cockpit.model.runbook import Param, Runbook, Step
from cockpit.text import clean


def describe(runbook: Runbook) -> str:
    """Describe a runbook, one item a line.

    Title, symptoms, triage, causes, mitigations with their parameters, validation, checklist.
    """
    lines = [f"{runbook.number} {runbook.title}   {runbook.severity}   ({runbook.id})"]
    if runbook.summary:
        lines.append(f"  {runbook.summary}")
    _section(lines, "SYMPTOMS", [f"{s.text}   [{s.signal} at {s.at}]" for s in runbook.symptoms])
    _section(lines, "TRIAGE", [_line(t.text, t.signals, t.view) for t in runbook.triage])
    _section(lines, "LIKELY CAUSES", [_line(c.text, c.signals, None) for c in runbook.causes])
    _section(lines, "STEPS", [line for step in runbook.mitigations for line in _step(step)])
    _section(
        lines,
        "VALIDATION",
        [f"{v.text}   [{v.signal} {v.expect}, {v.hold:g} s within {v.within:g} s]" for v in runbook.validation],
    )
    _section(lines, "CHECKLIST", [_line(c.text, (c.signal,) if c.signal else (), None) for c in runbook.checklist])
    return "\n".join(clean(line) for line in lines)


def _section(lines: list[str], title: str, entries: list[str]) -> None:
    if entries:
        lines += [title, *(f"  {entry}" for entry in entries)]


def _line(text: str, signals: tuple[str, ...], view: str | None) -> str:
    notes = [*([", ".join(signals)] if signals else []), *([f"view {view}"] if view else [])]
    return f"{text}   [{'; '.join(notes)}]" if notes else text


def _step(step: Step) -> list[str]:
    marks = [m for m, on in (("dangerous", step.dangerous), ("relaxes: put it back later", step.relaxes)) if on]
    target = f" {step.service}" if step.service and not step.names_service_by_value else ""
    head = f"{step.id:<22} {step.kind}{target}: {step.title}"
    lines = [f"{head}   ({', '.join(marks)})" if marks else head]
    if step.when:
        lines.append(f"    when {step.when}")
    return [*lines, *(f"    --param {_param(param)}" for param in step.params)]


def _param(param: Param) -> str:
    bounds = [
        *([f"from {param.minimum}"] if param.minimum is not None else []),
        *([f"to {param.maximum}"] if param.maximum is not None else []),
        *([f"one of {', '.join(param.choices)}"] if param.choices else []),
        *([f"choices: {param.choices_from}"] if param.choices_from else []),
    ]
    default = f"={param.default}" if param.default is not None else "="
    return f"{param.name}{default}   {param.type}{' ' if bounds else ''}{', '.join(bounds)}"
