"""Judges an access review: the permission guard."""

from __future__ import annotations

from cockpit.kubeapi.access_review import Review
from cockpit.model.plan import GuardResult, Verdict


def permitted(review: Review, name: str) -> GuardResult:
    """Judge an access review: an error is unknown, never denied or allowed."""
    if review.allowed is None:
        return GuardResult(
            "permission", Verdict.UNKNOWN, f"the server did not say whether you may {review.words}: {review.reason}"
        )
    if not review.allowed:
        why = f": {review.reason}" if review.reason else ""
        return GuardResult("permission", Verdict.BLOCK, f"you may not {review.words} {name}{why}")
    return GuardResult("permission", Verdict.PASS, review.words)
