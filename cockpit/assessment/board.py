"""The board holds the newest reading of every topic.

Written by the sources' thread, read by anyone at any time.
"""

from __future__ import annotations

import threading
from typing import Any

from cockpit.model.reading import Reading


class Board:
    """Holds one reading a topic.

    Readings are immutable and replaced whole, so readers need no lock; `version` tells of change.

    Topics: `kubernetes/<plural>/<namespace>` → Mapping of `cockpit.model.observed.cluster` values ·
    `prometheus/<query>` → `QueryResult` · `prometheus/alerts` → tuple[Alert, ...] ·
    `metrics/<service>` → tuple[Exposed, ...] · `solana/…`, `postgres/…`, `probes/…` →
    `cockpit.model.{chain,postgres,probe}`.
    """

    def __init__(self) -> None:
        self._families: dict[str, dict[str, Reading[Any]]] = {}  # by what stands before the first "/", then by topic
        self._lock = threading.Lock()
        self.version = 0

    def put(self, reading: Reading[Any]) -> None:
        """Replace the topic's reading.

        One that failed keeps the last good data, its time and its age.
        """
        with self._lock:
            family = self._families.setdefault(_family(reading.topic), {})
            family[reading.topic] = reading.after(family.get(reading.topic))
            self.version += 1

    def drop(self, topic: str) -> None:
        """Forget a topic that is no longer asked for (a query removed from the runbooks)."""
        with self._lock:
            if self._families.get(_family(topic), {}).pop(topic, None) is not None:
                self.version += 1

    def get(self, topic: str) -> Reading[Any] | None:
        return self._families.get(_family(topic), {}).get(topic)

    def under(self, prefix: str) -> dict[str, Reading[Any]]:
        """Return the readings whose topic starts with `prefix`, by topic.

        `prefix` is of one family ("kubernetes/", "solana/endpoint/"), or "" for all.
        """
        with self._lock:
            families = [self._families.get(_family(prefix), {})] if prefix else list(self._families.values())
            return {topic: one for family in families for topic, one in family.items() if topic.startswith(prefix)}


def _family(topic: str) -> str:
    return topic.partition("/")[0]
