"""Each transaction is counted once, in whatever order and however often it is told."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.model.observed.chain import ProgramActivity
from cockpit.oracle.ledger import Ledger
from cockpit.oracle.rates import SlotClock
from tests.support.chain_encoder import PROGRAM_ID, b58, call, commit_logs, failed_logs, key, reveal_logs, signature

NOW = 1_790_000_000.0
ERR = {"InstructionError": [1, {"Custom": 6018}]}
Transaction = tuple[str, int, object, list[str]]


def ledger(since: int = 100) -> Ledger:
    made = Ledger(PROGRAM_ID, NOW - 600)
    made.start(since)
    made.tip(1000, NOW)
    return made


def activity_of(made: Ledger) -> ProgramActivity:
    return made.activity(NOW, "rpc-a", {}, complete=True, gap="", doubtful_until=None, reconnects=0)


def story(length: int) -> list[Transaction]:
    """Commits, each revealed three slots later but every fifth, and a failure now and then; some
    from before slot 100.
    """
    transactions: list[Transaction] = []
    for n in range(length):
        slot = 90 + n
        transactions.append((signature(("c", n)), slot, None, commit_logs(n % 3, n, slot + 2)))
        if n % 5:
            transactions.append((signature(("r", n)), slot + 3, None, reveal_logs(n % 3, n, n)))
        if n % 4 == 0:
            transactions.append((signature(("f", n)), slot, ERR, failed_logs(6018)))
    return transactions


@settings(max_examples=40)
@given(st.integers(0, 30), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_counts(length: int, rng: object) -> None:
    straight, shuffled = ledger(), ledger()
    transactions = story(length)
    for one in transactions:
        assert straight.take(*one, NOW)
    mixed = transactions + transactions[: length // 2]
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    for one in mixed:
        shuffled.take(*one, NOW)
    a, b = activity_of(straight), activity_of(shuffled)
    assert a.commits == b.commits and a.reveals == b.reveals and a.failed == b.failed
    assert a.pending == b.pending and a.pending_total == b.pending_total and a.last_reveal == b.last_reveal
    assert b.doubles_dropped == length // 2
    assert a.commits.count == sum(1 for n in range(length) if 90 + n > 100)


def test_what_a_listing_proved_is_forgotten_and_never_counted_again() -> None:
    made = ledger()
    for one in story(30):
        made.take(*one, NOW)
    before = activity_of(made)
    made.settle(200)
    assert made.kept == 0
    for one in story(30):
        assert not made.take(*one, NOW)
    assert activity_of(made).commits == before.commits and activity_of(made).pending_total == before.pending_total


def test_failures_are_classed_with_instruction_and_runbook() -> None:
    made = ledger()
    for n in range(3):
        made.take(signature(n), 200 + n, ERR, failed_logs(6018), NOW)
    made.take(signature("b"), 205, "BlockhashNotFound", None, NOW)
    made.take(
        signature("x"),
        206,
        {"InstructionError": [0, {"Custom": 6018}]},
        call("Swap", program="Strangr1", end="failed: x"),
        NOW,
    )
    activity = activity_of(made)
    assert activity.failed.count == 5 and activity.undecodable == 0
    assert [(f.name, f.instruction, f.count, f.runbook) for f in activity.failures] == [
        ("SignatureVerificationFailed", "RevealPrediction", 3, 2),
        ("BlockhashNotFound", "", 1, 4),
        ("custom 6018 of another program", "", 1, None),
    ]
    assert activity.failures[0].last_signature == signature(2) and activity.failures[0].last_slot == 202


def test_commits_wait_oldest_first_and_say_how_long_they_are_overdue() -> None:
    made = ledger()
    made.take(signature(2), 950, None, commit_logs("m", "e2", 960), NOW)
    made.take(signature(1), 940, None, commit_logs("m", "e1", 1010), NOW)
    activity = activity_of(made)
    assert [(p.epoch, p.overdue_slots, p.overdue) for p in activity.pending] == [
        (b58(key("e1")), -10, False),
        (b58(key("e2")), 40, True),
    ]
    assert (activity.pending_total, activity.overdue_total) == (2, 1)
    made.tip(1100, NOW + 30)
    assert [p.overdue_slots for p in activity_of(made).pending] == [90, 140]


def test_a_commit_that_was_overtaken_is_given_up() -> None:
    made = ledger()
    made.take(signature(1), 500, None, commit_logs("m", "e1", 510), NOW)
    made.take(signature(2), 520, None, commit_logs("m", "e2", 530), NOW)
    made.take(signature(3), 531, None, reveal_logs("m", "e2", 7), NOW)
    activity = activity_of(made)
    assert (activity.pending_total, activity.lost_commits) == (0, 1) and activity.last_reveal is not None
    assert activity.last_reveal.sequence == 7


def test_an_event_that_cannot_be_read_is_still_an_instruction_that_ran() -> None:
    made = ledger()
    made.take(signature(1), 500, None, call("CommitPrediction", "AAAA"), NOW)
    made.take(signature(2), 501, None, call("CommitPrediction"), NOW)
    made.take(signature(3), 502, None, call("Frobnicate"), NOW)
    made.take(signature(4), 503, None, call("OpenEpoch"), NOW)
    activity = activity_of(made)
    assert (activity.commits.count, activity.undecodable) == (2, 3)


def test_processed_and_never_confirmed_is_not_counted() -> None:
    made = ledger()
    made.processed(signature(1), 500)
    made.processed(signature(2), 501)
    made.take(signature(2), 501, None, commit_logs("m", "e", 510), NOW)
    assert activity_of(made).unconfirmed_dropped == 0
    made.settle(600)
    assert (activity_of(made).commits.count, activity_of(made).unconfirmed_dropped) == (1, 1)


def test_rates_need_a_minute_and_count_the_last_one() -> None:
    made = ledger()
    made.covered_since = NOW - 30
    for n in range(10):
        made.take(signature(n), 500 + n, None, commit_logs("m", n, 900), NOW - 70 + 10 * n if n else NOW - 70)
    assert activity_of(made).commits.per_minute is None
    made.covered_since = NOW - 90
    later = made.activity(NOW + 10, "", {}, complete=True, gap="", doubtful_until=None, reconnects=0)
    assert later.commits.per_minute == 6.0  # the last sixty full seconds: from -50 to 0, and none from the future
    steps = later.commits.history
    assert [at for at, _ in steps] == [NOW - 70 + 10 * n for n in range(9)]
    assert [value for _, value in steps] == [0.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0]


def test_slots_are_reckoned_by_this_machines_clock() -> None:
    clock = SlotClock()
    assert clock.at(5, NOW) == NOW
    for n in range(120):
        clock.see(1000 + 2 * n, NOW + n)
    now = NOW + 119
    assert clock.at(1000 + 2 * 60, now) == NOW + 60
    assert clock.at(1001 + 2 * 60, now) == NOW + 60.5
    assert clock.at(900, now) == NOW - 50
    assert clock.at(99_999, now) == now


def test_a_log_that_was_cut_off_is_never_taken_for_nothing() -> None:
    made, whole = ledger(), commit_logs("m", 1, 200)
    start = next(n for n, line in enumerate(whole) if line.startswith(f"Program {PROGRAM_ID} invoke"))
    assert made.take("before-our-call", 150, None, [*whole[:start], "Log truncated"], NOW)
    assert (activity_of(made).commits.count, activity_of(made).undecodable) == (0, 1)
    assert made.take("in-our-call", 150, None, [*whole[: start + 2], "Log truncated"], NOW)
    assert (activity_of(made).commits.count, activity_of(made).undecodable) == (1, 2)
    assert made.take("after-our-call", 150, None, [*whole, "Log truncated"], NOW)
    assert (activity_of(made).commits.count, activity_of(made).undecodable) == (2, 3)
