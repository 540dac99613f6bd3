"""A stop is proven by what was counted and a listing has covered; each way that this fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cockpit.assessment.stopped import Stop, stopped
from cockpit.model.observed.chain import ProgramActivity
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.oracle.ledger import Ledger
from tests.assessment.test_stopped import MONO, pod, situation
from tests.support.chain_encoder import PROGRAM

SINCE = 1000
QUIET = [f"Program {PROGRAM} invoke [1]", "Program log: Instruction: SetPaused", f"Program {PROGRAM} success"]
COMMIT = [f"Program {PROGRAM} invoke [1]", "Program log: Instruction: CommitPrediction", f"Program {PROGRAM} success"]
CUT = [f"Program {PROGRAM} invoke [1]", "Program log: Instruction: CommitPrediction", "Log truncated"]
ALL_CUT = ["Log truncated"]


def ledger() -> Ledger:
    """Commits up to the stop, then none; the chain has gone on, and a listing has reached it."""
    made = Ledger(PROGRAM, 0.0)
    made.start(900)
    made.take("before", 995, None, COMMIT, 100.0)
    made.tip(1100, 140.0)
    made.listed(1090)
    return made


def judged(made: Ledger, *, complete: bool = True, age_s: float = 1.0, fault: Fault | None = None) -> Stop:
    activity: ProgramActivity = made.activity(
        150.0, "rpc-a", {}, complete=complete, gap="", doubtful_until=None, reconnects=0
    )
    seen = situation(activity=activity, age_s=age_s)
    if fault is not None:
        read: Reading[ProgramActivity] = Reading("solana/program", activity, MONO - age_s, fault=fault)
        seen = type(seen)(**{**{f: getattr(seen, f) for f in seen.__struct_fields__}, "solana": {"program": read}})
    return stopped(seen, "m0-prod", ("m0-submitter",), since_slot=SINCE).verdict


def test_a_quiet_chain_that_a_listing_covers_proves_it() -> None:
    """A proof that never passes is no proof."""
    assert judged(ledger()) is Stop.PROVEN


def _commit(made: Ledger) -> None:
    made.take("late", 1095, None, COMMIT, 141.0)


def _truncated(made: Ledger) -> None:
    made.take("cut", 1050, None, ALL_CUT, 141.0)


def _cut_commit(made: Ledger) -> None:
    made.take("cut", 1095, None, CUT, 141.0)


def _without_logs(made: Ledger) -> None:
    made.take("bare", 1050, None, None, 141.0, filled=True)


def _unknown_instruction(made: Ledger) -> None:
    made.take("new", 1050, None, [QUIET[0], "Program log: Instruction: CommitPredictionV2", QUIET[2]], 141.0)


@pytest.mark.parametrize("spoil", [_commit, _truncated, _cut_commit, _without_logs, _unknown_instruction])
def test_what_came_since_and_what_cannot_be_read_keeps_it_open(spoil: Callable[[Ledger], None]) -> None:
    """P1: anybody can make a log end in `Log truncated`; it is not left out of the count."""
    made = ledger()
    spoil(made)
    assert judged(made) is not Stop.PROVEN


def test_what_is_read_and_no_commit_does_not() -> None:
    """P1: another instruction of the program, and one that failed, publish nothing."""
    made = ledger()
    made.take("pause", 1050, None, QUIET, 141.0)
    made.take("failed", 1051, {"InstructionError": [0, "Custom"]}, ALL_CUT, 141.0)
    assert judged(made) is Stop.PROVEN


@pytest.mark.parametrize("listed", [None, 900, 1000, 1024])
def test_half_a_listing_or_none_proves_nothing(listed: int | None) -> None:
    """P1: silent, stale or half a window: the listing must cover all of it."""
    made = ledger()
    made.listed_slot = listed
    assert judged(made) is Stop.UNKNOWN


def test_a_gap_an_old_reading_and_a_source_that_is_down_prove_nothing() -> None:
    """P1: late, gone and restarted."""
    assert judged(ledger(), complete=False) is Stop.UNKNOWN
    assert judged(ledger(), age_s=40.0) is Stop.UNKNOWN
    assert judged(ledger(), fault=Fault(SourceState.DOWN, "no endpoint", "")) is Stop.UNKNOWN
    seen = situation((pod("a"),))
    assert stopped(seen, "m0-prod", ("m0-submitter",), since_slot=SINCE).verdict is Stop.NOT
