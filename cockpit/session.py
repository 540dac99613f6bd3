"""One run of the cockpit, screen or no screen: the engine, the journal, the executor, and what they
know together.

The app, `status` and `run` all stand on this; it knows nothing of Textual.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.clock import Clock, SystemClock
from cockpit.errors import CockpitError
from cockpit.settings import Settings
from cockpit.sources.postgres import POSTGRES
from cockpit.sources.registry import configured
from cockpit.sources.solana import RPC_ENDPOINTS, SOLANA

if TYPE_CHECKING:
    from cockpit.engine import Engine, Place
    from cockpit.incident.service import IncidentService
    from cockpit.journal.journal import Journal
    from cockpit.maintenance.service import MaintenanceService
    from cockpit.mitigation.context import Backends
    from cockpit.mitigation.executor import Executor
    from cockpit.model.maintenance import Round
    from cockpit.model.plan import Part, Plan, Progress, SequenceState, Unfinished
    from cockpit.model.runbook import Param, Runbook, Runbooks, Step
    from cockpit.model.situation import Situation
    from cockpit.sources.kubernetes.log_tail import LogTail


class NotReady(CockpitError):
    """The cluster is not located yet, or never will be: one line and a remedy."""


class Session:
    """Start it, read `situation`, plan and carry out; close it.

    Every method may be called from any thread.
    """

    engine: Engine

    def __init__(
        self, settings: Settings, runbooks: Runbooks | None = None, clock: Clock | None = None, *, act: bool = True
    ) -> None:
        """Without `runbooks` they are loaded at `start`, after the screen's first paint."""
        self.settings = settings
        self._given = runbooks
        self._plain: Runbooks | None = None  # those that the configuration has been put into
        self.clock = clock or SystemClock()
        self.executor: Executor | None = None
        self.journal: Journal | None = None
        self.desk: IncidentService | None = None  # the incident's record, there as soon as the journal is
        self.unfinished: tuple[Unfinished, ...] = ()
        self.ready = threading.Event()  # the executor can be asked, or `trouble` says why not
        self.trouble: NotReady | None = None
        self.logs: LogTail | None = None
        self._loading = threading.Lock()
        self._act = act
        self._started = False
        self._closing = threading.Event()

    def start(self, on_situation: Callable[[bool], None] | None = None) -> None:
        """`on_situation` is called in the sources' thread whenever `situation` is a new one; with
        True, it is worth a frame out of turn.
        """
        from cockpit.engine import Engine

        self.engine = Engine(self.settings, lambda: self.runbooks, self.clock, self._mitigations)
        if on_situation is not None:
            self.engine.on_situation = on_situation
        self._started = True
        self.engine.start()
        threading.Thread(target=self._open, name="opening", daemon=True).start()

    def close(self, timeout_s: float = 1.5, *, cut_off: bool = False) -> bool:
        """Finish what is journalled, then stop.

        True when every mitigation under way is settled. `cut_off`: see `Executor.close`.
        """
        self._closing.set()
        settled = self.executor.close(timeout_s, cut_off=cut_off) if self.executor is not None else True
        if self.desk is not None:
            self.desk.close(timeout_s / 2)  # without a screen there is time: evidence that was begun is finished
        if self.journal is not None:
            self.journal.close()
        if self._started:
            self.engine.close()
        return settled

    @property
    def runbooks(self) -> Runbooks:
        with self._loading:
            if self._given is None:
                from cockpit.runbooks.schema import load

                self._given = load(self.settings.runbooks)
            if self._plain is not self._given:
                from cockpit.runbooks.own_commands import with_commands

                self._plain = self._given = with_commands(self._given, self.settings)
            return self._given

    @property
    def situation(self) -> Situation | None:
        return self.engine.situation if self._started else None

    @property
    def place(self) -> Place | None:
        return self.engine.place if self._started else None

    @property
    def production(self) -> bool:
        """Whether mistakes would be real; as long as it is not known, they would."""
        return self.place.production if self.place is not None else True

    @property
    def progress(self) -> tuple[Progress, ...]:
        return self.executor.progress if self.executor is not None else ()

    def _open(self) -> None:
        """The journal and the executor, once the cluster is located; then what the last run left
        unfinished.
        """
        self.engine.located.wait()
        self.engine.first_look.wait(3.0)  # its imports must not hold the first pods up
        self._try(self._open_desk, self._open_executor)
        self.ready.set()
        if self.trouble is None or self.engine.identified.is_set():
            return
        while not self.engine.identified.wait(0.5):  # a login or a kubeconfig that comes later: then steps can act too
            if self._closing.is_set():
                return
        self._try(*(() if self.desk is not None else (self._open_desk,)), self._open_executor)

    def _try(self, *opening: Callable[[], None]) -> None:
        """The monitor goes on without: `trouble` is said on screen, and whenever a plan is asked
        for.
        """
        try:
            for open_one in opening:
                open_one()
            self.trouble = None
        except Exception as error:
            known = CockpitError.of(error)
            remedy = known.remedy or "the monitor goes on; nothing can be changed until this is mended"
            self.trouble = NotReady(known.reason, remedy)

    def _open_desk(self) -> None:
        """Without a cluster too: the worst incident is the one in which it cannot be reached."""
        if not self._act:
            return
        from cockpit.incident.evidence.onchain import look_back
        from cockpit.incident.service import IncidentService
        from cockpit.journal.journal import Journal
        from cockpit.journal.operator import Operator

        self.journal = Journal.open(journal_path(self.settings))

        def operator() -> Operator:
            executor = self.executor
            return executor.operator if executor is not None else Operator.current()

        self.desk = IncidentService(
            self.journal,
            lambda: self.runbooks,
            self.clock,
            operator=operator,
            state_dir=self.settings.state_dir,
            situation=lambda: self.engine.situation,
            access=self.engine.access,
            webhook=self.settings.webhook,
            read_only=self.settings.read_only,
            look_back=look_back(self.settings.of(RPC_ENDPOINTS), self.settings.of(SOLANA).program_id, self.clock),
        )

    def _backends(self) -> Backends:
        """What the steps work with beside the cluster."""
        from cockpit.mitigation.context import Backends, NetworkCli
        from cockpit.settings import secret_of

        cli, postgres = self.settings.network_cli, self.settings.of(POSTGRES)
        return Backends(
            network_cli=NetworkCli(cli.argv, cli.cluster, cli.timeout, cli.env),
            admin_url=lambda: secret_of(postgres.admin_url, postgres.admin_url_file, "[postgres] admin-url"),
            evidence=self.desk.evidence if self.desk is not None else None,
            past=self.engine.past,
        )

    def _open_executor(self) -> None:
        if not self._act:
            return
        from cockpit.journal.operator import Operator
        from cockpit.mitigation.executor import Executor

        access = self.engine.access()  # raises AccessProblem: nothing can be changed without a cluster
        place = self.engine.place
        assert place is not None and self.journal is not None
        executor = Executor(
            self.engine.access,
            self.runbooks,
            self.journal,
            lambda: self.engine.situation,
            self.clock,
            namespace=place.namespace,
            read_only=self.settings.read_only,
            operator=Operator.current(kube_user=access.user),
            backends=self._backends(),
        )
        executor.start()
        self.executor = executor
        if not self.settings.read_only:
            self.unfinished = executor.judge_unfinished().result(timeout=30)

    def _mitigations(self) -> Mapping[str, Any]:
        """What the executor knows, for the situation.

        Lock-free snapshots.
        """
        executor, desk, journal = self.executor, self.desk, self.journal
        problems = self._given.problems if self._given is not None else ()
        notices = (
            *problems,
            *(journal.notices if journal is not None else ()),
            *(desk.notices if desk is not None else ()),
        )
        before = self.engine.situation
        incident = desk.snapshot(before) if desk is not None and before is not None else None
        if executor is None or desk is None:
            return {"notices": notices, "incident": incident}
        lines = executor.journal_lines
        undone = {line.number for line in lines if line.undone}
        return {
            "notices": notices,
            "incident": incident,
            "progress": executor.progress,
            "journal": lines,
            "debts": executor.debts,
            "unfinished": tuple(item for item in self.unfinished if item.number not in undone),
        }

    def acting(self) -> Executor:
        """The executor.

        Raises NotReady with the reason.
        """
        if self.executor is None:
            raise self.trouble or NotReady("still reading the kubeconfig", "try again in a moment")
        return self.executor

    def plan(self, runbook: Runbook, step: Step, parameters: Mapping[str, str]) -> Future[Plan]:
        return self.acting().plan(runbook, step, parameters)

    def sequence(self, runbook: Runbook, step: Step, run: str = "") -> SequenceState:
        """How far a sequence, or a step in stages, has come.

        Raises NotReady, PlanProblem.
        """
        return self.acting().sequence(runbook, step, run)

    def plan_part(
        self, runbook: Runbook, step: Step, index: int, parameters: Mapping[str, str], run: str = ""
    ) -> Future[Plan]:
        return self.acting().plan_part(runbook, step, index, parameters, run)

    def plan_undo(self, number: int | None) -> Future[Plan]:
        """Undo by journal number; None: the newest that can be.

        Raises NotReady.
        """
        executor = self.acting()
        if number is None:
            newest = next((line.number for line in executor.journal_lines if line.undoable), None)
            if newest is None:
                raise NotReady("nothing in the journal can be undone", "a step appears there once it was sent")
            number = newest
        return executor.plan_undo(number)

    def carry_out(self, plan: Plan, typed: str | None) -> Future[Progress]:
        from cockpit.model.plan import Confirmation

        executor = self.acting()
        if self.desk is not None:
            self.desk.before_change(plan)  # begins only: evidence runs beside the sending, which waits for nothing
        confirmation = Confirmation(plan.id, plan.digest, typed, executor.operator.name, self.clock.mono())
        return executor.carry_out(plan, confirmation)

    def stop_watching(self, plan_id: str) -> None:
        """Leave a rollout and its proof to themselves.

        Raises NotReady.
        """
        self.acting().stop_watching(plan_id)

    def stop_running(self, plan_id: str) -> None:
        """End the program or statement that runs (`Executor.stop_running`).

        Raises NotReady.
        """
        self.acting().stop_running(plan_id)

    def part_of(self, runbook: Runbook, step: Step, index: int) -> Step:
        """The step that is a part of a sequence, or a stage.

        Raises PlanProblem.
        """
        from cockpit.mitigation.planning.sequence import parts_of

        return parts_of(runbook, step)[index]

    def note(
        self, runbook: str, step: str, text: str, choice: str = "", sequence: tuple[str, int, str] | None = None
    ) -> None:
        """The operator's answer to a manual step, into the journal; `sequence`: its id, which part
        this is, which run ("": begin one).

        Raises NotReady, PlanProblem, JournalProblem.
        """
        executor = self.acting()
        part: Part | None = None
        if sequence is not None:
            from cockpit.mitigation.planning.sequence import part_of

            book, whole = self.runbooks.step(runbook, sequence[0])
            part = part_of(executor.sequence(book, whole, sequence[2]), sequence[1])
        executor.note(runbook, step, text, choice=choice, part=part)

    def incident(self, action: str, values: Mapping[str, str]) -> str:
        """What the operator does to the incident (`IncidentService.do`); what happened, in words.

        Blocking for the journal's writes; raises NotReady, IncidentProblem, JournalProblem.
        """
        if self.desk is None:
            raise self.trouble or NotReady("the journal is not open yet", "try again in a moment")
        return self.desk.do(action, values)

    @property
    def rounds(self) -> MaintenanceService:
        """Rounds of maintenance and checklists, from what is known now."""
        from cockpit.journal.operator import Operator
        from cockpit.maintenance.service import MaintenanceService

        executor = self.executor
        return MaintenanceService(
            runbooks=lambda: self.runbooks,
            situation=lambda: self.situation,
            clock=self.clock,
            operator=lambda: executor.operator if executor is not None else Operator.current(),
            state_dir=self.settings.state_dir,
            settings=self.settings.maintenance,
            ranges=self.engine.ranges if "prometheus" in configured(self.settings) else None,
            journal=self.journal,
        )

    def round(self, name: str) -> Future[Round]:
        """Make "weekly", "monthly", "deploy" or "incident".

        Raises RoundProblem by the future.
        """
        return self.rounds.begin(name)

    def keep_round(self, made: Round, out: Path | None = None) -> str:
        """Write it as a report; the file's path.

        Blocking; raises RoundProblem, JournalProblem.
        """
        return str(self.rounds.keep(made, out))

    def explain(self, kind: str, namespace: str, name: str, uid: str = "") -> tuple[str, ...]:
        """Why a pod or workload is not healthy, in words, worst first."""
        from cockpit.assessment.explain.workload import explain_pod, explain_workload

        situation = self.situation
        if situation is None:
            return ("Nothing is known yet.",)
        cluster = situation.cluster
        if kind.lower() == "pod":
            pod = cluster.pods.get(uid) or next(
                (p for p in cluster.pods.values() if (p.namespace, p.name) == (namespace, name)), None
            )
            return (
                explain_pod(cluster, pod, situation.cluster_now) if pod is not None else (f"The pod {name} is gone.",)
            )
        workload = cluster.workloads.get((namespace, name))
        return (
            explain_workload(cluster, workload, situation.cluster_now)
            if workload is not None
            else (f"{name} is gone.",)
        )

    # --- logs ------------------------------------------------------------------------------------------------------------

    def open_logs(self, namespace: str, pods: tuple[str, ...], service: str | None, *, tail: int = 200) -> str:
        """Begin to follow; the lines wait in `logs`.

        Returns a title. Raises NotReady when there is no such pod.
        """
        from cockpit.sources.kubernetes.log_tail import LogTail
        from cockpit.sources.kubernetes.logs import LogRequest

        self.stop_logs()

        def of_service() -> tuple[tuple[str, str | None], ...]:
            return self._containers(namespace, service=service)

        chosen = of_service() if service is not None else self._containers(namespace, names=pods)
        if not chosen and service is None:
            raise NotReady(f"no pod {', '.join(pods)} in {namespace} any more")
        request = LogRequest(namespace, chosen, follow=True, tail=tail)
        self._begin_logs(LogTail(request, of_service if service is not None else None))
        return service or ", ".join(pods)

    def reopen_logs(self, *, previous: bool, since_s: int | None) -> None:
        """The same pods from another container instance or another time."""
        if self.logs is None:
            return
        from cockpit.sources.kubernetes.log_tail import LogTail

        old = self.logs
        old.stop()
        request = replace(old.request, previous=previous, since_s=since_s, tail=200 if since_s is None else 10_000)
        self._begin_logs(LogTail(request, old.pods_now))

    def stop_logs(self) -> None:
        if self.logs is not None:
            self.logs.stop()
            self.logs = None

    def _begin_logs(self, tail: LogTail) -> None:
        self.logs = tail
        self.engine.submit(lambda: tail.run(self.engine.client))

    def _containers(
        self, namespace: str, *, names: tuple[str, ...] = (), service: str | None = None
    ) -> tuple[tuple[str, str | None], ...]:
        """(pod, its service's own container): a sidecar's chatter is not what an operator asks for."""
        situation = self.situation
        found = []
        for pod in situation.cluster.pods.values() if situation is not None else ():
            if pod.namespace == namespace and (pod.service == service if service is not None else pod.name in names):
                own = [c.name for c in pod.containers if not c.init]
                container = pod.service if pod.service in own else own[0] if own else None
                found.append((pod.name, container))
        return tuple(sorted(found))

    def choices(self, param: Param) -> list[tuple[str, str]]:
        """(value, what is known of it) for a parameter: fixed, or live from `choices-from`."""
        from cockpit.mitigation.choices.live import choices

        return choices(param, self.runbooks, self.settings.of(RPC_ENDPOINTS), self.situation)

    def explain_choices(self, step: Step) -> Future[Mapping[str, list[tuple[str, str]]]] | None:
        """More of the images and revisions on offer, by parameter: what the signals did while they
        ran.

        Prometheus is asked, so it takes a moment; None when the step offers none.
        """
        if not any((p.choices_from or "").startswith(("images:", "revisions:")) for p in step.params):
            return None
        return self.acting().explain_choices(step)


def journal_path(settings: Settings) -> Path:
    return settings.state_dir / "journal.jsonl"
