"""Says which other steps may have done what a step's proof has seen.

Two steps whose windows overlap share what moved in both. A window is open from the sending to the
end of the proof; the journal has both, of every cockpit that writes it. Parts of one sequence are
one step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cockpit.journal.entries import JournalEntry, entries_of
from cockpit.journal.incidents import Record
from cockpit.model.plan import Proof, Target
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.text import safe

#: What a step did that nothing was decided of goes on to have its effect for so long ...
SETTLES_S = 120.0
#: ... and one that was cut off, so that its end is not recorded.
LOST_S = 600.0


def sharers(records: Sequence[Record], number: int, moved_at: int) -> tuple[JournalEntry, ...]:
    """Return the steps that were under way with step `number`, or sent before its signals moved.

    `moved_at`: how many records there were when they did.
    """
    entries = entries_of(records)
    mine = entries.get(number)
    if mine is None:
        return ()
    place = {id(record): index for index, record in enumerate(records)}
    start = place[id(mine.intent)]
    found = []
    for other in entries.values():
        if other.number == number or not _acts(other, mine):
            continue
        sent = place[id(other.outcome)] if other.outcome is not None else place[id(other.intent)]
        undone = entries.get(int(other.intent.get("undoes") or 0))
        if sent >= moved_at > start or (sent < start and _over(other, undone, mine, place, start)):
            continue
        found.append(other)
    return tuple(found)


def shared_words(others: Sequence[JournalEntry]) -> str:
    """Name them: "#2 Roll back the model"."""
    names = ", ".join(f"#{other.number} {safe(str(other.intent['title']), 60)}" for other in others[:3])
    return names + (f" and {len(others) - 3} more" if len(others) > 3 else "")


def undone_meanwhile(records: Sequence[Record], number: int) -> int | None:
    """Return the number of the undo that took the step back, or that is under way to."""
    for entry in entries_of(records).values():
        undoes = int(entry.intent.get("undoes") or 0)
        if undoes == number and (entry.outcome is None or entry.applied is not False):
            return entry.number
    return None


def generations_of(situation: Situation | None, runbooks: Runbooks) -> dict[tuple[str, str], int]:
    """Return how often the specification of each service was changed, as far as it is known."""
    if situation is None:
        return {}
    return {key: w.generation for key, w in situation.cluster.workloads.items() if key[1] in runbooks.services}


def others_changed(
    situation: Situation | None, runbooks: Runbooks, target: Target, before: Mapping[tuple[str, str], int]
) -> str:
    """Name the services that somebody else changed since the sending; "" when there are none.

    An autoscaler's replicas are nobody's step.
    """
    if situation is None:
        return ""
    scaled = {(a.namespace, a.target_name) for a in situation.cluster.autoscalers.values()}
    changed = [
        name
        for (namespace, name), generation in generations_of(situation, runbooks).items()
        if namespace == target.namespace
        and name != target.name
        and (namespace, name) not in scaled
        and before.get((namespace, name), generation) != generation
    ]
    return ", ".join(sorted(changed))


def _acts(other: JournalEntry, mine: JournalEntry) -> bool:
    """Tell whether it changed something in the same place, as no part of the same sequence."""
    if other.looked or other.applied is False:
        return False
    here, there = mine.intent["target"], other.intent["target"]
    if (here["context"], here["namespace"]) != (there["context"], there["namespace"]):
        return False
    own = (mine.intent.get("part") or {}).get("run")
    return own is None or (other.intent.get("part") or {}).get("run") != own


def _over(
    other: JournalEntry, undone: JournalEntry | None, mine: JournalEntry, place: Mapping[int, int], start: int
) -> bool:
    """Tell whether a step from before was over when this one was sent."""
    sent_at = float(mine.intent.get("at") or 0.0)
    end = other.proof or other.judged
    if end is None or place[id(end)] > start:
        return end is None and sent_at - float(other.intent.get("at") or 0.0) > LOST_S
    decided = str(end.get("proof") or "") in (Proof.PASS.value, Proof.FAIL.value)
    # what takes an unproven step back leaves the world as it was before it
    harmless = undone is not None and (undone.proof is None or undone.proof["proof"] != Proof.PASS.value)
    return decided or harmless or sent_at - float(end.get("at") or 0.0) >= SETTLES_S
