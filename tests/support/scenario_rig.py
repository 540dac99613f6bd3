"""An operator without a network: looks at a drill's world with the cockpit's own rules, and acts on
its cluster.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from cockpit.assessment.usual.windows import ENOUGH_S, RECENT_S
from cockpit.drill import changes
from cockpit.drill.kubernetes.objects.resources import DEPLOYMENTS
from cockpit.drill.names import RPC_URLS
from cockpit.drill.physics.authority import SignerSet
from cockpit.drill.scenarios import Scenario, find
from cockpit.drill.school.observer import Observer
from cockpit.drill.world import World
from cockpit.mitigation.proof.verify import Baseline, Verification
from cockpit.model.plan import Proof
from cockpit.model.runbook import Match, Runbook, Runbooks, Step
from cockpit.model.signal import Level
from cockpit.model.situation import Situation

START = 1_790_000_000.0
#: What is usual must be known of a time that no incident fills, or nothing is called well by it.
HISTORY_S = ENOUGH_S + RECENT_S + 60.0
ARGUMENTS = {"url": RPC_URLS["rpc-b"], "market": "NBA_LAL_BOS"}


@cache
def _past(scenario: str, seed: int) -> bytes:
    clock = World.past_clock(START)
    return pickle.dumps(World(seed=seed, clock=clock, scenario=find(scenario), history_s=HISTORY_S), -1)


def lived(scenario: str, seed: int = 7) -> World:
    """A world of one's own with its past behind it: it is lived through once in a process, and
    copied.
    """
    made: World = pickle.loads(_past(scenario, seed))
    return made


class Operator:
    """`wait` and `situation` move the world on.

    `act` carries a step of runbooks.toml out as kubectl, or the operator's own tool, would.
    """

    def __init__(self, scenario: str, runbooks: Runbooks, seed: int = 7) -> None:
        self.scenario: Scenario = find(scenario)
        self.runbooks = runbooks
        self.world = lived(scenario, seed)
        self.world.step_s = 2.0
        self.observer = Observer(self.world, runbooks)
        self._narrow: dict[frozenset[str], Observer] = {}
        self._jobs = 0

    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    def situation(self) -> Situation:
        """What has held for twenty seconds."""
        self.observer.snapshot()
        self.wait(20)
        return self.observer.snapshot()

    def _situation_of(self, number: int) -> Situation:
        """As `situation`, at the runbook's symptoms alone."""
        observer = self._observer(s.signal for s in self.runbooks.runbook(str(number)).symptoms)
        observer.snapshot()
        self.wait(20)
        return observer.snapshot()

    def _observer(self, signals: Iterable[str]) -> Observer:
        """Observe these signals alone, as the referee of a drill does: the others cost as much
        and decide nothing.
        """
        wanted = frozenset(signals)
        if wanted not in self._narrow:
            self._narrow[wanted] = Observer(self.world, self.runbooks, wanted)
        return self._narrow[wanted]

    def matches(self) -> tuple[Match, ...]:
        return self.situation().matches

    def symptoms(self, number: int) -> dict[str, Level]:
        """Signals of the runbook's symptoms that should not be: those that hold when all is well,
        and those of sources that nobody has configured, are left out.
        """
        signals = self._situation_of(number).signals
        wanted = [s for s in self.runbooks.runbook(str(number)).symptoms if s.at != "ok"]
        return {s.signal: signals[s.signal].level for s in wanted if not signals[s.signal].off}

    def well(self, number: int, within_s: float) -> bool:
        """Whether all the runbook's symptoms go within so many simulated seconds."""
        end = self.world.clock.now() + within_s
        while self.world.clock.now() < end:
            if set(self.symptoms(number).values()) == {Level.OK}:
                return True
        return False

    def step(self, named: str) -> Step:
        return self.runbooks.step(*self.scenario.qualified(named))[1]

    def act(self, named: str) -> None:
        step = self.step(named)
        if named in self.scenario.by_hand:
            self.scenario.by_hand[named](self.world)
        else:
            self._carry_out(step, self.scenario.qualified(named)[0])

    def _carry_out(self, step: Step, runbook: str) -> None:
        given = {**ARGUMENTS, **self.scenario.arguments}
        values = {p.name: str(given.get(p.name, p.default)) for p in step.params}
        kube, service = self.world.kube, step.service or ""
        if step.names_service_by_value:  # as the cockpit does: the service whose image or revision it is
            named = values[service.strip("{}")]
            service = named.rpartition("/")[2].partition("@")[0].partition(":")[0]
        self._jobs += 1

        def filled(text: object) -> str:
            return str(text).format(**{"cluster": "drill", **values})

        def command() -> None:
            words = [filled(word) for word in step.argv if not word.endswith("*}")]
            if words[1] == "market" and words[2] in ("pause", "unpause"):
                self.world.authority.set_market(words[words.index("--market-id") + 1], paused=words[2] == "pause")
                return
            assert words[1:3] == ["signer-set", "create"], words
            keys = tuple(values["pubkeys"].split())
            made = SignerSet(int(values["set_id"]), int(values["threshold"]), keys, "now")
            self.world.authority.create_signer_set(made)

        def sequence() -> None:
            for part in step.steps:
                self._carry_out(self.runbooks.step(runbook, part)[1], runbook)

        kinds: Mapping[str, Callable[[], None]] = {
            "scale": lambda: changes.scale(kube, service, int(filled(step.replicas))),
            "set-env": lambda: changes.set_env(kube, service, {k: filled(v) for k, v in step.env.items()}),
            "set-image": lambda: changes.set_image(kube, service, filled(step.image)),
            "restart": lambda: changes.restart(kube, service),
            "set-config": lambda: changes.set_config(
                kube, step.args["configmap"], filled(step.args["key"]), filled(step.args["value"])
            ),
            "run-job": lambda: changes.run_job(kube, step.args["cronjob"], f"{step.args['cronjob']}-{self._jobs}"),
            "command": command,
            "undo-rollout": lambda: changes.undo_rollout(kube, service),
            "sequence": sequence,
        }
        kinds[step.kind]()

    def spec(self, named: str) -> Mapping[str, Any]:
        """Of the step's deployment, as it is now."""
        found = self.world.kube.workload(self.step(named).service or "")
        assert found is not None
        spec: Mapping[str, Any] = found["spec"]
        return spec

    def put_back(self, named: str, spec: Mapping[str, Any]) -> None:
        """The step's inverse: the spec as it was, as a new generation."""
        service, kube = self.step(named).service or "", self.world.kube
        stored = kube.store.get(DEPLOYMENTS, kube.namespace, service)
        assert stored is not None
        meta = {**stored.obj["metadata"], "generation": stored.obj["metadata"]["generation"] + 1}
        kube.store.replace(DEPLOYMENTS, stored, {**stored.obj, "metadata": meta, "spec": dict(spec)})

    def prove(self, number: int, seconds: float, every_s: float = 10.0) -> Proof:
        """The runbook's validation from now on, as the cockpit judges it; at most so many simulated
        seconds.
        """
        runbook = self.runbooks.runbook(str(number))
        clock, observer = self.world.clock, self._observer(_signals(runbook))
        proof = Verification(runbook.validation, self.runbooks, self.before(number), clock.mono())
        end = clock.now() + seconds
        while clock.now() < end and proof.proof is Proof.PENDING:
            self.wait(every_s)
            proof.update(observer.snapshot(), clock.mono())
        return proof.proof

    def before(self, number: int) -> Baseline:
        if not hasattr(self, "_before"):
            self.remember(number)
        return self._before

    def remember(self, number: int) -> None:
        """The signals before a step, for validations that ask whether one rises or falls."""
        runbook = self.runbooks.runbook(str(number))
        observer, clock = self._observer(_signals(runbook)), self.world.clock
        observer.snapshot()
        self.wait(20)  # what must hold for a while is known to
        self._before = Baseline.of(observer.snapshot(), runbook.validation, clock.mono(), self.runbooks)


def _signals(runbook: Runbook) -> set[str]:
    """The signals that its validation is judged by."""
    return {name for line in runbook.validation for name in (line.signal, line.only_with) if name is not None}
