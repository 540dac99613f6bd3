"""Says how a severity, a reminder and the time of an incident look."""

from __future__ import annotations

REMINDER_ROLE = {"quiet": "dim", "none": "dim", "due": "warn", "overdue": "crit", "failed": "crit"}


def elapsed(seconds: float) -> str:
    """Return "00:07:32"; days count as hours."""
    whole = max(0, int(seconds))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def severity_role(severity: str) -> str:
    return {"SEV0": "alarm", "SEV1": "alarm", "SEV2": "halt"}.get(severity, "calm")
