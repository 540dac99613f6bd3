"""The situation: services, stages, lights, toggles and the cluster's clock, from what is on the
board.
"""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.assessment.assessor import Assessor
from cockpit.assessment.board import Board
from cockpit.clock import ManualClock
from cockpit.model.observed.cluster import Condition, ConfigMap, Container, ContainerTemplate, EnvVar, Pod, Workload
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level
from cockpit.model.situation import Situation, ToggleStatus
from cockpit.runbooks.schema import load
from tests.support.readings import kept
from tests.support.samples.cluster import sample_pod, sample_workload

KINDS = ("pods", "deployments", "statefulsets", "replicasets", "events", "horizontalpodautoscalers", "configmaps")


class Room:
    """A board fed by hand, and its assessor."""

    def __init__(self, namespaces: tuple[str, ...] = ("n",), prometheus: bool = True, runbooks: Runbooks | None = None):
        self.clock = ManualClock()
        self.board = Board()
        self.namespaces = namespaces
        self.assessor = Assessor(
            runbooks or load(),
            self.clock,
            context="c",
            namespaces=namespaces,
            production=True,
            read_only=False,
            configured=frozenset({"kubernetes", *(["prometheus"] if prometheus else [])}),
        )

    def put(self, kind: str, data: dict[Any, Any], namespace: str = "n", **more: Any) -> None:
        self.board.put(Reading(f"kubernetes/{kind}/{namespace}", data, self.clock.mono(), **more))

    def cluster(self, pods: list[Pod], workloads: list[Workload], namespace: str = "n", **more: Any) -> None:
        for kind in KINDS:
            self.put(kind, {}, namespace, **more)
        self.put("pods", {p.uid: p for p in pods}, namespace, **more)
        self.put("deployments", {(w.namespace, w.name): w for w in workloads}, namespace, **more)

    def signal(self, name: str, *values: float, **more: Any) -> None:
        result = QueryResult(tuple(Sample({}, value) for value in values), evaluated_at=self.clock.wall())
        self.board.put(Reading(f"prometheus/signals/{name}", result, self.clock.mono(), max_age_s=30.0, **more))

    def situation(self, **more: Any) -> Situation:
        return self.assessor.assess(self.board, **more)


def pod(name: str, service: str = "m0-quant", *, ready: bool = True, **more: Any) -> Pod:
    usual = {"uid": name, "namespace": "n", "created_at": 1_789_999_000.0, "service": service, "ready": int(ready)}
    return sample_pod(name=name, **{**usual, **more})


def workload(name: str = "m0-quant", desired: int = 2, env: tuple[EnvVar, ...] = (), **more: Any) -> Workload:
    counts = dict.fromkeys(("desired", "replicas", "ready", "updated", "available"), desired)
    usual = {"uid": name, "namespace": "n", "created_at": 1_789_000_000.0, **counts}
    return sample_workload(name=name, **{**usual, "containers": (ContainerTemplate(name, "i", env),), **more})


def test_before_anything_is_read_nothing_is_ok() -> None:
    seen = Room().situation()
    assert {status.level for status in seen.signals.values()} == {Level.UNKNOWN}
    assert [light.state for light in seen.sources] == [SourceState.STARTING] * 2 + [SourceState.OFF] * 3
    assert [stage.name for stage in seen.stages if stage.stops_here] == ["ingest"]
    assert len(seen.matches) == 16 and all(match.held == 0 for match in seen.matches)
    assert {toggle.level for toggle in seen.toggles} == {"unknown"}
    assert (seen.context, seen.namespaces, seen.production, seen.read_only) == ("c", ("n",), True, False)


# --- services ----------------------------------------------------------------------------------


def service(pods: list[Pod], own: Workload) -> tuple[str, str, int, int]:
    room = Room()
    room.cluster(pods, [own])
    (status,) = room.situation().services
    return status.level, status.why, status.ready, status.desired


ENDED = Container("c", restarts=3, last_exit_code=1, last_reason="Error", last_finished_at=1_790_000_000.0 - 120)
STUCK = Condition("Progressing", "False", "ProgressDeadlineExceeded", "late")


