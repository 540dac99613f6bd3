"""What a form and the command line start with: the safe choice by what holds now (B12, B16)."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.mitigation.choices.effects import TAKEN, WAITING, effect
from cockpit.mitigation.choices.preset import defaults, exhausted, now_of, offers, presets
from cockpit.model.observed.cluster import Cluster, ConfigMap, ContainerTemplate, EnvVar
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.reading import Reading
from cockpit.model.sections.order import safe_value
from cockpit.model.signal import Level
from cockpit.model.situation import ServiceStatus, Situation
from cockpit.runbooks.schema import load
from tests.support.kube_rig import status
from tests.support.samples.cluster import sample_situation, sample_workload

PACKAGED = load()


def at(service: str, env: dict[str, str] | None = None, *, replicas: int = 4, **more: Any) -> Situation:
    container = ContainerTemplate(service, "i", tuple(EnvVar(n, v) for n, v in (env or {}).items()))
    workload = sample_workload(name=service, containers=(container,), desired=replicas)
    config = ConfigMap("m0-prod", "m0-engine-config", "1", {"reveal_delay_ms": "1000", "M0_EXPECTED_SOURCES": "4"})
    more = {"wall": 1.0, "mono": 1.0, "context": "drill", "production": False, "signals": {}, **more}
    return sample_situation(
        namespaces=("m0-prod",),
        runbooks=PACKAGED,
        cluster=Cluster(
            workloads={("m0-prod", service): workload}, configmaps={("m0-prod", "m0-engine-config"): config}
        ),
        services=(
            ServiceStatus(
                name=service,
                namespace="m0-prod",
                kind="Deployment",
                ready=replicas,
                desired=replicas,
                restarts=0,
                age_s=None,
                why="",
                level="ok",
            ),
        ),
        **more,
    )


@pytest.mark.parametrize(
    ("name", "now", "expected"),
    [
        ("6/scale-ingestors", at("m0-ingestor"), {"replicas": "8"}),
        ("6/scale-ingestors", at("m0-ingestor", replicas=12), {"replicas": "16"}),
        ("6/scale-ingestors", at("m0-ingestor", replicas=32), {}),
        ("9/scale-gateway", at("m0-api-gateway", replicas=10), {"replicas": "13"}),
        ("3/reduce-concurrency", at("m0-submitter", {"M0_PUBLISH_CONCURRENCY": "4"}), {"concurrency": "2"}),
        ("3/reduce-concurrency", at("m0-submitter", {"M0_PUBLISH_CONCURRENCY": "2"}), {"concurrency": "1"}),
        ("3/reduce-concurrency", at("m0-submitter", {"M0_PUBLISH_CONCURRENCY": "1"}), {}),
        ("4/raise-priority-fee", at("m0-submitter"), {"fee": "50000"}),
        ("4/raise-priority-fee", at("m0-submitter", {"M0_PRIORITY_FEE_MICROLAMPORTS": "200000"}), {"fee": "300000"}),
        ("4/smaller-bundles", at("m0-submitter"), {"markets": "16"}),
        ("4/smaller-bundles", at("m0-submitter", {"M0_MAX_MARKETS_PER_BUNDLE": "4"}), {"markets": "2"}),
        ("4/shorten-reveal-delay", at("m0-submitter"), {"delay_ms": "500"}),
        ("4/shorten-reveal-delay", at("m0-submitter", {"M0_REVEAL_DELAY_MS": "300"}), {"delay_ms": "150"}),
        ("6/slow-polling", at("m0-ingestor", {"M0_POLL_INTERVAL_MS": "10000"}), {"interval_ms": "15000"}),
        ("8/degrade", at("m0-quant", {"M0_RISK_SCORE_FLOOR": "0.5"}), {"floor": "0.5", "widening": "25"}),
        ("8/degrade", at("m0-quant", {"M0_RISK_SCORE_FLOOR": "0.6"}), {"floor": "0.7", "widening": "25"}),
    ],
)
def test_the_default_goes_the_steps_way_from_the_value_now(name: str, now: Situation, expected: dict[str, str]) -> None:
    """B12, C 6.mitigation.1: 12 → 16, never 12 → 8; nothing where nothing goes that way."""
    _, step = PACKAGED.step(*name.split("/"))
    assert presets(step, PACKAGED, (), now) == expected
    assert defaults(step, PACKAGED, now) == expected  # headless as in the form


def test_without_knowledge_of_the_value_now_the_runbooks_own_default_stands() -> None:
    _, step = PACKAGED.step("6", "scale-ingestors")
    assert presets(step, PACKAGED, (), None) == {"replicas": "8"}
    nothing = at("m0-submitter")
    assert presets(step, PACKAGED, (), nothing) == {"replicas": "8"}


def test_no_market_and_no_session_is_a_default_without_a_form() -> None:
    """What a person must choose is never chosen for the command line."""
    _, step = PACKAGED.step("12", "pause")
    assert defaults(step, PACKAGED, at("m0-submitter")) == {}


def test_a_form_offers_values_with_what_each_would_do() -> None:
    """Issue 14.2: live choices, and what each would do."""
    _, step = PACKAGED.step("6", "scale-ingestors")
    now = at("m0-ingestor", replicas=12)
    found = offers(step, step.params[0], PACKAGED, (), now)
    assert [value for value, _ in found] == ["16", "21", "28"]
    assert found[0][1].startswith("12 → 16")
    assert now_of(step, now) == {"replicas": "12"}
    _, floor = PACKAGED.step("8", "degrade")
    listed = dict(offers(floor, floor.params[0], PACKAGED, (), at("m0-quant", {"M0_RISK_SCORE_FLOOR": "0.5"})))
    assert listed == {"0.3": "the wrong way: now 0.5", "0.5": "as now", "0.7": "", "0.9": ""}


def drained(value: str, *, growth: float, level: Level = Level.CRIT) -> str:
    points = tuple((100.0 + 15 * i, 30_000.0 + growth * 15 * i) for i in range(8))
    waiting = QueryResult(
        samples=(Sample({"topic": "raw-events"}, points[-1][1]),), history=(History({"topic": "raw-events"}, points),)
    )
    taken = QueryResult(samples=(Sample({}, 900.0),))
    queries = {n: Reading(f"prometheus/queries/{n}", r, 0.0) for n, r in ((WAITING, waiting), (TAKEN, taken))}
    now = at(
        "m0-ingestor", mono=1.0, queries=queries, signals={"ingest-saturation": status("ingest-saturation", level)}
    )
    return effect(PACKAGED.step("6", "scale-ingestors")[1], value, now)


def test_how_soon_a_backlog_drains_is_worked_out_from_todays_rates() -> None:
    """Issue 14.2: "12 → 16; drains in 6 min at today's rate", where that can be told."""
    assert drained("8", growth=100.0) == "drains in 51 s at today's rate"
    assert drained("5", growth=100.0) == "drains in 5 min at today's rate"
    assert drained("4", growth=100.0) == "never drains at today's rate: 1,000 /s come, 900 /s are taken"
    assert drained("8", growth=100.0, level=Level.OK) == ""


def test_the_safe_value_stays_within_its_bounds() -> None:
    assert safe_value("raises", "30", 8, 1, 32) == 32
    assert safe_value("lowers", "3", 16, 2, 256) == 2
    assert safe_value("lowers", "2", 16, 2, 256) is None
    assert safe_value("raises", "unlimited", 8, 1, 32) == 8
    assert safe_value("raises", "often", 8, 1, 32) == 8


@pytest.mark.parametrize(
    ("name", "now", "words"),
    [
        ("3/reduce-concurrency", at("m0-submitter", {"M0_PUBLISH_CONCURRENCY": "1"}), "1 already: nothing lowers it"),
        ("6/scale-ingestors", at("m0-ingestor", replicas=32), "32 already: nothing raises it further (at most 32)"),
        ("6/scale-ingestors", at("m0-ingestor", replicas=12), ""),
    ],
)
def test_where_nothing_goes_further_no_old_default_is_planned(name: str, now: Situation, words: str) -> None:
    """B16, headless: it says so, as the form does; a given value is judged by the guards."""
    _, step = PACKAGED.step(*name.split("/"))
    said = exhausted(step, {}, PACKAGED, now)
    assert words in said if words else not said
    assert not exhausted(step, {param.name: "3" for param in step.params}, PACKAGED, now)
