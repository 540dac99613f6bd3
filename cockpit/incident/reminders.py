"""Reminds to update others: SEV0 and SEV1 every 15 to 30 minutes, SEV2 hourly, SEV3 by no rule.

Pure.
"""

from __future__ import annotations

from cockpit.model.incident import CADENCE, Incident, Reminder

#: An update that did not get out has told nobody.
_REACHED = ("delivered", "not sent", "sending")


def reminder(incident: Incident, wall: float) -> Reminder:
    """Count from the newest update, the opening, or the newest rise of the severity.

    Whichever is the latest decides.
    """
    if not incident.open:
        return Reminder("none", None, "closed")
    last = incident.updates[-1] if incident.updates else None
    if last is not None and last.delivery in ("failed", "unknown"):
        state = "NOT delivered" if last.delivery == "failed" else "delivery UNKNOWN"
        return Reminder("failed", None, f"update {state}")
    cadence = CADENCE.get(incident.severity)
    if cadence is None:
        return Reminder("none", None, f"no update rule for {incident.severity}")
    rises = (c.wall for c in incident.severities if c.was and c.severity < c.was)
    reached = (u.wall for u in incident.updates if u.delivery in _REACHED)
    since = max(wall - max((incident.opened, *rises, *reached)), 0.0)
    left = cadence.overdue_s - since
    if since >= cadence.overdue_s:
        return Reminder("overdue", left, f"update OVERDUE {_minutes(-left)}")
    if since >= cadence.remind_s:
        return Reminder("due", left, f"update due in {_minutes(left, up=True)}")
    return Reminder("quiet", left, f"next update within {_minutes(left, up=True)}")


def _minutes(seconds: float, *, up: bool = False) -> str:
    """Spell a duration as "3 min" or "2 h 5 min"; `up`: the last started minute counts whole."""
    minutes = int((max(0.0, seconds) + (59.999 if up else 0.0)) // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
