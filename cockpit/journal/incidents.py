"""Projects incidents from the journal's records.

Pure: two cockpits, or one before and after a crash, see the same.

Kinds of record, each with `incident` = its number and `operator`: `incident-opened` (title,
severity, runbook, runbook_number, place, since when it was backdated), `severity-changed`
(severity, was, reason),
`role-assigned` (role, name), `note` (words; for an update note_kind "update", update_id, delivery
"sending" or "not sent", detail, process), `update-sent` (update_id, result "delivered" or "failed",
words, tries), `checklist` (item, text, done, words), `evidence` (file, sha256, size, parts,
missing, reason), `incident-closed` (reason, debts, checklist). Evidence may bear no number. Intents
and notes written while one is open bear its number: the journal stamps them (`stamped`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from cockpit.journal.processes import alive
from cockpit.model.incident import ROLES, EvidenceFile, Incident, Note, RoleHolder, SeverityChange, Tick, Update

Record = Mapping[str, Any]

#: What led to an incident belongs to it: this many seconds before the opening.
LEAD_S = 900.0
_ADOPTED = ("intent", "evidence")


def incidents_of(records: Iterable[Record]) -> dict[int, Incident]:
    """Return the incidents by number, oldest first.

    Records that do not fit (a cut journal) are left out; never raises.
    """
    found: dict[int, Incident] = {}
    #: changes and evidence outside any incident: the kill switch is pressed first, then the form
    #: filled in
    before: list[Record] = []
    for record in records:
        number = _number(record)
        try:
            if number is None:
                if record.get("kind") in _ADOPTED:
                    before.append(record)
            elif record.get("kind") == "incident-opened":
                if number not in found:
                    found[number] = _adopting(_opened(number, record), before)
            elif number in found:
                apply = _APPLIED.get(str(record.get("kind")))
                if apply is not None:
                    found[number] = apply(found[number], record)
        except (KeyError, TypeError, ValueError):
            continue
    return found


def open_incident(records: Sequence[Record]) -> Incident | None:
    """Return the incident that is open, if any."""
    number = open_number(records)
    if number is None:
        return None
    return incidents_of(r for r in records if r.get("incident") == number or r.get("kind") in _ADOPTED).get(number)


def open_number(records: Sequence[Record]) -> int | None:
    """Return its number alone: from the newest record back to the last opening or closing."""
    for record in reversed(records):
        kind = record.get("kind")
        if kind == "incident-closed" and _number(record) is not None:
            return None
        if kind == "incident-opened" and _number(record) is not None:
            return _number(record)
    return None


def stamped(record: Record, records: Sequence[Record]) -> dict[str, Any]:
    """Return what the journal adds to an intent or a note: the number of the open incident."""
    if record.get("kind") not in ("intent", "note") or record.get("incident"):
        return {}
    number = open_number(records)
    return {} if number is None else {"incident": number}


def words_of(record: Record) -> tuple[str, str] | None:
    """Describe a record of an incident as a line of the journal: what happened, what came of it.

    None for other kinds.
    """
    match record.get("kind"):
        case "incident-opened":
            return (
                f"incident #{record.get('incident')} opened {_text(record, 'severity')}: {_text(record, 'title')}",
                "",
            )
        case "severity-changed":
            why = f": {_text(record, 'reason')}" if record.get("reason") else ""
            return f"severity {_text(record, 'was')} → {_text(record, 'severity')}{why}", ""
        case "role-assigned":
            return f"{ROLES.get(_text(record, 'role'), _text(record, 'role'))}: {_text(record, 'name')}", ""
        case "update-sent":
            tries = f" after {record['tries']} tries" if int(record.get("tries") or 0) > 1 else ""
            if record.get("result") == "delivered":
                return f"update delivered{tries}", ""
            return f"update NOT delivered{tries}", f"failed: {_text(record, 'words')}"
        case "checklist":
            return f"{'checked' if record.get('done') else 'unchecked'}: {_text(record, 'text')}", _text(
                record, "words"
            )
        case "evidence":
            missing = len(record.get("missing") or ())
            tail = f", {missing} not collected" if missing else ""
            parts = len(record.get("parts") or ())
            return f"evidence captured: {_text(record, 'file')} ({parts} part{'' if parts == 1 else 's'}{tail})", ""
        case "incident-closed":
            why = f": {_text(record, 'reason')}" if record.get("reason") else ""
            return f"incident #{record.get('incident')} closed{why}", ""
    return None


def _opened(number: int, record: Record) -> Incident:
    who, at = _who(record), float(record["at"])
    since = record.get("since")
    severity = str(record["severity"])
    named = record.get("runbook_number")
    return Incident(
        number=number,
        title=_text(record, "title"),
        severity=severity,
        opened=min(at, float(since)) if isinstance(since, int | float) else at,
        opened_by=who,
        runbook=_text(record, "runbook"),
        runbook_number=named if isinstance(named, int) else None,
        place=_text(record, "place"),
        severities=(SeverityChange(at, who, severity, ""),),
    )


def _adopting(incident: Incident, before: Sequence[Record]) -> Incident:
    """Add what was done in the minutes that led to the incident."""
    for record in before:
        if float(record["at"]) >= incident.opened - LEAD_S:
            incident = _APPLIED[str(record["kind"])](incident, record)
    return incident


def _severity(incident: Incident, record: Record) -> Incident:
    change = SeverityChange(
        float(record["at"]), _who(record), str(record["severity"]), incident.severity, _text(record, "reason")
    )
    return replace(incident, severity=change.severity, severities=(*incident.severities, change))


def _role(incident: Incident, record: Record) -> Incident:
    holder = RoleHolder(str(record["role"]), str(record["name"]), float(record["at"]))
    kept = tuple(
        h for h in incident.roles if h.role != holder.role or (holder.role == "expert" and h.name != holder.name)
    )
    return replace(incident, roles=(*kept, holder))


def _note(incident: Incident, record: Record) -> Incident:
    if record.get("of"):
        return incident  # a remark on a mitigation: told with it
    at, who, words = float(record["at"]), _who(record), _text(record, "words")
    if record.get("note_kind") != "update":
        return replace(incident, notes=(*incident.notes, Note(at, who, words)))
    delivery, detail = _text(record, "delivery"), _text(record, "detail")
    if delivery == "sending" and not alive(record):
        delivery, detail = "unknown", "the cockpit that sent it ended before it knew"
    update = Update(id=_text(record, "update_id"), wall=at, who=who, words=words, delivery=delivery, detail=detail)
    return replace(incident, updates=(*incident.updates, update))


def _sent(incident: Incident, record: Record) -> Incident:
    result = "delivered" if record.get("result") == "delivered" else "failed"
    return replace(
        incident,
        updates=tuple(
            replace(u, delivery=result, detail=_text(record, "words"))
            if u.id and u.id == record.get("update_id")
            else u
            for u in incident.updates
        ),
    )


def _checked(incident: Incident, record: Record) -> Incident:
    ticks = {key: tick for key, tick in incident.ticks.items() if key != record["item"]}
    if record.get("done"):
        ticks[str(record["item"])] = Tick(float(record["at"]), _who(record), _text(record, "words"))
    return replace(incident, ticks=ticks)


def _evidence(incident: Incident, record: Record) -> Incident:
    file = EvidenceFile(
        wall=float(record["at"]),
        who=_who(record),
        name=str(record["file"]),
        sha256=str(record["sha256"]),
        size=int(record["size"]),
        parts=tuple(str(p) for p in record.get("parts") or ()),
        missing=tuple(str(m) for m in record.get("missing") or ()),
        reason=_text(record, "reason"),
    )
    return replace(incident, evidence=(*incident.evidence, file))


def _closed(incident: Incident, record: Record) -> Incident:
    seen = {
        str(line["item"]): (str(line["state"]), str(line["words"]))
        for line in record.get("checklist") or ()
        if isinstance(line, Mapping)
    }
    return replace(
        incident, closed=float(record["at"]), closed_by=_who(record), close_reason=_text(record, "reason"), seen=seen
    )


def _mitigated(incident: Incident, record: Record) -> Incident:
    return replace(incident, mitigations=(*incident.mitigations, int(record["number"])))


_APPLIED: Mapping[str, Callable[[Incident, Record], Incident]] = {
    "severity-changed": _severity,
    "role-assigned": _role,
    "note": _note,
    "update-sent": _sent,
    "checklist": _checked,
    "evidence": _evidence,
    "incident-closed": _closed,
    "intent": _mitigated,
}


def _number(record: Record) -> int | None:
    number = record.get("incident")
    return number if type(number) is int and number > 0 else None


def _text(record: Record, key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


def _who(record: Record) -> str:
    operator = record.get("operator")
    return str(operator.get("name", "")) if isinstance(operator, Mapping) else ""
