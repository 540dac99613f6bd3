"""Opens views: runbooks, panels in full, pages, logs, and why an object is not healthy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from textual.widget import Widget

from cockpit.app.charts import ChartController
from cockpit.errors import CockpitError
from cockpit.model.signal import ALERT, SIGNAL
from cockpit.model.views import BY_NAME
from panels import messages
from panels.kit.lazy_module import LazyModule
from panels.kit.terminal_app import TerminalApp

if TYPE_CHECKING:
    from cockpit.session import Session
    from panels.app import overlays
    from panels.dashboard.dashboard import Dashboard
else:
    overlays = LazyModule("panels.app.overlays")

CHOOSE_FIRST = "choose a pod or a service in the Pods panel (1), or a signal in Signals, first"
LOG_BACKLOG_PER_POLL = 2000  # lines handed to the log view at once: a burst never holds a key press up


class ViewController:
    """Opens each view of `cockpit.model.views`, and what else only shows."""

    def __init__(self, app: TerminalApp, session: Session, dashboard: Callable[[], Dashboard]) -> None:
        self._app = app
        self._session = session
        self._dashboard = dashboard
        self.charts = ChartController(app, session)

    async def open(self, event: messages.OpenView) -> None:
        """Open a view that a runbook or the palette names.

        From a runbook a panel opens full-size; otherwise, and always for Pods, the dashboard jumps
        to it, because `x` and `l` act on its selection.
        """
        name, args, situation = event.name, event.args, self._session.situation
        service = args.get("service", "")
        if name == "logs":
            query, tail = args.get("filter", ""), int(args.get("tail", "0"))
            if service:
                await self.logs(messages.OpenLogs(self._namespace(args), service=service, query=query, tail=tail))
            else:
                await self.logs_of_selection(query, tail)
        elif name == "runbook":
            await self.runbook(args.get("runbook"))
        elif name == "images":
            self._images()
        elif name == "explain" and not service:
            await self.explain(messages.Explain())
        elif name == "explain":
            found = next((s for s in situation.services if s.name == service), None) if situation is not None else None
            kind = found.kind if found is not None else "Deployment"
            await self.explain(messages.Explain(messages.Selection(kind, self._namespace(args), service)))
        elif name in overlays.MAKERS and (name not in self._dashboard().panels or "show" in args):
            asked = overlays.Asked(name=name, args=args, situation=situation, appearance=self._app.appearance)
            view = overlays.MAKERS[name](asked)
            await self._app.close_layers(type(view))
            await self._app.open_layer(view)
        else:
            await self._panel(name, service)

    async def by_key(self, name: str) -> None:
        """Open a view by its key: of a service, that of the chosen one; of pages, the first."""
        row, args = BY_NAME[name], dict[str, str]()
        if name == "chart":
            args = self._dashboard().focused_panel.charted
        if row.of_service:
            chosen = self._dashboard().selection
            if chosen is None:
                self._app.notify_line(CHOOSE_FIRST)
                return
            service = self._service_of(chosen)
            if not service:
                self._app.notify_line(f"no service's figures tell more of {chosen.name}")
                return
            args = {"service": service}
        elif row.pages:
            args = {"show": next(iter(row.pages))}
        await self.open(messages.OpenView(name, args))

    def _service_of(self, chosen: messages.Selection) -> str:
        """Return the service that a pod's name begins with; a service's own name; a signal's."""
        situation = self._session.situation
        if chosen.kind == SIGNAL:
            from cockpit.assessment.explain.signal import service_of

            return service_of(chosen.name, self._session.runbooks)
        if chosen.kind == ALERT:
            return ""
        names = [s.name for s in situation.services if chosen.name.startswith(f"{s.name}-")] if situation else []
        return max(names, key=len, default=chosen.name) if chosen.kind == "Pod" else chosen.name

    async def _panel(self, name: str, service: str) -> None:
        app, dashboard = self._app, self._dashboard()
        panel = dashboard.panels.get(name)
        if panel is not None and panel is not dashboard.pods and app.base.query(overlays.RunbookView):
            await app.open_layer(overlays.PanelView(type(panel), self._session.situation, appearance=app.appearance))
            return
        await app.close_layers(overlays.RunbookView)
        if not (service and dashboard.jump(service)) and not dashboard.jump(name):
            app.notify_line(f"the view {name} is not available in this version")

    def _images(self) -> None:
        """Open the form of the step that sets an image: it lists what ran before."""
        for runbook in self._session.runbooks.runbooks:
            for step in runbook.mitigations:
                if any((param.choices_from or "").startswith("images") for param in step.params):
                    self._app.post_message(messages.AskParameters(runbook.id, step))
                    return
        self._app.notify_line("no step of the runbooks sets an image")

    def _namespace(self, args: Mapping[str, str]) -> str:
        place = self._session.place
        return args.get("namespace") or (place.namespace if place is not None else "default")

    async def runbook(self, name: str | None = None) -> None:
        """Open the ranked list of runbooks at one of them; None: at the best match."""
        situation = self._session.situation
        if situation is None:
            self._app.notify_line("nothing is known yet: one moment")
            return
        await self._app.close_layers(overlays.RunbookView)
        await self._app.open_layer(overlays.RunbookView(situation, name, appearance=self._app.appearance))

    async def explain(self, event: messages.Explain) -> None:
        chosen = event.selection or self._dashboard().selection
        if chosen is None:
            self._app.notify_line(CHOOSE_FIRST)
            return
        lines = self._session.explain(chosen.kind, chosen.namespace, chosen.name, chosen.uid)
        title = chosen.name if chosen.kind != SIGNAL else self._signal_title(chosen.name)
        await self._app.close_layers(overlays.ExplainView)
        await self._app.open_layer(overlays.ExplainView(f"Why: {title}", lines, appearance=self._app.appearance))

    def _signal_title(self, name: str) -> str:
        signal = self._session.runbooks.signals.get(name)
        return f"{signal.title} ({name})" if signal is not None else name

    async def logs_of(self, event: messages.LogsOf) -> None:
        await self.logs_of_selection(chosen=event.selection)

    async def logs_of_selection(self, query: str = "", tail: int = 0, chosen: messages.Selection | None = None) -> None:
        """Show the logs of what the cursor is on; of a signal, those of its service."""
        chosen = chosen or self._dashboard().selection
        if chosen is None:
            self._app.notify_line(CHOOSE_FIRST)
        elif chosen.kind in (SIGNAL, ALERT):
            service = self._service_of(chosen)
            if service:
                await self.logs(messages.OpenLogs(self._namespace({}), service=service, query=query, tail=tail))
            else:
                self._app.notify_line(f"no service's logs tell more of {chosen.name}")
        elif chosen.kind == "Pod":
            await self.logs(messages.OpenLogs(chosen.namespace, pods=(chosen.name,), query=query, tail=tail))
        else:
            await self.logs(messages.OpenLogs(chosen.namespace, service=chosen.name, query=query, tail=tail))

    async def logs(self, event: messages.OpenLogs) -> None:
        try:
            title = self._session.logs.open(event.namespace, event.pods, event.service, tail=event.tail)
        except CockpitError as error:
            self._app.notify_line(error.line())
            return
        await self._app.close_layers(overlays.LogView)
        await self._app.open_layer(overlays.LogView(title, query=event.query, appearance=self._app.appearance))

    def log_source(self, event: messages.LogSource) -> None:
        """Show another container instance or another time in the log view that is open."""
        self._session.logs.reopen(previous=event.previous, since_s=event.since_s)
        for view in self._app.base.query(overlays.LogView):
            view.clear()

    def closed(self, layer: Widget) -> None:
        """End what was read for this view alone."""
        if isinstance(layer, overlays.LogView):
            self._session.logs.stop()
        elif isinstance(layer, overlays.ChartView):
            self.charts.stop()

    def feed(self) -> None:
        """Hand what came meanwhile to the log view and to the chart, if they are open."""
        self.charts.feed()
        for view in self._app.base.query(overlays.LogView):
            tail = self._session.logs.tail
            if tail is not None:
                view.append(tail.take(LOG_BACKLOG_PER_POLL))
                view.tell(tail.state, tail.dropped)
