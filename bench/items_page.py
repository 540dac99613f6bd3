"""Writes docs/items.md: what each item of the operational runbooks looks at, does and proves.

`python -m bench.items_page docs/items.md`. A test holds the page and runbooks.toml together, and
refuses a line that another line's data would satisfy.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cockpit.incident import checklist as of_incident
from cockpit.maintenance import deploy as of_deploy
from cockpit.maintenance import rounds as of_rounds
from cockpit.model.runbook import Runbook, Runbooks, SignalDef, Step, Validation
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.runbooks.schema import load

HEAD = """\
# The operational runbooks, line by line

Each of the 183 lines: what it looks at, does, and is proved by; made from `runbooks.toml` by `make generated`.
Signals are named as there; the table at the end says where each comes from. "at warn", "at crit": the level from which
on a line holds. A step that holds harm off and cures nothing is proved by what it changed, read back.
"""
_ROUNDS = dict((*of_rounds._LINES, *of_rounds._MONTHLY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Describes one line: `judged` are the signals whose data alone decide it."""

    item: str
    text: str
    role: str  # "bad" (symptom, cause), "question" (triage), "proof", "step", "list", "place"
    judged: tuple[str, ...] = ()
    how: str = ""  # at which level, or what is expected of it
    looks: str = ""
    does: str = ""
    proves: str = ""


def items(runbooks: Runbooks) -> tuple[Item, ...]:
    """Return every line of the file that bears an item, in the file's order."""
    return (*_places(runbooks), *(one for runbook in runbooks.runbooks for one in _of(runbook)))


def _places(runbooks: Runbooks) -> Iterator[Item]:
    for name, service in runbooks.services.items():
        if service.item:
            share = next((key for key, one in runbooks.signals.items() if _watches(one, name)), "")
            looks = f"its pods{f', `{share}`' if share else ''}"
            yield Item(item=service.item, text=name, role="place", looks=looks, does="Pods (1), Logs, Explain")
    for name, toggle in runbooks.toggles.items():
        if toggle.item:
            where = ", ".join(toggle.deployments) + (f", ConfigMap {toggle.configmap}" if toggle.configmap else "")
            changed = [f"{b.number} `{s.id}`" for b in runbooks.runbooks for s in b.mitigations if _sets(s, name)]
            does = f"Toggles (8); set by {', '.join(changed)}" if changed else "Toggles (8)"
            yield Item(item=toggle.item, text=name, role="place", looks=f"variables of {where}", does=does)


def _watches(signal: SignalDef, service: str) -> bool:
    return (signal.value or "") in (f"kubernetes.share.{service}", f"kubernetes.ready.{service}")


def _sets(step: Step, toggle: str) -> bool:
    return toggle in step.env or step.args.get("key") == toggle


def _of(runbook: Runbook) -> Iterator[Item]:
    if runbook.severity_item:
        yield Item(
            item=runbook.severity_item, text=runbook.severity, role="place", does=f"matches rank {runbook.severity}"
        )
    for one in runbook.symptoms:
        if one.item:
            how = f"at {one.at}"
            yield Item(
                item=one.item,
                text=one.text,
                role="bad",
                judged=one.witnesses,
                how=how,
                looks=_names(one.witnesses, " or ", how),
            )
    for line in runbook.triage:
        if line.item:
            opens = f"opens {_view(line.view, line.args)}" if line.view else ""
            yield Item(
                item=line.item,
                text=line.text,
                role="question",
                judged=line.signals,
                looks=_names((*line.signals, *line.queries)),
                does=opens,
            )
    for cause in runbook.causes:
        if cause.item:
            looks = _names(cause.signals, " or ", "at warn")
            yield Item(item=cause.item, text=cause.text, role="bad", judged=cause.signals, how="at warn", looks=looks)
    for step in runbook.mitigations:
        if step.item:
            yield _step(step, runbook)
    for proof in runbook.validation:
        if proof.item:
            words = _expected(proof)
            yield Item(item=proof.item, text=proof.text, role="proof", judged=(proof.signal,), how=words, looks=words)
    for entry in runbook.checklist:
        signals = (entry.signal,) if entry.signal else ()
        seen = of_deploy._LINES.get(entry.item.removeprefix(of_deploy.PREFIX)) or of_incident._SEEN.get(
            entry.item.removeprefix(of_incident.PREFIX)
        )
        yield Item(
            item=entry.item, text=entry.text, role="list", judged=signals, looks=_names(signals), does=_said(seen)
        )


