"""Values of the chain: numbers where they are known, words where they are not, and never zero for
unknown.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cockpit.assessment.board import Board
from cockpit.assessment.lights import lights
from cockpit.model.observed.chain import (
    Disagreement,
    EndpointStatus,
    FailureClass,
    PendingCommit,
    ProgramActivity,
    ProtocolState,
    Rate,
    RequestCount,
    SignerSetState,
    signer_differences,
)
from cockpit.model.observed.cluster import Cluster, ConfigMap, ContainerTemplate, EnvVar, Workload
from cockpit.model.observed.probe import SignerReport
from cockpit.model.observed.variables import variable
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.sources.inventory import Inventory
from cockpit.sources.solana.values import FAMILY, SolanaValues
from cockpit.sources.values import Snapshot, Value
from tests.support.readings import kept
from tests.support.samples.cluster import sample_workload

MONO = 1000.0
KEYS = ("KeyA1111", "KeyB2222", "KeyC3333")
HELD = SignerSetState(
    address="addr", signer_set_id=100, threshold=2, pubkeys=KEYS, active=True, created_at_slot=1, slot=5000
)
ACTIVITY = ProgramActivity(
    "prog",
    "rpc-a",
    0.0,
    True,
    slot=5000,
    covered_slot=4000,
    commits=Rate(9, 118.0, 4990),
    reveals=Rate(8, 117.0, 4985),
    failed=Rate(3, 3.0, 4000),
    overdue_total=2,
    failures=(
        FailureClass(
            name="SignatureVerificationFailed",
            code=6018,
            instruction="RevealPrediction",
            count=2,
            per_minute=2.0,
            runbook=2,
            last_signature="sig",
            last_slot=4000,
        ),
        FailureClass(
            name="ReplayViolation",
            code=6013,
            instruction="RevealPrediction",
            count=1,
            per_minute=1.0,
            runbook=5,
            last_signature="sig",
            last_slot=4000,
        ),
    ),
    pending=(
        PendingCommit(
            market="NBA",
            epoch="epoch",
            commit_hash="h",
            signature="s",
            slot=4800,
            reveal_after_slot=4810,
            overdue_slots=190,
        ),
        PendingCommit(
            market="NBA",
            epoch="later",
            commit_hash="h",
            signature="s",
            slot=4995,
            reveal_after_slot=5005,
            overdue_slots=-5,
        ),
    ),
)


def endpoint(name: str, *, fault: Fault | None = None, **changes: Any) -> Reading[EndpointStatus]:
    status = EndpointStatus(
        name=name,
        host=f"{name}.example",
        health="ok",
        slot=5000,
        behind=0,
        latency_p50_ms=30.0,
        latency_p95_ms=80.0,
        requests=60,
        error_ratio=0.01,
    )
    return Reading(f"solana/endpoint/{name}", msgspec.structs.replace(status, **changes), MONO - 1, fault=fault)


def live(topic: str, data: Any) -> Reading[Any]:
    return Reading(topic, data, MONO - 1)


def program(**changes: Any) -> Reading[Any]:
    return live("solana/program", msgspec.structs.replace(ACTIVITY, **changes))


def value(name: str, *readings: Reading[Any], rpc: str | None = None) -> Value:
    board = Board()
    for reading in readings:
        board.put(reading)
        counted = kept(reading)
        if isinstance(counted, EndpointStatus):
            count = RequestCount(counted.error_ratio, counted.throttled)
            board.put(live(f"solana/requests/{counted.name}", count))
    cluster = Cluster()
    if rpc is not None:
        template = ContainerTemplate("m0-submitter", "img", (EnvVar("SOLANA_RPC_URL", rpc),))
        made = sample_workload(namespace="m0", containers=(template,))
        cluster = Cluster(workloads={("m0", "m0-submitter"): made})
    found = SolanaValues(Snapshot(board, cluster, Inventory(), 0.0, MONO)).get(f"solana.{name}")
    assert found.number is not None or found.reason
    return found


DOWN = Fault(SourceState.DOWN, "cannot reach it")


@pytest.mark.parametrize("name", ["commits", "pending", "signature-failures", "slots-since-publish", "paused"])
def test_without_a_program_id_its_values_are_off_not_unknown(name: str) -> None:
    off = Fault(SourceState.OFF, "no program id is configured")
    topics: list[Reading[Any]] = [Reading(f"solana/{topic}", fault=off) for topic in ("program", "protocol")]
    assert value(name, endpoint("rpc-a"), *topics).off
    assert not value(name, endpoint("rpc-a")).off
    assert not value(name, endpoint("rpc-a"), Reading("solana/program", fault=DOWN)).off


def test_every_name_is_known_and_unknown_without_readings() -> None:
    for name in FAMILY.plain:
        assert FAMILY.knows(name)
        found = value(name.removeprefix("solana."))
        assert found.number is None and "nothing read yet" in found.reason


def test_the_endpoint_in_use_decides_and_else_the_worst() -> None:
    readings = (endpoint("a", behind=3, latency_p95_ms=50.0), endpoint("b", behind=214, latency_p95_ms=900.0))
    assert value("behind", *readings).number == 214 and value("behind", *readings).labels == {"endpoint": "b"}
    assert value("behind", *readings, rpc="https://a.example/v2/KEY").number == 3
    assert value("endpoint-latency-p95", *readings, rpc="https://a.example/v2/KEY").number == 50
    assert value("behind", *readings, rpc="https://elsewhere.example/").number == 214
    assert value("behind", endpoint("a", behind=None)).number is None


def test_an_endpoint_that_is_down_is_bad_and_its_slots_unknown() -> None:
    readings = (endpoint("a", fault=DOWN, error_ratio=1.0, throttled=4), endpoint("b"))
    assert value("endpoints-bad", *readings).number == 1 and value("endpoints-bad", *readings).labels == {
        "a": "cannot reach it"
    }
    assert value("behind", *readings, rpc="https://a.example").number is None
    assert value("endpoint-errors", *readings, rpc="https://a.example").number == 100
    assert value("endpoint-errors", *readings).number == 100 and value("throttled", *readings).number == 4
    assert value("endpoints-bad", endpoint("a"), endpoint("b")).number == 0
    assert value("endpoints-bad", endpoint("a"), Reading("solana/endpoint/b")).number is None
    bad = [
        endpoint("a", health="Node is behind by 9 slots"),
        endpoint("b", foreign=True, cluster="devnet"),
        endpoint("c", behind=60),
        endpoint("d", error_ratio=0.46),
    ]
    assert value("endpoints-bad", *bad).number == 4


def test_rates_pending_and_failures_come_from_the_program() -> None:
    names = ("commits", "reveals", "failed", "pending", "pending-oldest", "slots-since-publish")
    assert [value(name, program()).number for name in names] == [118.0, 117.0, 3.0, 2.0, 190.0, 10.0]
    failures = [value(f"{kind}-failures", program()).number for kind in ("signature", "replay", "reveal")]
    assert failures == [2.0, 1.0, 0.0]
    assert value("slots-since-publish", program(commits=Rate(0, 0.0, None), reveals=Rate(0, 0.0, None))).number == 1000


def test_a_gap_makes_rates_unknown_but_not_known_failures() -> None:
    doubtful = program(doubtful=True, complete=False, gap="listing")
    assert value("commits", doubtful).number is None and "listing" in value("commits", doubtful).reason
    assert value("pending", doubtful).number is None and value("slots-since-publish", doubtful).number is None
    assert value("signature-failures", doubtful).number == 2.0 and value("reveal-failures", doubtful).number is None
    early = program(failed=Rate(0, None, None), commits=Rate(0, None, None), failures=())
    assert value("commits", early).number is None and value("signature-failures", early).number is None
    stale = Reading("solana/program", ACTIVITY, MONO - 60)
    assert all(value(name, stale).number is None for name in ("commits", "pending", "failed", "signature-failures"))


def test_paused_and_disagreements() -> None:
    state = ProtocolState(
        address="a", paused=True, authority="auth", next_signer_set_id=101, default_reveal_delay_slots=10, slot=5000
    )
    quiet = live("solana/disagreements", ())
    disagreement = live("solana/disagreements", (Disagreement("paused", "rpc-a says paused, rpc-b says not paused"),))
    assert value("paused", live("solana/protocol", state), quiet).number == 1
    assert value("paused", live("solana/protocol", state), disagreement).number is None
    assert value("disagreements", disagreement).number == 1
    assert value("disagreements", quiet, endpoint("a"), endpoint("b")).number == 0
    assert value("disagreements", quiet, endpoint("a"), endpoint("b", fault=DOWN)).number is None


def test_signers_are_compared_with_their_set() -> None:
    def report(agent: str, pubkey: str | None, set_id: str | None = "100") -> SignerReport:
        return SignerReport(agent, pubkey, set_id, True)

    held, good = live("solana/signer-set", HELD), {f"s{n}": report(f"s{n}", key) for n, key in enumerate(KEYS)}
    agree = live("solana/disagreements", ())
    assert value("signer-set-mismatch", held, agree, live("probes/signers", good)).number == 0
    unheard = value("signer-set-mismatch", held, live("probes/signers", good))
    assert unheard.number is None and "whether endpoints agree is not known" in unheard.reason
    assert value("signer-set-mismatch", held).number is None  # nobody reported: not compared
    bad = good | {"s1": report("s1", "KeyX9999", "99")}
    assert value("signer-set-mismatch", held, live("probes/signers", bad)).number == 3
    said = signer_differences(HELD, bad)
    assert any("s1 signs for set 99" in line for line in said) and any("KeyX9999" in line for line in said)
    assert any("no agent reports pubkey KeyB2222" in line for line in said)
    assert signer_differences(msgspec.structs.replace(HELD, active=False), good) == (
        "signer set 100 is not active on chain",
    )
    assert any("same pubkey" in line for line in signer_differences(HELD, good | {"s9": report("s9", KEYS[0])}))


@pytest.mark.parametrize("url", ["not a url", "http://[", "https://a.example:bad/"])
def test_a_submitters_url_that_is_none_names_no_endpoint(url: str) -> None:
    assert value("behind", endpoint("a", behind=7), rpc=url).number == 7


def test_a_variable_is_found_in_place_or_in_its_configmap() -> None:
    def workload(name: str, held: EnvVar) -> Workload:
        template = ContainerTemplate(name, "img", (held,))
        return sample_workload(uid=name, namespace="m0", name=name, containers=(template,))

    here = workload("m0-submitter", EnvVar("M0_ACTIVE_SIGNER_SET_ID", None, "configmap m0-engine-config/set"))
    other = workload("a-service", EnvVar("M0_ACTIVE_SIGNER_SET_ID", "7"))
    held = {("m0", "m0-engine-config"): ConfigMap("m0", "m0-engine-config", "1", {"set": "100"})}
    both = {("m0", each.name): each for each in (here, other)}
    assert variable(Cluster(workloads=both, configmaps=held), "M0_ACTIVE_SIGNER_SET_ID") == "100"
    assert variable(Cluster(workloads=both), "M0_ACTIVE_SIGNER_SET_ID") == "7"
    assert variable(Cluster(workloads=both), "SOLANA_RPC_URL") is None


def test_a_program_that_is_not_configured_dims_no_light() -> None:
    board = Board()
    board.put(endpoint("a"))
    board.put(Reading("solana/program", fault=Fault(SourceState.OFF, "no program id is configured")))
    light = next(each for each in lights(board, MONO, frozenset({"solana"})) if each.name == "rpc")
    assert light.state is SourceState.LIVE
