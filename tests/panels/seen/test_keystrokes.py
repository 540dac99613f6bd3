"""Whatever a terminal says of itself never becomes a key, in however many pieces it comes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.model.keystrokes import MOST_A_SECOND, MOST_AT_ONCE, OPEN_S, UNTYPED, Keystrokes, Kind, Piece
from panels.kit.driver import taken
from tests.panels.seen.test_judging import ANSWERS


def fed(*parts: tuple[float, str]) -> list[Piece]:
    """Each part read at its time, with the ticks between."""
    pieces, found, now = Keystrokes(taken), [], 0.0
    for at, text in parts:
        while now + 0.05 < at:
            now += 0.05
            found += pieces.tick(now)
        now = at
        found += pieces.feed(text, at)
    for _ in range(60):
        now += 0.25
        found += pieces.tick(now)
    return found


def keys(found: list[Piece]) -> list[str]:
    return [piece.text for piece in found if piece.kind is Kind.KEY]


@settings(max_examples=400, deadline=None)
@given(data=st.data(), answer=st.sampled_from([*ANSWERS, "\x1b[I", "\x1b[<35;10;5M", "\x1b[1;1R"]))
def test_an_answer_in_pieces_is_no_key(data: st.DataObject, answer: str) -> None:
    """S1: `ESC [` and, 1.2 s later, `?2026;2$y`: three of three confirmed by that."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1), max_size=6)))
    parts, at = [], 1.0
    for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True):
        parts.append((at, answer[a:b]))
        at += data.draw(st.floats(0.0, OPEN_S / 4))
    typed = [key for key in keys(fed(*parts)) if key != "\x1b"]  # a lone ESC may be the key: that closes, at worst
    assert typed in ([], [answer]) and "y" not in typed


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("y", ["y"]),
        ("é", ["é"]),
        ("\x1b[A", ["\x1b[A"]),
        ("\x1bOP", ["\x1bOP"]),
        ("\x1b[[A", ["\x1b[[A"]),
        ("\x1b[15~", ["\x1b[15~"]),
        ("\x1b[1;5C", ["\x1b[1;5C"]),
        ("\x1bb", ["\x1bb"]),
        ("\x1b\x1b", ["\x1b", "\x1b"]),
        ("\x1b", ["\x1b"]),
        ("ry", ["r", "y"]),
    ],
)
def test_a_key_stays_a_key(typed: str, expected: list[str]) -> None:
    assert keys(fed((0.0, typed))) == expected


def test_the_cursors_place_is_an_answer_and_in_the_first_row_it_is_f3_with_shift() -> None:
    """S1: `ESC[1;2R` is both; the cockpit never asks where the answer would be that."""
    (answer,) = fed((0.0, "\x1b[12;40R"))
    assert (answer.kind, answer.row, answer.column) == (Kind.CURSOR, 12, 40)
    (key,) = fed((0.0, "\x1b[1;2R"))
    assert key.kind is Kind.KEY


def test_what_comes_in_one_read_does_not_stand_alone() -> None:
    """S1: a plain paste, a key in the same read as the answer, several answers at once."""
    assert not any(piece.alone for piece in fed((0.0, "any text, yes")))
    assert [p.alone for p in fed((0.0, "\x1b[12;40Ry"))] == [False, False]
    assert [p.kind for p in fed((0.0, "\x1b[12;40R\x1b[13;47R\x1b[?2026;2$y"))] == [
        Kind.CURSOR,
        Kind.CURSOR,
        Kind.REPORT,
    ]
    assert not any(piece.alone for piece in fed((0.0, "y\x1b")) if piece.text == "y")
    assert [p.alone for p in fed((0.0, "\x1b[<35;10;5My")) if p.kind is Kind.KEY] == [True]  # the mouse only moved


def test_a_paste_is_one_piece_and_its_lost_end_does_not_take_the_keys_for_ever() -> None:
    (paste,) = fed((0.0, "\x1b[200~yes\ny\x1b[201~"))
    assert (paste.kind, paste.text) == (Kind.PASTE, "yes\ny")
    found = fed((0.0, "\x1b[200~yes"), (5.0, "q"))
    assert [(p.kind, p.text) for p in found] == [(Kind.PASTE, "yes"), (Kind.KEY, "q")]


def test_what_comes_at_once_is_a_paste_though_the_terminal_does_not_say_so() -> None:
    """S1: a raw paste went through the screen as commands, key by key."""
    found = fed((0.0, "K" + "y" * UNTYPED + "\r"))
    assert [(p.kind, len(p.text)) for p in found] == [(Kind.PASTE, UNTYPED + 1), (Kind.KEY, 1)]
    assert keys(fed((0.0, "m0-submitter"))) == list("m0-submitter")
    assert len(keys(fed(*((n / 30, "j") for n in range(300))))) == 300, "a key that is held"


@pytest.mark.parametrize("one", ["\x1b[B", "\r", "\x1b[<35;10;5M", "\x1bx", "q\r"])
def test_a_flood_is_lost_so_that_what_follows_is_heard(one: str) -> None:
    """H2: a megabyte of keys held the screen up for minutes, the kill switch too."""
    pieces = Keystrokes(taken)
    whole = one * (1_000_000 // len(one))
    found: list[Piece] = []
    for at in range(0, len(whole), 4096):
        found += pieces.feed(whole[at : at + 4096], at / len(whole))
    heard = [piece for piece in found if piece.kind is not Kind.LOST]
    assert len(heard) <= MOST_AT_ONCE + MOST_A_SECOND + 1
    assert (Kind.LOST in {piece.kind for piece in found}) is ("<" not in one), "a mouse strikes no key"
    pieces.tick(OPEN_S + 2)
    assert [p.kind for p in pieces.feed("K", OPEN_S + 3)] == [Kind.KEY]


def test_a_key_is_heard_while_the_mouse_is_moved_fast() -> None:
    """H2: what the mouse may do takes nothing from the keys."""
    pieces = Keystrokes(taken)
    for move in range(2000):
        pieces.feed("\x1b[<35;10;5M", move / 1000)
    assert [p.kind for p in pieces.feed("K", 2.0)] == [Kind.KEY]


def test_a_sequence_that_never_ends_is_given_up() -> None:
    assert keys(fed((0.0, "\x1b[?2026"), (OPEN_S + 5, "q"))) == ["q"]
    assert keys(fed((0.0, "\x1b]11;" + "x" * 10_000), (OPEN_S + 5, "q")))[-1] == "q"


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(st.tuples(st.floats(0, 1), st.text(max_size=20)), max_size=8))
def test_nothing_that_comes_in_breaks_it(parts: list[tuple[float, str]]) -> None:
    at, timed = 0.0, []
    for later, text in parts:
        at += later
        timed.append((at, text))
    found = fed(*timed)
    assert sum(len(p.text) for p in found) <= sum(len(text) for _, text in parts) * 2
