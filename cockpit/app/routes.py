"""Names, for each thing that an operator can ask for, the controller's method that does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from textual import on

from panels import messages

if TYPE_CHECKING:
    from cockpit.app.coach import CoachController
    from cockpit.app.incidents import IncidentController
    from cockpit.app.maintenance import MaintenanceController
    from cockpit.app.mitigations import MitigationController
    from cockpit.app.views import ViewController


class Controllers(Protocol):
    """Owns them: the app."""

    views: ViewController
    mitigations: MitigationController
    incidents: IncidentController
    maintenance: MaintenanceController
    coaching: CoachController


Method = TypeVar("Method", bound=Callable[..., Any])

#: What is not here is done by the app itself.
ROUTES: Mapping[type[messages.UserRequest], Callable[[Controllers, Any], Awaitable[None] | None]] = {
    messages.OpenRunbook: lambda app, asked: app.views.runbook(asked.name),
    messages.OpenView: lambda app, asked: app.views.open(asked),
    messages.Explain: lambda app, asked: app.views.explain(asked),
    messages.WantChart: lambda app, asked: app.views.charts.want(asked),
    messages.LogsOf: lambda app, asked: app.views.logs_of(asked),
    messages.OpenLogs: lambda app, asked: app.views.logs(asked),
    messages.LogSource: lambda app, asked: app.views.log_source(asked),
    messages.AskParameters: lambda app, asked: app.mitigations.ask(asked),
    messages.PlanStep: lambda app, asked: app.mitigations.plan_step(asked),
    messages.PlanAgain: lambda app, asked: app.mitigations.plan_again(asked),
    messages.Undo: lambda app, asked: app.mitigations.undo(asked),
    messages.Confirmed: lambda app, asked: app.mitigations.confirmed(asked),
    messages.StopWatching: lambda app, asked: app.mitigations.stop_watching(asked),
    messages.AskStop: lambda app, asked: app.mitigations.ask_stop(asked),
    messages.StopRunning: lambda app, asked: app.mitigations.stop_running(asked),
    messages.InStages: lambda app, asked: app.mitigations.in_stages(asked),
    messages.OpenSequence: lambda app, asked: app.mitigations.open_sequence(asked),
    messages.PlanPart: lambda app, asked: app.mitigations.plan_part(asked),
    messages.AskIncident: lambda app, asked: app.incidents.ask(asked),
    messages.IncidentAct: lambda app, asked: app.incidents.act(asked),
    messages.MakeRound: lambda app, asked: app.maintenance.make(asked),
    messages.KeepRound: lambda app, asked: app.maintenance.keep(asked),
    messages.CoachAct: lambda app, asked: app.coaching.act(asked),
}


def routed(method: Method) -> Method:
    """Make a method of the app hear of every one of them."""
    for request in ROUTES:
        method = on(request)(method)
    return method
