"""The Textual App: composes the dashboard, binds keys, routes what the operator wants to the
session.

It decides nothing about the world: it asks the session and hands the answers to the panels.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.timer import Timer
from textual.widgets import Input

from cockpit import terminal
from cockpit.errors import CockpitError
from panels import keys, messages
from panels.app.coach import CoachedApp
from panels.app.splash_screen import SplashScreen
from panels.kit.lazy_module import LazyModule, load
from panels.kit.theme import Appearance

if TYPE_CHECKING:
    from textual.widget import Widget

    from cockpit.model.situation import Situation
    from cockpit.session import Session
    from panels.app import overlays
    from panels.dashboard.dashboard import Dashboard
else:
    overlays = LazyModule("panels.app.overlays")


FIRST_POLL_S = 0.04  # until the first pods are there
POLL_S = 0.25  # with a layer open, it is fed this often; no more frames a second than that are drawn for anything
CHOOSE_FIRST = "choose a pod or a service in the Pods panel (1) first"
#: Actions that make no sense over a layer.
OFF_OVER_LAYERS = ("filter", "panel", "explain", "logs", "command_palette")
PRELOAD_AFTER_S = 0.5
#: What readings are made of has no cycles: looking for them at python's own pace took a twentieth
#: of the CPU and held keys up.
GC_THRESHOLD = (20_000, 20, 50)
LOG_BACKLOG_PER_POLL = 2000  # lines handed to the log view at once: a burst never holds a key press up


def _looked(situation: Situation) -> bool:
    """Whether the cluster has answered whole, or said why not."""
    return all(not light.state.starting for light in situation.sources if light.name == "k8s")


class CockpitApp(CoachedApp):
    """The cockpit's screen over a `Session`, which it starts after the first paint and closes at
    the end.
    """

    TITLE = "m0-cockpit"
    CSS = "Screen { layers: default dialog lesson; overflow: hidden; }"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS: ClassVar[set[Any]] = set()  # textual's own are no help at 3 a.m.; see `action_command_palette`
    BINDINGS: ClassVar[list[BindingType]] = [*keys.APP]

    def __init__(
        self, session: Session, *, ascii_only: bool = False, colours: str = "truecolor", debug_errors: bool = False
    ) -> None:
        links = session.settings.links
        look = Appearance(
            ascii=ascii_only, colours=colours, links=links.templates, hyperlinks=terminal.hyperlinks(links.hyperlinks)
        )
        super().__init__(session, look, debug_errors=debug_errors)
        self.session = session
        self._dashboard: Dashboard | None = None
        self._shown: Situation | None = None
        self._shown_at = float("-inf")  # on the loop's clock
        self._polling: Timer | None = None  # the quick one at the start, then that of open layers
        self._settled_down = False
        self._said_unfinished = False
        self._said_trouble = False
        self.set_keymap(dict(session.settings.keys))

    # --- life ----------------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        settings = self.session.settings
        yield SplashScreen("/".join(filter(None, (settings.context, *settings.namespaces))), self.look)

    def on_mount(self) -> None:
        self.listen()
        self.hold_keys()
        self.call_after_refresh(self._start)

    async def _start(self) -> None:
        """After the first paint: importing the clients and the panels takes longer than painting."""
        self.session.start(self._told(asyncio.get_running_loop()))
        from panels.app.keybar import KeyBar
        from panels.dashboard.dashboard import Dashboard

        self._dashboard = Dashboard(self.look)
        await self.mount(self._dashboard, KeyBar(self.look))
        await self.query_one(SplashScreen).remove()
        self._polling = self.set_interval(FIRST_POLL_S, self.in_turn(self._poll))
        await self._poll()
        self.release_keys()

    def _told(self, loop: asyncio.AbstractEventLoop) -> Callable[[bool], None]:
        """What the sources' thread calls when something new is known: it need not wait for the next
        poll, but no more frames are drawn for it than polls would.
        """
        tick = self.in_turn(self._poll)

        def look(urgent: bool) -> None:
            if urgent or loop.time() - self._shown_at >= POLL_S:
                tick()

        def tell(urgent: bool) -> None:
            with contextlib.suppress(RuntimeError):  # the screen has ended meanwhile
                loop.call_soon_threadsafe(look, urgent)

        return tell

    @property
    def dashboard(self) -> Dashboard:
        """There from the second frame on; no key is let in before."""
        assert self._dashboard is not None
        return self._dashboard

    async def on_unmount(self) -> None:
        # a hang-up, a signal or a bug, not the operator, ended what was being watched: the next
        # start takes it up
        settled = await asyncio.to_thread(self.session.close, cut_off=bool(self.return_code))
        if not settled:
            self.last_words.append(
                "a mitigation was still under way: what was sent stays sent; the next start says how it ended"
            )

    # --- the situation, down to the panels --------------------------------------------------------------------------------

    async def _poll(self) -> None:
        """Hand the newest situation to what is on screen.

        While the palette is open, painting behind it is paused.
        """
        situation = self.session.situation
        if situation is None or self._dashboard is None or self.in_palette:
            return
        if situation is not self._shown:
            if not self._settled_down and (_looked(situation) or self.session.ready.is_set()):
                self._settle_down()
            self._shown = situation
            self._shown_at = asyncio.get_running_loop().time()
            for part in self._views():
                if part is self._dashboard:
                    await self._dashboard.follow(situation)
                else:
                    part.show(situation)
            if self.layers():
                self.refresh_choices()
        await self._say_once()
        if self.layers():
            self.follow_progress(self.session.progress)
            for view in self.base.query(overlays.LogView):
                self._feed(view)
        elif self._settled_down and not self._opening and self.coach is None and self._polling is not None:
            self._polling.pause()  # what is new is told by `_told`
        await self.coached()

    def _settle_down(self) -> None:
        """The first pods are there: look less often, and load what may be opened before anybody
        asks for it.
        """
        self._settled_down = True
        if self._polling is not None:
            self._polling.stop()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLD)
            gc.enable()
        self._polling = self.set_interval(POLL_S, self.in_turn(self._poll))
        self.set_timer(PRELOAD_AFTER_S, lambda: self.run_worker(load("panels.app.overlays"), exit_on_error=False))

    def _views(self) -> list[Any]:
        if not self.layers():
            return [self.dashboard]
        for view in reversed(self.layers()):
            if isinstance(view, overlays.View):
                return [view]
        return [self.dashboard]

    async def _say_once(self) -> None:
        if self.session.unfinished and not self._said_unfinished:
            self._said_unfinished = True
            await self.open_layer(overlays.UnfinishedDialog(self.session.unfinished, look=self.look))
        if self.session.trouble is not None and not self._said_trouble:
            self._said_trouble = True
            self.notify_line(self.session.trouble.reason)

    # --- layers ----------------------------------------------------------------------------------------------------------

    async def open_layer(self, layer: Widget) -> None:
        if self._polling is not None:
            self._polling.resume()
        await super().open_layer(layer)

    @on(messages.CloseLayer)
    @on(messages.Cancelled)
    async def close_top(self, _: messages.UserRequest | None = None) -> None:
        layers = self.layers()
        if layers:
            top = layers[-1]
            if isinstance(top, overlays.LogView):
                self.session.stop_logs()
            await top.remove()
            self._shown = None  # what was covered is drawn anew
            await self._poll()

    async def action_step_back(self) -> None:
        if self.layers():
            await self.close_top()
        else:
            self.dashboard.set_filter("")

    # --- keys ------------------------------------------------------------------------------------------------------------

    def action_panel(self, name: str) -> None:
        self.dashboard.focus_panel(name)

    @on(messages.OpenRunbooks)
    async def action_runbooks(self) -> None:
        await self._open_runbook(None)

    async def action_explain(self) -> None:
        await self._explain(messages.Explain(self.dashboard.selection))

    async def action_logs(self) -> None:
        chosen = self.dashboard.selection
        if chosen is None:
            self.notify_line(CHOOSE_FIRST)
        elif chosen.kind == "Pod":
            await self._open_logs(messages.OpenLogs(chosen.namespace, pods=(chosen.name,)))
        else:
            await self._open_logs(messages.OpenLogs(chosen.namespace, service=chosen.name))

    async def action_undo(self) -> None:
        await self.undo(messages.Undo())

    async def action_filter(self) -> None:
        """Mounted before the next key is read: on a slow link `/quant` comes in one piece, and `q`
        must not quit.
        """
        panel = self.dashboard.focused_panel
        await self.open_layer(overlays.FilterBar(panel.filter, look=self.look))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What makes no sense over an overlay is off there: the panels behind have neither filter
        nor focus to give.
        """
        if action in OFF_OVER_LAYERS and self.screen_stack and self.layers():
            return False
        return super().check_action(action, parameters)

    @on(messages.OpenHelp)
    async def action_help(self) -> None:
        if not self.base.query(overlays.HelpDialog):
            await self.open_layer(overlays.HelpDialog(keys.HELP, look=self.look))

    async def action_leave(self) -> None:
        running = [p for p in self.session.progress if p.running]
        if not running or self.base.query(overlays.QuitDialog):
            self.end(0)
            return
        if self.in_palette:
            self.pop_screen()
        await self.open_layer(overlays.QuitDialog(running, look=self.look))

    def action_suspend_process(self) -> None:
        from cockpit.model.plan import Phase

        if any(p.phase is Phase.SENDING for p in self.session.progress):
            self.notify_line("not now: a request is on its way")
        else:
            super().action_suspend_process()

    @on(messages.QuitAnswer)
    async def _quit_answer(self, event: messages.QuitAnswer) -> None:
        if event.leave:
            self.end(0)
        else:
            await self.close_top()

    @on(messages.FilterChanged)
    async def _filter_changed(self, event: messages.FilterChanged) -> None:
        self.dashboard.set_filter(event.text)
        if event.done or event.cancelled:
            await self.close_top()

    @on(messages.CopyText)
    def _copy(self, event: messages.CopyText) -> None:
        self.copy_line(event.text, event.what)

    # --- looking ---------------------------------------------------------------------------------------------------------

    @on(messages.OpenRunbook)
    async def _open_one_runbook(self, event: messages.OpenRunbook) -> None:
        await self._open_runbook(event.name)

    async def _open_runbook(self, name: str | None) -> None:
        situation = self.session.situation
        if situation is None:
            self.notify_line("nothing is known yet: one moment")
            return
        await self.close_layers(overlays.RunbookView)
        await self.open_layer(overlays.RunbookView(situation, name, look=self.look))

    @on(messages.Explain)
    async def _explain(self, event: messages.Explain) -> None:
        chosen = event.selection or self.dashboard.selection
        if chosen is None:
            self.notify_line(CHOOSE_FIRST)
            return
        lines = self.session.explain(chosen.kind, chosen.namespace, chosen.name, chosen.uid)
        await self.open_layer(overlays.ExplainView(f"Why: {chosen.name}", lines, look=self.look))

    @on(messages.OpenView)
    async def open_view(self, event: messages.OpenView) -> None:
        """A view that a runbook or the palette names.

        From a runbook a panel opens full-size; otherwise, and always for Pods, the dashboard jumps
        to it, because `x` and `l` act on its selection.
        """
        name, args, situation = event.name, event.args, self.session.situation
        service = args.get("service", "")
        if name == "logs":
            wanted = messages.OpenLogs(self._namespace(args), service=service or None, query=args.get("filter", ""))
            await self._open_logs(wanted)
        elif name == "explain":
            found = next((s for s in situation.services if s.name == service), None) if situation is not None else None
            kind = found.kind if found is not None else "Deployment"
            await self._explain(messages.Explain(messages.Selection(kind, self._namespace(args), service)))
        elif name in overlays.WIDGETS and (name not in self.dashboard.panels or "show" in args):
            view = overlays.WIDGETS[name](overlays.Asked(name=name, args=args, situation=situation, look=self.look))
            await self.close_layers(type(view))
            await self.open_layer(view)
        else:
            await self._open_panel(name, service)

    async def _open_panel(self, name: str, service: str) -> None:
        dashboard = self.dashboard
        panel = dashboard.panels.get(name)
        if panel is not None and panel is not dashboard.pods and self.base.query(overlays.RunbookView):
            await self.open_layer(overlays.PanelView(type(panel), self.session.situation, look=self.look))
            return
        await self.close_layers(overlays.RunbookView)
        if not (service and dashboard.jump(service)) and not dashboard.jump(name):
            self.notify_line(f"the view {name} is not available in this version")

    def _namespace(self, args: Mapping[str, str]) -> str:
        return args.get("namespace") or (self.session.place.namespace if self.session.place else "default")

    @on(messages.OpenLogs)
    async def _open_logs(self, event: messages.OpenLogs) -> None:
        try:
            title = self.session.open_logs(event.namespace, event.pods, event.service)
        except CockpitError as error:
            self.notify_line(error.reason)
            return
        await self.close_layers(overlays.LogView)
        await self.open_layer(overlays.LogView(title, query=event.query, look=self.look))

    @on(messages.LogSource)
    def _log_source(self, event: messages.LogSource) -> None:
        self.session.reopen_logs(previous=event.previous, since_s=event.since_s)
        for view in self.base.query(overlays.LogView):
            view.clear()

    def _feed(self, view: overlays.LogView) -> None:
        tail = self.session.logs
        if tail is not None:
            view.append(tail.take(LOG_BACKLOG_PER_POLL))
            view.tell(tail.state, tail.dropped)

    # --- the palette -------------------------------------------------------------------------------------------------------

    async def action_command_palette(self) -> None:  # type: ignore[override]
        """Open, with the focus in its line, before the next key is read."""
        if not self.in_palette:
            palette = CommandPalette(
                [overlays.provider(self._commands)], placeholder="a step, runbook, panel or service"
            )
            await self.push_screen(palette, self._behind_palette)
            palette.set_focus(palette.query_one(Input))

    async def _behind_palette(self, _: object) -> None:
        """Nothing was drawn behind it while it was open."""
        await self._poll()

    def _commands(self) -> list[overlays.Command]:
        told = overlays.commands(self.session.situation, self.session.runbooks, self.look.links)
        return [*told, *self.coach_commands()]
