"""Composes the dashboard, binds keys, hands each request to the controller that does it.

It decides nothing about the world: the controllers ask the session and hand the answers to the
panels.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from cockpit import terminal
from cockpit.app.coach import CoachController
from cockpit.app.incidents import IncidentController
from cockpit.app.maintenance import MaintenanceController
from cockpit.app.mitigations import MitigationController
from cockpit.app.routes import ROUTES, routed
from cockpit.app.views import ViewController
from panels import keys, messages
from panels.app.splash_screen import SplashScreen
from panels.kit.lazy_module import LazyModule, load
from panels.kit.terminal_app import TerminalApp
from panels.kit.theme import Appearance

if TYPE_CHECKING:
    from cockpit.model.situation import Situation
    from cockpit.session import Session
    from panels.app import overlays
    from panels.dashboard.dashboard import Dashboard
else:
    overlays = LazyModule("panels.app.overlays")


FIRST_POLL_S = 0.04  # until the first pods are there
AGE_EVERY_S = 1.0
POLL_S = 0.25  # with a layer open, it is fed this often; no more frames a second than that are drawn for anything
#: Actions that make no sense over a layer.
OFF_OVER_LAYERS = ("filter", "panel", "explain", "logs", "view", "enlarge", "command_palette")
PRELOAD_AFTER_S = 0.5
MOUSE_LEFT, MOUSE_BACK = (
    "the mouse is the terminal's: mark text its own way; S takes it back",
    "the mouse is the cockpit's again",
)
#: What readings are made of has no cycles: looking for them at python's own pace took a twentieth
#: of the CPU and held keys up.
GC_THRESHOLD = (20_000, 20, 50)


def _looked(situation: Situation) -> bool:
    """Return whether the cluster has answered whole, or said why not."""
    return all(not light.state.starting for light in situation.sources if light.name == "k8s")


class CockpitApp(TerminalApp):
    """Starts its `Session` after the first paint and closes it at the end."""

    TITLE = "m0-cockpit"
    CSS = "Screen { layers: default dialog lesson; overflow: hidden; }"
    DEFAULT_CSS = """
    Screen.coached > KeyBar { margin: 0 0 2 0; }
    Screen.coached > Overlay { margin: 0 0 2 0; }
    """
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS: ClassVar[set[Any]] = set()  # textual's own are no help at 3 a.m.; see `action_command_palette`
    BINDINGS: ClassVar[list[BindingType]] = [*keys.APP]

    def __init__(
        self,
        session: Session,
        *,
        ascii_only: bool = False,
        colours: str = "truecolor",
        debug_errors: bool = False,
        relay: str = "",
    ) -> None:
        links = session.settings.links
        sent = terminal.hyperlinks(links.hyperlinks)
        appearance = Appearance(ascii_only, colours, links.templates, sent, session.settings.keys)
        super().__init__(appearance, debug_errors=debug_errors, relay=relay, mouse=session.settings.mouse)
        self.session = session
        self.views: ViewController = ViewController(self, session, lambda: self.dashboard)
        self.mitigations: MitigationController = MitigationController(self, session, self.views.open)
        self.incidents: IncidentController = IncidentController(self, session)
        self.maintenance: MaintenanceController = MaintenanceController(self, session)
        self.coaching: CoachController = CoachController(self, session)
        self._dashboard: Dashboard | None = None
        self._shown: Situation | None = None
        self._shown_at = float("-inf")  # on the loop's clock
        self._polling: Timer | None = None  # the quick one at the start, then that of open layers
        self._settled_down = False
        self._said_unfinished = False
        self._said_trouble = False
        if session.settings.keys:
            import_module("panels.app.keymap").check(session.settings.keys)
        self.set_keymap(dict(session.settings.keys))

    # --- life -------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        settings = self.session.settings
        yield SplashScreen("/".join(filter(None, (settings.context, *settings.namespaces))), self.appearance)

    def on_mount(self) -> None:
        self.listen()
        self.hold_keys()
        self.call_after_refresh(self._start)

    async def _start(self) -> None:
        """Start after the first paint: importing clients and panels takes longer than painting."""
        self.session.start(self._on_situation(asyncio.get_running_loop()))
        from panels.app.keybar import KeyBar
        from panels.dashboard.dashboard import Dashboard

        self._dashboard = Dashboard(self.appearance)
        await self.mount(self._dashboard, KeyBar(self.appearance, keys.footer(self.session.settings.keys)))
        await self.query_one(SplashScreen).remove()
        self._polling = self.set_interval(FIRST_POLL_S, self.in_turn(self._poll))
        self.set_interval(AGE_EVERY_S, self.in_turn(self._age))
        await self._poll()
        self.release_keys()

    def _on_situation(self, loop: asyncio.AbstractEventLoop) -> Callable[[bool], None]:
        """Return what the sources' thread calls when something new is known.

        It need not wait for the next poll, but no more frames are drawn for it than polls would.
        """
        tick = self.in_turn(self._poll)

        def draw_soon(urgent: bool) -> None:
            if urgent or loop.time() - self._shown_at >= POLL_S:
                tick()

        def tell(urgent: bool) -> None:
            with contextlib.suppress(RuntimeError):  # the screen has ended meanwhile
                loop.call_soon_threadsafe(draw_soon, urgent)

        return tell

    @property
    def dashboard(self) -> Dashboard:
        """Return the dashboard, there from the second frame on; no key is let in before."""
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

    def finish(self) -> None:
        if self.session.executor is not None:
            self.session.executor.close(60.0, cut_off=True)

    # --- the situation, down to the panels --------------------------------------------------------

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
            await self._draw(situation)
            if self.layers():
                self.mitigations.refresh_choices()
        await self._say_once()
        if self.layers():
            self.mitigations.follow_progress(self.session.progress)
            self.mitigations.judge_again()
            self.views.feed()
        elif self._settled_down and not self._opening and self.coaching.coach is None and self._polling is not None:
            self._polling.pause()  # what is new comes by `_on_situation`
        await self.coaching.follow()

    async def _draw(self, situation: Situation) -> None:
        self._shown_at = asyncio.get_running_loop().time()
        for part in self._views():
            if part is self._dashboard:
                await self._dashboard.follow(situation)
            else:
                part.show(situation)

    async def _age(self) -> None:
        """Say by the screen's own clock how old all is, while the sources' thread is held."""
        situation, mono = self.session.situation, self.session.clock.mono()
        if situation is None or self._dashboard is None or self.in_palette or self.ending:
            return
        from cockpit.model.held import HELD_S, aged

        if mono - situation.mono > HELD_S:
            await self._draw(aged(situation, mono))

    def _settle_down(self) -> None:
        """Poll less often from here on, and load what may be opened before anybody asks for it."""
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
            await self.open_layer(overlays.UnfinishedDialog(self.session.unfinished, appearance=self.appearance))
        if self.session.trouble is not None and not self._said_trouble:
            self._said_trouble = True
            self.notify_line(self.session.trouble.line())

    # --- layers -----------------------------------------------------------------------------------

    async def open_layer(self, layer: Widget) -> None:
        if self._polling is not None:
            self._polling.resume()
        await super().open_layer(layer)
        await self.coaching.follow()

    @on(messages.CloseLayer)
    @on(messages.Cancelled)
    async def close_top(self, _: messages.UserRequest | None = None) -> None:
        """Close the uppermost layer, if there is one."""
        layers = self.layers()
        if layers:
            top = layers[-1]
            self.views.closed(top)
            await top.remove()
            self._shown = None  # what was covered is drawn anew
            await self._poll()

    async def action_step_back(self) -> None:
        if self.layers():
            await self.close_top()
        elif self.dashboard.whole and not self.dashboard.focused_panel.filter:
            self.dashboard.enlarge()
        else:
            self.dashboard.set_filter("")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Turn off over a layer what the panels behind have neither filter nor focus for."""
        if action in OFF_OVER_LAYERS and self.layers():
            return False
        return super().check_action(action, parameters)

    # --- keys -------------------------------------------------------------------------------------

    def action_panel(self, name: str) -> None:
        self.dashboard.focus_panel(name)

    @on(messages.OpenRunbooks)
    async def action_runbooks(self) -> None:
        await self.views.runbook()

    async def action_explain(self) -> None:
        await self.views.explain(messages.Explain(self.dashboard.selection))

    async def action_logs(self) -> None:
        await self.views.logs_of_selection()

    async def action_view(self, name: str) -> None:
        await self.views.by_key(name)

    @on(messages.Enlarge)
    def action_enlarge(self) -> None:
        if not self.layers():
            self.dashboard.enlarge()

    async def action_undo(self) -> None:
        await self.mitigations.undo(messages.Undo())

    @on(messages.AskKillSwitch)
    async def action_kill_switch(self) -> None:
        await self.mitigations.kill_switch()

    async def action_stop_running(self) -> None:
        await self.mitigations.ask_stop(messages.AskStop())

    @on(messages.OpenIncident)
    async def action_incident(self) -> None:
        await self.incidents.open()

    async def action_filter(self) -> None:
        """Mount it before the next key is read.

        `/quant` may come in one piece, and `q` must not quit.
        """
        panel = self.dashboard.focused_panel
        await self.open_layer(overlays.FilterBar(panel.filter, appearance=self.appearance))

    @on(messages.FilterChanged)
    async def _filter_changed(self, event: messages.FilterChanged) -> None:
        self.dashboard.set_filter(event.text)
        if event.done or event.cancelled:
            await self.close_top()

    @on(messages.OpenHelp)
    async def action_help(self) -> None:
        if not self.base.query(overlays.HelpDialog):
            await self.open_layer(
                overlays.HelpDialog(keys.help_rows(self.session.settings.keys), appearance=self.appearance)
            )

    async def action_leave(self) -> None:
        running = [p for p in self.session.progress if p.running]
        now = getattr(self.session.situation, "incident", None)
        incident = now.incident if now is not None else None
        if not (running or incident) or self.base.query(overlays.QuitDialog):
            self.end(0)
            return
        if self.in_palette:
            self.pop_screen()
        await self.open_layer(overlays.QuitDialog(running, incident, appearance=self.appearance))

    @on(messages.QuitAnswer)
    async def _quit_answer(self, event: messages.QuitAnswer) -> None:
        if event.leave:
            self.end(0)
        else:
            await self.close_top()

    def action_suspend_process(self) -> None:
        from cockpit.model.plan import Phase

        if any(p.phase is Phase.SENDING for p in self.session.progress):
            self.notify_line("not now: a request is on its way")
        else:
            super().action_suspend_process()

    @on(messages.CopyText)
    def _copy(self, event: messages.CopyText) -> None:
        self.copy_line(event.text, event.what)

    # --- requests, each to its controller ---------------------------------------------------------

    @routed
    async def _route(self, request: messages.UserRequest) -> None:
        done = ROUTES[type(request)](self, request)
        if done is not None:
            await done

    @on(messages.ManualAnswer)
    async def _manual_answer(self, event: messages.ManualAnswer) -> None:
        await self.close_top()
        self.run_worker(self._note(event), exit_on_error=False, group="note")

    async def _note(self, event: messages.ManualAnswer) -> None:
        await self.mitigations.note(event)
        self.maintenance.answered()

    # --- the palette ------------------------------------------------------------------------------

    async def action_command_palette(self) -> None:  # type: ignore[override]
        """Open, with the focus in its line, before the next key is read."""
        if not self.in_palette:
            palette = CommandPalette(
                [overlays.provider(self._commands)], placeholder="a step, runbook, panel or service"
            )
            await self.push_screen(palette, self._behind_palette)
            palette.set_focus(palette.query_one(Input))

    async def _behind_palette(self, _: object) -> None:
        """Poll once, as nothing was drawn behind the palette while it was open."""
        await self._poll()

    def _commands(self) -> list[overlays.Command]:
        offered = overlays.commands(self.session.situation, self.session.runbooks, self.appearance.links)
        return [*offered, *self.coaching.commands()]