@pytest.mark.parametrize(
    ("pods", "own", "expected"),
    [
        ([pod("a"), pod("b")], workload(), ("ok", "", 2, 2)),
        ([pod("a"), pod("b", reason="CrashLoopBackOff", ready=False)], workload(), ("warn", "CrashLoopBackOff", 1, 2)),
        (
            [pod(n, reason="CrashLoopBackOff", ready=False) for n in "ab"],
            workload(),
            ("crit", "CrashLoopBackOff ×2", 0, 2),
        ),
        ([pod("a"), pod("b", ready=False)], workload(), ("warn", "not ready", 1, 2)),
        ([pod("a")], workload(), ("warn", "1 of 2 missing", 1, 2)),
        ([], workload(), ("crit", "2 of 2 missing", 0, 2)),
        ([], workload(desired=0), ("crit", "scaled to 0", 0, 0)),  # B10
        ([], workload("own-cache", desired=0), ("ok", "scaled to 0", 0, 0)),
        (
            [pod("a", "m0-submitter", deleted_at=1.0)],
            workload("m0-submitter", 0),
            ("crit", "scaled to 0, 1 terminating", 0, 0),
        ),
        (
            [pod("a", "m0-submitter"), pod("b", "m0-submitter", deleted_at=1.0)],
            workload("m0-submitter", 1),
            ("crit", "2 pods of a singleton", 1, 1),
        ),
        (
            [pod("a"), pod("b"), pod("c", reason="ContainerCreating", ready=False)],
            workload(),
            ("ok", "ContainerCreating", 2, 2),
        ),
        (
            [pod("a"), pod("b"), pod("c", reason="ImagePullBackOff", ready=False)],
            workload(conditions=(STUCK,)),
            ("warn", "rollout stuck: ImagePullBackOff", 2, 2),
        ),
        (
            [pod("a"), pod("b", restarts=3, containers=(ENDED,))],
            workload(),
            ("warn", "restarted 2 min ago: Error (exit 1)", 2, 2),
        ),
        ([pod("a"), pod("b"), pod("c", deleted_at=1.0)], workload(), ("ok", "1 terminating", 2, 2)),
        ([pod("a"), pod("b")], workload(paused=True), ("ok", "paused", 2, 2)),
    ],
)
def test_a_service_says_why(pods: list[Pod], own: Workload, expected: tuple[str, str, int, int]) -> None:
    assert service(pods, own) == expected


def test_services_come_worst_first_and_their_pods_problem_first() -> None:
    room = Room()
    broken = [pod("z", "m0-realtime", reason="Error", ready=False), pod("y", "m0-realtime")]
    room.cluster(
        [pod("a"), pod("b"), *broken, pod("j", "job-1", owner_kind="Job")], [workload(), workload("m0-realtime")]
    )
    seen = room.situation().services
    assert [(s.name, s.kind) for s in seen] == [
        ("m0-realtime", "Deployment"),
        ("job-1", "Job"),
        ("m0-quant", "Deployment"),
    ]
    assert seen[0].pods == ("z", "y")


def test_services_follow_changes_and_deletions() -> None:
    room = Room()
    room.cluster([pod("a"), pod("b")], [workload()])
    assert room.situation().services[0].ready == 2
    room.put("pods", {"a": pod("a")})
    assert room.situation().services[0].ready == 1
    room.put("pods", {"a": pod("a"), "c": pod("c", ready=False, reason="Error")})
    assert room.situation().services[0].why == "Error"
    room.put("pods", {})
    assert room.situation().services[0].pods == ()


def test_with_many_pods_services_are_made_anew_once_a_second() -> None:
    room = Room()
    pods = {f"p{i}": pod(f"p{i}", f"s{i % 200}") for i in range(2000)}
    room.put("pods", pods)
    first = room.situation().services
    assert len(first) == 200
    room.put("pods", {**pods, "p0": pod("p0", "s0", ready=False)})
    assert room.situation().services is first
    room.clock.advance(1.1)
    assert room.situation().services[0].name == "s0"


def test_several_namespaces_are_merged() -> None:
    room = Room(("n", "o"))
    room.cluster([pod("a"), pod("b")], [workload()])
    room.cluster([pod("x", namespace="o")], [workload(namespace="o", desired=1)], "o")
    seen = room.situation()
    assert {(s.namespace, s.ready) for s in seen.services} == {("n", 2), ("o", 1)}
    assert kept(seen.kinds["pods/o"]) is not None
    assert room.situation().cluster.pods is seen.cluster.pods


# --- the clock of the cluster ------------------------------------------------------------------


