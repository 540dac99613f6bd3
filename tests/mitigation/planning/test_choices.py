"""Every live list of choices: the values, and what is known of each."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.clock import ManualClock
from cockpit.mitigation.choices import live
from cockpit.mitigation.choices.live import choices
from cockpit.model.observed.chain import EndpointStatus, MarketState, SignerSetState
from cockpit.model.observed.cluster import Cluster, ContainerTemplate, EnvVar, ReplicaSet
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.observed.postgres import Activity, LongTransaction
from cockpit.model.observed.probe import SignerReport
from cockpit.model.reading import Fault, Reading, SourceState, last_known
from cockpit.model.runbook import Param, Query, Runbooks, Toggle
from cockpit.model.situation import Situation, ToggleStatus
from cockpit.sources.solana.settings import RpcEndpoint
from tests.support.samples.cluster import sample_situation

CLOCK = ManualClock()
RUNBOOKS = Runbooks(
    queries={
        "lag-by-connector": Query(promql="x", unit="s"),
        "output-age": Query(promql="x", unit="s"),
        "signer-p95": Query(promql="x", unit="ms"),
    },
    signals={},
    stages=(),
    services={},
    runbooks=(),
    toggles={
        "LEVEL": Toggle(deployments=("q",), values=("STRICT", "FAST"), safest="STRICT"),
        "SOLANA_RPC_URL": Toggle(deployments=("s",), url=True),
    },
)
ENDPOINTS = (
    RpcEndpoint(name="rpc-a", url="https://rpc-a.example/v2/KEY1"),
    RpcEndpoint(name="rpc-b", url="https://rpc-b.example/v2/KEY2"),
)


def reading(topic: str, data: Any, fault: Fault | None = None) -> Reading[Any]:
    return Reading(topic, data, CLOCK.mono(), fault=fault)


def by(label: str, **values: float) -> Reading[QueryResult]:
    return reading(
        "prometheus/queries/x", QueryResult(tuple(Sample({label: k}, v) for k, v in values.items()), (), (), 1.0)
    )


def situation(**more: Any) -> Situation:
    return sample_situation(
        wall=CLOCK.wall(), mono=CLOCK.mono(), **{"context": "drill", "production": False, "runbooks": RUNBOOKS, **more}
    )


def offered(source: str, now: Situation | None) -> list[tuple[str, str]]:
    return choices(Param(name="x", choices_from=source), RUNBOOKS, ENDPOINTS, now)


def test_what_was_read_before_its_source_failed_names_and_measures_nothing() -> None:
    """Rule 2, of choices: a lag of ten minutes ago stood beside its connector as if it were now."""
    lag = by("connector", sports=410.0, politics=2.0)
    assert offered("connectors", situation(queries={"lag-by-connector": lag})) == [
        ("sports", "410 s"),
        ("politics", "2 s"),
    ]
    gone = Reading(
        lag.topic, last_known(lag.believed(CLOCK.mono())), CLOCK.mono(), fault=Fault(SourceState.DOWN, "no answer")
    )
    now = situation(queries={"lag-by-connector": gone})
    assert offered("connectors", now) == [("politics", "not known now"), ("sports", "not known now")]


def test_rpc_endpoints_have_their_health_beside_them() -> None:
    toggle = ToggleStatus(
        "SOLANA_RPC_URL", RUNBOOKS.toggles["SOLANA_RPC_URL"], "s", "https://rpc-a.example/***", "usual"
    )
    now = situation(
        toggles=(toggle,),
        solana={
            "endpoint/rpc-a": reading(
                "x",
                EndpointStatus(
                    "rpc-a",
                    "h",
                    health="behind by 214 slots",
                    slot=5,
                    behind=214,
                    latency_p95_ms=4100.0,
                    error_ratio=0.38,
                    throttled=3,
                ),
            ),
            "endpoint/rpc-b": reading(
                "x", EndpointStatus("rpc-b", "h", health="ok", slot=219, behind=0, latency_p95_ms=91.0, error_ratio=0.0)
            ),
        },
        queries={
            "rpc-error-ratio": by("endpoint", **{"rpc-a": 0.4}),
            "rpc-confirm-p95": by("endpoint", **{"rpc-a": 4200.0}),
        },
    )
    offers = dict(offered("rpc-endpoints", now))
    assert offers[ENDPOINTS[0].url] == (
        "rpc-a: in use now, behind by 214 slots, 214 slots behind, p95 4100 ms, 38 % errors here, 3 × 429, "
        "40 % errors of the submitter, confirms in 4.2 s"
    )
    assert offers[ENDPOINTS[1].url] == "rpc-b: 0 slots behind, p95 91 ms, 0 % errors here"
    assert "KEY" not in "".join(offers.values())


def test_the_first_endpoint_is_one_to_change_to() -> None:
    """Enter on the first choice never asks for what is in use already, nor for what is not fit."""
    three = (*ENDPOINTS, RpcEndpoint(name="rpc-c", url="https://rpc-c.example/v2/KEY3"))
    param = Param(name="x", choices_from="rpc-endpoints")
    used = ToggleStatus("SOLANA_RPC_URL", RUNBOOKS.toggles["SOLANA_RPC_URL"], "s", "https://rpc-a.example/***", "usual")

    def order(**health: EndpointStatus) -> list[str]:
        seen = {f"endpoint/{name.replace('_', '-')}": reading("x", status) for name, status in health.items()}
        return [words[:5] for _, words in choices(param, RUNBOOKS, three, situation(toggles=(used,), solana=seen))]

    well = EndpointStatus("x", "h", health="ok", slot=9, behind=0)
    late = replace(well, behind=214)
    assert order(rpc_a=well, rpc_b=well, rpc_c=well) == ["rpc-b", "rpc-c", "rpc-a"]
    assert order(rpc_a=late, rpc_b=late, rpc_c=well) == ["rpc-c", "rpc-b", "rpc-a"]
    assert order(rpc_c=well) == ["rpc-c", "rpc-b", "rpc-a"], "what is not known is not fit"
    assert [w[:5] for _, w in choices(param, RUNBOOKS, three, None)] == ["rpc-a", "rpc-b", "rpc-c"]


def test_an_endpoint_that_is_down_or_of_another_cluster_says_so() -> None:
    fault = Fault(SourceState.DOWN, "connection refused")
    now = situation(
        solana={
            "endpoint/rpc-a": reading("x", None, fault),
            "endpoint/rpc-b": reading("x", EndpointStatus("rpc-b", "h", foreign=True, cluster="devnet")),
        }
    )
    offers = dict(offered("rpc-endpoints", now))
    assert offers[ENDPOINTS[0].url] == "rpc-a: DOWN: connection refused"
    assert offers[ENDPOINTS[1].url] == "rpc-b: ANOTHER CLUSTER (devnet), slot not known"
    assert dict(offered("rpc-endpoints", None))[ENDPOINTS[0].url] == "rpc-a: no measurements"


def test_markets_are_those_of_the_chain_and_of_the_outputs() -> None:
    accounts = {
        "addr": MarketState(
            address="addr", market_id="NBA", domain="Sports", active=False, current_epoch_id=7, last_sequence=42
        )
    }
    now = situation(
        solana={"markets": reading("x", accounts)}, queries={"output-age": by("market", NBA=12.0, CPI=80.0)}
    )
    assert offered("markets", now) == [("CPI", "output 80 s old"), ("NBA", "PAUSED, Sports, output 12 s old")]
    assert offered("markets", situation()) == []


def test_connectors_and_signers_come_worst_first() -> None:
    now = situation(
        queries={
            "lag-by-connector": by("connector", a=1.0, b=90.0, c=float("nan")),
            "signer-p95": by("signer", s0=60.0),
        }
    )
    assert [value for value, _ in offered("connectors", now)] == ["b", "a", "c"]
    assert offered("signers", now) == [("s0", "60 ms")]


def test_keys_of_a_signer_set_are_offered_as_the_agents_report_them_and_as_the_chain_has_them() -> None:
    reports = {
        "signer-0": SignerReport("signer-0", "AAA", "100", True),
        "signer-1": SignerReport("signer-1", None, None, False),
    }
    account = SignerSetState(
        address="", signer_set_id=100, threshold=1, pubkeys=("AAA", "BBB"), active=True, created_at_slot=1, slot=1
    )
    now = situation(probes={"signers": reading("x", reports)}, solana={"signer-set": reading("x", account)})
    assert offered("signer-keys", now) == [
        ("AAA", "the 1 healthy: signer-0"),
        ("AAA BBB", "2 keys of the set on the chain"),
    ]
    assert offered("signer-keys", situation()) == []


@pytest.mark.parametrize(
    "source", ["connectors", "signers", "markets", "label:output-age:market", "images:q", "revisions:q"]
)
def test_without_a_situation_nothing_is_offered(source: str) -> None:
    assert offered(source, None) == []


def test_what_is_off_already_stays_off_when_one_more_is_chosen() -> None:
    off = Toggle(deployments=("i",), usual="")
    asked = {"lag-by-connector": by("connector", politics=330.0, sports=40.0)}
    runbooks = replace(RUNBOOKS, toggles={**RUNBOOKS.toggles, "OFF": off})
    param = Param(name="x", choices_from="joined:OFF:lag-by-connector:connector")

    def now(value: str | None, level: str = "differs") -> list[tuple[str, str]]:
        status = ToggleStatus("OFF", off, "i", value, level)
        return choices(param, runbooks, ENDPOINTS, situation(queries=asked, toggles=(status,)))

    assert now("", "usual") == [("politics", "330 s"), ("sports", "40 s")]
    assert now(None, "unset") == [("politics", "330 s"), ("sports", "40 s")]
    assert now("politics") == [("politics,sports", "40 s; with politics, as now")]


def test_what_a_variable_held_in_the_kept_revisions_is_offered_and_the_present_value_last() -> None:
    def kept(revision: int, version: str, hours: float) -> ReplicaSet:
        own = ContainerTemplate("m0-quant", f"q{revision}", (EnvVar("VERSION", version),))
        made = CLOCK.wall() - hours * 3600
        return ReplicaSet(
            uid=f"u{revision}",
            namespace="m0-prod",
            name=f"q-{revision}",
            owner_name="m0-quant",
            revision=revision,
            created_at=made,
            desired=1,
            ready=1,
            images=(own.image,),
            containers=(own,),
        )

    sets = (kept(1, "2025.12", 200.0), kept(2, "2026.1", 100.0), kept(3, "2026.2", 3.0), kept(4, "2026.2", 1.5))
    now = situation(cluster=Cluster(replicasets={("m0-prod", s.name): s for s in sets}))
    offers = offered("ran-with:m0-quant:VERSION", now)
    assert [value for value, _ in offers] == ["2026.1", "2025.12", "2026.2"]
    assert offers[0][1].startswith("revision 2, ran 4 d until 3 h ago") and offers[-1][1] == "as now"
    assert offered("ran-with:m0-quant:NONE", now) == offered("ran-with:m0-quant:VERSION", None) == []


def test_samples_that_differ_in_another_label_are_one_choice_and_added_up() -> None:
    offers = (("sports", "block", 30.0), ("sports", "warn", 3.0), ("macro", "warn", 5.0))
    result = QueryResult(tuple(Sample({"source": s, "level": lv}, v) for s, lv, v in offers), (), (), 1.0)
    now = situation(queries={"divergence-by-source": reading("x", result)})
    assert [value for value, _ in offered("label:divergence-by-source:source", now)] == ["sports", "macro"]


def test_a_toggles_values_with_the_safest() -> None:
    assert offered("toggle:LEVEL", None) == [("STRICT", "safest"), ("FAST", "")]


def test_a_session_that_sends_one_short_statement_after_the_other_is_offered_last() -> None:
    """It is never old, and may take a core all the same; a young one that does nothing just now is
    not offered.
    """

    def session(pid: int, application: str, state: str, age_s: float, blocks: int = 0) -> LongTransaction:
        return LongTransaction(
            pid=pid,
            application=application,
            user="m0_app",
            state=state,
            age_s=age_s,
            waits="",
            text="SELECT 1",
            blocks=blocks,
        )

    seen = Activity(
        (
            session(11, "m0-backup", "active", 340.0),
            session(12, "psql", "idle in transaction", 20.0, blocks=2),
            session(13, "m0-report", "active", 0.4),
            session(14, "m0-api", "idle in transaction", 0.1),
            session(15, "m0-cockpit", "active", 0.1),
        ),
        (),
    )
    now = situation(postgres={"activity": reading("postgres/activity", seen)})
    assert [(pid, words.split(":")[0]) for pid, words in offered("pg-sessions", now)] == [
        ("12", "psql as m0_app, idle in transaction for 20 s, 2 wait for it"),
        ("11", "m0-backup as m0_app, active for 340 s"),
        ("13", "m0-report as m0_app, active for 0.4 s"),
    ]


def test_markets_are_the_chains_where_it_is_read_and_an_impossible_label_is_none() -> None:
    """S10: a label that begins with - is no market, wherever it is served."""
    accounts = {
        "addr": MarketState(
            address="addr", market_id="NBA", domain="Sports", active=True, current_epoch_id=7, last_sequence=42
        )
    }
    served = by("market", NBA=12.0, CPI=80.0, **{"-x": 1.0})
    read = situation(solana={"markets": reading("x", accounts)}, queries={"output-age": served})
    assert live.markets(read) == ["NBA"]
    assert [(name, on_chain) for name, _, on_chain in live.left_out(read)] == [("-x", False)]
    unread = situation(queries={"output-age": served})
    assert live.markets(unread) == ["CPI", "NBA"]
    assert "-x" not in dict(offered("markets", unread))
