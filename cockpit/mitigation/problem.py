"""Why there is no plan, or why a confirmed one was not sent."""

from __future__ import annotations

from cockpit.errors import CockpitError


class PlanProblem(CockpitError):
    """One safe line in `reason`, what the operator can do in `remedy`.

    Nothing was sent.
    """
