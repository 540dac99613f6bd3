"""Holds `[conditions]`: what a step is allowed by or called for."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from cockpit.model.sections.entry import Entry


class Condition(Entry, frozen=True, kw_only=True):
    """Describes `[conditions.NAME]`: what a step is allowed by or called for, measured.

    `text` goes on from "only if". Exactly one of: `signals`, which must all be `at` that level
    (warn: at least warn), and have been for `for` seconds; `one-of`, of which one must; `value` of
    a source, within `at-least` and `at-most`; `toggle`, which must be one of `is`; `capability`, as
    `SERVICE:NAME`; `scales`, a service of which more may run; `changed`, as `SERVICE:VARIABLE`, of
    which another value ran before; `sets`, as `SERVICE:VARIABLE`, which is set to something
    (with `among`, as `QUERY:LABEL`: to one at least of that label's values);
    `unusual`, a ConfigMap of which a key is not as usual.
    """

    text: str
    signals: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    at: Literal["ok", "warn", "crit"] = "ok"
    hold: float = msgspec.field(default=0.0, name="for")
    value: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    toggle: str | None = None
    values: tuple[str, ...] = msgspec.field(default=(), name="is")
    capability: str | None = None
    scales: str | None = None
    changed: str | None = None
    sets: str | None = None
    among: str | None = None
    unusual: str | None = None

    #: The keys of which a condition has exactly one.
    SOURCES: ClassVar[tuple[str, ...]] = (
        "signals",
        "one_of",
        "value",
        "toggle",
        "capability",
        "scales",
        "changed",
        "sets",
        "unusual",
    )
