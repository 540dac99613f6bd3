"""Which runbook leads: by severity, by how much of it holds, by whichever witness can be asked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cockpit.assessment.match import READY, Recovering, held, match
from cockpit.model.runbook import Cause, Match, Runbook, Runbooks, SignalDef, Symptom, listed
from cockpit.model.signal import Level, SignalStatus
from cockpit.runbooks.schema import check, load

OK, WARN, CRIT, UNKNOWN = Level.OK, Level.WARN, Level.CRIT, Level.UNKNOWN


def _runbook(number: int, *signals: str) -> Runbook:
    symptoms = tuple(Symptom(text="t", signal=name) for name in signals)
    return Runbook(id=f"b{number}", number=number, title="T", symptoms=symptoms)


@pytest.mark.parametrize(
    ("first", "other", "expected", "by"),
    [
        (UNKNOWN, CRIT, True, "y"),
        (UNKNOWN, OK, False, "y"),
        (OK, CRIT, True, "y"),
        (CRIT, OK, True, "x"),
        (CRIT, UNKNOWN, True, "x"),
        (OK, UNKNOWN, False, "x"),
        (UNKNOWN, UNKNOWN, None, "x"),
    ],
)
def test_one_witness_of_a_symptom_is_enough(first: Level, other: Level, expected: bool | None, by: str) -> None:
    """B7: the chain tells what Prometheus cannot, and the other way."""
    symptom = Symptom(text="t", signal="x", one_of=("y",))
    levels = {"x": first, "y": other}
    seen = held(symptom, {n: SignalStatus(n, n, level, None, "") for n, level in levels.items()})
    assert (seen.held, seen.by) == (expected, by)


def test_a_sev0_that_holds_leads_whatever_else_holds_in_full() -> None:
    """B6: severity first, then how much holds, never the number of lines."""
    grave = replace(_runbook(13, "bad", "good"), severity="SEV0")
    whole = replace(_runbook(6, "bad", "bad2", "bad3"), severity="SEV2")
    graver = replace(_runbook(9, "bad"), severity="SEV1")
    partial = replace(_runbook(1, "bad", "bad2", "good"), severity="SEV1")
    below = replace(_runbook(2, "bad", "good", "good"), severity="SEV0")
    runbooks = Runbooks(
        queries={}, signals={}, stages=(), services={}, toggles={}, runbooks=(partial, below, whole, graver, grave)
    )
    levels = {"good": OK, "bad": CRIT, "bad2": WARN, "bad3": WARN}
    signals = {name: SignalStatus(name, name, level, None, "") for name, level in levels.items()}
    assert [m.runbook.number for m in match(runbooks, signals)] == [13, 9, 6, 1, 2]
    assert [m.runbook.number for m in match(runbooks, signals, pinned="b6")] == [13, 6, 9, 1, 2]
    assert [m.runbook.number for m in match(runbooks, signals, held_back={"b9": "why"})][-1] == 9
    assert [m.runbook.number for m in listed(match(runbooks, signals))] == [13, 9, 6, 1]


def _hidden(levels: dict[str, Level]) -> tuple[Match, ...]:
    """Match a runbook whose symptoms show only where something is tried, beside two others."""
    rejected = SignalDef(title="rejected", promql="x", crit=1.0, only_with="tried")
    behind = replace(_runbook(5, "rejected", "rejected"), causes=(Cause(text="two at once", signals=("pods",)),))
    three = (replace(_runbook(1, "stopped"), severity="SEV1"), _runbook(6, "stopped", "good"), behind)
    signals = {"rejected": rejected}
    runbooks = Runbooks(queries={}, signals=signals, stages=(), services={}, toggles={}, runbooks=three)
    return match(runbooks, {n: SignalStatus(n, n, level, None, "") for n, level in levels.items()})


def test_where_nothing_is_tried_no_failure_is_not_known_and_a_cause_that_is_seen_is_named() -> None:
    """Hides no cause behind what holds everything up: it is unknown, or named by its cause."""
    blocked = {"stopped": CRIT, "good": OK, "rejected": OK, "tried": CRIT, "pods": OK}
    found = {m.runbook.number: m for m in _hidden(blocked)}
    assert (found[5].unknown, found[5].hidden, found[5].suspected) == (2, True, "")
    assert all("tried" in status.because for status in found[5].symptoms)
    unknown = _hidden({**blocked, "tried": UNKNOWN})
    assert next(m for m in unknown if m.runbook.number == 5).hidden
    seen = _hidden({**blocked, "pods": CRIT})
    assert [m.runbook.number for m in listed(seen)] == [1, 5, 6]
    assert seen[1].suspected.startswith("two at once") and seen[1].words == "cause seen, 2 unknown"
    going = {m.runbook.number: m for m in _hidden({**blocked, "tried": OK, "pods": CRIT})}
    assert (going[5].unknown, going[5].hidden, going[5].suspected) == (0, False, "")
    failing = {m.runbook.number: m for m in _hidden({**blocked, "rejected": CRIT})}
    assert failing[5].held == 2 and not failing[5].hidden


def test_a_misspelt_witness_is_named_with_its_line_and_what_was_meant() -> None:
    """B7: an operator's own file may name alternatives too."""
    text = """[[runbook]]
id = "own"
number = 17
title = "Own"
symptoms = [
  { text = "t", signal = "output-age", one-of = ["probe-output-agee"] },
]
"""
    runbooks, problems = check(text, "own.toml")
    assert runbooks is None
    assert str(problems[0]) == (
        "own.toml:6: runbook[own].symptoms[0].one-of[0]: "
        "expected the name of a signal, there is no 'probe-output-agee'; did you mean 'probe-output-age'?"
    )
    twice, problems = check(text.replace("probe-output-agee", "output-age"), "own.toml")
    assert twice is None and "is there twice" in str(problems[0])


