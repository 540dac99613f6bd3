"""Only what the program did in its own frames counts; its failures find their runbooks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.oracle.errors import PROGRAM_ERRORS, failure_of
from cockpit.oracle.logs import read_logs
from tests.support.chain_encoder import OTHER, PROGRAM_ID, call, committed, failed_logs

EVENT = committed("m", "e", 10)
STRANGER = "Strangr111111111111111111111111111111111111"


def test_an_own_frame_gives_its_instruction_and_its_events() -> None:
    read = read_logs(call("CommitPrediction", EVENT), PROGRAM_ID)
    assert [(f.instruction, f.data, f.failed) for f in read.frames] == [("CommitPrediction", [EVENT], False)]
    assert not read.broken and not read.truncated


def test_what_another_program_prints_does_not_count() -> None:
    imitation = [
        f"Program {STRANGER} invoke [1]",
        "Program log: Instruction: CommitPrediction",
        f"Program log: Program {PROGRAM_ID} invoke [2]",
        f"Program data: {EVENT}",
        f"Program log: Program {PROGRAM_ID} success",
        f"Program {STRANGER} success",
    ]
    assert read_logs(imitation, PROGRAM_ID).frames == []


def test_calls_within_calls_keep_to_their_frames() -> None:
    inner = [*call("Transfer", "AAAA", program=STRANGER, depth=2)]
    lines = [
        f"Program {PROGRAM_ID} invoke [1]",
        "Program log: Instruction: RevealPrediction",
        *inner,
        f"Program data: {EVENT}",
        f"Program {PROGRAM_ID} success",
    ]
    (frame,) = read_logs(lines, PROGRAM_ID).frames
    assert (frame.instruction, frame.data) == ("RevealPrediction", [EVENT])
    outer = [f"Program {STRANGER} invoke [1]", *call("CommitPrediction", EVENT, depth=2), f"Program {STRANGER} success"]
    (frame,) = read_logs(outer, PROGRAM_ID).frames
    assert (frame.depth, frame.instruction, frame.data) == (2, "CommitPrediction", [EVENT])


def test_a_later_line_cannot_name_the_instruction() -> None:
    lines = [
        f"Program {PROGRAM_ID} invoke [1]",
        "Program log: hello",
        "Program log: Instruction: SetPaused",
        f"Program {PROGRAM_ID} success",
    ]
    assert read_logs(lines, PROGRAM_ID).frames[0].instruction == ""


def test_truncation_and_broken_nesting_are_noticed() -> None:
    cut = read_logs([*call("CommitPrediction")[:2], "Log truncated"], PROGRAM_ID)
    assert cut.truncated and cut.frames[0].instruction == "CommitPrediction"
    assert read_logs([f"Program {PROGRAM_ID} invoke [3]"], PROGRAM_ID).broken
    assert read_logs([f"Program {PROGRAM_ID} success"], PROGRAM_ID).broken
    assert read_logs([f"Program {STRANGER} invoke [1]", f"Program {PROGRAM_ID} success"], PROGRAM_ID).broken


def test_the_program_that_failed_first_gave_the_error() -> None:
    assert read_logs(failed_logs(6018), PROGRAM_ID).failed_program == PROGRAM_ID
    nested = [
        f"Program {PROGRAM_ID} invoke [1]",
        "Program log: Instruction: RevealPrediction",
        f"Program {STRANGER} invoke [2]",
        f"Program {STRANGER} failed: custom program error: 0x1782",
        f"Program {PROGRAM_ID} failed: custom program error: 0x1782",
    ]
    read = read_logs(nested, PROGRAM_ID)
    assert read.failed_program == STRANGER and read.frames[0].failed


LINES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            f"Program {PROGRAM_ID} invoke [1]",
            f"Program {PROGRAM_ID} invoke [2]",
            f"Program {OTHER} invoke [1]",
            f"Program {OTHER} invoke [2]",
            f"Program {PROGRAM_ID} success",
            f"Program {OTHER} success",
            f"Program {PROGRAM_ID} failed: x",
            "Program log: Instruction: CommitPrediction",
            f"Program data: {EVENT}",
            "Program log: ",
            "Program ",
            "Program",
            "Program data: ",
            "Log truncated",
            f"Program {PROGRAM_ID} consumed 1 of 2",
        ]
    ),
)


@given(st.lists(LINES, max_size=40))
def test_arbitrary_lines_are_read_without_an_error(lines: list[str]) -> None:
    read = read_logs(lines, PROGRAM_ID)
    assert len(read.frames) <= sum(line.startswith(f"Program {PROGRAM_ID} invoke") for line in lines)
    assert sum(len(frame.data) for frame in read.frames) <= sum(line.startswith("Program data: ") for line in lines)


@pytest.mark.parametrize(
    ("err", "name", "code", "runbook"),
    [
        ({"InstructionError": [1, {"Custom": 6018}]}, "SignatureVerificationFailed", 6018, 2),
        ({"InstructionError": [0, {"Custom": 6016}]}, "BundleHashMismatch", 6016, 2),
        ({"InstructionError": [0, {"Custom": 6011}]}, "RevealMismatch", 6011, 4),
        ({"InstructionError": [0, {"Custom": 6012}]}, "RevealTooEarly", 6012, 4),
        ({"InstructionError": [0, {"Custom": 6013}]}, "ReplayViolation", 6013, 5),
        ({"InstructionError": [0, {"Custom": 6019}]}, "Paused", 6019, None),
        ({"InstructionError": [0, {"Custom": 6020}]}, "InvalidParameter", 6020, None),
        ({"InstructionError": [0, {"Custom": 6021}]}, "custom 6021", 6021, None),
        ({"InstructionError": [0, {"Custom": 7001}]}, "custom 7001", 7001, None),
        ({"InstructionError": [0, "InvalidAccountData"]}, "InvalidAccountData", None, None),
        ({"InstructionError": [0, {"BorshIoError": "x"}]}, "BorshIoError", None, None),
        ("BlockhashNotFound", "BlockhashNotFound", None, 4),
        ({"InsufficientFundsForRent": {"account_index": 1}}, "InsufficientFundsForRent", None, None),
        ([], "unknown error", None, None),
        ({"InstructionError": "x"}, "InstructionError", None, None),
        ({"InstructionError": [0, {"Custom": True}]}, "Custom", None, None),
    ],
)
def test_failures_have_names_codes_and_runbooks(err: object, name: str, code: int | None, runbook: int | None) -> None:
    failure = failure_of(err, ours=True)
    assert failure is not None and (failure.name, failure.code, failure.runbook) == (name, code, runbook)


def test_the_documented_order_of_the_errors() -> None:
    assert len(PROGRAM_ERRORS) == 21 and PROGRAM_ERRORS.index("CommitNotFound") == 9
    assert failure_of(None, ours=True) is None
    foreign = failure_of({"InstructionError": [0, {"Custom": 6018}]}, ours=False)
    assert foreign is not None and foreign.runbook is None and "another program" in foreign.name


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["InstructionError", "Custom", "x"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(SHAPES, st.sampled_from([True, False, None]))
def test_arbitrary_errors_are_named(err: object, ours: bool | None) -> None:
    failure = failure_of(err, ours=ours)
    assert (failure is None) == (err is None) and (failure is None or failure.name)
