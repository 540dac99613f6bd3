"""Each scenario: its symptoms match its runbook best, waiting does not help, nor do wrong steps; the right ones do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from cockpit.board import Board
from cockpit.drill.names import RPC_URLS
from cockpit.drill.promql import evaluate
from cockpit.drill.scenarios import SCENARIOS
from cockpit.drill.server import Drill
from cockpit.model.cluster import Cluster
from cockpit.model.metrics import History, QueryResult, Sample
from cockpit.model.reading import Reading
from cockpit.model.runbook import Match, Runbooks
from cockpit.model.signal import Level, SignalStatus
from cockpit.runbooks.match import match
from cockpit.runbooks.queries import query_specs
from cockpit.runbooks.schema import load
from cockpit.signals import Evaluator

INCIDENTS = [name for name, scenario in SCENARIOS.items() if scenario.runbook is not None]
ARGUMENTS = {"url": RPC_URLS["rpc-b"], "connector": "sports"}


class Operator:
    """Looks at the drill with the cockpit's own evaluator, and acts on it through the Kubernetes API."""

    def __init__(self, drill: Drill, client: httpx.AsyncClient, runbooks: Runbooks) -> None:
        self.drill = drill
        self.client = client
        self.runbooks = runbooks
        self._evaluator = Evaluator(runbooks, drill.world.clock)

    def wait(self, seconds: float) -> None:
        self.drill.world.advance(seconds)

    def look(self) -> dict[str, SignalStatus]:
        """Signals now; evaluated twice 20 s apart, so that what must hold for a while has had the time."""
        self._evaluate()
        self.wait(20)
        return self._evaluate()

    def matches(self) -> tuple[Match, ...]:
        return match(self.runbooks, self.look())

    def _evaluate(self) -> dict[str, SignalStatus]:
        world = self.drill.world
        now, board = world.clock.now(), Board()
        for name, (promql, history_s, max_age_s) in query_specs(self.runbooks).items():
            if not name.startswith("signals/"):
                continue
            steps = [now - 30 * i for i in range(int((history_s or 0) // 30), -1, -1)]
            rows = evaluate(world.store, promql, steps)
            assert isinstance(rows, list)
            result = QueryResult(
                samples=tuple(Sample(dict(k), c[-1]) for k, c in rows if c[-1] is not None),
                history=tuple(
                    History(dict(k), tuple((t, v) for t, v in zip(steps, c, strict=True) if v is not None))
                    for k, c in rows
                ),
                evaluated_at=now,
            )
            board.put(Reading(f"prometheus/{name}", result, world.clock.mono(), max_age_s=max_age_s, server_time=now))
        return self._evaluator.evaluate(board, Cluster(), now)

    async def patch(self, service: str, body: Mapping[str, Any]) -> None:
        answer = await self.client.patch(
            f"/apis/apps/v1/namespaces/m0-prod/deployments/{service}",
            json=body,
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        )
        assert answer.status_code == 200, answer.text

    async def carry_out(self, number: int, step_id: str) -> None:
        """A step of runbooks.toml as kubectl would do it, with default parameters."""
        _, step = self.runbooks.step(str(number), step_id)
        values = {param.name: str(ARGUMENTS.get(param.name, param.default)) for param in step.params}
        assert step.service is not None
        if step.kind == "scale":
            await self.patch(step.service, {"spec": {"replicas": int(str(step.replicas).format(**values))}})
            return
        container: dict[str, Any] = {"name": step.service}
        template: dict[str, Any] = {"spec": {"containers": [container]}}
        if step.kind == "set-env":
            container["env"] = [{"name": name, "value": value.format(**values)} for name, value in step.env.items()]
        else:
            assert step.kind == "restart"
            template["metadata"] = {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}
        await self.patch(step.service, {"spec": {"template": template}})

    def symptoms(self, number: int) -> dict[str, Level]:
        signals = self.look()
        return {s.signal: signals[s.signal].level for s in self.runbooks.runbook(str(number)).symptoms}


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    return load()


@asynccontextmanager
async def operator(scenario: str, runbooks: Runbooks) -> AsyncIterator[Operator]:
    async with (
        Drill(scenario, speed=0, start_at=1_790_000_000, history_s=1200) as drill,
        httpx.AsyncClient(base_url=drill.kubernetes, headers={"Authorization": "Bearer admin"}, verify=False) as client,
    ):
        yield Operator(drill, client, runbooks)


def number_of(scenario: str) -> int:
    number = SCENARIOS[scenario].runbook
    assert number is not None
    return number


@pytest.mark.parametrize("scenario", ["calm", "hostile-logs"])
async def test_on_a_calm_day_no_signal_is_bad_and_no_symptom_holds(scenario: str, runbooks: Runbooks) -> None:
    async with operator(scenario, runbooks) as on_call:
        signals = on_call.look()
        bad = {n: (s.level, s.value, s.reason) for n, s in signals.items() if s.level not in (Level.OK, Level.UNKNOWN)}
        unknown = [n for n, s in signals.items() if s.level is Level.UNKNOWN and runbooks.signals[n].promql]
        assert not bad
        assert not unknown
        held = [s.symptom.item for m in match(runbooks, signals) for s in m.symptoms if s.held and s.symptom.at != "ok"]
        assert not held


@pytest.mark.parametrize("scenario", INCIDENTS)
async def test_the_symptoms_match_the_scenarios_runbook_first_and_waiting_does_not_help(
    scenario: str, runbooks: Runbooks
) -> None:
    number = number_of(scenario)
    async with operator(scenario, runbooks) as on_call:
        for _ in range(2):
            best, *others = on_call.matches()
            assert best.runbook.number == number
            assert best.held == best.total
            assert all(other.held < other.total for other in others if other.total)
            on_call.wait(120)


@pytest.mark.parametrize(
    ("scenario", "step"), [(name, step) for name in INCIDENTS for step in SCENARIOS[name].wrong_steps]
)
async def test_a_wrong_step_does_not_cure(scenario: str, step: str, runbooks: Runbooks) -> None:
    number = number_of(scenario)
    async with operator(scenario, runbooks) as on_call:
        await on_call.carry_out(number, step)
        on_call.wait(200)
        assert Level.OK not in on_call.symptoms(number).values()


@pytest.mark.parametrize(
    ("scenario", "step"), [(name, step) for name in INCIDENTS for step in SCENARIOS[name].right_steps]
)
async def test_a_right_step_cures(scenario: str, step: str, runbooks: Runbooks) -> None:
    number = number_of(scenario)
    async with operator(scenario, runbooks) as on_call:
        await on_call.carry_out(number, step)
        on_call.wait(300)
        assert set(on_call.symptoms(number).values()) == {Level.OK}


async def test_restarting_signers_in_an_rpc_outage_adds_threshold_misses(runbooks: Runbooks) -> None:
    async with operator("rpc-outage", runbooks) as on_call:
        await on_call.carry_out(1, "restart-signers")
        on_call.wait(90)
        assert on_call.drill.world.harm.threshold_misses > 0


async def test_scaling_into_a_rate_limit_is_refused_more_often(runbooks: Runbooks) -> None:
    refused = {}
    for step in (None, "scale-ingestors"):
        async with operator("connector-rate-limited", runbooks) as on_call:
            if step:
                await on_call.carry_out(6, step)
            on_call.wait(90)
            refused[step] = on_call.drill.world.harm.rate_limited
    assert refused["scale-ingestors"] > 1.5 * refused[None] > 0


async def test_submitter_logs_name_the_endpoint_and_carry_trace_ids(runbooks: Runbooks) -> None:
    async with operator("rpc-outage", runbooks) as on_call:
        pod = on_call.drill.world.fleet.working("m0-submitter")[0].name
        log = (await on_call.client.get(f"/api/v1/namespaces/m0-prod/pods/{pod}/log")).text
        assert "rpc error: 503 Service Unavailable endpoint rpc-a" in log
        assert "BlockhashNotFound" in log
        assert "trace_id=" in log


async def test_quant_logs_say_why_guardrails_degrade(runbooks: Runbooks) -> None:
    async with operator("connector-rate-limited", runbooks) as on_call:
        text = ""
        for pod in on_call.drill.world.fleet.working("m0-quant"):
            text += (await on_call.client.get(f"/api/v1/namespaces/m0-prod/pods/{pod.name}/log")).text
        assert "guardrail DEGRADE market=NBA_LAL_BOS reason=coverage" in text


async def test_hostile_logs_really_hold_escapes(runbooks: Runbooks) -> None:
    async with operator("hostile-logs", runbooks) as on_call:
        on_call.wait(60)
        text = ""
        for pod in on_call.drill.world.fleet.working("m0-api-gateway"):
            text += (await on_call.client.get(f"/api/v1/namespaces/m0-prod/pods/{pod.name}/log")).text
        assert "\x1b" in text or "\u202e" in text


async def test_restarting_the_submitter_does_not_cure_an_rpc_outage(runbooks: Runbooks) -> None:
    async with operator("rpc-outage", runbooks) as on_call:
        note = {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}
        await on_call.patch("m0-submitter", {"spec": {"template": {"metadata": note}}})
        on_call.wait(200)
        assert Level.OK not in on_call.symptoms(1).values()
