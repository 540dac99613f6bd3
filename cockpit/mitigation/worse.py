"""Judges a confirmed plan again: a verdict that is worse than the one shown stops it.

What was not there when the operator said yes was not said yes to: a signal that turned bad, an
autoscaler, a mark of GitOps, a disruption budget that cannot be read any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model.plan import GuardResult, Verdict

RANK = {Verdict.PASS: 0, Verdict.NOTE: 1, Verdict.CONFIRM: 2, Verdict.UNKNOWN: 2, Verdict.BLOCK: 3}
#: Asked in another way at the send: the lease is taken, the dry run becomes the real one.
ELSEWHERE = ("lease", "dry-run")
#: What nobody who stops publishing needs to wait for: why he does, and that a note has changed.
NOT_FOR_A_STOP = ("fresh",)


def worse(shown: Sequence[GuardResult], now: Sequence[GuardResult], *, stops: bool = False) -> str:
    """Say which verdicts are worse than those that were shown; "" when none is.

    `stops`: it only makes safer, so that notes and doubts about why do not hold it up.
    """
    known = {guard.guard: guard for guard in shown}
    found = []
    for guard in now:
        if guard.guard in ELSEWHERE or (stops and (guard.guard in NOT_FOR_A_STOP or guard.verdict is Verdict.NOTE)):
            continue
        before = known.get(guard.guard)
        rank = RANK[before.verdict] if before is not None else 0
        news = set(guard.about) - set(before.about if before is not None else ())
        if RANK[guard.verdict] > rank or (RANK[guard.verdict] > 1 and news):
            found.append(f"{guard.guard}: {guard.reason}")
    return "; ".join(found)