def _situations(*rounds: dict[str, Level]) -> list[bool]:
    """Whether the one runbook recovers, round by round."""
    runbooks = Runbooks(
        queries={}, signals={}, stages=(), services={}, toggles={}, runbooks=(_runbook(6, "a", "b", "c"),)
    )
    memory, found = Recovering(), []
    for levels in rounds:
        signals = {name: SignalStatus(name, name, level, None, "") for name, level in levels.items()}
        found.append(memory.mark(match(runbooks, signals), signals)[0].recovers)
    return found


MENDS = Level.RECOVERING


def test_only_a_runbook_that_held_recovers() -> None:
    """U1: one symptom of it that was bad for a moment is no incident that ends."""
    calm, one = {"a": OK, "b": OK, "c": OK}, {"a": MENDS, "b": OK, "c": OK}
    assert _situations(calm, {"a": CRIT, "b": OK, "c": OK}, one, calm) == [False, False, False, False]
    assert _situations({"a": CRIT, "b": WARN, "c": OK}, {"a": MENDS, "b": WARN, "c": OK}, one, calm, one) == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_one_that_nobody_saw_hold_recovers_by_what_recovers() -> None:
    """U1: a cockpit that was started just after the cure."""
    assert _situations({"a": MENDS, "b": MENDS, "c": OK}, {"a": OK, "b": MENDS, "c": OK}) == [True, True]


@pytest.mark.parametrize("service", sorted(load().services))
def test_a_service_at_zero_holds_a_line_of_its_runbook_before_any_symptom(service: str) -> None:
    """B15, of every service: what serves nobody is not OK, and its runbook is listed."""
    packaged = load()
    (ready,) = [n for n, s in packaged.signals.items() if s.value in [head + service for head in READY]]
    assert any(ready in stage.signals for stage in packaged.stages), "no stage turns bad by it"
    levels = {name: SignalStatus(name, name, OK, 1.0, "") for name in packaged.signals}
    calm = {found.runbook.id for found in listed(match(packaged, levels))}
    gone = {**levels, ready: SignalStatus(ready, ready, CRIT, 0.0, "%", "0 of 2 ready")}
    found = [m for m in listed(match(packaged, gone)) if m.runbook.id not in calm]
    assert found and found[0].suspected.endswith("0 of 2 ready") and "cause seen" in found[0].words
    half = {**levels, ready: SignalStatus(ready, ready, CRIT, 40.0, "%", "2 of 5 ready")}
    assert not any(m.suspected for m in match(packaged, half))
