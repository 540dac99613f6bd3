"""Tells the open incident in words: what it is, who does what, what is done and owed.

Its timeline follows.
Pure.
"""

from __future__ import annotations

from cockpit.model.incident import ROLES, IncidentNow, TimelineEntry
from cockpit.model.situation import Situation
from cockpit.text import counted
from panels.kit.marks import SIGN
from panels.kit.prose import Para, heading, labelled, para
from panels.kit.severity import REMINDER_ROLE, elapsed, severity_role
from panels.kit.spans import Span
from panels.kit.words import age, clock

LABEL = 20
_STATE = {
    "done": ("ok", "ok"),
    "open": ("dash", "warn"),
    "unknown": ("unknown", "unknown"),
    "contradicted": ("crit", "crit"),
}
_DELIVERY = {"delivered": "ok", "sending": "accent", "failed": "crit", "unknown": "unknown"}
_LEVEL = {"ok": "ok", "recovering": "recovering", "warn": "warn", "crit": "crit", "unknown": "unknown"}
_KIND = {
    "mitigation": "bold",
    "incident": "title",
    "update": "accent",
    "note": "text",
    "evidence": "accent",
    "check": "ok",
}


def page(now: IncidentNow, situation: Situation) -> list[Para]:
    """Return the page's lines, with the keys `check:ITEM` and `role:ROLE`."""
    incident = now.incident
    lines = [
        para(
            (f" {incident.severity} ", severity_role(incident.severity)),
            (f"  #{incident.number} ", "key"),
            (incident.title, "title"),
            (f"   {elapsed(situation.wall - incident.opened)}", "bold"),
            (f"   since {clock(incident.opened)}Z by {incident.opened_by}", "dim"),
        ),
        para((now.reminder.words, REMINDER_ROLE.get(now.reminder.level, "text")), ("   t tells others", "dim")),
    ]
    changes = situation.changes
    if changes.onset is not None:
        lines.append(
            para(
                ("began ", "dim"),
                (f"{clock(changes.onset.at)}Z", "bold"),
                (" at the latest" if changes.onset.at_latest else "", "dim"),
                (f"  {changes.onset.title} left its normal band", "text"),
            )
        )
        best = changes.best
        words = f"{best.change.object}: {best.change.words}" if best is not None else "no change that is seen"
        lines.append(para(("explained by ", "dim"), (words, "text"), ("   w what changed", "dim")))
    if incident.runbook_number is not None:
        lines.append(para((f"runbook {incident.runbook_number} {incident.runbook}", "dim"), ("   r opens", "dim")))
    lines += heading("ROLES", "enter or a gives one")
    for role, name in ROLES.items():
        holder = incident.holder(role)
        who: Span = (holder, "bold") if holder else ("nobody", "dim" if role == "expert" else "warn")
        lines.append(labelled(f"  {name}", LABEL + 2, who, key=f"role:{role}"))
    lines += heading("CHECKLIST 16.2", "enter ticks by hand")
    for line in now.checklist:
        sign, role = _STATE[line.state]
        by = (
            ""
            if line.by in ("", "machine")
            else f"  {line.by}" + (f" {clock(line.wall)}Z" if line.wall is not None else "")
        )
        spans: list[Span] = [
            (f"{line.text}  ", "text" if line.state == "done" else "bold"),
            (line.words, "dim" if line.state == "done" else role),
            (by, "accent"),
        ]
        lines.append(labelled(f"  {SIGN[sign]} {line.state.upper()}", 16, *spans, key=f"check:{line.item}", role=role))
    lines += _owed(now)
    lines += _evidence(now)
    lines += _updates(now)
    return lines


def _owed(now: IncidentNow) -> list[Para]:
    if not now.close_wants and not now.close_blocked:
        return []
    lines = heading("BEFORE CLOSING")
    if now.close_blocked:
        lines.append(para((now.close_blocked, "accent"), label="  "))
    return [*lines, *(para((f"{SIGN['warn']} {words}", "warn"), label="  ") for words in now.close_wants)]


def _evidence(now: IncidentNow) -> list[Para]:
    lines = heading("EVIDENCE", "e captures a bundle")
    if now.capturing:
        lines.append(para((f"{SIGN['next']} {now.capturing}", "accent"), label="  "))
    for file in now.incident.evidence[-5:]:
        missing = f", {len(file.missing)} not collected" if file.missing else ""
        lines.append(
            para(
                (file.name, "bold"),
                (f"  {counted(len(file.parts), 'part')}{missing}", "warn" if missing else "dim"),
                (f"  {file.reason}", "dim"),
                label="  ",
            )
        )
    if not now.incident.evidence and not now.capturing:
        lines.append(para(("none yet", "dim"), label="  "))
    return lines


def _updates(now: IncidentNow) -> list[Para]:
    lines = [
        para(),
        para(("UPDATES", "heading+bold"), ("" if now.webhook else "   recorded only: nothing is posted", "dim")),
    ]
    for update in reversed(now.incident.updates[-5:]):
        others = (
            f"{update.delivery}: {update.detail}"
            if update.detail and update.delivery != "delivered"
            else update.delivery
        )
        role = _DELIVERY.get(update.delivery, "dim")
        lines.append(
            labelled(
                f"  {clock(update.wall)} ",
                11,
                (f"{update.who} ", "accent"),
                (f"{update.words}  ", "text"),
                (others, role),
            )
        )
    if not now.incident.updates:
        lines.append(para(("none yet", "dim"), label="  "))
    return lines


def timeline_lines(now: IncidentNow) -> list[Para]:
    """Tell the timeline newest first: what just happened is what is asked for."""
    lines = [para(("TIMELINE", "heading+bold"), (f"   newest first, {len(now.timeline)} entries", "dim"))]
    return [*lines, *(_entry(entry) for entry in reversed(now.timeline))]


def _entry(entry: TimelineEntry) -> Para:
    role = _LEVEL.get(entry.level) or _KIND.get(entry.kind, "dim")
    who = f"{entry.who} " if entry.who and entry.kind != "cockpit" else ""
    number = f"#{entry.number} " if entry.number is not None else ""
    return labelled(f"{clock(entry.wall)} ", 9, (who, "accent"), (number, "key"), (entry.words, role))


def closed_lines(number: int | None) -> list[Para]:
    name = f"#{number} " if number is not None else ""
    return [
        para((f"incident {name}is closed", "title")),
        para(("its report: ", "dim"), f"m0-cockpit incident report {number if number is not None else ''}".rstrip()),
    ]


def opened_ago(now: IncidentNow, situation: Situation) -> str:
    return age(situation.wall - now.incident.opened)
