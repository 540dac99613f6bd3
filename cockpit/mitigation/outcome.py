"""Says what became of something that was sent, or that is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """Says what became of it.

    `result`: "sent", "rejected", "not sent", "stale" or "uncertain", as the journal keeps it.

    `output`: the last lines of what it said, cleaned and redacted.
    """

    result: str
    words: str
    generation: int | None = None  # after the change
    resource_version: str = ""
    output: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # of the answer's `Warning:` headers
    beyond: tuple[str, ...] = ()  # paths that the server changed otherwise than the dry run had shown
    notes: tuple[str, ...] = ()  # what happened on the way, for the journal
    stood: str = ""  # of a workload: its condition Progressing at the request


@dataclass(frozen=True, slots=True)
class Judgement:
    """Holds how something compares with a plan.

    `state`: "applied", "not applied", "changed", "gone" or "unknown".

    `final`: looking again can tell no more than this, although it is "unknown".
    """

    state: str
    words: str
    obj: Mapping[str, Any] | None = None
    final: bool = False
