"""What Retry-After asks for (RFC 9110, 10.2.3): seconds, or a date."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

LONGEST_S = 86_400.0


def retry_after_s(value: str | None, now: float) -> float | None:
    """Seconds from `now` (unix) on; nonsense is none."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_S) if seconds == seconds else None