def _step(step: Step, runbook: Runbook) -> Item:
    spec = STEP_KINDS[step.kind]
    judged = step.signals if spec.judges_signals else ()
    round_of = _ROUNDS.get(step.item or "")
    does = (
        f"`{step.kind}`: {_doing(step)}"
        if not round_of
        else f"{_said(round_of)}{f'; asks: {step.question}' if step.question else ''}"
    )
    if step.validation:
        proves = "; ".join(map(_expected, step.validation))
    elif spec.only_reads:
        proves = ""
    else:
        proves = "what it changed, read back" if step.holds or not runbook.validation else "the validation below"
    return Item(
        item=step.item or "",
        text=step.title,
        role="step",
        judged=judged,
        looks=_names(step.signals),
        does=does,
        proves=proves,
    )


def _doing(step: Step) -> str:
    """Say what a step would do, from its keys."""
    if step.question:
        return step.question
    if step.view:
        return f"opens {_view(step.view, step.args)}"
    words = [step.service or ""]
    if step.replicas is not None:
        words.append(f"to {step.replicas}")
    words += [f"{key}={value}" for key, value in step.env.items()]
    words += [step.image or "", " ".join(step.argv), " → ".join(step.steps)]
    if not step.argv:
        words += [f"{key}={value}" for key, value in step.args.items()]
    return " ".join(filter(None, words))


def _view(view: str | None, args: dict[str, str]) -> str:
    return f"{view} {' '.join(f'{key}={value}' for key, value in args.items())}".strip()


def _expected(proof: Validation) -> str:
    words = {
        "ok": "is ok",
        "rises": f"is at {100 * proof.share:.0f} % of normal",
        "falls": "falls",
        "near-baseline": f"is as good as normal, or within {100 * proof.tolerance:.0f} % of it",
        "stable": f"is ok, its values within {100 * proof.tolerance:.0f} % of each other,",
    }
    only = f", while `{proof.only_with}` is ok" if proof.only_with else ""
    return f"`{proof.signal}` {words[proof.expect]} for {proof.hold:g} s{only}"


def _names(names: tuple[str, ...], between: str = ", ", how: str = "") -> str:
    return between.join(f"`{name}`" for name in names) + (f" {how}" if names and how else "")


def _said(judge: object) -> str:
    """Return the first sentence of what judges a line."""
    return (judge.__doc__ or "").strip().splitlines()[0] if judge is not None else ""


def page() -> str:
    runbooks = load()
    found = items(runbooks)
    lines = [HEAD]
    titles = {"q": "Quick reference"} | {str(one.number): f"{one.number} {one.title}" for one in runbooks.runbooks}
    for part, title in titles.items():
        own = [one for one in found if one.item.partition(".")[0] == part]
        lines += [f"## {title}", "", "| item | line | looks at | does | proved by |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(_cell, (one.item, one.text, one.looks, one.does, one.proves)))} |" for one in own]
        lines.append("")
    used = {name for one in found for name in _mentioned(one, runbooks)}
    lines += ["## Signals", "", "| signal | what it is | from | warn | crit |", "|---|---|---|---|---|"]
    for name, signal in runbooks.signals.items():
        if name in used:
            source = f"Prometheus: `{signal.promql}`" if signal.promql else f"`{signal.value}`"
            bounds = [_bound(signal, number) for number in (signal.warn, signal.crit)]
            lines.append(f"| {' | '.join(map(_cell, (name, signal.title, source, *bounds)))} |")
    return "\n".join([*lines, ""])


def _mentioned(one: Item, runbooks: Runbooks) -> set[str]:
    return {name for name in runbooks.signals if f"`{name}`" in f"{one.looks} {one.proves}"}


def _bound(signal: SignalDef, number: float | None) -> str:
    if number is None:
        return ""
    if signal.baseline is not None:
        return f"{number:g} × normal"
    return f"{'≤' if signal.direction == 'below' else '≥'} {number:g} {signal.unit}".rstrip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or "–"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
