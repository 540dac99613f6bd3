"""Maps the name of each view that is no panel to the widget that shows it.

`logs` and `explain` are not here: what they show is not in the situation, the app fetches it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cockpit.model.situation import Situation
from cockpit.model.views import VIEWS
from panels.kit.theme import Appearance
from panels.screens.alerts import AlertsPanel
from panels.screens.chain import ChainView
from panels.screens.maintenance import MaintenanceView
from panels.screens.metrics import MetricsView
from panels.screens.panel import PanelView
from panels.screens.postgres.view import PostgresView
from panels.screens.view import View


@dataclass(frozen=True, slots=True)
class Asked:
    """Holds a view as it was asked for; `args` are as runbooks write them."""

    name: str
    args: Mapping[str, str]
    situation: Situation | None
    appearance: Appearance

    @property
    def page(self) -> str:
        return self.args.get("show", "")


def _chain(asked: Asked) -> View:
    return ChainView(asked.name, asked.situation, appearance=asked.appearance)


WIDGETS: Mapping[str, Callable[[Asked], View]] = {
    "metrics": lambda asked: MetricsView(asked.args.get("service", ""), asked.situation, appearance=asked.appearance),
    "alerts": lambda asked: PanelView(AlertsPanel, asked.situation, appearance=asked.appearance),
    "postgres": lambda asked: PostgresView(asked.page, asked.situation, appearance=asked.appearance),
    "maintenance": lambda asked: MaintenanceView(asked.page, appearance=asked.appearance),
    **{view.name: _chain for view in VIEWS if view.group == "chain"},
}
