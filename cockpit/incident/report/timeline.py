"""Merges the journal and the flight recorder in time order.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cockpit.incident.flight_recorder import RecordedChange
from cockpit.journal.entries import JournalEntry, entries_of
from cockpit.journal.incidents import LEAD_S, Record, words_of
from cockpit.model.incident import Incident, TimelineEntry

_TOGETHER_S = 2.0  # signals that change alike within this are told in one line
_TOGETHER = 3  # when they are more than this
_NAMED = 8  # so many by name
_BEGAN = " when the cockpit began to watch"
_SAME_S = 5.0  # two cockpits that watched the same: one line
_FLAPS = ("signal", "source", "service", "runbook")
_FLAP_S = 60.0  # changes of one thing no further apart than this go together
_DAY_S = 86400.0
_FLAP = 4  # so many of them are told in one entry
_KINDS = {
    "incident-opened": "incident",
    "severity-changed": "incident",
    "role-assigned": "incident",
    "incident-closed": "incident",
    "update-sent": "update",
    "checklist": "check",
    "evidence": "evidence",
}


def timeline(
    incident: Incident,
    records: Sequence[Record],
    changes: Iterable[RecordedChange],
    *,
    lead_s: float = LEAD_S,
    limit: int = 2000,
) -> tuple[TimelineEntry, ...]:
    """Return the newest `limit` entries, oldest first.

    They reach from `lead_s` before the opening to the closing; when it began, and what explains it,
    from a day before.
    """
    start, end = incident.opened - lead_s, incident.closed if incident.closed is not None else float("inf")
    found = list(_journalled(incident, records, start, end))
    before = dict.fromkeys(("onset", "change"), incident.opened - _DAY_S)
    found += _recorded(sorted((f for f in changes if before.get(f.kind, start) <= f.at <= end), key=lambda f: f.at))
    found.sort(key=lambda entry: entry.wall)
    return tuple(found[-limit:])


def _journalled(incident: Incident, records: Sequence[Record], start: float, end: float) -> Iterable[TimelineEntry]:
    entries = entries_of(records)
    for record in records:
        at, kind = float(record.get("at") or 0.0), record.get("kind")
        own = record.get("incident") == incident.number
        of = entries.get(int(record.get("of") or 0)) if isinstance(record.get("of"), int) else None
        who = _who(record)
        event = words_of(record)
        if event is not None and (own or (kind == "evidence" and not record.get("incident") and start <= at <= end)):
            words = f"{event[0]}: {event[1]}" if event[1] else event[0]
            failed = record.get("result") == "failed"
            yield TimelineEntry(at, _KINDS.get(str(kind), "incident"), words, who, "crit" if failed else "")
        elif kind == "note" and of is None and (own or (start <= at <= end and not record.get("incident"))):
            for_others = record.get("note_kind") == "update"
            words = str(record.get("words", ""))
            yield TimelineEntry(
                at, "update" if for_others else "note", f"update: {words}" if for_others else words, who
            )
        elif kind == "intent" and start <= at <= end:
            yield TimelineEntry(
                wall=at, kind="mitigation", words=_intent(record), who=who, level="", number=_int(record.get("number"))
            )
        elif of is not None and start <= at <= end:
            yield from _followed(record, of, at)


def _intent(record: Record) -> str:
    changes = ", ".join(
        f"{c.get('field')} {c.get('before') if c.get('before') is not None else 'absent'} → {c.get('after')}"
        for c in record.get("changes") or ()
    )
    undoes = f" (takes back {record['undoes']})" if record.get("undoes") else ""
    target = record.get("target") or {}
    return f"{record.get('title', '')}{undoes} on {target.get('name', '?')}" + (f": {changes}" if changes else "")


def _followed(record: Record, of: JournalEntry, at: float) -> Iterable[TimelineEntry]:
    kind, title, said = record.get("kind"), of.intent.get("title", ""), record.get("words", "")

    def entry(words: str, level: str = "") -> TimelineEntry:
        return TimelineEntry(
            wall=at, kind="mitigation", words=f"{title}: {words}", who="", level=level, number=of.number
        )

    if of.looked and kind in ("outcome", "rollout") and record.get("result", "sent") == "sent":
        return  # the answer, which follows, says the same
    if kind == "outcome":
        result = str(record.get("result"))
        words = f"{result}: {said}" if said and result != "sent" else result
        yield entry(words, {"sent": "", "uncertain": "unknown"}.get(result, "crit"))
    elif kind == "rollout":
        yield entry(said, "" if record.get("done") else "crit")
    elif kind == "proof":
        proof = str(record.get("proof"))
        level = {"pass": "ok", "fail": "crit"}.get(proof, "unknown")
        yield entry(f"{'answer' if of.looked else 'proof'} {proof.upper()}: {said}", level)
    elif kind == "judged":
        yield entry(f"found {record.get('judgement')} after a restart: {said}", "unknown")
    elif kind == "note":
        yield entry(said)


def _recorded(changes: Sequence[RecordedChange]) -> list[TimelineEntry]:
    out, changes = _flapping([change for change in changes if change.kind != "worst"])
    said: dict[tuple[str, str, str], float] = {}
    groups: dict[tuple[str, bool, int], list[RecordedChange]] = {}
    for change in changes:
        if change.kind == "signal" and change.was is None and change.now == "ok":
            continue
        key = (change.kind, change.name, change.now)
        if change.kind not in ("start", "stop") and change.at - said.get(key, float("-inf")) < _SAME_S:
            continue
        said[key] = change.at
        if change.kind == "signal":
            groups.setdefault((change.now, change.was is None, int(change.at // _TOGETHER_S)), []).append(change)
        else:
            out.append(_entry(change))
    for (now, first, _), group in groups.items():
        if len(group) > _TOGETHER:
            names = ", ".join(f.title or f.name for f in group[:_NAMED])
            rest = f" and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
            words = f"{len(group)} signals {now.upper()}{_BEGAN if first else ''}: {names}{rest}"
            out.append(TimelineEntry(group[0].at, "signal", words, "", now))
        else:
            out += [_entry(change) for change in group]
    return out


def _flapping(changes: Sequence[RecordedChange]) -> tuple[list[TimelineEntry], list[RecordedChange]]:
    """Tell what goes to and fro in one entry with a count; return the other changes too."""
    runs: dict[tuple[str, str], list[list[RecordedChange]]] = {}
    for change in changes:
        if change.kind in _FLAPS:
            own = runs.setdefault((change.kind, "" if change.kind == "runbook" else change.name), [])
            if own and change.at - own[-1][-1].at <= _FLAP_S:
                own[-1].append(change)
            else:
                own.append([change])
    flaps = [run for own in runs.values() for run in own if len(run) >= _FLAP and _returns(run)]
    gathered = {id(change) for run in flaps for change in run}
    return [_flap(run) for run in flaps], [change for change in changes if id(change) not in gathered]


def _returns(run: Sequence[RecordedChange]) -> bool:
    """Return whether it comes back to where it was; what gets worse step by step does not."""
    return len({change.now for change in run}) <= len(run) // 2


def _flap(run: Sequence[RecordedChange]) -> TimelineEntry:
    first, last = run[0], run[-1]
    states = " ↔ ".join(dict.fromkeys(_state(change) for change in run))
    name = "best match" if first.kind == "runbook" else first.title or first.name
    head = f"source {name}" if first.kind == "source" else name
    words = f"{head} flaps: {len(run)} changes in {_span(last.at - first.at)} ({states}), last {_state(last)}"
    levels = [change.now for change in run]
    worst = next((level for level in ("crit", "warn", "unknown") if level in levels), "")
    return TimelineEntry(first.at, first.kind, words, "", worst if first.kind in ("signal", "service") else "")


def _state(change: RecordedChange) -> str:
    return (change.now or "none") if change.kind == "runbook" else change.now.upper()


def _span(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _entry(change: RecordedChange) -> TimelineEntry:
    name = change.title or change.name
    match change.kind:
        case "signal":
            why = f": {change.words}" if change.words else ""
            was = f"{change.was.upper()} → " if change.was else ""
            first = "" if change.was else _BEGAN
            return TimelineEntry(change.at, "signal", f"{name} {was}{change.now.upper()}{first}{why}", "", change.now)
        case "source":
            level = "ok" if change.now == "live" else "unknown"
            why = f": {change.words}" if change.words else ""
            return TimelineEntry(change.at, "source", f"source {name} {change.now.upper()}{why}", "", level)
        case "service":
            return TimelineEntry(change.at, "service", f"{name}: {change.words}", "", change.now)
        case "runbook":
            return TimelineEntry(change.at, "runbook", f"matches: {change.words}" if change.name else change.words)
        case "onset":
            why = f": {change.words}" if change.words else ""
            return TimelineEntry(change.at, "signal", f"{name} left its normal band{why}", "", "warn")
        case "change":
            return TimelineEntry(change.at, "change", f"changed: {name}: {change.words}", "", "warn")
        case "event":
            return TimelineEntry(change.at, "event", f"{name}: {change.words}", "", "warn")
    return TimelineEntry(change.at, "cockpit", change.words, change.by, "")


def _who(record: Record) -> str:
    operator = record.get("operator")
    return str(operator.get("name", "")) if isinstance(operator, dict) else ""


def _int(value: object) -> int | None:
    return value if isinstance(value, int) else None