def test_ages_are_measured_on_the_clusters_clock() -> None:
    room = Room()
    room.cluster([pod("a", created_at=1_700_000_000.0)], [workload()], server_time=1_700_000_100.0)
    room.clock.advance(5)
    seen = room.situation()
    assert seen.cluster_now == 1_700_000_105.0
    assert seen.services[0].age_s == pytest.approx(105.0)


def test_without_a_cluster_the_local_clock_stands_in() -> None:
    room = Room()
    assert room.situation().cluster_now == room.clock.wall()


# --- lights ------------------------------------------------------------------------------------


def test_one_kind_that_fails_leaves_the_cluster_s_light_on() -> None:
    """R8: one kind's 503 made the whole k8s light DOWN, though all else was read."""
    room = Room(prometheus=False)
    room.cluster([], [])
    room.put("events", {}, fault=Fault(SourceState.DOWN, "list events in n: HTTP 503"))
    kubernetes, *_ = room.situation().sources
    assert kubernetes.state is SourceState.STALE
    failed, _, reason = kubernetes.reason.partition(": ")
    assert failed.startswith("1 of ") and reason == "list events in n: HTTP 503"
    assert [(topic.partition("/")[0], state) for topic, state, _ in kubernetes.parts] == [("events", SourceState.DOWN)]


def test_a_light_is_its_worst_topic_and_names_it() -> None:
    room = Room(prometheus=False)
    room.cluster([], [])
    room.put("events", {}, fault=Fault(SourceState.DENIED, "list events is forbidden", "ask for the role"))
    kubernetes, prometheus, *_ = room.situation().sources
    assert (kubernetes.state, kubernetes.remedy) == (SourceState.DENIED, "ask for the role")
    assert kubernetes.reason == "events/n: list events is forbidden"
    assert kubernetes.parts == (("events/n", SourceState.DENIED, "list events is forbidden"),)
    assert prometheus.state is SourceState.OFF


def test_one_rejected_query_does_not_make_prometheus_down() -> None:
    room = Room()
    room.signal("coverage", 0.97)
    room.signal("output-age", fault=Fault(SourceState.DOWN, "query rejected"))
    light = room.situation().sources[1]
    assert light.state is SourceState.STALE
    assert light.reason == "1 of 2 failed: query rejected"


def test_an_unreachable_prometheus_is_down() -> None:
    room = Room()
    room.signal("coverage", fault=Fault(SourceState.DOWN, "connection refused", "is it up?"))
    light = room.situation().sources[1]
    assert (light.state, light.reason, light.remedy) == (SourceState.DOWN, "connection refused", "is it up?")


def test_a_light_ages() -> None:
    room = Room()
    room.cluster([], [])
    room.clock.advance(60)
    light = room.situation().sources[0]
    assert (light.state, light.age_s) == (SourceState.STALE, 60.0)


# --- stages ------------------------------------------------------------------------------------


def test_the_strip_stops_at_the_first_stage_that_is_bad_not_at_an_unknown_before_it() -> None:
    room = Room()
    room.cluster([pod("a", "m0-aggregator")], [workload("m0-aggregator", 1)])
    room.signal("coverage", 0.97)
    room.signal("signer-misses", 50.0)
    seen = {stage.name: stage for stage in room.situation().stages}
    assert seen["ingest"].level is Level.UNKNOWN
    assert seen["aggregate"].level is Level.OK
    assert seen["sign"].level is Level.CRIT  # its headline is unknown; that does not hide it
    assert [name for name, stage in seen.items() if stage.stops_here] == ["sign"]


def test_the_best_match_comes_first() -> None:
    room = Room()
    room.signal("watermark-lag", 300.0)
    room.signal("coverage", 0.4)
    room.signal("outputs-degraded", 60.0)
    best = room.situation().matches[0]
    assert (best.runbook.id, best.words) == ("watermark-lag", "3 of 3 symptoms")


# --- toggles -----------------------------------------------------------------------------------

ENV = (
    EnvVar("M0_PUBLISH_ENABLED", "false"),
    EnvVar("SOLANA_RPC_URL", "https://rpc-a.example/v2/KEYLIKE123456789abc"),
    EnvVar("M0_PUBLISH_CONCURRENCY", "2"),
    EnvVar("M0_MARKET_PAUSE_NBA", "true"),
)


