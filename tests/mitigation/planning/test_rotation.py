"""A signer set is made and used only by what the chain and the agents say (audit B13)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.mitigation.choices.signing import keys_on_offer, next_set, sets_to_use, thresholds
from cockpit.mitigation.planning.rotation import rotation
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.parameters import resolve
from cockpit.model.observed.chain import ProtocolState, SignerSetState
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.observed.probe import SignerReport
from cockpit.model.plan import Verdict
from cockpit.model.reading import Fault, Reading, SourceState, last_known
from cockpit.model.situation import Situation
from cockpit.oracle.base58 import encode
from cockpit.runbooks.schema import load
from tests.support.samples.cluster import sample_situation

PACKAGED = load()
KEYS = [encode(bytes([n + 1]) * 32) for n in range(9)]


def known(*, failing: tuple[int, ...] = (), active: bool = True, blind: bool = False) -> Situation:
    """Seven agents with the seven keys of set 100, threshold 5; `failing` ones have errors."""
    account = SignerSetState(
        address="A", signer_set_id=100, threshold=5, pubkeys=tuple(KEYS[:7]), active=active, created_at_slot=1, slot=9
    )
    protocol = ProtocolState(
        address="P", paused=False, authority="AUTH", next_signer_set_id=101, default_reveal_delay_slots=10, slot=9
    )
    reports = {f"signer-{n}": SignerReport(f"signer-{n}", KEYS[n], "100", True) for n in range(7)}
    errors = QueryResult(samples=tuple(Sample({"signer": f"signer-{n}"}, 40.0) for n in failing))
    solana: dict[str, Reading[Any]] = {
        "signer-set": Reading("solana/signer-set", account, 1.0),
        "protocol": Reading("solana/protocol", protocol, 1.0),
    }
    return sample_situation(
        wall=1.0,
        mono=1.0,
        runbooks=PACKAGED,
        solana={} if blind else solana,
        probes={} if blind else {"signers": Reading("probes/signers", reports, 1.0)},
        queries={"signer-errors": Reading("prometheus/queries/signer-errors", errors, 1.0)},
    )


def judged(runbook: int, step: str, now: Situation | None, **values: str) -> dict[str, tuple[Verdict, str]]:
    found = rotation(PACKAGED.step(str(runbook), step)[1], values, now, 1.0)
    return {result.guard: (result.verdict, result.reason) for result in found}


def made(now: Situation | None, keys: list[str], threshold: int = 5, number: int = 101, runbook: int = 3) -> Any:
    values = {"set_id": str(number), "threshold": str(threshold), "pubkeys": " ".join(keys)}
    return judged(runbook, "rotate-signer-set", now, **values)


def test_a_set_of_healthy_keys_with_the_next_id_passes_without_an_override() -> None:
    """B13: the normal way wants no override typed."""
    found = made(known(failing=(0, 1, 2)), KEYS[3:7], threshold=4)
    assert {guard: verdict for guard, (verdict, _) in found.items()} == {
        "signer-set": Verdict.PASS,
        "threshold": Verdict.NOTE,
        "authority": Verdict.NOTE,
    }
    assert "AUTH" in found["authority"][1]


@pytest.mark.parametrize(
    ("number", "keys", "verdict", "words"),
    [
        (100, KEYS[:4], Verdict.BLOCK, "OTHER keys: the next id is 101"),
        (100, KEYS[:7], Verdict.CONFIRM, "with these keys already"),
        (99, KEYS[:7], Verdict.UNKNOWN, "may be on the chain already"),
        (999, KEYS[:7], Verdict.CONFIRM, "the chain's next id is 101, not 999"),
    ],
)
def test_the_id_is_new_or_the_set_is_the_same(number: int, keys: list[str], verdict: Verdict, words: str) -> None:
    found = made(known(), keys, threshold=1, number=number)["signer-set"]
    assert found[0] is verdict
    assert words in found[1]


@pytest.mark.parametrize(
    ("failing", "keys", "threshold", "verdict", "words"),
    [
        ((), KEYS[:4], 5, Verdict.BLOCK, "5 of 4 keys can never sign"),
        ((0, 1, 2), KEYS[:7], 5, Verdict.CONFIRM, "4 of these keys have a healthy agent now, 5 are needed"),
        ((), KEYS[:7], 5, Verdict.PASS, "7 of 7 keys answer"),
    ],
)
def test_the_threshold_is_reachable(
    failing: tuple[int, ...], keys: list[str], threshold: int, verdict: Verdict, words: str
) -> None:
    found = made(known(failing=failing), keys, threshold)["threshold"]
    assert found[0] is verdict
    assert words in found[1]


def test_what_is_not_known_of_the_chain_or_the_agents_is_unknown() -> None:
    for now in (known(blind=True), None):
        found = made(now, KEYS[:7])
        assert (found["signer-set"][0], found["threshold"][0]) == (Verdict.UNKNOWN, Verdict.UNKNOWN)


def silent(now: Situation) -> Situation:
    """The same, but every source has failed since: what it read is kept, and is not known."""
    gone = Fault(SourceState.DOWN, "no answer")
    topics = {
        name: {
            topic: Reading(topic, last_known(each.believed(1.0)), 1.0, fault=gone)
            for topic, each in getattr(now, name).items()
        }
        for name in ("solana", "probes", "queries")
    }
    return replace(now, **topics)


def test_what_was_read_before_the_sources_failed_proves_nothing() -> None:
    """Rule 2, of guards: "101 is the chain's next id" was said by a chain that nobody can read."""
    now = silent(known())
    found = made(now, KEYS[:7])
    assert (found["signer-set"][0], found["threshold"][0]) == (Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert judged(3, "use-signer-set", now, set_id="100")["signer-set"][0] is Verdict.UNKNOWN
    assert keys_on_offer(now, new=False) == [] and next_set(now) == []


@pytest.mark.parametrize("keys", ["A B C D", "abc", f"{KEYS[0]} {KEYS[0]}", "signer-1", KEYS[0][:-4]])
def test_keys_are_keys(keys: str) -> None:
    """B13: base58 of 32 bytes, each once."""
    step = PACKAGED.step("3", "rotate-signer-set")[1]
    with pytest.raises(PlanProblem, match=r"public keys|each key once"):
        resolve(step, {"set_id": "101", "threshold": "1", "pubkeys": keys}, PACKAGED)


def test_a_suspected_compromise_offers_and_takes_no_old_key() -> None:
    """B13: for a compromise the old keys are no default; with one of them the name is typed."""
    assert keys_on_offer(known(), new=True) == []
    found = made(known(), KEYS[5:9], threshold=2, runbook=2)["old-keys"]
    assert found[0] is Verdict.CONFIRM
    assert "2 of 4 keys are in the present set" in found[1]
    assert made(known(), KEYS[7:9], threshold=1, runbook=2)["old-keys"][0] is Verdict.PASS


def test_the_healthy_subset_and_the_next_id_are_offered_first() -> None:
    """B13: they are known, and were not on offer."""
    now = known(failing=(0, 1, 2))
    offers = keys_on_offer(now, new=False)
    assert offers[0] == (" ".join(KEYS[3:7]), "the 4 healthy: signer-3, signer-4, signer-5, signer-6")
    assert offers[1][0] == " ".join(KEYS[:7])
    assert next_set(now)[0][0] == "101"
    assert [value for value, _ in thresholds(now)] == ["4", "3"]
    assert next(value for value, _ in thresholds(known())) == "5"
    assert sets_to_use(now) == [("100", "as now, active on the chain")]


@pytest.mark.parametrize(
    ("number", "now", "verdict", "words"),
    [
        ("999", known(), Verdict.BLOCK, "set 999 is not on the chain: its next id is 101"),
        ("99", known(), Verdict.UNKNOWN, "set 99 is not read"),
        ("100", known(active=False), Verdict.CONFIRM, "not active"),
        ("100", known(failing=(0, 1, 2)), Verdict.CONFIRM, "4 healthy agents sign for set 100, 5 are needed"),
        ("100", known(), Verdict.PASS, "7 agents sign for it"),
        ("100", known(blind=True), Verdict.UNKNOWN, "not read"),
    ],
)
@pytest.mark.parametrize("runbook", [2, 3])
def test_a_set_is_used_only_when_it_is_there_active_and_signed_for(
    runbook: int, number: str, now: Situation, verdict: Verdict, words: str
) -> None:
    """B13: set 999 that is not on the chain went through."""
    found = judged(runbook, "use-signer-set", now, set_id=number)["signer-set"]
    assert found[0] is verdict
    assert words in found[1]
