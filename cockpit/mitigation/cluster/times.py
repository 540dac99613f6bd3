"""Spells times as the Kubernetes API does, and says when a write is given up.

SETTLE_S: when to read the object back after no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

SEND_TIMEOUT_S = 15.0
THROTTLED_S = 60.0  # how long a change waits in all for a server that asks for it (429)
THROTTLED_READ_S = 20.0  # the same for what only reads, a dry run among it
#: The request may still be on its way through the server: several looks before "not done" is said.
SETTLE_S: Sequence[float] = (0.2, 0.8, 2.0, 3.0)


def rfc3339(unix: float) -> str:
    """Spell a metav1.Time: whole seconds."""
    return datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(unix: float) -> str:
    """Spell a metav1.MicroTime."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unix(text: object) -> float | None:
    """Return unix seconds; None when absent or unreadable."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
