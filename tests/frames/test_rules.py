"""Each rule that reads frames finds what it is for: frames of before it held are kept beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.frames.frame import Frame
from bench.frames.rules import RULES, over_time

SEEN = Path(__file__).parent / "seen"


def _frame(rule: str) -> Frame:
    return msgspec.json.decode((SEEN / f"{rule.replace('_', '-')}.json").read_bytes(), type=Frame)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("number_beside_word", "reveal CRIT beside 79/min, which is of no signal that is CRIT"),
        ("page_against_signals", "“no” for publish-success, which is bad but not for long enough"),
        ("panels_against_titles", "panel api: its title is marked !!, nothing in it is CRIT"),
        ("no_internal_words", "a share above 100 %"),
    ],
)
def test_a_frame_that_was_seen_is_refused(rule: str, words: str) -> None:
    """U9, U10, U15: as the screens were on the day that these faults were found."""
    assert any(words in found for found in RULES[rule](_frame(rule)))


def _altered(**changes: object) -> Frame:
    return msgspec.structs.replace(_frame("number_beside_word"), **changes)


def test_a_word_of_the_strip_that_is_not_its_signals() -> None:
    frame = _frame("number_beside_word")
    assert RULES["strip_against_signals"](frame) == []
    wide = (frame.wide[0], frame.wide[1].replace("▲ CRIT", "● OK  "), frame.wide[2])
    assert "the strip says reveal OK" in RULES["strip_against_signals"](_altered(wide=wide))[0]


@pytest.mark.parametrize("verdict", ["◀ it stops at: sign", "● flowing", "△ recovering 3:45", ""])
def test_a_verdict_that_is_not_of_the_stages(verdict: str) -> None:
    """U1, U9: four minutes after a cure the header said the opposite of the truth."""
    frame = _frame("number_beside_word")
    wide = (frame.wide[0], frame.wide[1].split("◀")[0] + verdict, frame.wide[2])
    assert RULES["where_it_stops"](_altered(wide=wide, top=("", "")))


def test_a_match_that_its_symptoms_do_not_bear() -> None:
    frame = _frame("number_beside_word")
    assert RULES["match_against_signals"](frame) == []
    well = {name: msgspec.structs.replace(one, level="ok") for name, one in frame.signals.items()}
    assert RULES["match_against_signals"](_altered(signals=well))
    assert RULES["match_against_signals"](_altered(match=" no runbook matches"))


def test_a_row_that_is_not_its_signal() -> None:
    frame = _frame("number_beside_word")
    name = next(iter(frame.signals))
    row = msgspec.structs.replace(_frame("panels_against_titles").panels["api"], lines=(f"│ ▲ CRIT  {name} 1 │",))
    level = msgspec.structs.replace(frame.signals[name], level="ok")
    assert RULES["rows_against_signals"](_altered(panels={"signals": row}, signals={name: level}))


def test_what_flickers_and_what_does_not_clear() -> None:
    """U1: nothing flickers more than once in five seconds; a window clears when it was said to."""
    frame = _frame("number_beside_word")
    name = next(iter(frame.signals))

    def at(second: float, level: str, clears_s: float = 0.0) -> Frame:
        recovers = level == "recovering"
        one = msgspec.structs.replace(frame.signals[name], level=level, recovering=recovers, clears_s=clears_s)
        return _altered(at=second, signals={name: one})

    assert over_time([at(1, "ok"), at(2, "warn"), at(3, "ok"), at(9, "warn")]) == []
    assert "flicker" in over_time([at(1, "ok"), at(2, "warn"), at(3, "ok"), at(4, "warn")])[0]
    late = [at(1, "recovering", 10.0), at(20, "recovering", 1.0), at(40, "recovering", 1.0)]
    assert any("was to be clear" in words for words in over_time(late))
