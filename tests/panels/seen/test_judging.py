"""What was not on the screen, or did not stand alone, confirms nothing; a calm key always does.

Streams of keys, pastes and answers are made up, brought over a line of any latency, taken apart and
judged as the screen does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cockpit.model.keystrokes import Keystrokes, Kind
from cockpit.model.seen import (
    ALONE_S,
    ANSWER_WITHIN_S,
    QUIET_S,
    READING_S,
    Answer,
    Decision,
    Frame,
    Stroke,
    TerminalLine,
    Verdict,
    judge,
)

SHOWN = 100.0  # when the frame leaves, on the program's clock
MARK = (7, 33)
#: What terminals answer, each to a question of its own: modes, attributes, versions, colours.
ANSWERS = (
    "\x1b[?2026;2$y",
    "\x1b[?2048;0$y",
    "\x1b[12;40R",
    "\x1b[?12;40R",
    "\x1b[?64;1;2;6;9;15;18;21;22c",
    "\x1b[>41;354;0c",
    "\x1b[8;24;80t",
    "\x1b[?0u",
    "\x1b]11;rgb:1d1d/1f1f/2121\x1b\\",
    "\x1bP>|kitty(0.26.5) my\x1b\\",
    "\x1bP1+r5463=79\x1b\\",
    "\x1b[?997;1n",
    "\x1b[0n",
)


@dataclass
class Typing:
    """What leaves the terminal, by when; `calm`: single keys that somebody struck on purpose."""

    sent: list[tuple[float, str]] = field(default_factory=list)
    calm: list[float] = field(default_factory=list)
    answered: set[tuple[float, str]] = field(default_factory=set)  # the parts that are of answers


times = st.floats(-3.0, 12.0)


@st.composite
def typing(draw: st.DrawFn) -> Typing:
    made = Typing()
    answers: list[list[tuple[float, str]]] = []
    for _ in range(draw(st.integers(1, 6))):
        at = draw(times)
        match draw(st.sampled_from(["key", "other", "held", "paste", "bracketed", "answer", "typed"])):
            case "key":
                made.sent.append((at, "y"))
                made.calm.append(at)
            case "other":
                made.sent.append((at, draw(st.sampled_from(["j", "\x1b", "\r", "n", "\x1b[B", "é"]))))
            case "held":  # the first of them may have been meant
                every = draw(st.floats(0.025, 0.1))
                begins = at + draw(st.floats(0.25, 0.7))
                made.sent += [(at, "y"), *((begins + n * every, "y") for n in range(draw(st.integers(2, 40))))]
                made.calm.append(at)
            case "paste":
                made.sent.append((at, draw(st.sampled_from(["any text, yes", "y\n", "yy", "yes", "why"]))))
            case "bracketed":
                made.sent.append((at, "\x1b[200~" + draw(st.sampled_from(["y", "yes", "any text, y"])) + "\x1b[201~"))
            case "answer":
                text, when = draw(st.sampled_from(ANSWERS)), at
                answers.append([])
                for part in _pieces(draw, text):
                    answers[-1].append((when, part))
                    when += draw(st.floats(0.0, 2.0))
            case "typed":  # a word typed in the wrong window, as fast as people do
                pace = draw(st.floats(0.05, ALONE_S - 0.01))
                made.sent += [(at + n * pace, char) for n, char in enumerate("oh my, why")]
    made.sent.sort(key=lambda one: one[0])
    made.answered = {part for answer in answers for part in answer}
    spans = sorted((answer[0][0], answer[-1][0]) for answer in answers)
    assume(all(ends < begins for (_, ends), (begins, _) in pairwise(spans)))  # one after the other
    for answer in answers:  # a terminal writes it whole: on the line nothing gets in between
        begins, ends = answer[0][0], answer[-1][0]
        made.calm += [ends for at, text in made.sent if begins <= at <= ends and text == "y"]
        made.sent = [(ends if begins <= at <= ends else at, text) for at, text in made.sent]
        made.sent = (
            [one for one in made.sent if one[0] < begins] + answer + [one for one in made.sent if one[0] >= begins]
        )
    return made


def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.sets(st.integers(1, len(text) - 1), max_size=4)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def taken(made: Typing, latency: float, answers_s: float | None, line: TerminalLine) -> list[tuple[float, Verdict]]:
    """When each `y` that was taken was struck, by the operator's clock: the frame is drawn at 0."""
    drawn = SHOWN + latency
    sent = [(drawn + at + latency, text) for at, text in made.sent]
    answers: list[Answer] = []
    strokes: list[Stroke] = []
    if answers_s is not None:
        answered_at = drawn + answers_s + latency
        answers.append(Answer(answered_at, *MARK))
    pieces, before = Keystrokes(lambda sequence: sequence == "\x1b[B"), 0.0
    reads: list[tuple[float, str]] = []
    for at, text in sent:
        if reads and at - reads[-1][0] < 0.001:
            reads[-1] = (reads[-1][0], reads[-1][1] + text)
        else:
            reads.append((at, text))
    for at, text in reads:
        found = [p for t in _ticks(before, at) for p in pieces.tick(t)] + pieces.feed(text, at)
        strokes += [Stroke(p.at, p.text, p.alone) for p in found if not p.passing and p.kind is not Kind.CURSOR]
        before = at
    end = max([at for at, _ in reads] + [drawn]) + 60.0
    frames = [Frame(1, SHOWN, *MARK)]
    found_taken = []
    for stroke in (s for s in strokes if s.text == "y"):
        verdict, now = Verdict(Decision.WAIT), stroke.at
        while verdict.decision is Decision.WAIT and now < end:  # judged at once, and again when it says so
            known = [a for a in answers if a.at <= now], [s for s in strokes if s.at <= now]
            verdict = judge(frames, *known, stroke, now, needed=1, line=line)
            now = max(now + 0.01, verdict.until)
        if verdict.decision is Decision.TAKEN:
            found_taken.append((stroke.at - latency - drawn, verdict))
    return found_taken


