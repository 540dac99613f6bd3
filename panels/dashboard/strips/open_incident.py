"""Shows the incident in the top strip.

Number, severity, clock, commander, and a reminder to tell others.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from cockpit.model.situation import Situation
from panels.kit.severity import REMINDER_ROLE, elapsed, severity_role
from panels.kit.spans import Line, Span, cut, line_width

_WANTS_ATTENTION = ("due", "overdue", "failed")
GAP: Span = ("  ", "text")


def incident_line(situation: Situation, room: int) -> Line:
    """Return the longest telling that fits into `room` cells; what is due is dropped last."""
    if situation.incident is None:
        if situation.journals_unread:
            return (("incident unknown", "warn"),) if room >= 16 else (("inc ?", "warn"),)
        return (("no incident", "faint"),) if room >= 11 else ()
    for line in _tellings(situation):
        if line_width(line) <= room:
            return line
    return (("#" + str(situation.incident.incident.number), "crit"),)


def reminder_line(situation: Situation, key: str = "i") -> Line:
    """Remind that others must be told, where the first row has no room for it; else empty."""
    now = situation.incident
    if now is None or now.reminder.level not in _WANTS_ATTENTION:
        return ()
    return ((now.reminder.words, REMINDER_ROLE[now.reminder.level]), (f"  {key}", "key"), (" ", "dim"))


def _tellings(situation: Situation) -> Iterable[Line]:
    now = situation.incident
    assert now is not None
    incident = now.incident
    clock = elapsed(situation.wall - incident.opened)
    role = severity_role(incident.severity)
    commander = incident.holder("commander")
    leader: Line = (GAP, ("IC ", "dim"), (cut(commander, 16), "bold")) if commander else (GAP, ("no IC", "warn"))
    due: Line = ()
    if now.reminder.level in _WANTS_ATTENTION:
        due = (GAP, (now.reminder.words, REMINDER_ROLE[now.reminder.level]))
    long: Line = ((f" INCIDENT #{incident.number} {incident.severity} {clock} ", role),)
    short: Line = ((f" #{incident.number} {incident.severity} {clock} ", role),)
    yield (*long, *leader, *due)
    yield (*short, *leader, *due)
    yield (*short, *due)
    if due:
        yield (*short, GAP, ("update!", REMINDER_ROLE[now.reminder.level]))
    yield short
    yield ((f" #{incident.number} {incident.severity} ", role),)
