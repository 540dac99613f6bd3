"""Writes a post-mortem skeleton in Markdown, with everything known filled in.

Pure: incident, records and changes in, text out.

Words of operators, logs and servers are hostile to Markdown too: `md` makes them plain text, for
table cells as for lists.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise

from cockpit.incident.actions import close_wants
from cockpit.incident.flight_recorder import RecordedChange
from cockpit.incident.report.impact import Impact, began, impacts
from cockpit.incident.report.timeline import timeline
from cockpit.journal.entries import JournalEntry, changes_of, debts_from, entries_of
from cockpit.journal.incidents import LEAD_S, Record
from cockpit.model.incident import CADENCE, MEANING, ROLES, CheckLine, Incident
from cockpit.model.runbook import Runbooks
from cockpit.text import counted, safe

_TO_FILL = "_(to be filled in)_"
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|!~&])")
_LINE_START = re.compile(r"^(\s*)([-+=]|\d+[.)])")
#: A change is told with what turned bad within this time after it: near in time, not therefore its
#: doing.
_AFTER_S = 180.0
_MARKS = {"done": "x", "open": " ", "unknown": " ", "contradicted": " "}


def report(
    incident: Incident,
    records: Sequence[Record],
    changes: Sequence[RecordedChange],
    runbooks: Runbooks,
    lines: Sequence[CheckLine],
    *,
    now: float,
    journal_end: tuple[int, str] = (0, ""),
    journal_problems: Sequence[str] = (),
) -> str:
    """Return the report; `lines` is the checklist as it stands.

    `now` counts as the end while the incident is open.
    """
    end = incident.closed if incident.closed is not None else now
    own = [e for e in entries_of(records).values() if e.number in incident.mitigations]
    hurt = impacts(changes, incident.opened - LEAD_S, end)
    entries = timeline(incident, records, changes)
    matched = [c for c in changes if c.kind == "runbook" and incident.opened - LEAD_S <= c.at]
    parts = [
        _head(incident, end, runbooks, matched),
        _summary(incident, own, hurt, _watched(changes, incident, end), began(changes, incident.opened, end)),
        _impact(hurt, changes, incident, end),
        _roles(incident),
        _mitigations(own, changes),
        _debts(incident, records),
        _updates(incident),
        _evidence(incident),
        _checklist(lines),
        [
            "## Timeline",
            "",
            *_table(("time (UTC)", "what", "who"), ((_clock(e.wall), f"{md(e.words)}", md(e.who)) for e in entries)),
        ],
        _questions(incident, own, lines, hurt),
        _record(incident, journal_end, journal_problems),
    ]
    return "\n".join("\n".join(part) + "\n" for part in parts if part)


def md(text: object) -> str:
    """Make a text one plain line: no markup, no link, no table border, no HTML."""
    plain = _MARKUP.sub(r"\\\1", safe(text, 2000))
    plain = _LINE_START.sub(lambda m: m[1] + (m[2][:-1] + "\\" + m[2][-1] if m[2][-1] in ".)" else "\\" + m[2]), plain)
    return plain.replace("://", "\\://").replace("www.", "www\\.")  # no reader turns it into a link


def _head(incident: Incident, end: float, runbooks: Runbooks, seen: Sequence[RecordedChange]) -> list[str]:
    runbook = next((b for b in runbooks.runbooks if b.id == incident.runbook), None)
    named = f"{runbook.number} {md(runbook.title)}" if runbook is not None else _matched(seen, end, runbooks)
    until = _when(incident.closed) if incident.closed is not None else "still open"
    return [
        f"# Incident {incident.number}: {md(incident.title)}",
        "",
        f"- Severity: **{incident.severity}** ({MEANING.get(incident.severity, '?')})",
        f"- Opened: {_when(incident.opened)} by {md(incident.opened_by or '?')}"
        + (f", on {md(incident.place)}" if incident.place else ""),
        f"- Closed: {until}" + (f" by {md(incident.closed_by)}" if incident.closed is not None else ""),
        f"- Duration: {_length(end - incident.opened)}",
        f"- Runbook: {named}",
    ]


def _matched(seen: Sequence[RecordedChange], end: float, runbooks: Runbooks) -> str:
    """Name the runbooks that matched while it was watched, the one that did longest first."""
    held: dict[str, float] = {}
    for change, until in zip(seen, [*(following.at for following in seen[1:]), end], strict=False):
        if change.now and change.at < end:
            held[change.now] = held.get(change.now, 0.0) + min(until, end) - change.at
    known = {one.id: f"{one.number} {md(one.title)}" for one in runbooks.runbooks}
    named = [known.get(name, md(name)) for name in sorted(held, key=lambda name: -held[name])]
    if not named:
        return "none matched"
    return named[0] + (f" (matched longest; also {', '.join(named[1:])})" if named[1:] else " (matched)")


def _summary(
    incident: Incident, own: Sequence[JournalEntry], hurt: Sequence[Impact], watched: bool, first: Sequence[str]
) -> list[str]:
    worst = ", ".join(f"{md(i.title)} ({_length(i.crit_s or i.warn_s)})" for i in hurt[:3])
    done = [e for e in own if e.applied]
    none = "no signal was seen bad" if watched else "not known: no cockpit watched"
    steps = ", ".join(md(e.intent.get("title", "")) for e in done)
    return [
        "## Summary",
        "",
        f"What went bad: {worst or none}.",
        *(md(line) for line in first),
        f"What was done: {steps or 'nothing was changed'}.",
        *([f"Closed with: {md(incident.close_reason)}"] if incident.close_reason else []),
        "",
        f"In one paragraph, for those who were not there: {_TO_FILL}",
    ]


def _watched(changes: Sequence[RecordedChange], incident: Incident, end: float) -> bool:
    return any(incident.opened - LEAD_S <= f.at <= end for f in changes)


def _impact(hurt: Sequence[Impact], changes: Sequence[RecordedChange], incident: Incident, end: float) -> list[str]:
    if not hurt:
        seen = _watched(changes, incident, end)
        why = "No signal was WARN or CRIT while a cockpit watched." if seen else "No cockpit watched: nothing is known."
        return ["## Impact", "", why, "", f"Users and consumers affected: {_TO_FILL}"]
    rows = (
        (
            md(i.title),
            _value(i.worst, i.unit),
            _length(i.crit_s),
            _length(i.warn_s),
            _length(i.unknown_s),
            f"{_clock(i.first)} – {_clock(i.last)}",
            "" if i.still == "ok" else i.still.upper(),
        )
        for i in hurt
    )
    head = ("signal", "worst", "CRIT for", "WARN for", "unknown for", "bad from – to", "at the end")
    return [
        "## Impact",
        "",
        *_table(head, rows),
        "",
        f"Times are of what a cockpit watched, from {LEAD_S / 60:.0f} min before the opening on.",
        f"Users and consumers affected: {_TO_FILL}",
    ]


def _roles(incident: Incident) -> list[str]:
    rows = [(name, md(incident.holder(role)) or "**nobody**") for role, name in ROLES.items()]
    return ["## Roles", "", *_table(("role", "who"), rows)]


def _mitigations(own: Sequence[JournalEntry], changes: Sequence[RecordedChange]) -> list[str]:
    if not own:
        return ["## Mitigations", "", "Nothing was changed through the cockpit."]
    out = ["## Mitigations", ""]
    for entry in own:
        intent = entry.intent
        target = intent.get("target") or {}
        where = "/".join(str(target.get(key, "?")) for key in ("context", "namespace", "kind", "name"))
        who = (intent.get("operator") or {}).get("name", "?")
        out += [
            f"### {entry.number}. {md(intent.get('title', ''))}",
            "",
            f"- {_when(float(intent['at']))} by {md(who)}, on {md(where)}",
        ]
        out += [f"- {md(c.field)}: {_or_absent(c.before)} → {_or_absent(c.after)}" for c in changes_of(intent)]
        out.append(f"- Outcome: {md(entry.words)}")
        out += [f"- {line}" for line in _proofs(entry)]
        if intent.get("undoes"):
            out.append(f"- Takes back {intent['undoes']}")
        elif entry.undone_by is not None:
            out.append(f"- Undone by {entry.undone_by}")
        elif intent.get("inverse_words"):
            out.append(f"- Undo: {md(intent['inverse_words'])} (`m0-cockpit journal undo {entry.number}`)")
        if not entry.looked:
            out += [f"- Harm: {md(words)}" for words in _harm(entry, changes)] or ["- Harm: none seen"]
        out.append("")
    return out[:-1]


def _or_absent(value: str | None) -> str:
    return md("absent" if value is None else value)


def _proofs(entry: JournalEntry) -> Iterable[str]:
    if entry.proof is None:
        return
    yield f"{'Answer' if entry.looked else 'Verification'}: **{str(entry.proof.get('proof', '?')).upper()}**"
    for gauge in entry.proof.get("gauges") or ():
        why = f" ({md(gauge['reason'])})" if gauge.get("reason") else ""
        values = f"{_number(gauge.get('baseline'))} → {_number(gauge.get('value'))}"
        yield f"Gauge {md(gauge.get('text', ''))}: {md(gauge.get('proof', '?'))}, {values}{why}"


def _harm(entry: JournalEntry, changes: Sequence[RecordedChange]) -> list[str]:
    """List what is known against a change.

    Guards overridden, a failed proof or rollout, and what turned bad soon after.
    """
    intent, at = entry.intent, float(entry.intent["at"])
    found = [f"overrode the guard {o.get('guard')}: {o.get('reason')}" for o in intent.get("overrides") or ()]
    if entry.outcome is not None and entry.outcome.get("result") not in ("sent", "not sent"):
        found.append(f"{entry.outcome.get('result')}: {entry.outcome.get('words', '')}")
    if entry.rollout is not None and not entry.rollout.get("done"):
        found.append(f"the rollout did not end well: {entry.rollout.get('words', '')}")
    if entry.proof is not None and entry.proof.get("proof") == "fail":
        found.append("it did not help: the proof failed")
    if entry.applied:
        rank = {"ok": 0, "warn": 1, "crit": 2}
        worse = [
            f.title or f.name
            for f in changes
            if f.kind == "signal"
            and at < f.at <= at + _AFTER_S
            and f.was in rank
            and f.now in rank
            and rank[f.now] > rank[f.was]
        ]
        if worse:
            found.append(
                f"turned worse within {_AFTER_S / 60:.0f} min after it (not proven to be its doing): "
                f"{', '.join(dict.fromkeys(worse))}"
            )
    return found


def _debts(incident: Incident, records: Sequence[Record]) -> list[str]:
    until = [r for r in records if incident.closed is None or float(r.get("at") or 0.0) <= incident.closed]
    now = {debt.number for debt in debts_from(records)}
    out = [
        f"- Journal {d.number}: {md(d.words)}, since {_when(d.since_wall)}"
        + ("" if d.number in now else " (put back since)")
        for d in debts_from(until)
    ]
    others = [f"- {md(words)}" for words in close_wants(until) if not words.startswith("debt ")]
    return ["## Debts", "", *(out + others or ["None: nothing relaxed or reduced is left that way."])]


def _updates(incident: Incident) -> list[str]:
    rule = CADENCE.get(incident.severity)
    said = (
        f"Rule for {incident.severity}: within {rule.overdue_s / 60:.0f} min."
        if rule
        else f"No rule for {incident.severity}."
    )
    rows = [
        (_clock(u.wall), md(u.who), md(u.words), u.delivery + (f" ({md(u.detail)})" if u.detail else ""))
        for u in incident.updates
    ]
    gaps = [incident.opened, *(u.wall for u in incident.updates)]
    longest = max((b - a for a, b in pairwise(gaps)), default=None)
    longest_words = (
        f" Longest time without one, until the last: {_length(longest)}." if longest is not None else " None was made."
    )
    table = _table(("time (UTC)", "who", "update", "delivery"), rows) if rows else []
    return ["## Communication", "", said + longest_words, *([""] if table else []), *table]


def _evidence(incident: Incident) -> list[str]:
    if not incident.evidence:
        return ["## Evidence", "", "**None was captured.**"]
    out = ["## Evidence", ""]
    for file in incident.evidence:
        out.append(
            f"- `{file.name.replace('`', '')}`, {file.size} bytes, {_when(file.wall)} "
            f"by {md(file.who)} ({md(file.reason)})"
        )
        out.append(f"  - sha256 `{file.sha256[:64]}`")
        out.append(f"  - {_parts(len(file.parts))}: {md(', '.join(file.parts))}")
        out += [f"  - not collected: {md(reason)}" for reason in file.missing]
    return [*out, "", "Check a file with `m0-cockpit incident evidence --verify FILE`."]


def _parts(number: int) -> str:
    return f"{number} part{'' if number == 1 else 's'}"


def _checklist(lines: Sequence[CheckLine]) -> list[str]:
    out = []
    for line in lines:
        when = f", {_clock(line.wall)}" if line.wall is not None else ""
        by = f" ({line.by}{when})" if line.by else f" (**{line.state}**)"
        state = " **CONTRADICTED**" if line.state == "contradicted" else ""
        out.append(f"- [{_MARKS[line.state]}] {md(line.text)}{md(by) if line.by else by}{state}: {md(line.words)}")
    return ["## Checklist 16.2", "", *(out or ["The runbooks have no incident checklist."])]


def _questions(
    incident: Incident, own: Sequence[JournalEntry], lines: Sequence[CheckLine], hurt: Sequence[Impact]
) -> list[str]:
    asked = ["What was the root cause?", "Why was it not caught earlier?", "What will be changed, by whom, until when?"]
    nobody = [name for role, name in ROLES.items() if role != "expert" and not incident.holder(role)]
    if nobody:
        asked.append(f"Who was {', '.join(nobody)}?")
    asked += [f"Checklist: {line.text} was {line.state}. Why?" for line in lines if line.state != "done"]
    asked += [
        f"Mitigation {e.number} ({e.intent.get('title', '')}) ended as: {e.words}. What became of it?"
        for e in own
        if not e.looked and (e.proof is None or e.proof.get("proof") != "pass")
    ]
    asked += [f"{i.title} was still {i.still.upper()} at the end. Is it well now?" for i in hurt if i.still != "ok"]
    return ["## Open questions", "", *(f"- {md(question)} {_TO_FILL}" for question in asked)]


def _record(incident: Incident, end: tuple[int, str], problems: Sequence[str]) -> list[str]:
    state = "intact" if not problems else f"**{len(problems)} problem{'' if len(problems) == 1 else 's'}**"
    out = ["## The record", "", f"Journal: {counted(end[0], 'record')}, {state}; hash of the newest: `{end[1]}`."]
    return [*out, *(f"- {md(problem)}" for problem in problems)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*cells, *(f"| {' | '.join(row)} |" for row in rows)]


def _when(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(max(0.0, unix)))


def _clock(unix: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(max(0.0, unix)))


def _length(seconds: float) -> str:
    """Spell a duration: "74 s", "12 min 30 s", "2 h 5 min", "–" for none."""
    whole = round(seconds)
    if whole <= 0:
        return "–"
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _value(number: float | None, unit: str) -> str:
    return "unknown" if number is None else md(f"{number:,.4g} {unit}".strip())


def _number(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, int | float) else md(value) if value is not None else "unknown"
