"""Publishing is stopped when no pod is left and the chain has been quiet since; whatever is not
known proves nothing.
"""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.assessment.stopped import Stop, needed_slots, stopped
from cockpit.model.observed.chain import MarketState, ProgramActivity, ProtocolState, Rate, Reveal
from cockpit.model.observed.cluster import Cluster, Pod
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.situation import Situation
from tests.support.samples.cluster import sample_pod, sample_situation

MONO = 500.0


def pod(name: str, *, deleted: float | None = None, phase: str = "Running", service: str = "m0-submitter") -> Pod:
    return sample_pod(uid=name, name=name, deleted_at=deleted, service=service, phase=phase, reason=phase)


def program(slot: int | None, commit: int | None, reveal: int | None, **more: Any) -> ProgramActivity:
    made = {
        "complete": True,
        "slot": slot,
        "listed_slot": slot,
        "commits": Rate(1, 0.0, commit),
        "reveals": Rate(1, 0.0, reveal),
        **more,
    }
    return ProgramActivity("P", "rpc-a", 0.0, **made)


def situation(
    pods: tuple[Pod, ...] = (),
    activity: ProgramActivity | None = None,
    *,
    configured: bool = True,
    age_s: float = 1.0,
    pods_fault: Fault | None = None,
    delay: int | None = None,
) -> Situation:
    solana: dict[str, Reading[Any]] = {}
    if activity is not None:
        solana["program"] = Reading(
            topic="solana/program", data=activity, observed_at=MONO - age_s, took_s=0.0, fault=None, max_age_s=15.0
        )
    if delay is not None:
        solana["protocol"] = Reading(
            topic="p",
            data=ProtocolState(
                address="A", paused=False, authority="B", next_signer_set_id=1, default_reveal_delay_slots=delay, slot=1
            ),
            observed_at=MONO,
            took_s=0.0,
            fault=None,
            max_age_s=15.0,
        )
    kinds: dict[str, Reading[Any]] = {
        "pods/m0-prod": Reading(topic="x", data={}, observed_at=MONO - 1, took_s=0.0, fault=pods_fault, max_age_s=15.0)
    }
    return sample_situation(
        wall=0.0,
        mono=MONO,
        cluster=Cluster(pods={p.uid: p for p in pods}),
        kinds=kinds,
        solana=solana,
        configured=frozenset({"kubernetes", "solana"} if configured else {"kubernetes"}),
    )


def judge(one: Situation, since: int | None = 1000, **more: Any) -> tuple[Stop, str]:
    found = stopped(one, "m0-prod", ("m0-submitter",), since_slot=since, **more)
    return found.verdict, found.words


def test_no_pod_and_a_quiet_chain_prove_it() -> None:
    assert judge(situation(activity=program(1025, 990, 995))) == (
        Stop.PROVEN,
        "no commit or reveal on the chain for 25 slots",
    )
    assert judge(situation((pod("old", phase="Succeeded"),), program(1025, None, None)))[0] is Stop.PROVEN


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ((pod("a"),), "1 pod left, 0 terminating: a"),
        ((pod("a", deleted=1.0), pod("b")), "2 pods left, 1 terminating: a"),
    ],
)
def test_a_pod_that_is_left_disproves_it_terminating_or_not(pods: tuple[Pod, ...], words: str) -> None:
    assert judge(situation(pods, program(2000, 900, 900))) == (Stop.NOT, words)
    assert judge(situation((pod("q", service="m0-quant"),), program(2000, 900, 900)))[0] is Stop.PROVEN
    assert judge(situation(pods, program(2000, 900, 900)), with_pods=False)[0] is Stop.PROVEN  # switched off in them


