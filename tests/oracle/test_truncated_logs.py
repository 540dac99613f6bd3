"""R1: what a validator cut out of the logs is never guessed, and what it kept is read.

The validator's collector is modelled here as Agave has it: a line that does not fit into what is
left of the limit is dropped, the first time with `Log truncated`; shorter ones that fit still come.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cockpit.model.observed.chain import ProgramActivity
from cockpit.oracle.ledger import Ledger
from cockpit.oracle.logs import read_logs
from tests.support.chain_encoder import (
    PROGRAM_ID,
    b58,
    commit_logs,
    committed,
    failed_logs,
    key,
    reveal_logs,
    signature,
)

NOW = 1_790_000_000.0
EVENT = committed("m", "e", 10)
STRANGER = b58(b"\x7f" + key("a stranger")[1:])
ERR = {"InstructionError": [1, {"Custom": 6018}]}


def collected(lines: list[str], limit: int) -> list[str]:
    kept: list[str] = []
    written, warned = 0, False
    for line in lines:
        if written + len(line.encode()) >= limit:
            if not warned:
                warned = True
                kept.append("Log truncated")
            continue
        written += len(line.encode())
        kept.append(line)
    return kept


def activity(made: Ledger) -> ProgramActivity:
    return made.activity(NOW, "rpc-a", {}, complete=True, gap="", doubtful_until=None, reconnects=0)


def ledger() -> Ledger:
    made = Ledger(PROGRAM_ID, NOW - 600)
    made.start(100)
    made.tip(1000, NOW)
    return made


def noise(program: str, line: str) -> list[str]:
    return [f"Program {program} invoke [1]", f"Program log: {line}", f"Program {program} success"]


def test_r1_a_commit_after_the_cut_is_counted_and_the_transaction_still_said_to_be_cut() -> None:
    """R1: a readable commit counts; that something else may be missing is said all the same."""
    logs = collected([*noise(STRANGER, "y" * 20_000), *reveal_logs("m", 1, 7)], 10_000)
    assert "Log truncated" in logs
    made = ledger()
    made.take(signature(1), 200, None, logs, NOW)
    assert (activity(made).reveals.count, activity(made).undecodable) == (1, 1)


@pytest.mark.parametrize("kept", [0, 1, -1])
def test_r1_logs_without_their_end_are_unread_though_nothing_says_that_they_are_cut(kept: int) -> None:
    """R1, P1: a node that gives no lines, or not all, hid commits from the proof of a stop."""
    made = ledger()
    made.take(signature(1), 200, None, commit_logs("m", "e", 10)[:kept], NOW)
    assert activity(made).unread_slots == (200,) and activity(made).undecodable == 1
    made.take(signature(2), 201, None, noise(STRANGER, "only mentions it"), NOW)
    assert activity(made).unread_slots == (200,)


def test_r1_a_custom_code_whose_program_is_not_known_belongs_to_no_runbook() -> None:
    """R1: another program's 0x1782 behind a cut was a false SEV0; no logs at all say as little."""
    hidden = collected([*noise(STRANGER, "y" * 9880), *failed_logs(6018)], 10_000)
    assert not any("failed:" in line for line in hidden)
    made = ledger()
    for n, logs in enumerate((hidden, None, [], ["Program X invoke [7]"])):
        made.take(signature(n), 200 + n, ERR, logs, NOW)
    (kind,) = activity(made).failures
    assert (kind.name, kind.runbook, kind.count) == ("custom 6018 of a program not known", None, 4)


def test_r1_a_failure_that_is_readable_behind_the_cut_is_whose_it_says() -> None:
    """R1: reading on finds both our own failure and another's inside our call."""
    ours = collected([*noise(STRANGER, "y" * 20_000), *failed_logs(6018)], 10_000)
    assert read_logs(ours, PROGRAM_ID).failed_program == PROGRAM_ID
    inner = [
        f"Program {PROGRAM_ID} invoke [1]",
        f"Program {STRANGER} invoke [2]",
        f"Program {STRANGER} failed: custom program error: 0x1782 {'z' * 200}",  # does not fit
        f"Program {PROGRAM_ID} failed: custom program error: 0x1782",
    ]
    for before in ([], noise(STRANGER, "y" * 20_000)):
        cut = [*collected([*before, *inner[:2]], 10_000), "Log truncated", inner[3]]
        assert read_logs(cut, PROGRAM_ID).failed_program == STRANGER


