"""Makes the records that the executor journals (`cockpit/journal/entries.py` reads them).

Redacted: no value that is hidden on the screen, no request body, only its sha256.
"""

from __future__ import annotations

from typing import Any

from cockpit.canonical_json import canonical
from cockpit.errors import REASON_LIMIT
from cockpit.journal.entries import this_process
from cockpit.journal.operator import Operator
from cockpit.mitigation.cluster.patches import spelled, version_of
from cockpit.mitigation.kind import Prepared
from cockpit.mitigation.outcome import Outcome
from cockpit.mitigation.proof.before import Baseline
from cockpit.model.plan import Confirmation, Effect, Gauge, Part, Proof, Request, Rollout
from cockpit.model.seen import Seen
from cockpit.secrets import fingerprint
from cockpit.text import safe


def intent(
    prepared: Prepared,
    effect: Effect,
    confirmation: Confirmation,
    operator: Operator,
    baseline: Baseline,
    incident: str = "",
    clock_behind_s: float | None = None,
    without_lease: str = "",
) -> dict[str, Any]:
    plan, draft = prepared.plan, prepared.draft
    target = plan.target
    return {
        "kind": "intent",
        "plan": plan.id,
        "digest": plan.digest,
        "title": safe(plan.title, 200),
        "runbook": plan.runbook,
        "runbook_number": plan.runbook_number,
        "step": plan.step,
        "item": plan.item,
        "step_kind": plan.kind,
        "target": {
            "context": target.context,
            "namespace": target.namespace,
            "kind": target.kind,
            "name": target.name,
            "uid": target.uid,
            "container": target.container,
        },
        "resource_version": version_of(effect),
        "generation": plan.generation,
        "scope": dict(draft.scope),
        "salt": prepared.salt,
        "relevant": dict(draft.relevant),
        "expected": dict(draft.expected),
        "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in plan.changes],
        "kubectl": plan.kubectl,
        "effect": type(effect).__name__,
        "request_sha256": _digest(prepared.salt, effect),
        "inverse": dict(plan.inverse.arguments) if plan.inverse is not None else None,
        "inverse_words": plan.inverse.words if plan.inverse is not None else None,
        "revision": draft.revision,
        "baseline": dict(baseline.values),
        "before": baseline.record(),
        "operator": operator.record(),
        "confirmed_by": safe(confirmation.operator, 120),
        "seen": seen(confirmation.seen),
        "incident": incident,
        "clock_behind_s": None if clock_behind_s is None else round(clock_behind_s),
        "overrides": [{"guard": g.guard, "reason": g.reason} for g in plan.overrides],
        "dangerous": plan.dangerous,
        "relaxes": plan.relaxes,
        "warnings": list(plan.dry_run.warnings),
        "undoes": plan.undoes,
        "process": this_process(),
        "part": part(plan.part) if plan.part is not None else None,
        "without_lease": safe(without_lease, 300),
    }


def seen(when: Seen | None) -> dict[str, Any] | None:
    """Return when the plan was shown, acknowledged by the terminal and confirmed (unix seconds)."""
    if when is None:
        return None
    acknowledged = None if when.acknowledged is None else round(when.acknowledged, 3)
    return {
        "shown": round(when.shown, 3),
        "acknowledged": acknowledged,
        "confirmed": round(when.confirmed, 3),
        "how": safe(when.how, 200),
    }


def part(of: Part) -> dict[str, Any]:
    return {
        "run": of.run,
        "runbook": of.runbook,
        "sequence": of.sequence,
        "index": of.index,
        "of": of.of,
    }


def _digest(salt: str, effect: Effect) -> str:
    """Return a keyed digest of what is sent: all but a secret in it may be known."""
    text = effect.body if isinstance(effect, Request) else canonical(spelled(effect))
    return fingerprint(salt, text).partition(":")[2]


def outcome(number: int, result: Outcome, took_s: float) -> dict[str, Any]:
    return {
        "kind": "outcome",
        "of": number,
        "result": result.result,
        "words": safe(result.words, REASON_LIMIT),
        "generation": result.generation,
        "resource_version": result.resource_version,
        "took_s": round(took_s, 4),
        **({"output": list(result.output)} if result.output else {}),
        **({"warnings": list(result.warnings)} if result.warnings else {}),
        **({"beyond_plan": list(result.beyond)} if result.beyond else {}),
    }


def rollout(number: int, state: Rollout, took_s: float) -> dict[str, Any]:
    words = f"{state.words} in {took_s:.0f} s" if state.done else state.words
    return {
        "kind": "rollout",
        "of": number,
        "done": state.done,
        "words": safe(words, REASON_LIMIT),
        "blocking": list(state.blocking),
        "took_s": round(took_s, 1),
    }


def proof(number: int, verdict: Proof, gauges: tuple[Gauge, ...], words: str) -> dict[str, Any]:
    kept = [
        {
            "text": safe(g.text, 200),
            "signal": g.signal,
            "proof": g.proof.value,
            "value": _number(g.value),
            "baseline": _number(g.baseline),
            "reason": safe(g.reason, 200),
        }
        for g in gauges
    ]
    return {"kind": "proof", "of": number, "proof": verdict.value, "gauges": kept, "words": safe(words, REASON_LIMIT)}


def judged(number: int, judgement: str, words: str) -> dict[str, Any]:
    return {"kind": "judged", "of": number, "judgement": judgement, "words": safe(words, REASON_LIMIT)}


def note(words: str, operator: Operator, of: int | None = None) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": "note", "words": safe(words, REASON_LIMIT), "operator": operator.record()}
    return record if of is None else {**record, "of": of}


def answer(
    words: str, operator: Operator, *, runbook: str, step: str, item: str | None, choice: str, of: Part | None
) -> dict[str, Any]:
    """Make the record of an operator's answer to a manual step.

    `choice`: "yes", "no" or "" (text alone).
    """
    return {
        **note(words, operator),
        "answer": choice,
        "runbook": runbook,
        "step": step,
        "item": item,
        "part": part(of) if of is not None else None,
    }


def _number(value: float | None) -> float | str | None:
    """Return what JSON can hold: it has no NaN."""
    return value if value is None or (value == value and abs(value) != float("inf")) else str(value)
