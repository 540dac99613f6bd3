"""Does what an operator asks of an incident: one record in the journal, or a refusal with a remedy.

The checks run under the journal's lock, on what stands then: two cockpits cannot open two
incidents, and no debt slips in between the check and the closing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cockpit.errors import CockpitError, UnknownName, UsageProblem
from cockpit.journal.entries import debts_from, entries_of, unfinished_of
from cockpit.journal.incidents import Record, incidents_of, open_incident, open_number
from cockpit.journal.journal import Journal
from cockpit.journal.operator import Operator
from cockpit.journal.processes import alive, this_process
from cockpit.model.incident import ROLES, SEVERITIES, CheckLine, Incident
from cockpit.model.plan import Debt
from cockpit.text import safe

LONGEST_AGO_S = 7 * 86400.0
TITLE_LIMIT, WORDS_LIMIT, NAME_LIMIT = 200, 2000, 80
NONE_OPEN = "no incident is open"
HOW_TO_OPEN = "open one: `m0-cockpit incident open --title … --severity SEV1`, or `i` on the screen"


class IncidentProblem(CockpitError):
    """The incident's record cannot take what was asked; nothing was written."""

    usual_remedy = "look at the incident again, on the screen or by `m0-cockpit incident`"


def open_(
    journal: Journal,
    operator: Operator,
    *,
    title: str,
    severity: str,
    runbook: str = "",
    runbook_number: int | None = None,
    commander: str = "",
    place: str = "",
    since: float | None = None,
) -> int:
    """Open an incident and return its number.

    `since`: when it began, in unix seconds, where that was before it was opened. Raises
    IncidentProblem (one is open already), JournalProblem.
    """
    title, severity = _text(title, "the title", TITLE_LIMIT), checked_severity(severity)
    name = _text(commander, "the name", NAME_LIMIT) if commander.strip() else ""
    number = 0

    def given(records: Sequence[Record]) -> Mapping[str, Any]:
        nonlocal number
        running = open_number(records)
        if running is not None:
            raise IncidentProblem(f"incident #{running} is open", "note in it, or close it first")
        number = 1 + max(incidents_of(records), default=0)
        return {"incident": number}

    record = {
        "kind": "incident-opened",
        "title": title,
        "severity": severity,
        "runbook": safe(runbook, 80),
        "runbook_number": runbook_number,
        "place": safe(place, 200),
        "operator": operator.record(),
        **({} if since is None else {"since": since}),
    }
    journal.append(record, given)
    if name:
        assign(journal, operator, "commander", name)
    return number


def moment(text: str, now: float) -> float | None:
    """Return when an incident began: "25m" ago, "1h30m" ago, "06:25" UTC, or a date and time.

    None for "" and "now". Raises UsageProblem for what is no time, to come, or over a week ago.
    """
    words = text.strip()
    if words.lower() in ("", "now"):
        return None
    at = _spoken(words, now)
    if at is None:
        raise UsageProblem(f"{safe(text, 40)!r} is no time", "say 25m, 1h30m, 06:25 (UTC) or 2026-11-30T06:25")
    if not now - LONGEST_AGO_S <= at <= now:
        raise UsageProblem(f"{safe(text, 40)!r} is {'to come' if at > now else 'over a week ago'}", "say when it began")
    return at


