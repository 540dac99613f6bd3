"""Acting from the screen: a step becomes parameters, a plan, a confirmation, a mitigation that is
followed.

The session does it; this only asks, shows and hands on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from textual import on
from textual.widget import Widget

from cockpit.errors import CockpitError
from panels import messages
from panels.kit.lazy_module import LazyModule, loaded
from panels.kit.terminal_app import TerminalApp
from panels.kit.theme import Appearance

if TYPE_CHECKING:
    from cockpit.clock import Clock
    from cockpit.model.plan import Plan, Progress, SequenceState
    from cockpit.model.runbook import Param, Runbook, Runbooks, Step
    from cockpit.model.situation import Situation
    from panels.app import overlays
else:
    overlays = LazyModule("panels.app.overlays")


class Acts(Protocol):
    """What is asked of the session here.

    Futures and calls raise errors with `reason` and `remedy`.
    """

    clock: Clock

    @property
    def runbooks(self) -> Runbooks: ...
    @property
    def production(self) -> bool: ...
    @property
    def situation(self) -> Situation | None: ...
    def incident(self, action: str, values: Mapping[str, str]) -> str: ...
    def choices(self, param: Param) -> list[tuple[str, str]]: ...
    def plan(self, runbook: Runbook, step: Step, parameters: Mapping[str, str]) -> Future[Plan]: ...
    def plan_undo(self, number: int | None) -> Future[Plan]: ...
    def carry_out(self, plan: Plan, typed: str | None) -> Future[Progress]: ...
    def stop_watching(self, plan_id: str) -> None: ...
    def stop_running(self, plan_id: str) -> None: ...
    @property
    def progress(self) -> tuple[Progress, ...]: ...
    def note(
        self, runbook: str, step: str, text: str, choice: str = "", sequence: tuple[str, int, str] | None = None
    ) -> None: ...
    def explain_choices(self, step: Step) -> Future[Mapping[str, list[tuple[str, str]]]] | None: ...
    def sequence(self, runbook: Runbook, step: Step, run: str = "") -> SequenceState: ...
    def part_of(self, runbook: Runbook, step: Step, index: int) -> Step: ...
    def plan_part(
        self, runbook: Runbook, step: Step, index: int, parameters: Mapping[str, str], run: str = ""
    ) -> Future[Plan]: ...


class ActingApp(TerminalApp):
    """Layers over the panels, and the way of a step through them."""

    def __init__(self, session: Acts, look: Appearance, *, debug_errors: bool = False) -> None:
        super().__init__(look, debug_errors=debug_errors)
        self._acts = session
        self._asked: messages.PlanPart | None = None  # the part of a sequence whose parameters are being asked for
        #: The values that were asked about, so that a new one is too, and none again and again.
        #: Forgotten with the form.
        self._explained_of: WeakKeyDictionary[Widget, frozenset[str]] = WeakKeyDictionary()
        self._given: dict[tuple[str, str], dict[str, str]] = {}  # parameters of a step that is done in stages

    # --- layers --------------------------------------------------------------------------------------------------------

    def layers(self) -> list[Widget]:
        """Lowest first."""
        if not self.screen_stack or not loaded("panels.app.overlays"):
            return []
        return [w for w in self.base.children if isinstance(w, overlays.Overlay)]

    async def open_layer(self, layer: Widget) -> None:
        """Mounted, laid out and with the focus before the next key is read: what is typed ahead is
        meant for it.
        """
        if self.ending:  # a closed screen takes no widget, and the error would change the exit code
            return
        self._opening += 1
        try:
            await self.base.mount(layer)
            await self.laid_out(layer)
        finally:
            self._opening -= 1

    async def close_layers(self, kind: type[Widget]) -> None:
        for layer in self.base.query(kind):
            await layer.remove()

    async def close_top(self) -> None:
        """Close the uppermost layer, if there is one."""
        raise NotImplementedError

    async def open_view(self, event: messages.OpenView) -> None:
        """Open what a `view` step names."""
        raise NotImplementedError

    # --- plan, confirm, carry out --------------------------------------------------------------------------------------

    def follow_progress(self, progress: tuple[Progress, ...]) -> None:
        """In the dialog that confirmed it."""
        from cockpit.model.plan import Phase

        for dialog in self.base.query(overlays.ConfirmDialog):
            mine = next((p for p in progress if dialog.plan is not None and p.plan.id == dialog.plan.id), None)
            if mine is not None and mine.phase is Phase.STALE:
                dialog.changed(mine.words)
            elif mine is not None and (mine.phase is not Phase.SENDING or mine.output or mine.stoppable):
                dialog.show_progress(mine)
        for asking in self.base.query(overlays.StopDialog):
            shown = {p.plan.id for p in asking.running}
            left = [p for p in progress if p.plan.id in shown and p.stoppable]
            if left:
                asking.show_running(left)
            elif any(p.plan.id in shown for p in progress):
                self.call_later(
                    self.close_layers, overlays.StopDialog
                )  # it has ended by itself: there is nothing to ask

    @on(messages.AskParameters)
    async def _ask(self, event: messages.AskParameters) -> None:
        step = event.step
        live = {param.name: self._acts.choices(param) for param in step.params}
        dialog = overlays.ParametersDialog(event.runbook_id, step, live, look=self.look)
        await self.open_layer(dialog)
        self._explained_of[dialog] = dialog.unexplained
        self.run_worker(self._explain_choices(dialog, step), exit_on_error=False, group="choices")

    def refresh_choices(self) -> None:
        """In an open form, what is on offer now: what was not known when it opened comes in, and
        measurements move on.
        """
        for dialog in self.base.query(overlays.ParametersDialog):
            for param in dialog.step.params:
                if param.choices_from:
                    dialog.refill(param.name, self._acts.choices(param))
            values = dialog.unexplained - self._explained_of.get(dialog, frozenset())
            if values:
                self._explained_of[dialog] = dialog.unexplained
                self.run_worker(self._explain_choices(dialog, dialog.step), exit_on_error=False, group="choices")

    async def _explain_choices(self, dialog: overlays.ParametersDialog, step: Step) -> None:
        """What takes a moment to know is written beside the choices when it is known; without it
        they stand as they are.
        """
        try:
            asked = self._acts.explain_choices(step)
            more = await asyncio.wrap_future(asked) if asked is not None else {}
        except Exception as error:
            self.notify_line(f"no more is known of the choices: {CockpitError.of(error).reason}")
        else:
            for name, pairs in more.items():
                self.call_later(dialog.retell, name, pairs)

    @on(messages.PlanStep)
    async def _plan_step(self, event: messages.PlanStep) -> None:
        part = self._asked
        if part is not None:
            self._asked = None
            if await self._planned_part(part, event):
                return
        book, step = self._acts.runbooks.step(event.runbook_id, event.step_id)
        if step.params and not event.parameters:
            await self._ask(messages.AskParameters(book.id, step))
        elif step.kind == "view":
            await self.open_view(messages.OpenView(step.view or "", step.args))
        elif step.kind == "sequence":
            await self._open_sequence(messages.OpenSequence(book.id, step.id))
        elif step.kind == "manual":
            await self.open_layer(overlays.ManualDialog(book.id, step, look=self.look))
        else:
            await self.close_layers(overlays.ParametersDialog)
            await self._confirm(step.title, partial(self._acts.plan, book, step, event.parameters))

    async def action_kill_switch(self) -> None:
        """From anywhere, over whatever is open: the plan that stops publishing, to be confirmed
        like any other (13.step.1).
        """
        book, step = self._acts.runbooks.step("13", "13.step.1")
        if self.in_palette:
            self.pop_screen()
        if any(
            d.plan is not None and (d.plan.runbook, d.plan.step) == (book.id, step.id)
            for d in self.base.query(overlays.ConfirmDialog)
        ):
            return  # it is open already
        await self.close_layers(overlays.ConfirmDialog)
        await self._confirm(step.title, partial(self._acts.plan, book, step, {}))

    @on(messages.Undo)
    async def undo(self, event: messages.Undo) -> None:
        await self.close_layers(overlays.ConfirmDialog)
        await self._confirm("Undo", partial(self._acts.plan_undo, event.number))

    @on(messages.PlanAgain)
    async def _plan_again(self, event: messages.PlanAgain) -> None:
        plan = event.plan
        if plan.undoes is not None:
            await self.undo(messages.Undo(plan.undoes))
            return
        await self.close_layers(overlays.ConfirmDialog)
        if plan.part is not None:
            part = plan.part
            book, step = self._acts.runbooks.step(part.runbook, part.sequence)
            again = partial(self._acts.plan_part, book, step, part.index, dict(plan.parameters), part.run)
            await self._confirm(plan.title, again)
            return
        book, step = self._acts.runbooks.step(plan.runbook, plan.step)
        await self._confirm(step.title, partial(self._acts.plan, book, step, dict(plan.parameters)))

    async def _confirm(self, title: str, plan: Callable[[], Future[Plan]]) -> None:
        """Open the dialog at once; it fills when the plan is there."""
        dialog = overlays.ConfirmDialog(
            self._acts.clock.mono, title=title, production=self._acts.production, look=self.look
        )
        await self.open_layer(dialog)
        self.run_worker(self._planned(dialog, plan), exit_on_error=False, group="plan")

    async def _planned(self, dialog: overlays.ConfirmDialog, plan: Callable[[], Future[Plan]]) -> None:
        try:
            made = await asyncio.wrap_future(plan())
        except Exception as error:
            self.call_later(self._say_problem, error)
        else:
            self.call_later(self._say_plan, dialog, made)

    def _say_plan(self, dialog: overlays.ConfirmDialog, plan: Plan) -> None:
        if dialog in self.base.query(overlays.ConfirmDialog):  # not closed meanwhile
            dialog.show_plan(plan)
            if plan.harmless and not plan.blocked:
                dialog.action_accept()  # it only looks: there is nothing to say yes to

    @on(messages.Confirmed)
    def _confirmed(self, event: messages.Confirmed) -> None:
        try:
            future = self._acts.carry_out(event.plan, event.typed)
        except Exception as error:
            self._say_problem(error)
        else:
            self.run_worker(self._sent(future), exit_on_error=False, group="send")

    async def _sent(self, future: Future[Progress]) -> None:
        try:
            progress = await asyncio.wrap_future(future)
        except Exception as error:
            self.call_later(self._say_problem, error)
        else:
            self.call_later(self.follow_progress, (progress,))

    def _say_problem(self, error: Exception) -> None:
        """In the dialog that asked; when it was closed meanwhile, as a passing line."""
        known = CockpitError.of(error)
        dialogs = self.base.query(overlays.ConfirmDialog)
        for dialog in dialogs:
            dialog.show_problem(known.reason, known.remedy)
        if not dialogs:
            self.notify_line(known.reason)

    @on(messages.StopWatching)
    def _stop_watching(self, event: messages.StopWatching) -> None:
        self._acts.stop_watching(event.plan_id)

    async def action_stop_running(self) -> None:
        """What a step runs, a program or a statement, can be ended half-way (ctrl+x)."""
        await self._ask_stop(messages.AskStop())

    @on(messages.AskStop)
    async def _ask_stop(self, event: messages.AskStop) -> None:
        running = [p for p in self._acts.progress if p.stoppable and event.plan_id in (None, p.plan.id)]
        if not running:
            self.notify_line("no program and no statement runs that could be stopped")
        elif not self.base.query(overlays.StopDialog):
            await self.open_layer(overlays.StopDialog(running, look=self.look))

    @on(messages.StopRunning)
    def _stop_running(self, event: messages.StopRunning) -> None:
        self._acts.stop_running(event.plan_id)

    @on(messages.ManualAnswer)
    async def _answer(self, event: messages.ManualAnswer) -> None:
        await self.close_top()
        self.run_worker(self._note(event), exit_on_error=False, group="note")

    async def _note(self, event: messages.ManualAnswer) -> None:
        part = event.part
        place = (part.sequence_id, part.index, part.run) if part is not None else None
        try:
            await asyncio.to_thread(self._acts.note, event.runbook_id, event.step_id, event.text, event.choice, place)
        except Exception as error:
            self.notify_line(f"not recorded: {CockpitError.of(error).reason}", severity="error")
        else:
            if part is not None:
                self.call_later(self._open_sequence, messages.OpenSequence(part.runbook_id, part.sequence_id, part.run))

    # --- sequences -----------------------------------------------------------------------------------------------------

    @on(messages.InStages)
    async def _in_stages(self, event: messages.InStages) -> None:
        plan = event.plan
        self._given[(plan.runbook, plan.step)] = dict(plan.parameters)
        await self._open_sequence(messages.OpenSequence(plan.runbook, plan.step))

    @on(messages.OpenSequence)
    async def _open_sequence(self, event: messages.OpenSequence) -> None:
        """How far it has come, as the journal tells."""
        book, step = self._acts.runbooks.step(event.runbook_id, event.step_id)
        try:
            state = await asyncio.to_thread(self._acts.sequence, book, step, event.run)
        except Exception as error:
            self._say_problem(error)
            return
        for kind in (overlays.ConfirmDialog, overlays.SequenceDialog):
            await self.close_layers(kind)
        await self.open_layer(overlays.SequenceDialog(state, look=self.look))

    @on(messages.PlanPart)
    async def _plan_part(self, event: messages.PlanPart) -> None:
        """The next part: looked at, asked, or planned and confirmed like any step."""
        book, whole = self._acts.runbooks.step(event.runbook_id, event.sequence_id)
        step = self._acts.part_of(book, whole, event.index)
        await self.close_layers(overlays.SequenceDialog)
        given = self._given.get((book.id, step.id), {})
        if step.kind == "view":
            place = (event.sequence_id, event.index, event.run)
            await asyncio.to_thread(self._acts.note, book.id, step.id, f"looked at {step.view}", "", place)
            await self.open_view(messages.OpenView(step.view or "", step.args))
        elif step.kind == "manual":
            await self.open_layer(overlays.ManualDialog(book.id, step, part=event, look=self.look))
        elif step.params and not given:
            self._asked = event
            await self._ask(messages.AskParameters(book.id, step))
        else:
            await self._confirm(step.title, partial(self._acts.plan_part, book, whole, event.index, given, event.run))

    async def _planned_part(self, part: messages.PlanPart, event: messages.PlanStep) -> bool:
        """True when the parameters were asked for by this part of a sequence."""
        book, whole = self._acts.runbooks.step(part.runbook_id, part.sequence_id)
        step = self._acts.part_of(book, whole, part.index)
        if (event.runbook_id, event.step_id) != (book.id, step.id) or not event.parameters:
            return False
        await self.close_layers(overlays.ParametersDialog)
        planned = partial(self._acts.plan_part, book, whole, part.index, event.parameters, part.run)
        await self._confirm(step.title, planned)
        return True