def shown(room: Room) -> dict[tuple[str, str], ToggleStatus]:
    return {(t.name, t.deployment): t for t in room.situation().toggles}


def test_toggles_show_what_differs_and_no_secret() -> None:
    room = Room()
    postgres = EnvVar("M0_POSTGRES_URL", "postgres://u:p@db/x")
    referred = EnvVar("M0_POSTGRES_URL", None, "secret pg/url")
    room.cluster(
        [],
        [
            workload("m0-submitter", 1, ENV),
            workload("m0-quant", 2, (EnvVar("M0_GUARDRAIL_POLICY_LEVEL", "FAST"),)),
            workload("m0-realtime", 2, (postgres,)),
            workload("m0-reconciler", 1, (referred,)),
            workload("m0-ingestor", 4),
        ],
    )
    seen = shown(room)
    assert seen["M0_PUBLISH_ENABLED", "m0-submitter"].level == "safest"
    assert seen["SOLANA_RPC_URL", "m0-submitter"].value == "https://rpc-a.example/***"
    assert seen["M0_PUBLISH_CONCURRENCY", "m0-submitter"].level == "differs"
    assert seen["M0_MARKET_PAUSE_NBA", "m0-submitter"].level == "safest"
    assert seen["M0_MARKET_PAUSE_*", "m0-quant"].level == "unset"
    assert seen["M0_GUARDRAIL_POLICY_LEVEL", "m0-quant"].level == "differs"
    assert seen["M0_POSTGRES_URL", "m0-realtime"].value == "***"
    assert (seen["M0_POSTGRES_URL", "m0-reconciler"].value, seen["M0_POSTGRES_URL", "m0-reconciler"].reason) == (
        "***",
        "from secret pg/url",
    )
    assert seen["M0_CONNECTORS_DISABLED", "m0-ingestor"].level == "usual"
    assert seen["M0_POLL_INTERVAL_MS", "m0-ingestor"].level == "unset"
    assert seen["M0_POSTGRES_URL", "m0-aggregator"].level == "unknown"
    assert "KEYLIKE" not in repr(list(seen.values()))


def test_a_toggle_may_live_in_a_configmap() -> None:
    room = Room()
    room.cluster([], [workload("m0-quant")])
    data = {"M0_GUARDRAIL_POLICY_LEVEL": "NORMAL", "M0_MARKET_PAUSE_X": "false"}
    room.put("configmaps", {("n", "m0-engine-config"): ConfigMap("n", "m0-engine-config", "1", data)})
    seen = shown(room)
    level = seen["M0_GUARDRAIL_POLICY_LEVEL", "m0-quant"]
    assert (level.value, level.level, level.reason) == ("NORMAL", "differs", "from configmap m0-engine-config")
    assert seen["M0_MARKET_PAUSE_X", "m0-quant"].value == "false"


def test_toggles_are_unknown_while_deployments_are_not_live() -> None:
    room = Room()
    room.cluster([], [workload("m0-submitter", 1, ENV)])
    assert shown(room)["M0_PUBLISH_ENABLED", "m0-submitter"].value == "false"
    room.clock.advance(60)
    status = shown(room)["M0_PUBLISH_ENABLED", "m0-submitter"]
    assert (status.value, status.level, status.reason) == (None, "unknown", "deployments in n: last read 60 s ago")


def test_notices_are_said_once() -> None:
    room = Room()
    assert room.situation(notices=("a", "a")).notices == ("a",)


def test_calm_ends_with_the_first_bad_value_before_it_has_held() -> None:
    room = Room()
    room.signal("publish-success", 100.0)
    assert room.situation().calm
    room.clock.advance(1.0)
    room.signal("publish-success", 50.0)
    situation = room.situation()
    assert (situation.signals["publish-success"].level, situation.signals["publish-success"].pending) == (
        Level.OK,
        Level.CRIT,
    )
    assert not situation.calm


def test_odd_data_on_the_board_never_raises() -> None:
    room = Room()
    room.board.put(Reading("kubernetes/pods", {}, 1.0))
    room.board.put(Reading("kubernetes/source", fault=Fault(SourceState.DOWN, "broken")))
    room.board.put(Reading("prometheus/source", fault=Fault(SourceState.DOWN, "broken")))
    seen = room.situation()
    assert seen.sources[0].state is SourceState.DOWN
