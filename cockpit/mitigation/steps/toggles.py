"""Judges what a change of a control toggle is: dangerous, relaxing, owed afterwards.

The order of M0_GUARDRAIL_POLICY_LEVEL is that of its `values` from `safest` on (STRICT, NORMAL,
FAST).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cockpit.model.runbook import PAUSE_TOGGLE, PUBLISH_TOGGLE, Runbooks, Toggle
from cockpit.secrets import toggle_of

Values = Mapping[str, Mapping[str, Any] | None]
GUARDRAIL = "M0_GUARDRAIL_POLICY_LEVEL"
CONCURRENCY = "M0_PUBLISH_CONCURRENCY"


def _literal(values: Values, name: str) -> str | None:
    """Return the literal value; None when absent, removed or by reference."""
    value = values.get(name)
    return None if value is None else value.get("value")


def _pairs(
    runbooks: Runbooks, wanted: Values, before: Values
) -> Iterator[tuple[str, Toggle | None, str | None, str | None]]:
    for name in wanted:
        found = toggle_of(runbooks, name)
        yield name, found[1] if found else None, _literal(before, name), _literal(wanted, name)


def _true(value: str | None) -> bool:
    return value is not None and value.strip().lower() in ("true", "1", "yes", "on")


def _relaxes(name: str, toggle: Toggle | None, old: str | None, new: str | None) -> bool:
    """Tell whether it goes away from the safest value: later in the toggle's list, or unset.

    What it was before is unknown: it counts too.
    """
    if name == PUBLISH_TOGGLE:
        return not _true(old) and new is not None and _true(new)
    if name.startswith(PAUSE_TOGGLE):
        return _true(old) and not _true(new)
    if toggle is None or toggle.safest is None or not toggle.values:
        return False
    order = list(toggle.values)
    if order.index(toggle.safest) != 0 if toggle.safest in order else True:
        order.reverse()
    if new not in order:
        return old == toggle.safest
    return (old not in order and new != toggle.safest) or (old in order and order.index(new) > order.index(old))


def relaxing(runbooks: Runbooks, wanted: Values, before: Values) -> tuple[str, ...]:
    """Say why the change relaxes a guardrail or enables publishing, one line each."""
    reasons = []
    for name, toggle, old, new in _pairs(runbooks, wanted, before):
        if not _relaxes(name, toggle, old, new):
            continue
        verb = (
            "enables publishing"
            if name == PUBLISH_TOGGLE
            else "lets paused markets publish"
            if name.startswith(PAUSE_TOGGLE)
            else "relaxes a guardrail"
        )
        reasons.append(f"it {verb} ({name} {old or 'not set'} → {new or 'not set'})")
    return tuple(reasons)


def dangers_of(runbooks: Runbooks, wanted: Values, before: Values) -> tuple[str, ...]:
    reasons = list(relaxing(runbooks, wanted, before))
    for name, _, old, new in _pairs(runbooks, wanted, before):
        if name == PUBLISH_TOGGLE and not _true(new):
            reasons.append("stops publishing")
        elif name.startswith(PAUSE_TOGGLE) and _true(new):
            reasons.append(f"pauses markets ({name} {old or 'not set'} → {new})")
    return tuple(reasons)


def owes(runbooks: Runbooks, wanted: Values, before: Values) -> bool:
    """Tell whether it relaxes a guardrail or reduces concurrency: debt until put back."""
    for name, toggle, old, new in _pairs(runbooks, wanted, before):
        if name not in (PUBLISH_TOGGLE,) and not name.startswith(PAUSE_TOGGLE) and _relaxes(name, toggle, old, new):
            return True
        if name == CONCURRENCY and old is not None and new is not None and old.isdecimal() and new.isdecimal():
            return int(new) < int(old)
    return False
