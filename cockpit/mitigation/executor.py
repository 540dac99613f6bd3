"""Plans and carries out on a thread and event loop of its own.

So no stalled screen delays or cuts a mitigation (rule 1 of docs/architecture.md).

Plans and outcomes come back as concurrent futures. `progress`, `journal_lines` and `debts` are
snapshots that any thread may read without a lock. Once an intent is journalled, sending and
recording the outcome finish before the process ends: a non-daemon thread keeps the interpreter
alive that long, whatever the screen does.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from cockpit.assessment.imagehistory import explained, runs
from cockpit.clock import Clock
from cockpit.journal.anchor import Comparison
from cockpit.journal.entries import debts_from, lines_from
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.journal.operator import Operator
from cockpit.journal.state_files import me
from cockpit.kubeapi.access import Access, AccessProblem
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation.choices.live import offered, released_first
from cockpit.mitigation.choices.preset import defaults, exhausted
from cockpit.mitigation.cluster.anchor import JournalAnchor, compared
from cockpit.mitigation.cluster.lease import Lease
from cockpit.mitigation.cluster.times import THROTTLED_READ_S
from cockpit.mitigation.context import Backends
from cockpit.mitigation.kind import PlanRequest, Prepared
from cockpit.mitigation.lifecycle import MitigationRun, RunDependencies
from cockpit.mitigation.planning.planner import Planner, plan_request
from cockpit.mitigation.planning.sequence import note_of, part_of, parts_of, state_of
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.recovery.undo import undo_request, undoable
from cockpit.mitigation.recovery.unfinished import judge_all, judge_uncertain
from cockpit.mitigation.sending import records
from cockpit.mitigation.sending.confirmation import check_confirmation
from cockpit.model.plan import Confirmation, Debt, JournalLine, Part, Plan, Progress, SequenceState, Unfinished
from cockpit.model.runbook import Runbook, Runbooks, Step
from cockpit.model.seen import Seen
from cockpit.model.situation import Situation

__all__ = ["Executor", "PlanProblem"]

T = TypeVar("T")
_EXPLAINED_SERVICES = 3  # of a list over all services: those released last
_KEPT_PLANS = 64
_KEPT_PROGRESS = 50


class Executor:
    """Plans, carries out, watches, undoes.

    Start it, close it; every method may be called from any thread.

    `sleep` paces the looks at a rollout and at the signals; tests give a shorter one.
    """

    def __init__(
        self,
        access: Callable[[], Access],
        runbooks: Runbooks,
        journal: Journal,
        situation: Callable[[], Situation | None],
        clock: Clock,
        *,
        namespace: str,
        read_only: bool,
        operator: Operator,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        backends: Backends = Backends(),  # noqa: B008
        before_change: Callable[[Plan], None] = lambda plan: None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Make `before_change` hear of each confirmed plan before it is sent; it must not block.

        `loop`: one that somebody else runs, instead of a thread of our own.
        """
        self.operator = operator
        self._backends = backends
        self._before_change = before_change
        self.progress: tuple[Progress, ...] = ()  # newest first
        self.revision = 0  # grows whenever progress changes
        self._access = access
        self._sleep = sleep
        self._runbooks = runbooks
        self._journal = journal
        self._situation = situation
        self._clock = clock
        self._namespace = namespace
        self._read_only = read_only
        self._identity = f"{operator.identity}#{secrets.token_hex(2)}"
        self._loop = loop or asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="executor", daemon=True) if loop is None else None
        self._shared: RunDependencies | None = None
        self._opening: asyncio.Lock | None = None
        self._prepared: dict[str, Prepared] = {}
        self._raw_inverses: dict[int, Mapping[str, Any]] = {}  # by journal number: may hold secrets, never written
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._sends: set[asyncio.Task[None]] = set()
        self._sending: dict[str, MitigationRun] = {}
        self._context = ""
        self._anchored = False  # the cluster's lease has an anchor of this journal
        self._opened_at = journal.end()[0]
        self._closing = False
        self._cut_off = False
        self._door = threading.Lock()
        self._winding_up: Future[None] | None = None
        self._snapshot: tuple[int, tuple[JournalLine, ...], tuple[Debt, ...]] = (-1, (), ())

    def start(self) -> None:
        if self._thread is not None:
            self._thread.start()

    @property
    def _runs(self) -> bool:
        return self._thread.is_alive() if self._thread is not None else self._loop.is_running()

    def close(self, timeout_s: float, *, cut_off: bool = False) -> bool:
        """Stop planning and watching; finish what is journalled.

        True when every mitigation under way is settled. `cut_off`: by a hang-up or a signal, not by
        the operator's will: the next start takes up what was not watched to its end.

        What is not settled in time goes on in the background, and the interpreter waits for it.
        """
        with self._door:
            self._closing = True
            self._cut_off = cut_off
            if self._winding_up is None and self._runs:
                self._winding_up = asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop)
        if self._winding_up is None:
            return True
        with contextlib.suppress(Exception):
            self._winding_up.result(timeout_s)
        if not self._winding_up.done():
            return False
        if self._thread is not None:
            self._thread.join(1.0)
        return True

    # operations

    def plan(self, runbook: Runbook | None, step: Step, parameters: Mapping[str, str]) -> Future[Plan]:
        """Read the target, ask for a dry run, judge.

        The future raises PlanProblem.
        """
        return self._submit(self._plan(runbook, step, dict(parameters)))

    def sequence(self, runbook: Runbook, step: Step, run: str = "") -> SequenceState:
        """Return how far a sequence has come, or a step that is done in stages.

        `run`: which going-through; "": the newest that is not done. Raises PlanProblem.
        """
        return state_of(self._journal.records(), runbook, step, run)

    def plan_part(
        self, runbook: Runbook, step: Step, index: int, parameters: Mapping[str, str], run: str = ""
    ) -> Future[Plan]:
        """Plan the next part of a sequence; `run` "" begins anew where none is under way.

        The future raises PlanProblem.
        """
        return self._submit(self._plan_part(runbook, step, index, dict(parameters), run))

    def explain_choices(self, step: Step) -> Future[Mapping[str, list[tuple[str, str]]]]:
        """Return, by parameter, its images or revisions and what signals did under each."""
        return self._submit(self._explain_choices(step))

    def plan_undo(self, number: int | None = None) -> Future[Plan]:
        """Plan the inverse of a journalled step; None: of the newest that can be undone.

        The future raises PlanProblem.
        """
        if number is None:
            number = next((line.number for line in self.journal_lines if line.undoable), None)
        if number is None:
            why = PlanProblem("nothing in the journal can be undone", "a step appears there once it was sent")
            return _refused(why)
        return self._submit(self._plan_undo(number))

    def confirm(self, plan: Plan, typed: str | None, seen: Seen | None = None) -> Future[Progress]:
        """Carry out what this operator accepted just now; `typed` is the name that was typed.

        `seen`: when it was shown, acknowledged and confirmed, for the journal.
        """
        self._before_change(plan)
        now = self._clock.mono()
        return self.carry_out(plan, Confirmation(plan.id, plan.digest, typed, self.operator.name, now, seen))

    def worse_now(self, plan: Plan) -> str:
        """Say what is worse by now than this plan shows, by what is watched; "" for nothing."""
        prepared, shared = self._prepared.get(plan.id), self._shared
        return shared.planner.worse_now(prepared) if prepared is not None and shared is not None else ""

    def judge_again(self, plan: Plan) -> Future[str]:
        """Read the target again and judge, as just before a send; "" when it would be sent."""
        return self._submit(self._judge_plan_again(plan))

    def carry_out(self, plan: Plan, confirmation: Confirmation) -> Future[Progress]:
        """Send a confirmed plan.

        Resolves when the server's answer is journalled; watching goes on in `progress`.

        The future cannot be cancelled. It raises PlanProblem (the confirmation does not hold) or
        JournalProblem (the intent cannot be written); nothing was sent then. STALE, FAILED and
        UNCERTAIN are phases of the result.
        """
        future: Future[Progress] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it
        settled = threading.Event()
        threading.Thread(target=settled.wait, name="sending", daemon=False).start()

        def begin() -> None:
            task = self._loop.create_task(self._carry_out(plan, confirmation, future, settled))
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)

        with self._door:  # what gets in before `close` is sent and journalled before the loop ends
            open_still = not self._closing and self._runs
            if open_still:
                self._loop.call_soon_threadsafe(begin)
        if not open_still:
            settled.set()
            future.set_exception(PlanProblem("the cockpit is closing: nothing was sent", "start it again"))
        return future

    def judge_unfinished(self) -> Future[tuple[Unfinished, ...]]:
        """Compare intents without an outcome with the cluster, journal what is found.

        Raises PlanProblem.
        """
        return self._submit(self._judge_unfinished())

    def compare_journal(self) -> Future[tuple[list[Comparison], str]]:
        """Compare the journal with the cluster's anchor; the text says why it could not be.

        Raises PlanProblem.
        """
        return self._submit(self._compare_journal())

    def note(
        self, runbook: str, step: str, text: str, *, choice: str = "", item: str | None = None, part: Part | None = None
    ) -> None:
        """Journal the operator's answer to a manual step.

        `choice`: "yes", "no" or "" (text alone). Blocking for one write. Raises JournalProblem.
        """
        answer = ": ".join(word for word in (choice, text) if word)
        words = f"runbook {runbook}, {step}: {answer}"
        self._journal.append(
            records.answer(words, self.operator, runbook=runbook, step=step, item=item, choice=choice, of=part)
        )

    def note_part(self, runbook: str, sequence: str, index: int, run: str, text: str, choice: str = "") -> None:
        """Journal the answer to a manual part of a sequence; `run` "" begins one.

        Blocking for one write. Raises PlanProblem, JournalProblem.
        """
        found, whole = self._runbooks.step(runbook, sequence)
        one = parts_of(found, whole)[index]
        part = part_of(self.sequence(found, whole, run), index)
        self.note(runbook, one.id, text, choice=choice, part=part)

    def stop_watching(self, plan_id: str) -> None:
        """Stop following a rollout and its proof; what was sent stays sent.

        Unknown ids are ignored.
        """

        def stop() -> None:
            task = self._watching.get(plan_id)
            if task is not None:
                task.cancel()

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(stop)

    def stop_running(self, plan_id: str) -> None:
        """End the program or statement that a plan runs, with all that it started.

        What it did so far stays done, and the outcome says what is known of that. Unknown ids, and
        what has ended meanwhile, are ignored.
        """

        def stop() -> None:
            run = self._sending.get(plan_id)
            if run is not None:
                run.stop(self.operator.name)

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(stop)

    @property
    def journal_lines(self) -> tuple[JournalLine, ...]:
        """Return the journal's lines, the newest first."""
        return self._read_journal()[1]

    @property
    def debts(self) -> tuple[Debt, ...]:
        """Return what was relaxed and is not put back."""
        return self._read_journal()[2]

    # on our own loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._door:
            if not self._closing and self._runs:
                return asyncio.run_coroutine_threadsafe(_as_problem(work), self._loop)
        work.close()
        return _refused(PlanProblem("the executor is not running", "start the cockpit again"))

    async def _open(self) -> RunDependencies:
        """Open the client at its first use: credentials may need a plugin.

        Raises PlanProblem.
        """
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._shared is None:
                try:
                    access = await asyncio.to_thread(self._access)
                except AccessProblem as problem:
                    raise PlanProblem(problem.reason, problem.remedy) from problem
                client = KubeClient(
                    access,
                    clock=self._clock,
                    patience_s=THROTTLED_READ_S,
                    sleep=self._sleep,
                    read_only=self._read_only,
                )
                planner = Planner(
                    client,
                    self._runbooks,
                    self._clock,
                    context=access.context,
                    namespace=self._namespace,
                    read_only=self._read_only,
                    identity=self._identity,
                    backends=self._backends,
                    situation=self._situation,
                    sleep=self._sleep,
                    key=await asyncio.to_thread(self._journal.open_key),
                )
                anchor = JournalAnchor(self._journal, (access.context, self._namespace), planner.now)
                lease = Lease(client, self._namespace, self._identity, planner.now, anchor)
                self._context = access.context
                self._shared = RunDependencies(
                    client=client,
                    journal=self._journal,
                    planner=planner,
                    lease=lease,
                    clock=self._clock,
                    runbooks=self._runbooks,
                    operator=self.operator,
                    situation=self._situation,
                    on_progress=self._on_progress,
                    sleep=self._sleep,
                )
        return self._shared

    async def _plan(self, runbook: Runbook | None, step: Step, parameters: Mapping[str, str]) -> Plan:
        return await self._prepare(await self._open(), self._request(runbook, step, parameters))

    def _request(self, runbook: Runbook | None, step: Step, parameters: Mapping[str, str]) -> PlanRequest:
        given = {**defaults(step, self._runbooks, self._situation()), **parameters}
        if left := exhausted(step, given, self._runbooks, self._situation()):
            raise PlanProblem(left, "choose another step, or give the value: --param NAME=VALUE")
        return plan_request(runbook, step, given, self._runbooks, self._situation())

    async def _plan_part(
        self, runbook: Runbook, step: Step, index: int, parameters: Mapping[str, str], run: str
    ) -> Plan:
        part = part_of(self.sequence(runbook, step, run), index)
        one = parts_of(runbook, step)[index]
        request = replace(self._request(runbook, one, parameters), part=part)
        made = await self._prepare(await self._open(), request)
        if made.nothing_to_do:  # so the sequence can go on: there is nothing to confirm
            words = f"{one.title}: it is so already, nothing was sent"
            self._journal.append(
                records.answer(words, self.operator, runbook=runbook.id, step=one.id, item=one.item, choice="", of=part)
            )
        return made

    async def _explain_choices(self, step: Step) -> Mapping[str, list[tuple[str, str]]]:
        situation = self._situation()
        if situation is None:
            return {}
        signals = tuple(
            dict.fromkeys(
                (*step.signals, *(n for n, s in self._runbooks.signals.items() if s.dangerous), "publish-success")
            )
        )
        found: dict[str, list[tuple[str, str]]] = {}
        for param in step.params:
            kind, _, service = (param.choices_from or "").partition(":")
            if kind in ("images", "revisions"):
                named = released_first(situation)[:_EXPLAINED_SERVICES] if service == "*" else [service]
                for name in named:
                    ran = runs(situation.cluster, self._namespace, name)
                    effects = await explained(ran, signals, self._runbooks, self._backends.past, situation.cluster_now)
                    found.setdefault(param.name, []).extend(
                        offered(kind, ran, situation.cluster_now, effects, name if service == "*" else "")
                    )
        return found

    async def _judge_plan_again(self, plan: Plan) -> str:
        prepared, shared = self._prepared.get(plan.id), await self._open()
        if prepared is None:
            return ""
        run = MitigationRun(shared, prepared, Confirmation(plan.id, plan.digest, None, "", plan.created_mono))
        return await run.judge_again()

    async def _prepare(self, shared: RunDependencies, request: PlanRequest) -> Plan:
        prepared = await shared.planner.prepare(request)
        self._prepared[prepared.plan.id] = prepared
        for old in list(self._prepared)[:-_KEPT_PLANS]:
            del self._prepared[old]
        return prepared.plan

    async def _plan_undo(self, number: int) -> Plan:
        shared = await self._open()
        await judge_uncertain(shared.planner.context, self._journal, number)
        entry = undoable(self._journal, number, self._context, self._namespace)
        request = await undo_request(shared.client, self._journal, entry, self._raw_inverses.get(number))
        return await self._prepare(shared, request)

    async def _carry_out(
        self, plan: Plan, confirmation: Confirmation, future: Future[Progress], settled: threading.Event
    ) -> None:
        try:
            prepared = self._prepared.get(plan.id)
            if prepared is None:
                raise PlanProblem("this plan is not known any more: nothing was sent", "plan again")
            check_confirmation(prepared.plan, confirmation, self._clock.mono(), self._read_only)
            del self._prepared[plan.id]  # a plan is carried out once
            run = MitigationRun(await self._open(), prepared, confirmation)
            self._sending[plan.id] = run
            progress = await run.send()
            if run.sent and run.number is not None:
                if prepared.draft.inverse is not None:
                    self._raw_inverses[run.number] = prepared.draft.inverse.arguments
                self._watching[plan.id] = self._loop.create_task(self._watch(plan.id, run))
            else:
                self._tell_sequence(prepared.plan, progress)
            future.set_result(progress)
        except BaseException as error:
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._sending.pop(plan.id, None)
            settled.set()

    async def _watch(self, plan_id: str, run: MitigationRun) -> None:
        try:
            await run.watch(lambda: self._cut_off)
        finally:
            self._watching.pop(plan_id, None)
            await run.release()
            self._tell_sequence(run.progress.plan, run.progress)

    def _tell_sequence(self, plan: Plan, progress: Progress) -> None:
        """Journal where a sequence stands once a part of it has ended."""
        if plan.part is None:
            return
        with contextlib.suppress(JournalProblem, KeyError, PlanProblem):
            runbook, step = self._runbooks.step(plan.part.runbook, plan.part.sequence)
            state = self.sequence(runbook, step, plan.part.run)
            words = note_of(state, plan.part, progress.words)
            self._journal.append(records.note(words, self.operator, progress.journal))

    async def _judge_unfinished(self) -> tuple[Unfinished, ...]:
        if not self._journal.unfinished():
            return ()
        shared = await self._open()
        return await judge_all(shared.planner.context, self._journal)

    async def _compare_journal(self) -> tuple[list[Comparison], str]:
        shared = await self._open()
        place = (self._context, self._namespace)
        found, why = await compared(shared.client, self._journal, place, shared.planner.now)
        self._anchored = self._anchored or any(one.known and one.uid == me() for one in found)
        return found, why

    async def _seal(self) -> None:
        """Anchor what was journalled beside the steps, where this journal has an anchor."""
        if self._shared is None or self._read_only or self._cut_off:
            return
        if (self._anchored or self._raw_inverses) and self._journal.end()[0] > self._opened_at:
            await self._shared.lease.seal(self._opened_at)

    async def _wind_up(self) -> None:
        while self._sends:
            await asyncio.wait(self._sends)
        tasks = list(self._watching.values())
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):  # giving the lease back: it would expire by itself
                await asyncio.gather(*tasks, return_exceptions=True)
                with contextlib.suppress(KubeError, JournalProblem):
                    await self._seal()
        if self._shared is not None:
            with contextlib.suppress(Exception):
                await self._shared.client.aclose()
        if self._thread is not None:
            self._loop.call_soon(self._loop.stop)

    def _on_progress(self, progress: Progress) -> None:
        rest = tuple(p for p in self.progress if p.plan.id != progress.plan.id)
        self.progress = (progress, *rest)[:_KEPT_PROGRESS]
        self.revision += 1

    def _read_journal(self) -> tuple[int, tuple[JournalLine, ...], tuple[Debt, ...]]:
        records = self._journal.records(wait=False)
        if self._snapshot[0] != self._journal.revision:
            self._snapshot = (self._journal.revision, lines_from(records), debts_from(records))
        return self._snapshot


def _refused(problem: PlanProblem) -> Future[Any]:
    refused: Future[Any] = Future()
    refused.set_exception(problem)
    return refused


async def _as_problem(work: Coroutine[Any, Any, T]) -> T:
    """Raise errors of the API server as PlanProblem: what was planned cannot be, and why."""
    try:
        return await work
    except KubeError as error:
        raise PlanProblem(error.reason, error.remedy) from error
