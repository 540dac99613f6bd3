"""Plans sequences: several steps of one runbook, each confirmed on its own.

They stop at the first that fails or is not proven.

How far one has come the journal alone says: every intent and every answer of a part bears the
run that it belongs to. So what stopped, for whatever reason, is gone on with from there, by any
cockpit. A step that must be done in stages (`stages`) is a sequence too.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from cockpit.journal.entries import JournalEntry, entries_of
from cockpit.mitigation.planning.stages import staged
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Part, SequenceItem, SequenceState
from cockpit.model.runbook import Runbook, Step
from cockpit.model.step_kinds import STEP_KINDS

Record = Mapping[str, Any]


def parts_of(runbook: Runbook, step: Step, _within: tuple[str, ...] = ()) -> tuple[Step, ...]:
    """Return the steps in their order; a sequence within a sequence is laid out flat.

    Raises PlanProblem.
    """
    if not STEP_KINDS[step.kind].has_parts:
        return staged(step) if not _within else (step,)
    if step.id in _within:
        raise PlanProblem(
            f"sequence {step.id} comes back to itself ({' → '.join([*_within, step.id])})",
            "correct runbooks.toml: steps",
        )
    known = {one.id: one for one in runbook.mitigations}
    missing = [name for name in step.steps if name not in known]
    if missing or not step.steps:
        raise PlanProblem(
            f"sequence {step.id}: no step {missing[0] if missing else 'at all'}", "correct runbooks.toml: steps"
        )
    return tuple(part for name in step.steps for part in parts_of(runbook, known[name], (*_within, step.id)))


def state_of(records: Sequence[Record], runbook: Runbook, step: Step, run: str = "") -> SequenceState:
    """Return how far a run has come: the one asked for, else the newest that is not done.

    Raises PlanProblem.
    """
    steps = parts_of(runbook, step)
    found = _run(records, runbook, step, steps, run or _newest(records, runbook.id, step.id))
    if not run and found.next is None:
        return _run(records, runbook, step, steps, "")
    return found


def part_of(state: SequenceState, index: int) -> Part:
    """Raises PlanProblem when another part comes first."""
    if state.next is None:
        raise PlanProblem(f"{state.title} is done", "begin it anew")
    if index != state.next:
        words = state.items[state.next].title
        raise PlanProblem(f"part {state.next + 1} of {len(state.items)} comes first: {words}", "one after the other")
    return Part(state.run or secrets.token_hex(4), state.runbook, state.sequence, index, len(state.items))


def _newest(records: Sequence[Record], runbook: str, sequence: str) -> str:
    for record in reversed(records):
        part = record.get("part")
        if isinstance(part, Mapping) and (part.get("runbook"), part.get("sequence")) == (runbook, sequence):
            return str(part["run"])
    return ""


def _run(records: Sequence[Record], runbook: Runbook, step: Step, steps: tuple[Step, ...], run: str) -> SequenceState:
    mine = [r for r in records if run and isinstance(r.get("part"), Mapping) and r["part"].get("run") == run]
    entries = entries_of(records)
    items: list[SequenceItem] = []
    following: int | None = None
    for index, one in enumerate(steps):
        of_part = [r for r in mine if r["part"].get("index") == index and r.get("step") == one.id]
        state, words, number = _state_of_part(of_part[-1], entries) if of_part else ("waiting", "", None)
        if following is not None:
            state = "waiting"
        elif state != "done":
            following = index
            state = "stopped" if state == "stopped" else "next"
        items.append(SequenceItem(one.id, one.title, state, words, number))
    title = step.title if STEP_KINDS[step.kind].has_parts else f"{step.title}, in stages"
    return SequenceState(run=run, runbook=runbook.id, sequence=step.id, title=title, items=tuple(items), next=following)


def _state_of_part(record: Record, entries: Mapping[int, JournalEntry]) -> tuple[str, str, int | None]:
    """Return ("done", "stopped" or "waiting", words, journal number) of a part's newest record."""
    if record.get("kind") != "intent":  # the answer to a manual step, or a view that was looked at
        answered = str(record.get("answer") or "")
        return ("stopped" if answered == "no" else "done"), str(record.get("words", "")), None
    entry = entries[int(record["number"])]
    words, number = entry.words, entry.number
    if entry.undone_by is not None or entry.applied is False:
        return "stopped", words, number
    if entry.outcome is None and entry.judged is None:
        return "waiting", words, number
    if entry.rollout is not None and not entry.rollout.get("done"):
        return "stopped", words, number
    if entry.proof is not None:
        proof = str(entry.proof["proof"])
        # a look that cannot tell is no more a yes than one that says no
        bad = proof == "fail" or (proof == "unknown" and record.get("effect") == "LocalCheck")
        return ("stopped" if bad else "done"), words, number
    if entry.applied is True and entry.judged is not None:  # cut off, and judged by the cluster since
        return "done", words, number
    return "waiting", words, number


def note_of(state: SequenceState, part: Part, words: str) -> str:
    """Say in the journal where a sequence stands when a part has ended."""
    item = state.items[part.index]
    where = f"{state.title}: part {part.index + 1} of {part.of} ({item.title})"
    if state.next is None:
        return f"{where} done: that was the last"
    if item.state == "done":
        return f"{where} done; next: {state.items[state.next].title}"
    return f"{where} stopped: {words}; go on from here"
