"""Answers checklist 16.2, the incident checklist: by the machine where it can know, else by hand.

Pure. What the machine sees wins over a tick: a line that was ticked while the machine sees
otherwise says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from cockpit.assessment.publishing.safety import doubts_of, unsafe
from cockpit.journal.entries import debts_from, entries_of
from cockpit.journal.incidents import Record
from cockpit.model.incident import CheckLine, Incident
from cockpit.model.reading import kind_unknown
from cockpit.model.runbook import ChecklistLine, Runbooks
from cockpit.model.situation import Situation

PREFIX = "16.incident."
#: The key of how many sources an output stands on: lowered, it lets fewer pass for enough.
EXPECTED = "M0_EXPECTED_SOURCES"


class Seen(NamedTuple):
    """Holds the machine's answer: True, False, or None (unknown).

    `contradicts`: a tick by hand does not make this False true.
    """

    done: bool | None
    words: str
    wall: float | None = None
    contradicts: bool = False


def lines_of_checklist(runbooks: Runbooks) -> tuple[ChecklistLine, ...]:
    """Return the items of 16.2, in their order, from wherever runbooks.toml has them."""
    return tuple(line for runbook in runbooks.runbooks for line in runbook.checklist if line.item.startswith(PREFIX))


def checklist(
    incident: Incident, records: Sequence[Record], situation: Situation | None, runbooks: Runbooks
) -> tuple[CheckLine, ...]:
    """Return every line with its state.

    Without a situation (a report made from the record alone), what only a live reading can tell
    is unknown.
    """
    out = []
    for line in lines_of_checklist(runbooks):
        judge = _SEEN.get(line.item.removeprefix(PREFIX))
        seen = judge(incident, records, situation, line) if judge is not None else Seen(None, "only a person can know")
        state, words = incident.seen.get(line.item, ("", ""))
        if situation is None and seen.done is None and state in ("done", "contradicted"):
            seen = Seen(state == "done", words, incident.closed, state == "contradicted")
        tick = incident.ticks.get(line.item)
        state, by, words, wall = "open", "", seen.words, seen.wall
        if seen.done:
            state, by = "done", "machine"
        elif tick is not None and seen.contradicts:
            state, by, words, wall = "contradicted", tick.who, f"ticked, but: {seen.words}", tick.wall
        elif tick is not None:
            state, by, words, wall = "done", tick.who, tick.words or "ticked by hand", tick.wall
        elif seen.done is None and judge is not None:
            state = "unknown"
        out.append(CheckLine(item=line.item, text=line.text, state=state, by=by, words=words, wall=wall))
    return tuple(out)


def _severity(incident: Incident, records: Sequence[Record], situation: Situation | None, line: ChecklistLine) -> Seen:
    """Say which severity the incident has, and who gave it."""
    newest = incident.severities[-1]
    return Seen(True, f"{incident.severity}, by {newest.who or 'somebody'}", newest.wall)


def _safety(incident: Incident, records: Sequence[Record], situation: Situation | None, line: ChecklistLine) -> Seen:
    """Say whether publishing is stopped, or nothing shows that what is published may be wrong.

    That is a dangerous signal, divergence, outliers, a guardrail relaxed, fewer sources expected.

    Stopped: no pod is left, terminating ones included.
    """
    if situation is None:
        return Seen(None, "only a live look can tell")
    stopped = _stopped(situation)
    if stopped:
        return Seen(True, stopped)
    names = {name for name, signal in situation.runbooks.signals.items() if signal.dangerous or signal.unsafe}
    names |= {line.signal} if line.signal else set()
    known = {name: situation.signals[name] for name in sorted(names) if name in situation.signals}
    lowered = [f"journal #{d.number}: {d.words}" for d in debts_from(records) if EXPECTED in d.words]
    bad = (*unsafe(situation.runbooks, known, situation.toggles), *lowered)
    if bad:
        return Seen(False, "still publishing: " + "; ".join(bad), None, True)
    unknown = doubts_of(situation.runbooks, known, situation.toggles)
    if unknown or not known:
        return Seen(None, "; ".join(unknown) or "no signal tells")
    well = ", ".join(f"{s.title.lower()}: ok" for s in known.values() if not s.off)
    return Seen(True, f"publishing, and {well}")


def _stopped(situation: Situation) -> str:
    """Say that nothing that publishes has a pod left; "" when something has, or that is unknown."""
    publishing = {name for name, service in situation.runbooks.services.items() if service.publishes}
    if not publishing or kind_unknown(situation.kinds, "pods", situation.mono):
        return ""
    found = {w.name for w in situation.cluster.workloads.values()}
    left = [
        p for p in situation.cluster.pods.values() if p.service in publishing and p.phase not in ("Succeeded", "Failed")
    ]
    if left or not publishing <= found:
        return ""
    return f"stopped: no {', '.join(sorted(publishing))} pod is left"


def _evidence(incident: Incident, records: Sequence[Record], situation: Situation | None, line: ChecklistLine) -> Seen:
    """Say what was captured, and how much of it is missing."""
    if not incident.evidence:
        return Seen(False, "nothing captured yet")
    newest = incident.evidence[-1]
    missing = f", not collected: {len(newest.missing)} of its parts" if newest.missing else ""
    return Seen(True, f"{newest.name}{missing}", newest.wall)


def _communication(
    incident: Incident, records: Sequence[Record], situation: Situation | None, line: ChecklistLine
) -> Seen:
    """Say whether people were told: an update delivered, or the question answered."""
    delivered = [u for u in incident.updates if u.delivery == "delivered"]
    if delivered:
        return Seen(True, "an update was delivered", delivered[0].wall)
    answer = next((n for n in incident.notes if n.words.startswith("runbook emergency-disable, communicate:")), None)
    if answer is not None:
        return Seen(True, f"13.step.3 answered by {answer.who}", answer.wall)
    if not incident.updates:
        return Seen(False, "no update yet")
    newest = incident.updates[-1]
    if newest.delivery == "sending":
        return Seen(None, "the update is on its way")
    if newest.delivery == "not sent":
        return Seen(
            False, f"an update is recorded, not sent ({newest.detail or 'no webhook'}): tick when people were told"
        )
    return Seen(False, f"update {newest.delivery}: {newest.detail}")


def _mitigation(
    incident: Incident, records: Sequence[Record], situation: Situation | None, line: ChecklistLine
) -> Seen:
    """Say which of the incident's steps was applied."""
    own = [e for e in entries_of(records).values() if e.number in incident.mitigations and not e.looked]
    applied = [entry for entry in own if entry.applied]
    if applied:
        newest = applied[-1]
        return Seen(
            True, f"{newest.number} {newest.intent.get('title', '')}: {newest.words}", float(newest.intent["at"])
        )
    if any(entry.applied is None for entry in own):
        return Seen(None, f"{own[-1].number} {own[-1].intent.get('title', '')}: {own[-1].words}")
    return Seen(False, own[-1].words if own else "nothing was changed yet")


_SEEN: Mapping[str, Callable[[Incident, Sequence[Record], Situation | None, ChecklistLine], Seen]] = {
    "1": _severity,
    "2": _safety,
    "3": _evidence,
    "4": _communication,
    "5": _mitigation,
}