def _ticks(since: float, until: float) -> list[float]:
    return (
        [since + 0.11, since + 2.5, since + 10.5] if until - since > 10.5 else [since + 0.11] * (until - since > 0.11)
    )


@settings(max_examples=1000, deadline=None)
@given(made=typing(), latency=st.sampled_from([0.0, 0.075, 0.4, 0.8]), answers_s=st.floats(0.0, 2.0))
def test_nothing_confirms_but_a_key_struck_by_itself_at_what_was_drawn(
    made: Typing, latency: float, answers_s: float
) -> None:
    """S1: 1,000 streams over a terminal that answers, late or at once: 0 false confirmations.

    In the time that is waited for an answer: a later one is that of a terminal that gives none.
    """
    assume(2 * latency + answers_s < ANSWER_WITHIN_S)
    for struck_at, verdict in taken(made, latency, answers_s, TerminalLine()):
        assert struck_at >= answers_s, "struck before it was drawn"
        assert any(abs(struck_at - at) < 0.002 for at in made.calm), "nobody struck this key"
        seen = verdict.seen
        assert seen is not None and seen.acknowledged is not None
        assert seen.shown <= seen.acknowledged <= seen.confirmed - READING_S


@settings(max_examples=300, deadline=None)
@given(made=typing(), latency=st.sampled_from([0.0, 0.075, 0.4, 0.8]), known=st.sampled_from([None, False]))
def test_a_terminal_that_never_answers_wants_a_pause(made: Typing, latency: float, known: bool | None) -> None:
    """S1: no answer in 3 s, so 1.5 s without a key; and still nothing that was not drawn."""
    for struck_at, verdict in taken(made, latency, None, TerminalLine(answers=known)):
        assert struck_at >= 0.0, "struck before it was drawn"
        assert any(abs(struck_at - at) < 0.002 for at in made.calm)
        keys = [at for at, text in made.sent if (at, text) not in made.answered]
        assert not [at for at in keys if struck_at - QUIET_S + 0.01 < at < struck_at - 0.01]
        assert verdict.seen is not None and "does not say" in verdict.seen.how


@settings(max_examples=300, deadline=None)
@given(made=typing(), relay=st.sampled_from(["tmux", "screen", "mosh"]))
def test_behind_tmux_a_second_is_asked_for_and_said(made: Typing, relay: str) -> None:
    """S1: tmux answers for its pane, which proves nothing of the terminal."""
    for struck_at, verdict in taken(made, 0.0, 0.0, TerminalLine(relay)):
        assert struck_at >= 1.0
        assert verdict.seen is not None and relay in verdict.seen.how and verdict.seen.acknowledged is None


@pytest.mark.parametrize("latency", [0.0, 0.15, 0.8])
@pytest.mark.parametrize(
    ("line", "answers_s", "reads_s"),
    [
        (TerminalLine(), 0.0, 2 * 0.8 + READING_S + 0.1),  # by the time that it is drawn
        (TerminalLine("tmux"), 0.0, 1.1),
        (TerminalLine(answers=False), None, QUIET_S + 0.6),
        (TerminalLine(), None, QUIET_S + 0.6),
    ],
)
def test_a_calm_operator_never_presses_twice(
    latency: float, line: TerminalLine, answers_s: float | None, reads_s: float
) -> None:
    """S1: one key, by itself, after the time that reading takes."""
    made = Typing([(reads_s, "y")], [reads_s])
    assert len(taken(made, latency, answers_s, line)) == 1


def test_the_name_and_ctrl_y_may_come_as_fast_as_fingers_go() -> None:
    """S1: the kill switch needs no key more than before."""
    frames, answers = [Frame(1, SHOWN, *MARK)], [Answer(SHOWN + 0.02, *MARK)]
    name = [Stroke(SHOWN + 0.5 + 0.09 * n, char, True) for n, char in enumerate("m0-submitter")]
    accept = Stroke(name[-1].at + 0.1, "\x19", True)
    verdict = judge(
        frames, answers, [*name, accept], accept, accept.at + ALONE_S, needed=1, line=TerminalLine(), typed=True
    )
    assert verdict.decision is Decision.TAKEN


def test_an_answer_to_an_earlier_question_proves_nothing() -> None:
    """S1: a late answer is told from the one that is waited for by the place that it names."""
    frames = [Frame(1, SHOWN - 5, 9, 9), Frame(2, SHOWN, *MARK)]
    key = Stroke(SHOWN + 2.0, "y", True)
    late = [Answer(SHOWN + 1.0, 9, 9)]
    verdict = judge(frames, late, [key], key, key.at + 1, needed=2, line=TerminalLine(answers=True))
    assert verdict.decision is Decision.REFUSED and "drawn" in verdict.why
    ours = [*late, Answer(SHOWN + 1.5, *MARK)]
    assert judge(frames, ours, [key], key, key.at + 1, needed=2, line=TerminalLine()).decision is Decision.TAKEN


def test_a_terminal_that_has_answered_before_is_waited_for() -> None:
    """S1: then it is the line that is slow, and what hangs in it has not been seen."""
    frames, key = [Frame(1, SHOWN, *MARK)], Stroke(SHOWN + ANSWER_WITHIN_S + 2.0, "y", True)
    slow = judge(frames, [], [key], key, key.at + 1, needed=1, line=TerminalLine(answers=True))
    assert slow.decision is Decision.REFUSED
