"""Tells what the journal's records mean: mitigations with outcomes, debts, unfinished intents.

Kinds of record. `intent`: number, plan, digest, title, runbook, step, item, step_kind, target,
resource_version, generation, scope, salt, relevant, expected, changes, kubectl, request_sha256,
inverse, revision, operator, incident, overrides, dangerous, relaxes, undoes, process, seen (when
it was shown, acknowledged, confirmed), without_lease (why it went on without one). Then, each with
`of` = the intent's number: `outcome` (result, words), `rollout` (done, words), `proof` (proof,
gauges, words), `judged` (judgement, words). And `note` (words). Records of an incident are
described in `incidents.py`. `result`: "sent", "rejected", "not sent", "stale", "uncertain".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cockpit.journal.incidents import Record, words_of
from cockpit.journal.processes import alive, this_process
from cockpit.journal.records import fits
from cockpit.model.plan import Change, Debt, JournalLine, Target
from cockpit.model.runbook import PAUSE_TOGGLE, PUBLISH_TOGGLE
from cockpit.model.step_kinds import STEP_KINDS

__all__ = [
    "JournalEntry",
    "alive",
    "changes_of",
    "debts_from",
    "entries_of",
    "lines_from",
    "target_of",
    "this_process",
    "unfinished_of",
]

#: The word for a market that the network's own command line has paused.
PAUSED = "paused"
#: What was sent and is no longer there: a record never contradicts itself.
PUT_BACK = "applied; put back since"


@dataclass(slots=True)
class JournalEntry:
    """Holds an intent with all that was recorded of it since.

    `undone_by` is the number of the undo that was applied.
    """

    intent: Record
    outcome: Record | None = None
    rollout: Record | None = None
    proof: Record | None = None
    judged: Record | None = None
    undone_by: int | None = None
    notes: list[Record] = field(default_factory=list)

    @property
    def number(self) -> int:
        return int(self.intent["number"])

    @property
    def applied(self) -> bool | None:
        """Tell whether the cluster took the change; None when that is not known."""
        sent = self.outcome is not None and self.outcome["result"] == "sent"
        if sent:  # whatever became of it since: what the server took was applied
            return True
        if self.judged is not None:
            return {"applied": True, "not applied": False}.get(str(self.judged["judgement"]))
        if self.outcome is None:
            return None
        return {"sent": True, "uncertain": None}.get(str(self.outcome["result"]), False)

    @property
    def looked(self) -> bool:
        """Tell whether it only read: nothing was sent, and nothing can have changed by it."""
        return self.intent.get("effect") == "LocalCheck"

    @property
    def words(self) -> str:
        """Describe the outcome as the journal panel shows it."""
        if self.judged is not None and self.undone_by is None:
            judgement = str(self.judged["judgement"])
            if self.outcome is not None and self.outcome["result"] == "sent" and judgement == "not applied":
                judgement = PUT_BACK
            return f"unfinished: {judgement}"
        if self.outcome is None:
            return "under way" if alive(self.intent) else "unfinished"
        result = str(self.outcome["result"])
        if result != "sent":
            failed = "failed" if self.looked else result
            return f"{failed}: {self.outcome.get('words', '')}".rstrip(": ")
        if self.looked:
            found = str(self.outcome.get("words", "")) or "no words"
            kind = STEP_KINDS.get(str(self.intent["step_kind"]))
            verb = kind.verb if kind is not None and kind.verb else "looked"
            return f"{verb}: {found}" + (f"; answer {self.proof['proof']}" if self.proof is not None else "")
        words = ["sent"]
        if self.rollout is not None:
            words.append(str(self.rollout["words"]))
        if self.proof is not None:
            words.append(f"proof {self.proof['proof']}")
        elif not alive(self.intent):
            words.append("cut off before its proof")
        if self.undone_by is not None:
            words.append(f"undone by {self.undone_by}")
        return "; ".join(words)


def entries_of(records: Iterable[Record]) -> dict[int, JournalEntry]:
    """Return the entries by number, oldest first.

    Records whose intent is missing (a cut journal), and those that have not the shape of their
    kind, are left out.
    """
    entries: dict[int, JournalEntry] = {}
    for record in records:
        kind = record.get("kind")
        if not fits(record):
            continue
        if kind == "intent":
            entries[int(record["number"])] = JournalEntry(record)
            continue
        entry = entries.get(record.get("of") or 0)
        if entry is None:
            continue
        if kind in ("outcome", "rollout", "proof", "judged"):
            setattr(entry, kind, record)
        else:
            entry.notes.append(record)
    for entry in entries.values():
        undone = entries.get(entry.intent.get("undoes") or 0)
        if undone is not None and entry.applied:
            undone.undone_by = entry.number
    return entries


def target_of(intent: Record) -> Target:
    fields = intent["target"]
    return Target(
        context=fields["context"],
        namespace=fields["namespace"],
        kind=fields["kind"],
        name=fields["name"],
        uid=fields["uid"],
        container=fields.get("container"),
    )


def changes_of(intent: Record) -> tuple[Change, ...]:
    return tuple(Change(c["field"], c["before"], c["after"]) for c in intent.get("changes", ()))


def lines_from(records: Sequence[Record]) -> tuple[JournalLine, ...]:
    """Return the lines of the journal panel, newest first, notes among them (number 0)."""
    entries = entries_of(records)
    owed = {debt.number for debt in debts_from(records)}
    lines: list[JournalLine] = []
    for record in records:
        if not fits(record):
            continue
        wall, operator = float(record.get("at") or 0.0), str((record.get("operator") or {}).get("name", ""))
        event = words_of(record)
        if record.get("kind") == "note" and not record.get("of"):
            event = str(record.get("words", "")), "update" if record.get("note_kind") == "update" else "note"
        if event is not None:
            title, outcome = event
            lines.append(
                JournalLine(
                    number=0,
                    wall=wall,
                    operator=operator,
                    title=title,
                    target="",
                    outcome=outcome,
                    runbook=str(record.get("runbook") or ""),
                    step=str(record.get("step") or ""),
                )
            )
        entry = entries.get(record["number"]) if record["kind"] == "intent" else None
        if entry is None:
            continue
        undoable = entry.applied is True and entry.undone_by is None and bool(record.get("inverse"))
        lines.append(
            JournalLine(
                number=entry.number,
                wall=wall,
                operator=operator,
                title=str(record["title"]),
                target=target_of(record).words,
                outcome=entry.words,
                changes=changes_of(record),
                undoable=undoable,
                debt=entry.number in owed,
                undone=entry.undone_by is not None,
                clock_behind_s=record.get("clock_behind_s"),
                runbook=str(record.get("runbook") or ""),
                step=str(record.get("step") or ""),
                proof=str((entry.proof or {}).get("proof", "")) if entry.applied is True else "",
            )
        )
    return tuple(reversed(lines))


def debts_from(records: Sequence[Record]) -> tuple[Debt, ...]:
    """List what was relaxed, reduced, stopped or paused and is not put back.

    An undo puts it back, or any later step that restored the same fields; a paused market, whatever
    lets it publish again.
    """
    entries = entries_of(records)
    debts: list[Debt] = []
    for entry in entries.values():
        intent = entry.intent
        owed = _owed(intent)
        if not owed or entry.applied is not True or entry.undone_by is not None:
            continue
        where = (intent["target"]["context"], intent["target"]["namespace"], intent["target"]["name"])
        for later in entries.values():
            place = later.intent["target"]
            if later.number <= entry.number or not later.applied:
                continue
            same = where == (place["context"], place["namespace"], place["name"])
            owed = {
                name: before
                for name, before in owed.items()
                if not any(_puts_back(c, name, before, same) for c in changes_of(later.intent))
            }
        if owed:
            words = "; ".join(
                f"{c.field} {c.before if c.before is not None else 'absent'} → {c.after}"
                for c in changes_of(intent)
                if c.field in owed
            )
            debts.append(Debt(entry.number, f"{intent['target']['name']}: {words}", float(intent["at"])))
    return tuple(debts)


def _owed(intent: Record) -> dict[str, str | None]:
    """Return what the step owes: field → what it was before."""
    return {c.field: c.before for c in changes_of(intent) if intent.get("relaxes") or _stops(c)}


def _stops(change: Change) -> bool:
    """Tell whether it stops a service, publishing, or a market: work that is owed back."""
    if change.field == "replicas":
        return change.after == "0" and change.before not in (None, "0")
    if change.field == PUBLISH_TOGGLE:
        return change.after == "false"
    return change.after == PAUSED or (change.field.startswith(PAUSE_TOGGLE) and change.after == "true")


def _puts_back(change: Change, field: str, before: str | None, same: bool) -> bool:
    """Tell whether a later change restores the field; `same`: of the same object."""
    if change.field != field:
        return False
    if before == f"not {PAUSED}" or (before is None and change.after == "active"):
        return change.after != PAUSED
    return same and change.after == before


def unfinished_of(records: Sequence[Record]) -> tuple[dict[str, Any], ...]:
    """List the intents that nobody has judged yet and whose process is gone.

    These are intents without an outcome (or with an uncertain one), and what was sent but cut
    off in its rollout, before the record that ends every watch.
    """
    return tuple(
        dict(entry.intent)
        for entry in entries_of(records).values()
        if entry.judged is None and entry.undone_by is None and _cut_off(entry) and not alive(entry.intent)
    )


def _cut_off(entry: JournalEntry) -> bool:
    if entry.outcome is None or entry.outcome["result"] == "uncertain":
        return True
    return entry.outcome["result"] == "sent" and entry.proof is None
