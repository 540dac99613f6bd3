"""Why there is no plan, or why a confirmed one was not sent."""

from __future__ import annotations

from cockpit.text import safe


class PlanProblem(Exception):
    """One safe line in `reason`, what the operator can do in `remedy`.

    Nothing was sent.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = safe(reason, 500)
        self.remedy = safe(remedy, 300)

    def __str__(self) -> str:
        return self.reason
