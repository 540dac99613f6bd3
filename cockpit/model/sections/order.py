"""Compares two values of what a step sets, and says which way a step would move it.

Pure: texts in, words out; the executor's guard and the form of a step ask alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import StrEnum

from cockpit.model.sections.variable import UNLIMITED

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_TRUTH = {"false": 0.0, "no": 0.0, "off": 0.0, "true": 1.0, "yes": 1.0, "on": 1.0}


class Way(StrEnum):
    """Says how a change goes against a step's direction."""

    ALONG = "along"
    SAME = "same"
    AGAINST = "against"
    UNKNOWN = "unknown"


def number(text: str, levels: Sequence[str] = ()) -> float | None:
    """Return where a value stands: a number, true or false, or its place among named levels."""
    word = text.strip()
    if word.lower() in _TRUTH:
        return _TRUTH[word.lower()]
    if _NUMBER.fullmatch(word):
        return float(word)
    if word.lower() == UNLIMITED:
        return math.inf
    return float(levels.index(word)) if word in levels else None


def names_of(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


def way(direction: str, before: str | None, after: str, levels: Sequence[str] = ()) -> Way:
    """Say how a change from `before` (None: not known) to `after` goes against the direction."""
    if direction == "changes":
        return Way.SAME if before == after else Way.ALONG
    if before is None:
        return Way.ALONG if _farthest(direction, number(after, levels), levels) else Way.UNKNOWN
    if before.strip() == after.strip():
        return Way.SAME
    if direction == "adds":
        gone = [name for name in names_of(before) if name not in names_of(after)]
        return Way.AGAINST if gone else Way.ALONG
    old, new = number(before, levels), number(after, levels)
    if old is None and _farthest(direction, new, levels):
        return Way.ALONG
    if old is None or new is None:
        return Way.UNKNOWN
    if old == new:
        return Way.SAME
    return Way.ALONG if (new > old) == (direction == "raises") else Way.AGAINST


def _farthest(direction: str, new: float | None, levels: Sequence[str]) -> bool:
    """Tell whether a level is the last one that way: nothing goes beyond it."""
    ranks = [rank for level in levels if (rank := number(level, levels)) is not None]
    if new is None or not ranks or direction not in ("raises", "lowers"):
        return False
    return new == (max(ranks) if direction == "raises" else min(ranks))


def against_words(field: str, direction: str, before: str, after: str) -> str:
    """Say what a step that runs backwards would do: "replicas: now 12, …"."""
    now = before or "(empty)"
    if direction == "adds":
        gone = ", ".join(name for name in names_of(before) if name not in names_of(after))
        return f"{field}: now {now}, this step adds to it: {after or '(empty)'} would take {gone} out"
    other = "lower" if direction == "raises" else "raise"
    return f"{field}: now {now}, this step {direction}: {after or '(empty)'} would {other}"


def safe_value(direction: str, now: str | None, default: int, minimum: int | None, maximum: int | None) -> int | None:
    """Return a whole number that goes the step's way from the value now; None where none is left.

    The runbook's own default where that does, or where nothing is known of the value now. Else half
    as much again (a third, of what is small), or half as much.
    """
    old = None if now is None else number(now)
    if old is None or direction not in ("raises", "lowers") or math.isinf(old):
        return default
    if way(direction, now, str(default)) in (Way.ALONG,):
        return default
    if direction == "raises":
        found = int(old) + max(1, int(old) // 3 if old < SMALL else int(old) // 2)
        found = found if maximum is None else min(found, maximum)
        return found if found > old else None
    found = int(old) // 2
    found = found if minimum is None else max(found, minimum)
    return found if found < old else None


#: Counts of replicas and the like are below it, times and fees above.
SMALL = 100
