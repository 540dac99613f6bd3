"""Makes the result of a guard: its reason may hold text from outside."""

from __future__ import annotations

from cockpit.errors import REASON_LIMIT
from cockpit.model.plan import GuardResult, Verdict
from cockpit.text import safe


def result(guard: str, verdict: Verdict, reason: str, *about: str) -> GuardResult:
    return GuardResult(guard, verdict, safe(reason, REASON_LIMIT), about)
