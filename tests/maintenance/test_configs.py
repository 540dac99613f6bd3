"""Each variable and key is held against what it may be; what is not known is unknown (B21)."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.assessment.toggles import toggles
from cockpit.maintenance.deploy import Deploying, deploy_lines
from cockpit.model.maintenance import RoundLine
from cockpit.model.observed.cluster import Cluster, ConfigMap, ContainerTemplate, EnvVar, Workload
from cockpit.model.reading import Reading
from cockpit.runbooks.schema import check, load
from tests.support.samples.cluster import sample_situation, sample_workload

RUNBOOKS = load()
NOW = 1_790_000_000.0


def read(plural: str) -> Reading[Any]:
    return Reading(plural, (), 1000.0, server_time=NOW)


def set_by(service: str, *variables: EnvVar, ready: int = 2) -> Workload:
    containers = (ContainerTemplate(service, "img", variables),)
    return sample_workload(name=service, uid=service, desired=2, ready=ready, updated=2, containers=containers)


def cluster_of(*workloads: Workload, **data: str) -> Cluster:
    held = {("m0-prod", "m0-engine-config"): ConfigMap("m0-prod", "m0-engine-config", "1", data)}
    return Cluster(workloads={("m0-prod", w.name): w for w in workloads}, configmaps=held)


def validated(*workloads: Workload, **data: str) -> RoundLine:
    """Return line 16.deploy.2 for these deployments, and a ConfigMap of these keys."""
    kinds = {f"{plural}/m0-prod": read(plural) for plural in ("pods", "deployments", "replicasets", "configmaps")}
    now = sample_situation(
        wall=NOW, mono=1000.0, kinds=kinds, runbooks=RUNBOOKS, cluster=cluster_of(*workloads, **data)
    )
    return next(line for line in deploy_lines(Deploying(now, RUNBOOKS, (), NOW)) if line.item == "16.deploy.2")


@pytest.mark.parametrize(
    ("key", "wrong", "right"),
    [
        ("publish_cadence_ms", "banana", "500"),
        ("publish_cadence_ms", "5", "60000"),
        ("M0_EXPECTED_SOURCES", "lots", "4"),
        ("M0_EXPECTED_SOURCES", "0", "1"),
        ("M0_EXPECTED_SOURCES", "4.5", "11"),
        ("reveal_delay_ms", "-1", "0"),
        ("feature_batch", "", "16"),
        ("M0_RISK_SCORE_FLOOR", "nan", "0.5"),
        ("M0_RISK_SCORE_FLOOR", "1.5", "1"),
        ("M0_REVEAL_MODE", "chunky", "chunked"),
        ("M0_MARKET_PAUSE_BTC_100K_Q1", "perhaps", "true"),
        ("M0_GUARDRAIL_POLICY_LEVEL", "strict", "STRICT"),
    ],
)
def test_a_key_holds_what_it_may_be_or_is_named(key: str, wrong: str, right: str) -> None:
    """Holds each key of a ConfigMap against type and bounds (B21)."""
    line = validated(**{key: wrong})
    (found,) = [each for each in line.findings if each.state == "attention"]
    assert line.state == "attention" and key in found.words and "expected" in found.words
    assert validated(**{key: right}).state == "ok"


@pytest.mark.parametrize(
    ("service", "name", "wrong", "right"),
    [
        ("m0-ingestor", "M0_POLL_INTERVAL_MS", "never", "1000"),
        ("m0-ingestor", "M0_CONNECTORS_DISABLED", "sports;politics", "sports,politics"),
        ("m0-ingestor", "M0_EVENTLOG_URL", "nats", "nats://a:4222,nats://b:4222"),
        ("m0-aggregator", "M0_POSTGRES_URL", "notaurl", "postgres://m0:secretpw@db/m0"),
        ("m0-submitter", "M0_ACTIVE_SIGNER_SET_ID", "abc", "100"),
        ("m0-submitter", "M0_PUBLISH_CONCURRENCY", "0", "1"),
        ("m0-submitter", "SOLANA_RPC_URL", "wss://rpc.example", "https://rpc.example/KEYLIKE"),
        ("m0-submitter", "SOLANA_WS_URL", "rpc.example:8900", "wss://rpc.example"),
    ],
)
def test_a_variable_holds_what_it_may_be_or_is_named(service: str, name: str, wrong: str, right: str) -> None:
    """Holds each variable against type and bounds, on the panel too; shows no secret (B21)."""
    line = validated(set_by(service, EnvVar(name, wrong)), reveal_delay_ms="1000")
    (found,) = [each for each in line.findings if each.state == "attention"]
    assert name in found.words and service in found.words and "expected" in found.words
    assert "notaurl" not in found.words
    assert validated(set_by(service, EnvVar(name, right)), reveal_delay_ms="1000").state == "ok"
    for value in (wrong, right):
        there = cluster_of(set_by(service, EnvVar(name, value)))
        statuses = toggles(RUNBOOKS, there, {"deployments/m0-prod": read("deployments")}, 1000.0)
        (status,) = [each for each in statuses if (each.name, each.deployment) == (name, service)]
        assert status.reason.startswith("expected") == (value == wrong)
        assert status.level == "differs" or value == right


def test_what_is_not_known_of_a_variable_is_unknown_never_allowed() -> None:
    """Says unknown of a key nobody describes, and of what is not read (B21)."""
    odd = validated(reveal_delay_ms="1000", retry_budget="3")
    assert odd.state == "unknown" and "retry_budget" in odd.findings[-1].words
    own = validated(set_by("m0-quant", EnvVar("M0_NEW_KNOB", "3")), reveal_delay_ms="1000")
    assert own.state == "unknown" and "M0_NEW_KNOB" in " ".join(found.words for found in own.findings)
    elsewhere = EnvVar("M0_POLL_INTERVAL_MS", None, "configmap others/poll")
    assert validated(set_by("m0-ingestor", elsewhere), reveal_delay_ms="1000").state == "unknown"


def test_a_secret_is_valid_only_by_what_runs_with_it() -> None:
    """Takes no value that is never read for valid where its pods do not run (B21)."""
    secret = EnvVar("M0_POSTGRES_URL", None, "secret m0-postgres/url")
    assert validated(set_by("m0-aggregator", secret), reveal_delay_ms="1000").state == "ok"
    assert validated(set_by("m0-aggregator", secret, ready=1), reveal_delay_ms="1000").state == "unknown"


def test_everything_that_a_packaged_step_sets_is_described() -> None:
    """Has a row for each variable and key that a step may set, so that none is unknown (B21)."""
    steps = [step for runbook in RUNBOOKS.runbooks for step in runbook.mitigations]
    names = {name for step in steps for name in (*step.env, step.args.get("key", "{}")) if "{" not in name}
    assert names and not [name for name in names if (row := RUNBOOKS.variable(name)) is None or not row.said]


def test_bounds_that_cannot_be_meant_are_errors_of_the_file() -> None:
    """Refuses rows that allow nothing, or bounds without a number (B21)."""
    wrong = """
[variables.a]
type = "int"
minimum = 5
maximum = 1
[variables.b]
type = "name"
minimum = 1
[variables.c]
type = "int"
schemes = ["https"]
[variables.d]
"""
    problems = [str(problem) for problem in check(wrong, "mine.toml")[1]]
    assert [line.split(": ")[1] for line in problems] == [
        "variables.a.minimum",
        "variables.b.minimum",
        "variables.c.schemes",
        "variables.d.type",
    ]