@dataclass
class Call:
    program: str
    body: list[Call | str] = field(default_factory=list)

    def lines(self, depth: int = 1) -> list[str]:
        out = [f"Program {self.program} invoke [{depth}]"]
        for each in self.body:
            out += each.lines(depth + 1) if isinstance(each, Call) else [each]
        return [
            *out,
            f"Program {self.program} consumed 4242 of 200000 compute units",
            f"Program {self.program} success",
        ]

    def failing(self, at: list[int], depth: int = 1) -> tuple[list[str], str]:
        """The same until one call fails, and with it all around it; and whose failure that is."""
        out = [f"Program {self.program} invoke [{depth}]"]
        culprit = self.program
        for each in self.body:
            at[0] -= 1
            if isinstance(each, Call) and at[0] < 0:
                lines, culprit = each.failing(at, depth + 1)
                out += lines
                break
            out += each.lines(depth + 1) if isinstance(each, Call) else [each]
        return [*out, f"Program {self.program} failed: custom program error: 0x1782"], culprit


PRINTED = st.sampled_from(
    [
        "Program log: Instruction: CommitPrediction",
        "Program log: Instruction: SetPaused",
        "Program log: " + "n" * 120,
        "Program log: n",
        f"Program data: {EVENT}",
        f"Program log: Program {PROGRAM_ID} invoke [1]",
    ]
)
PROGRAMS = st.sampled_from([PROGRAM_ID, STRANGER, "S" * 32, "T" * 43])
CALLS = st.recursive(
    st.builds(Call, PROGRAMS, st.lists(PRINTED, max_size=4)),
    lambda inner: st.builds(Call, PROGRAMS, st.lists(inner | PRINTED, max_size=4)),
    max_leaves=8,
)


def _own(calls: list[Call], logs: list[str]) -> list[tuple[int, str, list[str]]]:
    return [(frame.depth, frame.instruction, frame.data) for frame in read_logs(logs, PROGRAM_ID).frames]


@settings(max_examples=400, deadline=None)
@given(st.lists(CALLS, max_size=4), st.integers(1, 2500))
@example(
    [Call(STRANGER, ["Program log: " + "n" * 120]), Call(PROGRAM_ID, ["Program log: Instruction: SetPaused"])], 250
)
def test_r1_of_cut_logs_only_what_is_so_is_believed(calls: list[Call], limit: int) -> None:
    """R1: what is read from cut logs is in the whole logs, in the same order."""
    whole = [line for call in calls for line in call.lines()]
    cut = collected(whole, limit)
    assert read_logs(cut, PROGRAM_ID).truncated == (cut != whole)
    assert not read_logs(cut, PROGRAM_ID).broken
    true = iter(_own(calls, whole))
    for depth, instruction, data in _own(calls, cut):
        for each_depth, each_instruction, each_data in true:
            rest = iter(each_data)
            if depth == each_depth and instruction in ("", each_instruction) and all(datum in rest for datum in data):
                break
        else:
            raise AssertionError((depth, instruction, data))


@settings(max_examples=400, deadline=None)
@given(CALLS, st.integers(0, 9), st.integers(1, 2500))
def test_r1_of_cut_logs_the_failing_program_is_the_true_one_or_not_known(call: Call, at: int, limit: int) -> None:
    """R1: nobody else is blamed, and while nothing is cut it is always known."""
    whole, culprit = call.failing([at])
    cut = collected(whole, limit)
    found = read_logs(cut, PROGRAM_ID).failed_program
    assert found in ("", culprit) if cut != whole else found == culprit
