"""The Textual App: composes the dashboard, binds keys, routes what the operator wants to the session.

It decides nothing about the world: it asks the session and hands the answers to the panels.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.widget import Widget

from cockpit.model.plan import Phase, Plan, Progress
from cockpit.model.runbook import Runbook, Step
from cockpit.model.situation import Situation
from cockpit.session import Session
from cockpit.text import safe
from panels import keys
from panels import messages as wish
from panels.commands import commands
from panels.dashboard import Dashboard
from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.filter import FilterBar
from panels.dialogs.help import HelpDialog
from panels.dialogs.manual import ManualDialog
from panels.dialogs.notice import NoticeDialog
from panels.dialogs.overlay import Overlay, topmost
from panels.dialogs.palette import Command, provider
from panels.dialogs.parameters import ParametersDialog
from panels.dialogs.quit import QuitDialog
from panels.dialogs.unfinished import UnfinishedDialog
from panels.driver import CockpitDriver
from panels.keybar import KeyBar
from panels.screens.explain import ExplainView
from panels.screens.logs import LogView
from panels.screens.runbook import RunbookView
from panels.theme import THEME, Look

POLL_S = 0.25  # the screen looks for a newer situation this often
LOG_BACKLOG_PER_POLL = 2000  # lines handed to the log view at once: a burst never holds a key press up


class CockpitApp(App[int]):
    """The cockpit's screen over a `Session`, which it starts after the first paint and closes at the end."""

    TITLE = "m0-cockpit"
    CSS = "Screen { layers: default dialog; overflow: hidden; }"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS: ClassVar[set[Any]] = set()  # textual's own are no help at 3 a.m.; see `action_command_palette`
    BINDINGS: ClassVar[list[BindingType]] = [*keys.APP]

    def __init__(
        self, session: Session, *, ascii_only: bool = False, colours: str = "truecolor", debug_errors: bool = False
    ) -> None:
        super().__init__(driver_class=CockpitDriver, ansi_color=colours in ("none", "standard"))
        self.session = session
        self.look = Look(ascii=ascii_only, colours=colours)
        self.last_words: list[str] = []
        self._debug_errors = debug_errors
        self._shown: Situation | None = None
        self._said_unfinished = False
        self._said_trouble = False
        self.register_theme(THEME)
        self.theme = "cockpit"
        self.set_keymap(dict(session.settings.keys))

    # --- life ----------------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield Dashboard(self.look)
        yield KeyBar(self.look)

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            loop.add_signal_handler(number, partial(self._end, 128 + number))
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        """After the first paint: importing the clients takes longer than painting."""
        self.session.start()
        self.set_interval(POLL_S, self._poll)
        self.set_interval(1.0, self._watch_terminal)

    def _end(self, code: int) -> None:
        self.exit(code, return_code=code)

    async def on_unmount(self) -> None:
        settled = await asyncio.to_thread(self.session.close)
        if not settled:
            self.last_words.append(
                "a mitigation was still under way: what was sent stays sent; the next start says how it ended"
            )

    def _watch_terminal(self) -> None:
        driver = self._driver
        if isinstance(driver, CockpitDriver):
            if driver.hung_up():
                self._end(129)
            elif driver.recovered():
                self.screen.refresh(layout=True)

    def _fatal_error(self) -> None:
        """As textual's, without locals: a traceback must not show secrets (rule 4)."""
        error = self._exception
        words = f"{type(error).__name__}: {safe(error)}" if error is not None else "unknown error"
        self.last_words.append(
            f"m0-cockpit: a bug stopped the screen: {words} (run again with --debug for the traceback)"
        )
        if self._debug_errors and error is not None:
            import traceback

            self.last_words += [safe(line) for line in "".join(traceback.format_exception(error)).splitlines()]
        self._close_messages_no_wait()

    # --- the situation, down to the panels --------------------------------------------------------------------------------

    def _poll(self) -> None:
        """Hand the newest situation to what is on screen. While the palette is open, painting behind it is paused."""
        situation = self.session.situation
        if situation is None or isinstance(self.screen, CommandPalette):
            return
        if situation is not self._shown:
            self._shown = situation
            for part in self._views():
                part.show(situation)
        self._follow_progress(self.session.progress)
        self._say_once()
        for view in self.screen.query(LogView):
            self._feed(view)

    def _views(self) -> list[Any]:
        if self.screen.query(LogView):
            return []
        return list(self.screen.query(RunbookView)) or [self.query_one(Dashboard)]

    def _follow_progress(self, progress: tuple[Progress, ...]) -> None:
        for dialog in self.screen.query(ConfirmDialog):
            mine = next((p for p in progress if dialog.plan is not None and p.plan.id == dialog.plan.id), None)
            if mine is not None and mine.phase is Phase.STALE:
                dialog.changed(mine.words)
            elif mine is not None and mine.phase is not Phase.SENDING:
                dialog.show_progress(mine)

    def _say_once(self) -> None:
        if self.session.unfinished and not self._said_unfinished:
            self._said_unfinished = True
            self._open(UnfinishedDialog(self.session.unfinished, look=self.look))
        if self.session.trouble is not None and not self._said_trouble:
            self._said_trouble = True
            self.notify_line(self.session.trouble.reason)

    def notify_line(self, words: str, severity: str = "warning") -> None:
        """A passing line. Never markup: the words may come from outside."""
        self.notify(safe(words), markup=False, severity="error" if severity == "error" else "warning", timeout=6)

    # --- layers ----------------------------------------------------------------------------------------------------------

    def _layers(self) -> list[Widget]:
        return [w for w in self.screen.children if isinstance(w, Overlay | FilterBar)]

    def _open(self, layer: Widget) -> None:
        self.screen.mount(layer)

    @on(wish.CloseLayer)
    @on(wish.Cancelled)
    def _close_top(self, _: wish.Wish | None = None) -> None:
        layers = self._layers()
        if layers:
            top = layers[-1]
            top.remove()
            if isinstance(top, LogView):
                self.session.stop_logs()
            self._shown = None  # what was covered is drawn anew

    def action_step_back(self) -> None:
        if self._layers():
            self._close_top()
        else:
            self.query_one(Dashboard).set_filter("")

    # --- keys ------------------------------------------------------------------------------------------------------------

    def action_panel(self, number: int) -> None:
        self.query_one(Dashboard).focus_panel(number)

    def action_runbooks(self) -> None:
        self.post_message(wish.OpenRunbooks())

    def action_explain(self) -> None:
        self.post_message(wish.Explain(self.query_one(Dashboard).selection))

    def action_logs(self) -> None:
        chosen = self.query_one(Dashboard).selection
        if chosen is None:
            self.notify_line("choose a pod or a service in the Pods panel (1) first")
        elif chosen.kind == "Pod":
            self.post_message(wish.OpenLogs(chosen.namespace, pods=(chosen.name,)))
        else:
            self.post_message(wish.OpenLogs(chosen.namespace, service=chosen.name))

    def action_undo(self) -> None:
        self.post_message(wish.Undo())

    async def action_filter(self) -> None:
        """Mounted before the next key is read: on a slow link `/quant` comes in one piece, and `q` must not quit."""
        panel = self.query_one(Dashboard).focused_panel
        await self.screen.mount(FilterBar(panel.filter, look=self.look))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What makes no sense over an overlay is off there: the panels behind have neither filter nor focus to give."""
        if action in ("filter", "panel", "explain", "logs", "command_palette") and self._covered():
            return False
        return super().check_action(action, parameters)

    def _covered(self) -> bool:
        return bool(self.screen_stack) and topmost(self.screen) is not None

    def action_help(self) -> None:
        self._open(HelpDialog(keys.HELP, look=self.look))

    def action_leave(self) -> None:
        running = [p for p in self.session.progress if p.running]
        if running and not self.screen.query(QuitDialog):
            self._open(QuitDialog(running, look=self.look))
        else:
            self._end(0)

    def action_suspend_process(self) -> None:
        if any(p.phase is Phase.SENDING for p in self.session.progress):
            self.notify_line("not now: a request is on its way")
        else:
            super().action_suspend_process()

    @on(wish.QuitAnswer)
    def _quit_answer(self, event: wish.QuitAnswer) -> None:
        if event.leave:
            self._end(0)
        else:
            self._close_top()

    @on(wish.FilterChanged)
    def _filter_changed(self, event: wish.FilterChanged) -> None:
        self.query_one(Dashboard).set_filter(event.text)
        if event.done or event.cancelled:
            self._close_top()

    @on(wish.OpenHelp)
    def _open_help(self) -> None:
        self.action_help()

    @on(wish.CopyText)
    def _copy(self, event: wish.CopyText) -> None:
        self.copy_to_clipboard(event.text)
        self.notify(f"{event.what} copied (if the terminal allows OSC 52)", markup=False, timeout=3)

    # --- looking ---------------------------------------------------------------------------------------------------------

    @on(wish.OpenRunbooks)
    def _open_runbooks(self) -> None:
        self._open_runbook(None)

    @on(wish.OpenRunbook)
    def _open_one_runbook(self, event: wish.OpenRunbook) -> None:
        self._open_runbook(event.name)

    def _open_runbook(self, name: str | None) -> None:
        situation = self.session.situation
        if situation is None:
            self.notify_line("nothing is known yet: one moment")
            return
        for view in self.screen.query(RunbookView):
            view.remove()
        view = RunbookView(situation, name, look=self.look)
        self._open(view)

    @on(wish.Explain)
    def _explain(self, event: wish.Explain) -> None:
        chosen = event.selection or self.query_one(Dashboard).selection
        if chosen is None:
            self.notify_line("choose a pod or a service in the Pods panel (1) first")
            return
        self._open(
            ExplainView(
                f"Why: {chosen.name}",
                self.session.explain(chosen.kind, chosen.namespace, chosen.name, chosen.uid),
                look=self.look,
            )
        )

    @on(wish.OpenView)
    def _open_view(self, event: wish.OpenView) -> None:
        """A view that a runbook names: logs over everything, else the panel of that name."""
        if event.name == "logs":
            namespace = self.session.place.namespace if self.session.place else "default"
            args = event.args
            self._open_logs(wish.OpenLogs(namespace, service=args.get("service"), query=args.get("filter", "")))
            return
        for view in self.screen.query(RunbookView):
            view.remove()
        dashboard = self.query_one(Dashboard)
        name = {"rpc": "publish"}.get(event.name, event.name)
        if not dashboard.jump(event.args.get("service", name)) and not dashboard.jump(name):
            self.notify_line(f"the view {event.name} is not available in this version")

    @on(wish.OpenLogs)
    def _open_logs(self, event: wish.OpenLogs) -> None:
        try:
            title = self.session.open_logs(event.namespace, event.pods, event.service)
        except LookupError as error:
            self.notify_line(str(error))
            return
        for view in self.screen.query(LogView):
            view.remove()
        self._open(LogView(title, query=event.query, look=self.look))

    @on(wish.LogSource)
    def _log_source(self, event: wish.LogSource) -> None:
        self.session.reopen_logs(previous=event.previous, since_s=event.since_s)
        for view in self.screen.query(LogView):
            view.clear()

    def _feed(self, view: LogView) -> None:
        tail = self.session.logs
        if tail is not None:
            view.append(tail.take(LOG_BACKLOG_PER_POLL))
            view.tell(tail.state, tail.dropped)

    # --- acting: plan, confirm, carry out ----------------------------------------------------------------------------------

    @on(wish.AskParameters)
    def _ask(self, event: wish.AskParameters) -> None:
        step = event.step
        live = {param.name: self.session.choices(param) for param in step.params}
        self._open(ParametersDialog(event.runbook_id, step, live, look=self.look))

    @on(wish.PlanStep)
    def _plan_step(self, event: wish.PlanStep) -> None:
        book, step = self.session.runbooks.step(event.runbook_id, event.step_id)
        if step.params and not event.parameters:
            self._ask(wish.AskParameters(book.id, step))
        elif step.kind == "view":
            self._open_view(wish.OpenView(step.view or "", step.args))
        elif step.kind == "check":
            self._open(NoticeDialog(step.title, self.session.check(step), look=self.look))
        elif step.kind == "manual":
            self._open(ManualDialog(book.id, step, look=self.look))
        else:
            self._plan(book, step, event.parameters)

    def _plan(self, book: Runbook, step: Step, parameters: dict[str, str]) -> None:
        for form in self.screen.query(ParametersDialog):
            form.remove()
        self._confirm(f"{step.title}", partial(self.session.plan, book, step, parameters))

    @on(wish.Undo)
    def _undo(self, event: wish.Undo) -> None:
        self._close_dialogs()
        self._confirm("Undo", partial(self.session.plan_undo, event.number))

    @on(wish.PlanAgain)
    def _plan_again(self, event: wish.PlanAgain) -> None:
        plan = event.plan
        self._close_dialogs()
        if plan.undoes is not None:
            self._confirm("Undo", partial(self.session.plan_undo, plan.undoes))
        else:
            book, step = self.session.runbooks.step(plan.runbook, plan.step)
            self._plan(book, step, dict(plan.parameters))

    def _close_dialogs(self) -> None:
        for dialog in self.screen.query(ConfirmDialog):
            dialog.remove()

    def _confirm(self, title: str, plan: Callable[[], Future[Plan]]) -> None:
        """Open the dialog at once; it fills when the plan is there."""
        production = self.session.place.production if self.session.place else True
        dialog = ConfirmDialog(self.session.clock.mono, title=title, production=production, look=self.look)
        self._open(dialog)
        self.run_worker(self._planned(dialog, plan), exit_on_error=False, group="plan")

    async def _planned(self, dialog: ConfirmDialog, plan: Callable[[], Future[Plan]]) -> None:
        try:
            made = await asyncio.wrap_future(plan())
        except Exception as error:
            dialog.show_problem(getattr(error, "reason", None) or safe(error), getattr(error, "remedy", ""))
        else:
            dialog.show_plan(made)

    @on(wish.Confirmed)
    def _confirmed(self, event: wish.Confirmed) -> None:
        future = self.session.carry_out(event.plan, event.typed)
        self.run_worker(self._sent(future), exit_on_error=False, group="send")

    async def _sent(self, future: Future[Progress]) -> None:
        try:
            progress = await asyncio.wrap_future(future)
        except Exception as error:
            for dialog in self.screen.query(ConfirmDialog):
                dialog.show_problem(getattr(error, "reason", None) or safe(error), getattr(error, "remedy", ""))
        else:
            self._follow_progress((progress,))

    @on(wish.StopWatching)
    def _stop_watching(self, event: wish.StopWatching) -> None:
        self.session.acting().stop_watching(event.plan_id)

    @on(wish.Answer)
    def _answer(self, event: wish.Answer) -> None:
        self._close_top()
        self.session.note(event.runbook_id, event.step_id, event.text)

    # --- the palette -------------------------------------------------------------------------------------------------------

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(
                CommandPalette([provider(self._commands)], placeholder="a step, runbook, panel or service")
            )

    def _commands(self) -> list[Command]:
        return commands(self.session.situation, self.session.runbooks, self.query_one(Dashboard).panels.values())
