"""One run of the cockpit, screen or no screen: the engine, the journal, the executor, and what they know together.

The app, `status` and `run` all stand on this; it knows nothing of Textual.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cockpit.clock import Clock, SystemClock
from cockpit.config import RpcEndpoint, Settings
from cockpit.engine import Engine, Place
from cockpit.logtail import LogTail
from cockpit.model.plan import Confirmation, Plan, Progress, Unfinished
from cockpit.model.runbook import Param, Runbook, Runbooks, Step
from cockpit.model.situation import Situation
from cockpit.text import safe, url_hint

if TYPE_CHECKING:
    from cockpit.incident.journal import Journal
    from cockpit.mitigation.executor import Executor


class NotReady(Exception):
    """The cluster is not located yet, or never will be: one line and a remedy."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Session:
    """Start it, read `situation`, plan and carry out; close it. Every method may be called from any thread."""

    engine: Engine

    def __init__(
        self, settings: Settings, runbooks: Runbooks | None = None, clock: Clock | None = None, *, act: bool = True
    ) -> None:
        """Without `runbooks` they are loaded at `start`, after the screen's first paint."""
        self.settings = settings
        self._given = runbooks
        self.clock = clock or SystemClock()
        self.executor: Executor | None = None
        self.journal: Journal | None = None
        self.unfinished: tuple[Unfinished, ...] = ()
        self.ready = threading.Event()  # the executor can be asked, or `trouble` says why not
        self.trouble: NotReady | None = None
        self.logs: LogTail | None = None
        self._act = act
        self._started = False

    def start(self) -> None:
        self.engine = Engine(self.settings, self.runbooks, self.clock, self._mitigations)
        self._started = True
        self.engine.start()
        threading.Thread(target=self._open, name="opening", daemon=True).start()

    def close(self, timeout_s: float = 1.5) -> bool:
        """Finish what is journalled, then stop. True when every mitigation under way is settled."""
        settled = self.executor.close(timeout_s) if self.executor is not None else True
        if self.journal is not None:
            self.journal.close()
        if self._started:
            self.engine.close()
        return settled

    @property
    def runbooks(self) -> Runbooks:
        if self._given is None:
            from cockpit.runbooks.schema import load

            self._given = load(self.settings.runbooks)
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
        """The journal and the executor, once the cluster is located; then what the last run left unfinished."""
        self.engine.located.wait()
        self.engine.first_look.wait(3.0)  # its imports must not hold the first pods up
        try:
            self._open_executor()
        except Exception as error:  # the monitor goes on without: said on screen, and whenever a plan is asked for
            remedy = (
                str(getattr(error, "remedy", "")) or "the monitor goes on; nothing can be changed until this is mended"
            )
            self.trouble = NotReady(safe(error) or type(error).__name__, remedy)
        self.ready.set()

    def _open_executor(self) -> None:
        if not self._act:
            return
        from cockpit.incident.journal import Journal
        from cockpit.incident.operator import Operator
        from cockpit.mitigation.executor import Executor

        access = self.engine.access()  # raises AccessProblem: nothing can be changed without a cluster
        place = self.engine.place
        assert place is not None
        self.journal = Journal.open(journal_path(self.settings))
        executor = Executor(
            self.engine.access,
            self.runbooks,
            self.journal,
            lambda: self.engine.situation,
            self.clock,
            namespace=place.namespace,
            read_only=self.settings.read_only,
            operator=Operator.current(kube_user=access.user),
        )
        executor.start()
        self.executor = executor
        if not self.settings.read_only:
            self.unfinished = executor.judge_unfinished().result(timeout=30)

    def _mitigations(self) -> Mapping[str, Any]:
        """What the executor knows, for the situation. Lock-free snapshots."""
        executor = self.executor
        notices = (*self.runbooks.problems, *(self.journal.notices if self.journal is not None else ()))
        if executor is None:
            return {"notices": notices}
        return {
            "notices": notices,
            "progress": executor.progress,
            "journal": executor.journal_lines,
            "debts": executor.debts,
            "unfinished": self.unfinished,
        }

    def acting(self) -> Executor:
        """The executor. Raises NotReady with the reason."""
        if self.executor is None:
            raise self.trouble or NotReady("still reading the kubeconfig", "try again in a moment")
        return self.executor

    def plan(self, runbook: Runbook, step: Step, parameters: Mapping[str, str]) -> Future[Plan]:
        return self.acting().plan(runbook, step, parameters)

    def plan_undo(self, number: int | None) -> Future[Plan]:
        """Undo by journal number; None: the newest that can be. Raises NotReady."""
        executor = self.acting()
        if number is None:
            newest = next((line.number for line in executor.journal_lines if line.undoable), None)
            if newest is None:
                raise NotReady("nothing in the journal can be undone", "a step appears there once it was sent")
            number = newest
        return executor.plan_undo(number)

    def carry_out(self, plan: Plan, typed: str | None) -> Future[Progress]:
        executor = self.acting()
        confirmation = Confirmation(plan.id, plan.digest, typed, executor.operator.name, self.clock.mono())
        return executor.carry_out(plan, confirmation)

    def stop_watching(self, plan_id: str) -> None:
        """Leave a rollout and its proof to themselves. Raises NotReady."""
        self.acting().stop_watching(plan_id)

    def note(self, runbook: str, step: str, text: str) -> None:
        """The operator's answer to a manual step, into the journal. Raises NotReady."""
        self.acting().note(runbook, step, text)

    def check(self, step: Step) -> list[str]:
        """A `check` step: what its signals say now, in words."""
        situation = self.situation
        known = situation.signals if situation is not None else {}
        lines = []
        for name in step.signals:
            status = known.get(name)
            if status is None:
                lines.append(f"UNKNOWN  {name}: not read yet")
            else:
                value = "" if status.value is None else f"  {status.value:.4g} {status.unit}".rstrip()
                lines.append(
                    f"{status.level.value.upper():<8} {status.title}{value}"
                    + (f": {status.reason}" if status.reason else "")
                )
        return lines

    def explain(self, kind: str, namespace: str, name: str, uid: str = "") -> tuple[str, ...]:
        """Why a pod or workload is not healthy, in words, worst first."""
        from cockpit.explain import explain_pod, explain_workload

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
        """Begin to follow; the lines wait in `logs`. Returns a title. Raises LookupError when there is no such pod."""
        from cockpit.sources.logs import LogRequest

        self.stop_logs()

        def of_service() -> tuple[tuple[str, str | None], ...]:
            return self._containers(namespace, service=service)

        chosen = of_service() if service is not None else self._containers(namespace, names=pods)
        if not chosen and service is None:
            raise LookupError(f"no pod {', '.join(pods)} in {namespace} any more")
        request = LogRequest(namespace, chosen, follow=True, tail=tail)
        self._begin_logs(LogTail(request, of_service if service is not None else None))
        return service or ", ".join(pods)

    def reopen_logs(self, *, previous: bool, since_s: int | None) -> None:
        """The same pods from another container instance or another time."""
        if self.logs is None:
            return
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
        if param.choices:
            return [(choice, "") for choice in param.choices]
        kind, _, rest = (param.choices_from or "").partition(":")
        situation = self.situation
        if kind == "rpc-endpoints":
            return [(e.url, self._endpoint_words(e, situation)) for e in self.settings.rpc_endpoints]
        if kind == "toggle":
            toggle = self.runbooks.toggles.get(rest)
            return [(value, "safest" if value == toggle.safest else "") for value in toggle.values] if toggle else []
        if kind == "label" and situation is not None:
            query, _, label = rest.partition(":")
            reading = situation.queries.get(query)
            unit = self.runbooks.queries[query].unit if query in self.runbooks.queries else ""
            known = reading.data.by(label) if reading is not None and reading.data is not None else {}
            worst = sorted(known.items(), key=lambda pair: -pair[1] if pair[1] == pair[1] else float("inf"))
            return [(value, f"{number:,.6g} {unit}".strip()) for value, number in worst]
        return []

    def _endpoint_words(self, endpoint: RpcEndpoint, situation: Situation | None) -> str:
        """What the metrics say of an endpoint; one never used says so: unknown is not healthy."""
        measured = []
        for query, words in (("rpc-error-ratio", "{:.3g} % errors"), ("rpc-confirm-p95", "confirms in {:.1f} s")):
            reading = situation.queries.get(query) if situation is not None else None
            values = reading.data.by("endpoint") if reading is not None and reading.data is not None else {}
            value = values.get(endpoint.name)
            if value is not None and value == value:
                measured.append(words.format(value * 100 if "error" in query else value / 1000))
        now = next((t.value for t in situation.toggles if t.name == "SOLANA_RPC_URL"), None) if situation else None
        used = "in use now, " if now is not None and now == url_hint(endpoint.url) else ""
        return f"{endpoint.name}: {used}{', '.join(measured) or 'no measurements'}"


def journal_path(settings: Settings) -> Path:
    return settings.state_dir / "journal.jsonl"
