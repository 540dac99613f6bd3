"""Says why there is no plan, or why a confirmed one was not sent."""

from __future__ import annotations

from cockpit.errors import CockpitError


class PlanProblem(CockpitError):
    """There is no plan, or a confirmed one was not sent.

    Nothing was sent.
    """

    usual_remedy = "look at the step and its target again, then plan anew"
