"""What signals take from the probes: known to be bad counts at once, well only when all of it is
known.
"""

from __future__ import annotations

from typing import Any

from cockpit.assessment.board import Board
from cockpit.model.observed.chain import SignerSetState
from cockpit.model.observed.cluster import Cluster, ContainerTemplate, EnvVar
from cockpit.model.observed.probe import Certificate, Certificates, MarketOutput, ProbeStatus, SignerReport
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.sources.families import FAMILIES
from cockpit.sources.inventory import Inventory
from cockpit.sources.values import Snapshot, Value
from tests.support.samples.cluster import sample_workload

MONO = 1000.0
KEYS = tuple(f"Key{n}" for n in range(7))
DOWN = Fault(SourceState.DOWN, "connection refused")


def board(*readings: Reading[Any]) -> Board:
    made = Board()
    for reading in readings:
        made.put(reading)
    return made


def at(topic: str, data: Any, age_s: float = 1.0, fault: Fault | None = None) -> Reading[Any]:
    return Reading(
        topic=topic,
        data=data,
        observed_at=MONO - age_s if data is not None else None,
        took_s=0.0,
        fault=fault,
        max_age_s=15.0,
    )


def check(service: str, ok: bool = True, **more: Any) -> Reading[Any]:
    status = ProbeStatus(
        service=service, check="readyz", ok=ok, status=200 if ok else 503, took_ms=5.0, words="ok" if ok else "HTTP 503"
    )
    return at(f"probes/{service}/readyz", status, **more)


def output(
    market: str, age_s: float | None = 4.0, took_ms: float = 30.0, advanced: float = 10.0, **more: Any
) -> Reading[Any]:
    made = MarketOutput(
        market=market,
        epoch=7,
        tick=1,
        as_of=None,
        age_s=age_s,
        status=200,
        took_ms=took_ms,
        advanced_at=MONO - advanced,
        words="" if age_s is not None else "no time at /as_of",
    )
    return at(f"probes/output/{market}", made, **more)


def value(name: str, *readings: Reading[Any], env: str = "100", cluster: bool = True) -> Value:
    container = ContainerTemplate("m0-submitter", "x", (EnvVar("M0_ACTIVE_SIGNER_SET_ID", env),))
    workload = sample_workload(containers=(container,))
    found = Cluster(workloads={("m0-prod", "m0-submitter"): workload})
    more = [at("kubernetes/deployments/m0-prod", {})] if cluster else []
    snapshot = Snapshot(board(*readings, *more), found, Inventory(), 0.0, MONO)
    return FAMILIES["probes"].values(snapshot).get(f"probes.{name}")


def test_every_name_is_known_and_unknown_without_readings() -> None:
    for name in FAMILIES["probes"].plain:
        found = value(name.removeprefix("probes."))
        assert found.number is None and found.reason, name
    unasked = Fault(SourceState.OFF, "not asked")
    off = [at(f"probes/{kind}", None, fault=unasked) for kind in ("services", "outputs", "signers", "certificates")]
    for name in ("unhealthy", "output-age", "epoch-stalled", "certificate-days", "signers-down"):
        found = value(name, *off)
        assert (found.number, found.reason, found.off) == (None, "not asked", True), name
        assert not value(name).off, name  # it has only just begun: that is not known
    broken = at("probes/source", None, fault=Fault(SourceState.DOWN, "TypeError: x"))
    assert value("unhealthy", broken).reason == "TypeError: x"


def test_unhealthy_counts_what_says_no_and_names_it() -> None:
    found = value("unhealthy", check("a"), check("b", ok=False), check("c", fault=DOWN))
    assert found.number == 1.0 and found.labels == {"service": "b", "check": "readyz", "says": "HTTP 503"}
    assert value("unhealthy", check("a")).number == 0.0
    lost = value("unhealthy", check("a"), check("c", fault=DOWN))
    assert lost.number is None and lost.reason == "c readyz: connection refused"
    assert value("unhealthy", check("a"), check("b", age_s=99.0)).number is None  # stale is no news
    assert value("unhealthy", check("b", ok=False, age_s=99.0)).number is None


def test_the_worst_market_decides_and_ages_on_between_two_looks() -> None:
    found = value("output-age", output("x", 4.0), output("y", 30.0))
    assert found.number == 31.0 and found.labels == {"market": "y"}  # seen a second ago
    assert value("output-age", output("x"), output("y", None)).reason == "y: no age known: no time at /as_of"
    assert value("output-age", output("x"), output("y", fault=DOWN)).number is None
    assert value("api-latency", output("x"), output("y", took_ms=900.0)).number == 900.0


def test_it_is_stalled_only_when_no_market_advances() -> None:
    found = value("epoch-stalled", output("x", advanced=300.0), output("y", advanced=12.0))
    assert found.number == 12.0 and found.labels == {"market": "y"}
    assert value("epoch-stalled", output("x", advanced=300.0), output("y", fault=DOWN)).number is None


def test_certificates_the_first_to_end() -> None:
    known = {h: Certificate(h, h, "CA", 0.0, d) for h, d in (("a", 60.0), ("b", 5.0))}
    found = value("certificate-days", at("probes/certificates", Certificates(known)))
    assert found.number == 5.0 and found.labels == {"host": "b"}
    assert value("certificate-days", at("probes/certificates", Certificates(known, "refused"))).number is None
    assert value("certificate-days", at("probes/certificates", Certificates(known), fault=DOWN)).number is None
    expired = {**known, "c": Certificate("c", "c", "CA", 0.0, -2.0)}
    assert (
        value("certificate-days", at("probes/certificates", Certificates(expired, "no"))).number == -2.0
    )  # bad is bad
    assert value("certificate-days", at("probes/certificates", Certificates({}, "refused"))).number is None


def signers(**changed: SignerReport) -> Reading[Any]:
    known = {f"s{n}": SignerReport(f"s{n}", key, "100", True) for n, key in enumerate(KEYS)}
    return at("probes/signers", {**known, **changed})


def account(active: bool = True, **more: Any) -> Reading[Any]:
    return at(
        "solana/signer-set",
        SignerSetState(
            address="A", signer_set_id=100, threshold=5, pubkeys=KEYS, active=active, created_at_slot=1, slot=2
        ),
        **more,
    )


def test_signers_that_are_down_are_named() -> None:
    found = value("signers-down", signers(s1=SignerReport("s1", None, None, False, "HTTP 500")))
    assert found.number == 1.0 and found.labels == {"agent": "s1", "says": "HTTP 500"}
    assert value("signers-down", signers()).number == 0.0
    assert value("signers-down", at("probes/signers", None)).number is None  # not every agent was asked yet


def test_a_mismatch_needs_the_chain_and_says_what_differs() -> None:
    assert value("signer-set-mismatch", signers(), account()).number == 0.0
    found = value("signer-set-mismatch", signers(), account(), env="99")
    assert found.number == 8.0 and found.labels == {
        "first": "m0-submitter is configured with set 99, the chain has 100"
    }
    stranger = value("signer-set-mismatch", signers(s1=SignerReport("s1", "Other", "100", True)), account())
    assert stranger.number == 2.0  # a key that is not in the set, and one of the set that nobody holds
    assert value("signer-set-mismatch", signers()).reason == "the signer set on the chain: nothing read yet"
    assert value("signer-set-mismatch", account()).number is None
    assert value("signer-set-mismatch", signers(), account(fault=DOWN)).number is None
    assert value("signer-set-mismatch", signers(), account(), cluster=False).number is None
    assert (
        value("signer-set-mismatch", signers(), account(active=False), cluster=False).number == 1.0
    )  # what is wrong is wrong
