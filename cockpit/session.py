"""Holds one run of the cockpit, screen or no screen: the engine, the journal, the executor.

The app, `status` and `run` all stand on this; it knows nothing of Textual.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.clock import Clock, SystemClock
from cockpit.errors import CockpitError
from cockpit.journal.state_files import own_directory
from cockpit.settings import Settings
from cockpit.sources.postgres.settings import POSTGRES
from cockpit.sources.registry import configured
from cockpit.sources.solana.settings import RPC_ENDPOINTS, SOLANA
from cockpit.sources.transport import exposed, exposed_by

if TYPE_CHECKING:
    import asyncio

    from cockpit.engine import Engine, Place
    from cockpit.incident.service import IncidentService
    from cockpit.journal.journal import Journal
    from cockpit.maintenance.service import MaintenanceService
    from cockpit.mitigation.context import Backends
    from cockpit.mitigation.executor import Executor
    from cockpit.model.observed.metrics import History
    from cockpit.model.plan import Progress, Unfinished
    from cockpit.model.runbook import Runbooks, Step
    from cockpit.model.situation import Situation
    from cockpit.sources.kubernetes.log_follower import LogFollower


_COMPARE_AGAIN_S = 15.0


class NotReady(CockpitError):
    """The cluster is not located yet, or never will be: one line and a remedy."""

    usual_remedy = "wait a moment, then try again; `m0-cockpit doctor` says what is missing"


class Session:
    """Serves one run: start it, read `situation`, plan and carry out; close it.

    Every method may be called from any thread.
    """

    engine: Engine
    record = True  # what it sees belongs into the timeline; not of a command that looks once

    def __init__(
        self, settings: Settings, runbooks: Runbooks | None = None, clock: Clock | None = None, *, act: bool = True
    ) -> None:
        """Load the runbooks, where none are given, at `start`, after the screen's first paint."""
        self.settings = settings
        self.loop: asyncio.AbstractEventLoop | None = None  # for sources and executor, where somebody else runs one
        self._given = runbooks
        self._plain: Runbooks | None = None  # those that the configuration has been put into
        self.clock = clock or SystemClock()
        self.executor: Executor | None = None
        self.journal: Journal | None = None
        self._incident: IncidentService | None = None  # the incident's record, there as soon as the journal is
        self.unfinished: tuple[Unfinished, ...] = ()
        self.compared: tuple[str, ...] = ()  # what the cluster's anchor says of the journal, where it is not as it says
        self.ready = threading.Event()  # the executor can be asked, or `trouble` says why not
        self.trouble: NotReady | None = None
        self._logs: LogFollower | None = None
        self._loading = threading.Lock()
        self._act = act
        self._exposed: tuple[str, ...] | None = None  # what the configuration sends unprotected, once it was looked for
        self._started = False
        self._closing = threading.Event()

    def start(self, on_situation: Callable[[bool], None] | None = None) -> None:
        """Start the sources, and open what acts in a thread of its own.

        `on_situation(urgent)` is called in the sources' thread whenever `situation` is a new one;
        `urgent` asks the screen to draw now instead of at its next poll.
        """
        from cockpit.engine import Engine

        self.engine = Engine(self.settings, lambda: self.runbooks, self.clock, self._recorded)
        if on_situation is not None:
            self.engine.on_situation = on_situation
        self._started = True
        if self.loop is None:
            self.engine.start()
        else:
            self.loop.call_soon_threadsafe(self.loop.create_task, self.engine.run())
        threading.Thread(target=self._open, name="opening", daemon=True).start()

    def close(self, timeout_s: float = 1.5, *, cut_off: bool = False) -> bool:
        """Finish what is journalled, then stop.

        True when every mitigation under way is settled. `cut_off`: see `Executor.close`.
        """
        self._closing.set()
        settled = self.executor.close(timeout_s, cut_off=cut_off) if self.executor is not None else True
        if self._incident is not None:
            self._incident.close(timeout_s / 2)  # without a screen there is time: evidence that was begun is finished
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
        """Return whether mistakes would be real; as long as it is not known, they would."""
        return self.place.production if self.place is not None else True

    @property
    def progress(self) -> tuple[Progress, ...]:
        return self.executor.progress if self.executor is not None else ()

    def _open(self) -> None:
        """Open the journal and the executor once the cluster is located.

        Judge what was left unfinished.
        """
        self.engine.located.wait()
        self.engine.first_situation.wait(3.0)  # its imports must not hold the first pods up
        self._open_or_report(self._open_incident, self._open_executor)
        self.ready.set()
        if self.trouble is None or self.engine.identified.is_set():
            self._compare_journal()
            return
        while not self.engine.identified.wait(0.5):  # a login or a kubeconfig that comes later: then steps can act too
            if self._closing.is_set():
                return
        self._open_or_report(*(() if self._incident is not None else (self._open_incident,)), self._open_executor)
        self._compare_journal()

    def _compare_journal(self) -> None:
        """Compare the journal with the cluster's anchor, once the cluster answers."""
        while self.executor is not None and not self._closing.is_set():
            try:
                found, why = self.executor.compare_journal().result(timeout=60)
            except Exception as error:
                found, why = [], CockpitError.of(error).reason
            if not why:
                self.compared = tuple(one.line for one in found if one.wrong or one.newer)
                return
            self.compared = (f"the journal was not compared with the cluster's anchor: {why}",)
            self._closing.wait(_COMPARE_AGAIN_S)

    def _open_or_report(self, *opening: Callable[[], None]) -> None:
        """Run each opener.

        On failure monitoring goes on, and `trouble` says why nothing can be changed.
        """
        try:
            for open_one in opening:
                open_one()
            self.trouble = None
        except Exception as error:
            known = CockpitError.of(error)
            remedy = known.remedy or "the monitor goes on; nothing can be changed until this is mended"
            self.trouble = NotReady(known.reason, remedy)

    def _open_incident(self) -> None:
        """Open it without a cluster too: the worst incident is that it cannot be reached."""
        if not self._act:
            return
        from cockpit.incident.evidence.onchain import find_last
        from cockpit.incident.service import IncidentService
        from cockpit.journal.operator import Operator

        self.journal = open_journal(self.settings, self.clock)

        def operator() -> Operator:
            executor = self.executor
            return executor.operator if executor is not None else Operator.current()

        self._incident = IncidentService(
            self.journal,
            lambda: self.runbooks,
            self.clock,
            operator=operator,
            state_dir=own_state_dir(self.settings),
            situation=lambda: self.engine.situation,
            access=self.engine.access,
            webhook=self.settings.webhook,
            read_only=self.settings.read_only,
            record=self.record,
            find_last=find_last(self.settings.of(RPC_ENDPOINTS), self.settings.of(SOLANA).program_id, self.clock),
        )

    def _backends(self) -> Backends:
        """Return what the steps work with beside the cluster."""
        from cockpit.mitigation.context import Backends, NetworkCli
        from cockpit.settings import secret_of

        cli, postgres = self.settings.network_cli, self.settings.of(POSTGRES)
        return Backends(
            network_cli=NetworkCli(cli.argv, cli.cluster, cli.timeout, cli.env),
            admin_url=lambda: secret_of(postgres.admin_url, postgres.admin_url_file, "[postgres] admin-url"),
            evidence=self._incident.evidence if self._incident is not None else None,
            past=self.engine.past,
            measure=self.engine.measure if "prometheus" in configured(self.settings) else None,
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
            # begins only: evidence runs beside the sending, which waits for nothing
            before_change=self._incident.before_change if self._incident is not None else lambda plan: None,
            loop=self.loop,
        )
        executor.start()
        self.executor = executor
        if not self.settings.read_only:
            self.unfinished = executor.judge_unfinished().result(timeout=30)

    def _recorded(self) -> Mapping[str, Any]:
        """Return what the journal and the executor know, for the situation: lock-free snapshots."""
        executor, service, journal = self.executor, self._incident, self.journal
        problems = self._given.problems if self._given is not None else ()
        unread = journal.unreadable if journal is not None else ()
        said = journal.read_only_reason if journal is not None else ""
        notices = (
            *problems,
            *self._unprotected(),
            *((self.engine.kept.trouble,) if self.engine.kept is not None and self.engine.kept.trouble else ()),
            *self.compared,
            *(f"{line}: what it holds is not known" for line in unread if line not in said),
            *(journal.notices if journal is not None else ()),
            *(service.notices if service is not None else ()),
        )
        before = self.engine.situation
        incident = service.snapshot(before) if service is not None and before is not None else None
        if executor is None or service is None:
            return {"notices": notices, "incident": incident, "journals_unread": unread}
        lines = executor.journal_lines
        undone = {line.number for line in lines if line.undone}
        return {
            "notices": notices,
            "incident": incident,
            "journals_unread": unread,
            "progress": executor.progress,
            "journal": lines,
            "debts": executor.debts,
            "unfinished": tuple(item for item in self.unfinished if item.number not in undone),
        }

    def _unprotected(self) -> tuple[str, ...]:
        """Return what travels unprotected, of the configuration and of the kubeconfig once read."""
        if self._exposed is None:
            self._exposed = exposed(self.settings)
        access = self.engine.known_access
        return (*self._exposed, *(exposed_by(access) if access is not None else ()))

    @property
    def mitigations(self) -> Executor:
        """Return what plans and carries out; raises NotReady with the reason if it is not there."""
        if self.executor is None:
            raise self.trouble or NotReady("still reading the kubeconfig", "try again in a moment")
        return self.executor

    @property
    def incident(self) -> IncidentService:
        """Return the incident's record; raises NotReady as long as the journal is not open."""
        if self._incident is None:
            raise self.trouble or NotReady("the journal is not open yet", "try again in a moment")
        return self._incident

    @property
    def logs(self) -> LogFollower:
        """Return the log stream that is shown."""
        if self._logs is None:
            from cockpit.sources.kubernetes.log_follower import LogFollower

            self._logs = LogFollower(self.engine.submit, self.engine.client, lambda: self.situation)
        return self._logs

    async def _ranges(self, promql: str, start: float, end: float, step: float) -> tuple[History, ...]:
        return await self.engine.prometheus().ranges(promql, start, end, step)

    @property
    def maintenance(self) -> MaintenanceService:
        """Return rounds of maintenance and checklists, from what is known now."""
        from cockpit.journal.operator import Operator
        from cockpit.maintenance.lookups import lookups_of
        from cockpit.maintenance.service import MaintenanceService

        return MaintenanceService(
            runbooks=lambda: self.runbooks,
            situation=lambda: self.situation,
            clock=self.clock,
            operator=lambda: self.executor.operator if self.executor is not None else Operator.current(),
            state_dir=own_state_dir(self.settings),
            settings=self.settings.maintenance,
            ranges=self._ranges if "prometheus" in configured(self.settings) else None,
            journal=self.journal,
            lookups=lookups_of(self.settings, self.place.namespace if self.place else "", self.engine.access),
        )

    def explain(self, kind: str, namespace: str, name: str, uid: str = "") -> tuple[str, ...]:
        """Say why a pod or workload is not healthy, or what a signal is, in words, worst first."""
        from cockpit.assessment.explain.selected import explain

        situation = self.situation
        if situation is None:
            return ("Nothing is known yet.",)
        return explain(kind, (namespace, name, uid), situation, self.runbooks)

    def offers(self, step: Step) -> dict[str, list[tuple[str, str]]]:
        """Return what a form offers for each parameter, with what each value would do now."""
        from cockpit.mitigation.choices.preset import offers

        endpoints, now = self.settings.of(RPC_ENDPOINTS), self.situation
        return {param.name: offers(step, param, self.runbooks, endpoints, now) for param in step.params}

    def presets(self, step: Step) -> tuple[dict[str, str], dict[str, str]]:
        """Return what each parameter starts with in a form, and what its target is now."""
        from cockpit.mitigation.choices.preset import now_of, presets

        now = self.situation
        return presets(step, self.runbooks, self.settings.of(RPC_ENDPOINTS), now), now_of(step, now)