def _spoken(words: str, now: float) -> float | None:
    if (ago := re.fullmatch(r"(?:(\d{1,3})d)?(?:(\d{1,3})h)?(?:(\d{1,4})m(?:in)?)?", words)) and ago[0]:
        days, hours, minutes = (int(part or 0) for part in ago.groups())
        return now - 86400.0 * days - 3600.0 * hours - 60.0 * minutes
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?Z?", words)
    if clock is not None:
        since_midnight = 3600.0 * int(clock[1]) + 60.0 * int(clock[2]) + float(clock[3] or 0)
        at = now - now % 86400.0 + since_midnight
        return at if at <= now else at - 86400.0
    try:
        given = datetime.fromisoformat(words)
    except ValueError:
        return None
    return (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp()


def set_severity(journal: Journal, operator: Operator, severity: str, reason: str = "") -> int:
    """Change the severity of the open incident and return its number.

    Raises IncidentProblem, JournalProblem.
    """
    severity = checked_severity(severity)

    def given(records: Sequence[Record]) -> Mapping[str, Any]:
        incident = _open(records)
        if incident.severity == severity:
            raise IncidentProblem(f"incident #{incident.number} is {severity} already")
        return {"incident": incident.number, "was": incident.severity}

    record = {"kind": "severity-changed", "severity": severity, "reason": safe(reason, WORDS_LIMIT)}
    return _write(journal, operator, record, given)


def assign(journal: Journal, operator: Operator, role: str, name: str) -> int:
    """Give a role of `ROLES` (id or full name) to somebody.

    Raises IncidentProblem, JournalProblem.
    """
    wanted = role.strip().lower()
    found = next((key for key, words in ROLES.items() if wanted in (key, words)), None)
    if found is None:
        raise UnknownName("role", role, ROLES)
    return _write(
        journal, operator, {"kind": "role-assigned", "role": found, "name": _text(name, "the name", NAME_LIMIT)}
    )


def note(journal: Journal, operator: Operator, words: str) -> int:
    """Write a note into the open incident and return its number.

    Raises IncidentProblem, JournalProblem.
    """
    return _write(journal, operator, {"kind": "note", "words": _text(words, "the note", WORDS_LIMIT)})


def update(journal: Journal, operator: Operator, words: str, *, sending: bool, why_not: str = "") -> str:
    """Record an update for others and return its id.

    `sending`: a webhook will carry it, and `sent` records how that ended.
    """
    made = secrets.token_hex(4)
    record: dict[str, Any] = {
        "kind": "note",
        "note_kind": "update",
        "update_id": made,
        "words": _text(words, "the update", WORDS_LIMIT),
        "delivery": "sending" if sending else "not sent",
        "detail": safe(why_not, 200),
    }
    if sending:
        record["process"] = this_process()
    _write(journal, operator, record)
    return made


def sent(journal: Journal, operator: Operator, number: int, update_id: str, problem: str, tries: int) -> None:
    """Record how the delivery of an update ended; `problem` is empty when it was delivered.

    Raises JournalProblem.
    """
    journal.append(
        {
            "kind": "update-sent",
            "incident": number,
            "update_id": update_id,
            "result": "failed" if problem else "delivered",
            "words": safe(problem, 300),
            "tries": tries,
            "operator": operator.record(),
        }
    )


def check(journal: Journal, operator: Operator, item: str, text: str, *, done: bool = True, words: str = "") -> int:
    """Tick a line of the checklist by hand, or take the tick back.

    Raises IncidentProblem, JournalProblem.
    """
    record = {
        "kind": "checklist",
        "item": safe(item, 40),
        "text": safe(text, 200),
        "done": done,
        "words": safe(words, 300),
    }
    return _write(journal, operator, record)


def close(
    journal: Journal,
    operator: Operator,
    reason: str = "",
    lines: Sequence[CheckLine] = (),
    others: Sequence[str] = (),
) -> int:
    """Close the open incident and return its number.

    `lines`: the checklist as a live cockpit sees it, kept for the report. `others`: what it sees
    that others owe. Refused while a mitigation is under way; with debts or intents without an
    outcome only with a reason. Raises IncidentProblem, JournalProblem.
    """
    reason = safe(reason.strip(), WORDS_LIMIT)

    def given(records: Sequence[Record]) -> Mapping[str, Any]:
        incident = _open(records)
        busy = under_way(records)
        if busy:
            raise IncidentProblem(f"not now: {busy}", "wait for its proof, or stop watching it")
        wants = (*close_wants(records), *others)
        if wants and not reason:
            raise IncidentProblem(
                f"{len(wants)} thing{'s' if len(wants) > 1 else ''} to put right first: {'; '.join(wants)}",
                "put it back (journal undo N), or say why not: --reason",
            )
        debts: Sequence[Debt] = debts_from(records)
        return {"incident": incident.number, "debts": [d.number for d in debts], "left": list(wants)}

    seen = [
        {"item": line.item, "state": line.state, "words": safe(line.words, 300)}
        for line in lines
        if line.by == "machine"
    ]
    return _write(journal, operator, {"kind": "incident-closed", "reason": reason, "checklist": seen}, given)


def under_way(records: Sequence[Record]) -> str:
    """Name the mitigation that some process is at work on; "" for none."""
    for entry in entries_of(records).values():
        at_work = entry.outcome is None or (entry.outcome.get("result") == "sent" and entry.proof is None)
        if at_work and entry.judged is None and alive(entry.intent):
            return f"mitigation {entry.number} is under way: {safe(entry.intent.get('title', ''), 120)}"
    return ""


def close_wants(records: Sequence[Record]) -> tuple[str, ...]:
    """List what stands against closing without a reason.

    These are debts, and intents of which nobody knows how they ended.
    """
    debts = [f"debt {debt.number}: {debt.words}" for debt in debts_from(records)]
    lost = [
        f"mitigation {i['number']} has no known outcome: {safe(i.get('title', ''), 120)}"
        for i in unfinished_of(records)
    ]
    return (*debts, *lost)


def checked_severity(text: str) -> str:
    """Spell a severity as the record has it: "sev1", "1" or "SEV1" → "SEV1".

    Raises UnknownName.
    """
    wanted = text.strip().upper()
    wanted = f"SEV{wanted}" if wanted in ("0", "1", "2", "3") else wanted
    if wanted not in SEVERITIES:
        raise UnknownName("severity", text, SEVERITIES)
    return wanted


def _write(journal: Journal, operator: Operator, record: Mapping[str, Any], given: Any = None) -> int:
    """Write a record into the open incident and return its number."""
    number = 0

    def numbered(records: Sequence[Record]) -> Mapping[str, Any]:
        nonlocal number
        found = given(records) if given is not None else {"incident": _open(records).number}
        number = int(found["incident"])
        return dict(found)

    journal.append({**record, "operator": operator.record()}, numbered)
    return number


def _open(records: Sequence[Record]) -> Incident:
    incident = open_incident(records)
    if incident is None:
        raise IncidentProblem(NONE_OPEN, HOW_TO_OPEN)
    return incident


def _text(text: str, what: str, limit: int) -> str:
    cleaned = safe(text.strip(), limit)
    if not cleaned:
        raise IncidentProblem(f"{what} is empty", "say it in a few words")
    return cleaned
