"""Acting from the screen: a step becomes parameters, a plan, a confirmation, a mitigation that is followed. The session
does it; this only asks, shows and hands on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Protocol

from textual import on
from textual.widget import Widget

from cockpit.clock import Clock
from cockpit.model.plan import Phase, Plan, Progress
from cockpit.model.runbook import Param, Runbook, Runbooks, Step
from cockpit.text import safe
from panels import messages as wish
from panels.later import Later, loaded
from panels.terminal_app import TerminalApp
from panels.theme import Look

if TYPE_CHECKING:
    from panels import overlays
else:
    overlays = Later("panels.overlays")


class Acts(Protocol):
    """What is asked of the session here. Futures and calls raise errors with `reason` and `remedy`."""

    clock: Clock

    @property
    def runbooks(self) -> Runbooks: ...
    @property
    def production(self) -> bool: ...
    def choices(self, param: Param) -> list[tuple[str, str]]: ...
    def check(self, step: Step) -> list[str]: ...
    def plan(self, runbook: Runbook, step: Step, parameters: Mapping[str, str]) -> Future[Plan]: ...
    def plan_undo(self, number: int | None) -> Future[Plan]: ...
    def carry_out(self, plan: Plan, typed: str | None) -> Future[Progress]: ...
    def stop_watching(self, plan_id: str) -> None: ...
    def note(self, runbook: str, step: str, text: str) -> None: ...


class ActingApp(TerminalApp):
    """Layers over the panels, and the way of a step through them."""

    def __init__(self, session: Acts, look: Look, *, debug_errors: bool = False) -> None:
        super().__init__(look, debug_errors=debug_errors)
        self._acts = session

    # --- layers --------------------------------------------------------------------------------------------------------

    def layers(self) -> list[Widget]:
        """Lowest first."""
        if not loaded("panels.overlays"):
            return []
        return [w for w in self.base.children if isinstance(w, overlays.Overlay)]

    async def open_layer(self, layer: Widget) -> None:
        """Mounted, laid out and with the focus before the next key is read: what is typed ahead is meant for it."""
        await self.base.mount(layer)
        await self.laid_out(layer)

    async def close_layers(self, kind: type[Widget]) -> None:
        for layer in self.base.query(kind):
            await layer.remove()

    async def close_top(self) -> None:
        """Close the uppermost layer, if there is one."""
        raise NotImplementedError

    async def open_view(self, event: wish.OpenView) -> None:
        """Open what a `view` step names."""
        raise NotImplementedError

    # --- plan, confirm, carry out --------------------------------------------------------------------------------------

    def follow_progress(self, progress: tuple[Progress, ...]) -> None:
        """In the dialog that confirmed it."""
        for dialog in self.base.query(overlays.ConfirmDialog):
            mine = next((p for p in progress if dialog.plan is not None and p.plan.id == dialog.plan.id), None)
            if mine is not None and mine.phase is Phase.STALE:
                dialog.changed(mine.words)
            elif mine is not None and mine.phase is not Phase.SENDING:
                dialog.show_progress(mine)

    @on(wish.AskParameters)
    async def _ask(self, event: wish.AskParameters) -> None:
        step = event.step
        live = {param.name: self._acts.choices(param) for param in step.params}
        await self.open_layer(overlays.ParametersDialog(event.runbook_id, step, live, look=self.look))

    @on(wish.PlanStep)
    async def _plan_step(self, event: wish.PlanStep) -> None:
        book, step = self._acts.runbooks.step(event.runbook_id, event.step_id)
        if step.params and not event.parameters:
            await self._ask(wish.AskParameters(book.id, step))
        elif step.kind == "view":
            await self.open_view(wish.OpenView(step.view or "", step.args))
        elif step.kind == "check":
            await self.open_layer(overlays.NoticeDialog(step.title, self._acts.check(step), look=self.look))
        elif step.kind == "manual":
            await self.open_layer(overlays.ManualDialog(book.id, step, look=self.look))
        else:
            await self.close_layers(overlays.ParametersDialog)
            await self._confirm(step.title, partial(self._acts.plan, book, step, event.parameters))

    @on(wish.Undo)
    async def undo(self, event: wish.Undo) -> None:
        await self.close_layers(overlays.ConfirmDialog)
        await self._confirm("Undo", partial(self._acts.plan_undo, event.number))

    @on(wish.PlanAgain)
    async def _plan_again(self, event: wish.PlanAgain) -> None:
        plan = event.plan
        if plan.undoes is not None:
            await self.undo(wish.Undo(plan.undoes))
            return
        book, step = self._acts.runbooks.step(plan.runbook, plan.step)
        await self.close_layers(overlays.ConfirmDialog)
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

    @on(wish.Confirmed)
    def _confirmed(self, event: wish.Confirmed) -> None:
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
        reason = getattr(error, "reason", None) or safe(error) or type(error).__name__
        dialogs = self.base.query(overlays.ConfirmDialog)
        for dialog in dialogs:
            dialog.show_problem(reason, getattr(error, "remedy", ""))
        if not dialogs:
            self.notify_line(reason)

    @on(wish.StopWatching)
    def _stop_watching(self, event: wish.StopWatching) -> None:
        self._acts.stop_watching(event.plan_id)

    @on(wish.Answer)
    async def _answer(self, event: wish.Answer) -> None:
        await self.close_top()
        self.run_worker(self._note(event), exit_on_error=False, group="note")

    async def _note(self, event: wish.Answer) -> None:
        try:
            await asyncio.to_thread(self._acts.note, event.runbook_id, event.step_id, event.text)
        except Exception as error:
            self.notify_line(f"not recorded: {getattr(error, 'reason', None) or safe(error)}", severity="error")
