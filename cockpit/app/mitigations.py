"""Leads a step through parameters, a plan and a confirmation to a mitigation that is followed.

The executor does it; this only asks, shows and hands on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from textual.widget import Widget

from cockpit.errors import CockpitError
from cockpit.model.step_kinds import STEP_KINDS
from panels import messages
from panels.kit.lazy_module import LazyModule
from panels.kit.terminal_app import TerminalApp

if TYPE_CHECKING:
    from cockpit.mitigation.executor import Executor
    from cockpit.model.plan import Plan, Progress
    from cockpit.model.runbook import Runbook, Step
    from cockpit.session import Session
    from panels.app import overlays
else:
    overlays = LazyModule("panels.app.overlays")

#: Choices of which more is known after a moment: what the signals did while they ran.
_EXPLAINED = ("images:", "revisions:")


class MitigationController:
    """Leads a step from the key that asks for it to its proof, and a sequence from part to part.

    `open_view` opens what a `view` step names.
    """

    def __init__(
        self, app: TerminalApp, session: Session, open_view: Callable[[messages.OpenView], Awaitable[None]]
    ) -> None:
        self._app = app
        self._session = session
        self._open_view = open_view
        self._asked: messages.PlanPart | None = None  # the part of a sequence whose parameters are being asked for
        #: The values that were asked about, so that a new one is too, and none again and again.
        #: Forgotten with the form.
        self._explained_of: WeakKeyDictionary[Widget, frozenset[str]] = WeakKeyDictionary()
        self._judged: WeakKeyDictionary[Widget, int] = WeakKeyDictionary()  # generation that a dialog was judged by
        self._given: dict[tuple[str, str], dict[str, str]] = {}  # parameters of a step that is done in stages

    # --- plan, confirm, carry out -----------------------------------------------------------------

    def follow_progress(self, progress: tuple[Progress, ...]) -> None:
        """Show progress in the dialog that confirmed it."""
        from cockpit.model.plan import Phase

        for dialog in self._app.base.query(overlays.ConfirmDialog):
            mine = next((p for p in progress if dialog.plan is not None and p.plan.id == dialog.plan.id), None)
            if mine is not None and mine.phase is Phase.STALE:
                dialog.changed(mine.words)
            elif mine is not None and (mine.phase is not Phase.SENDING or mine.output or mine.stoppable):
                dialog.show_progress(mine)
        for asking in self._app.base.query(overlays.StopDialog):
            shown = {p.plan.id for p in asking.running}
            left = [p for p in progress if p.plan.id in shown and p.stoppable]
            if left:
                asking.show_running(left)
            elif any(p.plan.id in shown for p in progress):
                self._app.call_later(
                    self._app.close_layers, overlays.StopDialog
                )  # it has ended by itself: there is nothing to ask

    def judge_again(self) -> None:
        """Say in an open confirmation at once what has become worse than it shows."""
        for dialog in self._app.base.query(overlays.ConfirmDialog):
            plan = dialog.plan
            if plan is None or not dialog.acceptable:
                continue
            worse = self._session.mitigations.worse_now(plan)
            if worse:
                dialog.changed(f"worse than it was shown: {worse}")
                continue
            situation = self._session.situation
            target = (plan.target.namespace, plan.target.name)
            watched = situation.cluster.workloads.get(target) if situation is not None else None
            if watched is None or watched.uid != plan.target.uid or plan.generation == 0:
                continue
            if watched.generation > self._judged.get(dialog, plan.generation):
                self._judged[dialog] = watched.generation
                self._app.run_worker(self._judge_changed(dialog, plan), exit_on_error=False, group="judge")

    async def _judge_changed(self, dialog: overlays.ConfirmDialog, plan: Plan) -> None:
        try:
            words = await asyncio.wrap_future(self._session.mitigations.judge_again(plan))
        except Exception:  # it is judged at the send in any case
            return
        if words and dialog.plan is plan:
            self._app.call_later(dialog.changed, words)

    async def ask(self, event: messages.AskParameters) -> None:
        step = event.step
        start, now = self._session.presets(step)
        live = self._session.offers(step)
        start = {name: value for name, value in start.items() if live[name] or _own_default(step, name)}
        dialog = overlays.ParametersDialog(event.runbook_id, step, live, start, now, appearance=self._app.appearance)
        await self._app.open_layer(dialog)
        self._explained_of[dialog] = dialog.unexplained
        self._app.run_worker(self._explain_choices(dialog, step), exit_on_error=False, group="choices")

    def refresh_choices(self) -> None:
        """Offer in an open form what is on offer now: more becomes known, measurements move on."""
        for dialog in self._app.base.query(overlays.ParametersDialog):
            offers = self._session.offers(dialog.step)
            for param in dialog.step.params:
                if offers[param.name]:
                    dialog.refill(param.name, offers[param.name])
            values = dialog.unexplained - self._explained_of.get(dialog, frozenset())
            if values:
                self._explained_of[dialog] = dialog.unexplained
                self._app.run_worker(self._explain_choices(dialog, dialog.step), exit_on_error=False, group="choices")

    async def _explain_choices(self, dialog: overlays.ParametersDialog, step: Step) -> None:
        """Write beside the choices what takes a moment to know.

        Without it they stand as they are.
        """
        if not any((param.choices_from or "").startswith(_EXPLAINED) for param in step.params):
            return
        try:
            more = await asyncio.wrap_future(self._session.mitigations.explain_choices(step))
        except Exception as error:
            self._app.notify_line(f"no more is known of the choices: {CockpitError.of(error).line()}")
        else:
            for name, pairs in more.items():
                self._app.call_later(dialog.retell, name, pairs)

    async def plan_step(self, event: messages.PlanStep) -> None:
        part = self._asked
        if part is not None:
            self._asked = None
            if await self._planned_part(part, event):
                return
        runbook, step = self._session.runbooks.step(event.runbook_id, event.step_id)
        if step.params and not event.parameters:
            await self.ask(messages.AskParameters(runbook.id, step))
        elif STEP_KINDS[step.kind].opens_view:
            seen = messages.ManualAnswer(runbook.id, step.id, f"looked at {step.view}")
            await asyncio.to_thread(self._note, seen)
            await self._open_view(messages.OpenView(step.view or "", step.args))
        elif STEP_KINDS[step.kind].has_parts:
            await self.open_sequence(messages.OpenSequence(runbook.id, step.id))
        elif STEP_KINDS[step.kind].asks:
            await self._app.open_layer(overlays.ManualDialog(runbook.id, step, appearance=self._app.appearance))
        else:
            await self._app.close_layers(overlays.ParametersDialog)
            await self._confirm(step.title, lambda executor: executor.plan(runbook, step, event.parameters))

    async def kill_switch(self) -> None:
        """Plan the step that stops publishing (13.step.1), over whatever is open."""
        runbook, step = self._session.runbooks.step("13", "13.step.1")
        if self._app.in_palette:
            self._app.pop_screen()
        if any(
            d.plan is not None and (d.plan.runbook, d.plan.step) == (runbook.id, step.id)
            for d in self._app.base.query(overlays.ConfirmDialog)
        ):
            return  # it is open already
        await self._app.close_layers(overlays.ConfirmDialog)
        await self._confirm(step.title, lambda executor: executor.plan(runbook, step, {}))

    async def undo(self, event: messages.Undo) -> None:
        await self._app.close_layers(overlays.ConfirmDialog)
        await self._confirm("Undo", lambda executor: executor.plan_undo(event.number))

    async def plan_again(self, event: messages.PlanAgain) -> None:
        plan = event.plan
        if plan.undoes is not None:
            await self.undo(messages.Undo(plan.undoes))
            return
        await self._app.close_layers(overlays.ConfirmDialog)
        if plan.part is not None:
            part = plan.part
            runbook, step = self._session.runbooks.step(part.runbook, part.sequence)
            await self._confirm(
                plan.title,
                lambda executor: executor.plan_part(runbook, step, part.index, dict(plan.parameters), part.run),
            )
            return
        runbook, step = self._session.runbooks.step(plan.runbook, plan.step)
        await self._confirm(step.title, lambda executor: executor.plan(runbook, step, dict(plan.parameters)))

    async def _confirm(self, title: str, plan: Callable[[Executor], Future[Plan]]) -> None:
        """Open the dialog at once; it fills when the plan is there."""
        dialog = overlays.ConfirmDialog(
            self._session.clock.mono, title=title, production=self._session.production, appearance=self._app.appearance
        )
        await self._app.open_layer(dialog)
        self._app.run_worker(self._planned(dialog, plan), exit_on_error=False, group="plan")

    async def _planned(self, dialog: overlays.ConfirmDialog, plan: Callable[[Executor], Future[Plan]]) -> None:
        try:
            made = await asyncio.wrap_future(plan(self._session.mitigations))
        except Exception as error:
            self._app.call_later(self._say_problem, error)
        else:
            self._app.call_later(self._say_plan, dialog, made)

    def _say_plan(self, dialog: overlays.ConfirmDialog, plan: Plan) -> None:
        if dialog in self._app.base.query(overlays.ConfirmDialog):  # not closed meanwhile
            dialog.show_plan(plan)
            if plan.harmless:
                dialog.accept_check()

    def confirmed(self, event: messages.Confirmed) -> None:
        try:
            future = self._session.mitigations.confirm(event.plan, event.typed, event.seen)
        except Exception as error:
            self._say_problem(error)
        else:
            self._app.run_worker(self._sent(future), exit_on_error=False, group="send")

    async def _sent(self, future: Future[Progress]) -> None:
        try:
            progress = await asyncio.wrap_future(future)
        except Exception as error:
            self._app.call_later(self._say_problem, error)
        else:
            self._app.call_later(self.follow_progress, (progress,))

    def _say_problem(self, error: Exception) -> None:
        """Show it in the dialog that asked; when it was closed meanwhile, as a passing line."""
        known = CockpitError.of(error)
        dialogs = self._app.base.query(overlays.ConfirmDialog)
        for dialog in dialogs:
            dialog.show_problem(known.reason, known.remedy)
        if not dialogs:
            self._app.notify_line(known.line())

    def stop_watching(self, event: messages.StopWatching) -> None:
        self._session.mitigations.stop_watching(event.plan_id)

    async def ask_stop(self, event: messages.AskStop) -> None:
        running = [p for p in self._session.progress if p.stoppable and event.plan_id in (None, p.plan.id)]
        if not running:
            self._app.notify_line("no program and no statement runs that could be stopped")
        elif not self._app.base.query(overlays.StopDialog):
            await self._app.open_layer(overlays.StopDialog(running, appearance=self._app.appearance))

    def stop_running(self, event: messages.StopRunning) -> None:
        self._session.mitigations.stop_running(event.plan_id)

    async def note(self, event: messages.ManualAnswer) -> None:
        """Write an answer into the journal; after a part of a sequence, show how far it has come.

        Of a part of a sequence, then show how far it has come.
        """
        part = event.part
        try:
            await asyncio.to_thread(self._note, event)
        except Exception as error:
            self._app.notify_line(f"not recorded: {CockpitError.of(error).line()}", severity="error")
        else:
            if part is not None:
                opened = messages.OpenSequence(part.runbook_id, part.sequence_id, part.run)
                self._app.call_later(self.open_sequence, opened)
            elif self._begins_response(event):
                self._app.post_message(messages.AskIncident("open", {}))

    def _begins_response(self, event: messages.ManualAnswer) -> bool:
        """Tell whether the form that opens an incident follows: none is open."""
        situation = self._session.situation
        step = self._session.runbooks.step(event.runbook_id, event.step_id)[1]
        return step.args.get("opens") == "incident" and situation is not None and situation.incident is None

    def _note(self, event: messages.ManualAnswer) -> None:
        part, executor = event.part, self._session.mitigations
        if part is None:
            executor.note(event.runbook_id, event.step_id, event.text, choice=event.choice)
        else:
            executor.note_part(part.runbook_id, part.sequence_id, part.index, part.run, event.text, event.choice)

    # --- sequences --------------------------------------------------------------------------------

    async def in_stages(self, event: messages.InStages) -> None:
        plan = event.plan
        self._given[(plan.runbook, plan.step)] = dict(plan.parameters)
        await self.open_sequence(messages.OpenSequence(plan.runbook, plan.step))

    async def open_sequence(self, event: messages.OpenSequence) -> None:
        """Show how far the sequence has come, as the journal tells."""
        runbook, step = self._session.runbooks.step(event.runbook_id, event.step_id)
        try:
            state = await asyncio.to_thread(lambda: self._session.mitigations.sequence(runbook, step, event.run))
        except Exception as error:
            self._say_problem(error)
            return
        for kind in (overlays.ConfirmDialog, overlays.SequenceDialog):
            await self._app.close_layers(kind)
        await self._app.open_layer(overlays.SequenceDialog(state, appearance=self._app.appearance))

    async def plan_part(self, event: messages.PlanPart) -> None:
        """Begin the next part: look at it, ask it, or plan and confirm it like any step."""
        runbook, whole = self._session.runbooks.step(event.runbook_id, event.sequence_id)
        step = _part(runbook, whole, event.index)
        await self._app.close_layers(overlays.SequenceDialog)
        given = self._given.get((runbook.id, step.id), {})
        if STEP_KINDS[step.kind].opens_view:
            seen = messages.ManualAnswer(runbook.id, step.id, f"looked at {step.view}", part=event)
            await asyncio.to_thread(self._note, seen)
            await self._open_view(messages.OpenView(step.view or "", step.args))
        elif STEP_KINDS[step.kind].asks:
            await self._app.open_layer(
                overlays.ManualDialog(runbook.id, step, part=event, appearance=self._app.appearance)
            )
        elif step.params and not given:
            self._asked = event
            await self.ask(messages.AskParameters(runbook.id, step))
        else:
            await self._confirm(
                step.title, lambda executor: executor.plan_part(runbook, whole, event.index, given, event.run)
            )

    async def _planned_part(self, part: messages.PlanPart, event: messages.PlanStep) -> bool:
        """Return True when the parameters were asked for by this part of a sequence."""
        runbook, whole = self._session.runbooks.step(part.runbook_id, part.sequence_id)
        step = _part(runbook, whole, part.index)
        if (event.runbook_id, event.step_id) != (runbook.id, step.id) or not event.parameters:
            return False
        await self._app.close_layers(overlays.ParametersDialog)
        await self._confirm(
            step.title, lambda executor: executor.plan_part(runbook, whole, part.index, event.parameters, part.run)
        )
        return True


def _own_default(step: Step, name: str) -> bool:
    """Tell whether the runbook itself has a default: what is live is never filled in unseen."""
    return any(param.name == name and param.default is not None for param in step.params)


def _part(runbook: Runbook, whole: Step, index: int) -> Step:
    """Return the step that is a part of a sequence, or a stage; raises PlanProblem."""
    from cockpit.mitigation.planning.sequence import parts_of

    return parts_of(runbook, whole)[index]