def journal_path(settings: Settings) -> Path:
    """Return where this user's journal is."""
    from cockpit.journal.journal import Journal

    return Journal.path_in(settings.state_dir, listed=settings.state_dir_shared)


def open_journal(settings: Settings, clock: Clock | None = None) -> Journal:
    """Open this user's journal to write, with those of others who share the directory."""
    from cockpit.journal.journal import Journal

    wall = (clock or SystemClock()).wall
    return Journal.open(journal_path(settings), listed=settings.state_dir_shared, wall=wall)


def read_journal(settings: Settings) -> Journal:
    """Return the journals to look at: nothing is created, locked or written."""
    from cockpit.journal.journal import Journal

    return Journal(journal_path(settings), listed=settings.state_dir_shared)


def unreadable_journals(settings: Settings) -> list[str]:
    """Say which journal of whom cannot be read, without reading those that can."""
    from cockpit.journal.others import unreadable_in
    from cockpit.journal.state_files import find_directory

    try:
        return unreadable_in(find_directory(settings.state_dir, listed=settings.state_dir_shared))
    except OSError as error:
        return [f"{settings.state_dir} cannot be read: {error.strerror or error}"]


def own_state_dir(settings: Settings) -> Path:
    """Return where this user's other files are: in a shared directory, one of one's own."""
    return own_directory(settings.state_dir, listed=settings.state_dir_shared)
