"""Shows Prometheus' alerts alone, firing first: the Signals panel without its signals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from cockpit.model.reading import NOTHING_READ
from cockpit.model.signal import Level, worst
from cockpit.model.situation import Situation
from panels.dashboard.facts.metrics import Trouble
from panels.dashboard.signals import FIRING, SignalsPanel, alert_counts, alert_keys, severity, unread
from panels.kit.spans import Line
from panels.screens.panel import PanelView
from panels.screens.view import Asked


class AlertsPanel(SignalsPanel):
    """Shows the alerts; none is said to fire only as long as their list is live."""

    empty = "no alert fires or is pending"

    def keys(self, situation: Situation) -> Sequence[Hashable]:
        return alert_keys(situation, self.filter.lower())

    def level(self, situation: Situation) -> Level:
        if self.trouble(situation):
            return Level.UNKNOWN
        return worst([Level.OK, *(severity(alert) for alert in situation.alerts if alert.state == FIRING)])

    def trouble(self, situation: Situation) -> list[Trouble]:
        if "prometheus" not in situation.configured:
            return [Trouble("alerts", "not configured", "", "start with --prometheus URL", hard=False)]
        why = unread(situation)
        if why is not None:
            return [Trouble("alerts", why[0].value, why[1])]
        return [] if situation.alerts_read else [Trouble("alerts", NOTHING_READ, hard=False)]

    def age_s(self, situation: Situation) -> float | None:
        return None

    def aside(self, situation: Situation) -> Line:
        return tuple(alert_counts(situation))


def view(asked: Asked) -> PanelView:
    return PanelView(AlertsPanel, asked.situation, appearance=asked.appearance)
