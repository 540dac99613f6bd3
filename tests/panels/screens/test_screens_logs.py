"""The log view: pause without loss, filters, errors, and honest counts."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from cockpit.model.reading import Fault, SourceState
from panels.messages import CloseLayer, CopyText, LogSource
from panels.screens.explain import ExplainView
from panels.screens.logs.page import LogPage, Said
from panels.screens.logs.view import LogView
from tests.support.samples.dialogs import HOSTILE, Harness


def lines(numbers: Iterable[int], text: str = "line", pods: int = 1, error_every: int = 0) -> list[Said]:
    return [
        Said(
            text=f"{text} {n}.",
            at=1_790_000_000.0 + n,
            pod=f"m0-submitter-6f-{n % pods}",
            container="m0-submitter",
            trace=f"trace{n}" if n % 2 else None,
            error=bool(error_every and n % error_every == 0),
        )
        for n in numbers
    ]


def test_the_page_is_bounded_and_counts_what_it_dropped() -> None:
    page = LogPage(100)
    for start in range(0, 1000, 50):
        page.append(lines(range(start, start + 50)))
    assert len(page.lines) <= 100
    assert page.dropped + len(page.lines) == 1000
    assert page.line(page.shown[-1]).text == "line 999."
    assert page.line(page.shown[0]) is page.lines[0]


def test_while_it_is_held_twice_as_many_are_kept() -> None:
    page = LogPage(100)
    page.append(lines(range(100)))
    page.held = True
    page.append(lines(range(100, 200)))
    assert (len(page.lines), page.dropped) == (200, 0)


@pytest.mark.parametrize(
    ("query", "inverse", "left"),
    [("line 1", False, 11), ("LINE 1", False, 0), ("line 1", True, 9), (r"\d{2}", False, 10), ("", True, 20)],
)
def test_filter_and_inverse(query: str, inverse: bool, left: int) -> None:
    page = LogPage()
    page.append(lines(range(20)))
    assert page.set_filter(query, inverse) == ""
    assert len(page.shown) == left
    page.append(lines([100]))
    assert len(page.shown) == left + (1 if (query in ("line 1", r"\d{2}") and not inverse) or not query else 0)


def test_a_bad_pattern_changes_nothing_and_says_why() -> None:
    page = LogPage()
    page.append(lines(range(5)))
    page.set_filter("line 3")
    assert "not a pattern" in page.set_filter("(")
    assert len(page.shown) == 1


def test_r3_long_lines_are_kept_whole_and_bounded_together() -> None:
    """R3: a line of 64 kB is searched to its end; many of them push the oldest out, counted."""
    page = LogPage()
    long = "x" * 60_000 + " ROOTCAUSE"
    page.append([Said(long), *lines(range(5))])
    page.set_filter("ROOTCAUSE")
    assert [page.line(number).text for number in page.shown] == [long]
    page.append([Said(long)] * 400)
    assert len(page.lines) < 250 and page.dropped + len(page.lines) == 406
    page.clear()
    page.append(lines(range(5)))
    assert len(page.lines) == 5 and page.dropped == 0


async def test_r3_the_picture_moves_to_where_the_filter_matches() -> None:
    """R3: found at column 30,000, the word is on the screen, folded or not, and stays quick."""
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.subject
        view.append([Said("ok " * 10_000 + "ROOTCAUSE is here", pod="p", container="c"), *lines(range(3))])
        await pilot.press("slash", *"ROOTCAUSE", "enter")
        await pilot.pause()
        assert "ROOTCAUSE is here" in app.words()
        await pilot.press("w")
        await pilot.press("end")
        await pilot.pause()
        assert "ROOTCAUSE is" in " ".join(app.words().split())


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=30), st.integers(10, 60))
def test_shown_lines_are_always_in_order_and_there(batches: list[tuple[int, bool]], capacity: int) -> None:
    page = LogPage(capacity)
    page.set_filter("[02468]\\.")
    total = 0
    for count, held in batches:
        page.held = held
        page.append(lines(range(total, total + count)))
        total += count
        assert page.shown == sorted(set(page.shown))
        assert all(page.first <= number < page.first + len(page.lines) for number in page.shown)
        assert page.dropped + len(page.lines) == total


async def test_it_follows_and_pausing_loses_nothing() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.subject
        view.append(lines(range(100)))
        await pilot.pause()
        assert "line 99." in app.words()
        await pilot.press("space")
        await pilot.pause()
        view.append(lines(range(100, 150)))
        view.tell("live", 7)
        await pilot.pause()
        words = app.words()
        assert "line 99." in words
        assert "line 149." not in words
        assert "PAUSED, 50 new" in words
        assert "7 oldest dropped" in words
        await pilot.press("space")
        await pilot.pause()
        assert "line 149." in app.words()
        assert "FOLLOWING" in app.words()
        await pilot.press("home")
        await pilot.pause()
        assert "line 0." in app.words()


async def test_standing_still_the_lines_stay_where_they_are_when_old_ones_go() -> None:
    app = Harness(lambda: LogView("m0-submitter", capacity=100))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.subject
        view.append(lines(range(100)))
        await pilot.press("space")
        await pilot.pause()
        before = [row[:79].rstrip() for row in app.words().splitlines()[2:-1]]  # without the scroll bar
        view.append(lines(range(100, 201)))
        await pilot.pause()
        assert [row[:79].rstrip() for row in app.words().splitlines()[2:-1]] == before
        assert "oldest dropped" in app.words()


async def test_moving_up_pauses_and_end_follows_again() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.subject.append(lines(range(100)))
        await pilot.press("pageup")
        await pilot.pause()
        assert "PAUSED" in app.words()
        assert "line 60." in app.words()
        await pilot.press("end")
        await pilot.pause()
        assert "FOLLOWING" in app.words()


async def test_the_filter_is_typed_live_and_a_bad_one_is_reported() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.subject.append(lines(range(40)))
        await pilot.press("slash", "3", "9")
        await pilot.pause()
        assert "/39" in app.words()
        assert "line 38." not in app.words()
        await pilot.press("left_parenthesis")
        await pilot.pause()
        assert "not a pattern" in app.words()
        await pilot.press("escape")
        await pilot.pause()
        assert "line 38." in app.words()
        await pilot.press("exclamation_mark", "3", "9", "enter")
        await pilot.pause()
        words = app.words()
        assert "line 38." in words
        assert "line 39." not in words
        assert "39 shown" in words
        assert not app.requested(CloseLayer)


async def test_letters_typed_right_behind_the_slash_are_the_filters() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.subject.append(lines(range(40)))
        await pilot.pause()
        for key, character in (("slash", "/"), ("3", "3"), ("e", "e"), ("p", "p")):  # as one read of the terminal
            app.post_message(events.Key(key, character))
        await pilot.pause()
        await pilot.pause()
        assert app.subject.lines.model.query == "3ep"
        assert not app.requested(LogSource)


async def test_a_query_can_come_with_the_view() -> None:
    app = Harness(lambda: LogView("m0-quant", query="BLOCK"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.subject.append([*lines([1], "ALLOW"), *lines([2], "BLOCK")])
        await pilot.pause()
        assert "BLOCK 2." in app.words()
        assert "ALLOW" not in app.words()


async def test_errors_are_jumped_to_both_ways() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.subject
        view.append(lines(range(1, 101), error_every=30))
        await pilot.press("E")
        assert view.lines.current.text == "line 90."
        await pilot.press("E")
        assert view.lines.current.text == "line 60."
        await pilot.press("e", "e")
        await pilot.pause()
        assert view.lines.current.text == "line 90."
        assert "no further error" in app.words()


async def test_source_keys_ask_the_app() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("p", "s", "s")
        await pilot.pause()
        assert [(w.previous, w.since_s) for w in app.requested(LogSource)] == [(True, None), (True, 60), (True, 300)]
        assert "PREVIOUS container" in app.words()


async def test_copying_a_trace_id_or_the_line() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.subject.append(lines([1, 2]))
        await pilot.press("y", "t")
        await pilot.pause()
        assert [w.text for w in app.requested(CopyText)] == ["line 2."]
        assert "no trace id" in app.words()
        await pilot.press("up", "t")
        assert [w.text for w in app.requested(CopyText)] == ["line 2.", "trace1"]


async def test_several_pods_are_distinguished_and_long_lines_wrap() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.subject.append([*lines([1, 2], "x" * 200, pods=2)])
        await pilot.press("w")
        await pilot.pause()
        words = app.words()
        assert " 1 xxx" in words
        assert " 0 xxx" in words
        assert words.count("x") >= 400
        await pilot.press("w", "right", "right")
        await pilot.pause()
        assert "wrapped" not in app.words()


async def test_hostile_lines_and_faults_are_shown_as_they_are() -> None:
    app = Harness(lambda: LogView(HOSTILE))
    async with app.run_test(size=(120, 24)) as pilot:
        app.subject.append(
            [*lines([1], HOSTILE), Fault(SourceState.DENIED, "pods/log: get denied", "ask for the right")]
        )
        app.subject.tell(HOSTILE)
        await pilot.pause()
        words = app.words()
        assert words.count("a[/b]c [INFO] [red]not red[/red]") == 3
        assert "pods/log: get denied → ask for the right" in words


async def test_why_there_is_no_log_is_read_whole_without_wrapping() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        why = Fault(
            SourceState.DOWN, "m0-submitter-1: " + "the API server could not call node-2:10250: " * 3 + "THE END"
        )
        app.subject.append([*lines([1], "y" * 200), why])
        await pilot.pause()
        assert "THE END" in app.words() and "y" * 80 not in app.words()


async def test_an_empty_stream_says_so_and_clear_begins_anew() -> None:
    app = Harness(lambda: LogView("m0-submitter"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("y", "t", "e", "E", "up", "down", "home", "end", "pageup", "space", "space")
        await pilot.pause()
        assert "no lines yet" in app.words()
        app.subject.append(lines(range(30)))
        await pilot.press("space")
        app.subject.clear()
        await pilot.pause()
        assert "no lines yet" in app.words()
        assert "FOLLOWING" in app.words()


async def test_explain_shows_words_and_scrolls() -> None:
    app = Harness(
        lambda: ExplainView("Why: m0-submitter", ["0 of 1 ready", "  " + HOSTILE, *(f"more {n}" for n in range(40))])
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert HOSTILE in app.words()
        await pilot.press(*["pagedown"] * 3)
        await pilot.pause()
        assert "more 39" in app.words()
        await pilot.press("escape")
        assert app.requested(CloseLayer)