def test_too_few_slots_and_what_is_published_after_the_stop_do_not() -> None:
    assert judge(situation(activity=program(1024, 990, 990))) == (Stop.NOT, "no commit or reveal for 24 of 25 slots")
    found = stopped(situation(activity=program(1040, 1020, 1030)), "m0-prod", (), since_slot=1000)
    assert found.verdict is Stop.NOT and found.seen_after == 1030 and found.quiet == 10
    assert found.words.startswith("a commit or reveal 30 slots after publishing was stopped here")
    assert judge(situation(activity=program(1055, 1020, 1030)))[0] is Stop.PROVEN  # what was under way has landed


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (situation(configured=False), "no pod is left; the chain was not asked: no RPC endpoint is configured"),
        (situation(), "no pod is left; the chain was not asked: no program id is configured"),
        (situation(activity=program(1025, 1, 1), age_s=60.0), "the chain: last read 60 s ago"),
        (
            situation(activity=program(1025, 1, 1, complete=False, gap="paging")),
            "the chain: its count has a gap: paging",
        ),
        (situation(activity=program(None, None, None)), "the chain: no slot is known"),
        (
            situation(activity=program(9999, 1, 1), pods_fault=Fault(SourceState.DENIED, "cannot list pods")),
            "whether a pod is left is not known: cannot list pods",
        ),
    ],
)
def test_what_is_not_known_proves_nothing(one: Situation, words: str) -> None:
    verdict, said = judge(one)
    assert verdict is Stop.UNKNOWN and said.startswith(words)


def test_without_a_slot_to_count_from_the_last_event_is_where_it_begins() -> None:
    assert judge(situation(activity=program(1025, 990, 1000)), since=None)[0] is Stop.PROVEN
    assert judge(situation(activity=program(1025, None, None)), since=None)[0] is Stop.UNKNOWN


def test_it_takes_twice_the_reveal_delay_and_never_less_than_25_slots() -> None:
    assert needed_slots(situation()) == 25
    assert needed_slots(situation(delay=10)) == 25
    assert needed_slots(situation(delay=40)) == 80
    assert judge(situation(activity=program(1079, 1, 1), delay=40)) == (
        Stop.NOT,
        "no commit or reveal for 79 of 80 slots",
    )
    assert judge(situation(activity=program(1003, 1, 1)), slots=3)[0] is Stop.PROVEN


def test_a_transaction_that_cannot_be_read_keeps_the_stop_from_being_proven() -> None:
    """P1: what is not read is not left out of the count."""
    unread = program(1500, 990, 995, unread_slots=(998, *range(1001, 1008)))
    assert judge(situation(activity=unread)) == (
        Stop.UNKNOWN,
        "7 transactions of the program since the stop could not be read",
    )
    before = program(1500, 990, 995, unread_slots=(998, 1000))
    assert judge(situation(activity=before))[0] is Stop.PROVEN
    since_the_last = program(1500, 990, 995, unread_slots=(998,))
    assert judge(situation(activity=since_the_last), since=None)[0] is Stop.UNKNOWN


def test_a_silent_subscription_proves_nothing_only_a_listing_does() -> None:
    """P1: a stop is proven by a listing that is newer and covers the whole quiet window."""
    for listed in (None, 900, 1024):
        verdict, words = judge(situation(activity=program(1500, 990, 995, listed_slot=listed)))
        assert verdict is Stop.UNKNOWN and "a listing shows it for" in words
    assert judge(situation(activity=program(1500, 990, 995, listed_slot=1025)))[0] is Stop.PROVEN
    assert judge(situation(activity=program(1020, 990, 995, listed_slot=2000)))[0] is Stop.NOT


def test_a_commit_after_the_stop_is_a_no_even_beside_what_cannot_be_read() -> None:
    """P1: what was seen counts whatever else could not be."""
    assert judge(situation(activity=program(1030, 1020, 990, unread_slots=(1010,))))[0] is Stop.NOT


@pytest.mark.parametrize(("sequence", "verdict"), [(48_004, Stop.UNKNOWN), (48_003, Stop.PROVEN)])
def test_an_account_that_was_revealed_to_since_what_is_listed_keeps_it_unproven(sequence: int, verdict: Stop) -> None:
    """P1: an index of transactions that lags lists nothing new, as a chain that is quiet does."""
    reveal = Reveal("NBA", "E", "aa", 48_003, 995, "S")
    one = situation(activity=program(1500, 990, 995, reveals_by_market={"NBA": reveal}))
    market = MarketState("A", "NBA", "sports", True, 7, sequence)
    one.solana["markets"] = Reading(topic="solana/markets", data={"A": market}, observed_at=MONO)  # type: ignore[index]
    found, words = judge(one)
    assert found is verdict
    assert (
        verdict is Stop.PROVEN or "sequence 48,004 on the chain, the newest reveal that was listed has 48,003" in words
    )
