"""No text holds the program up: every public function takes time in proportion to its length."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from cockpit.patterns import Pattern, PatternRefused
from cockpit.redaction import MOST_SCANNED, redact
from tests.hostile.adversarial import HEADS, PIECES, text
from tests.hostile.feeders import EXCUSED, FEED, public_functions

#: What is linear takes a few hundredths of a second for 16 kB; what is not takes seconds, or hours.
SMALL, SMALL_S = 16_384, 1.5
LARGE, LARGE_S = 1_048_576, 6.0
#: The pieces that made something quadratic while this was written, and the first of each kind.
WORST = (
    "?key=a&",
    "&key=",
    "auth=",
    "@",
    "token={",
    "name=",
    "authorization: Bearer x ",
    "[1,   1,",
    "eyJaaaaaaaa",
    "a\u0301\u0301",
)


#: The gates take every piece; what strings pass on their way to them, or from them, the worst ones.
GATES = (
    "cockpit.text:clean",
    "cockpit.text:url",
    "cockpit.redaction",
    "cockpit.sources.postgres",
    "cockpit.kubeapi.errors:describe",
)


def spent(call: Callable[[str], object], raw: str) -> float:
    """The seconds of CPU that the call took; other processes do not count."""
    began = time.process_time()
    call(raw)
    return time.process_time() - began


def test_every_public_function_is_fed_or_excused() -> None:
    """H1: a new function of text, redaction, logs, explain, evidence is refused until it is fed."""
    known = set(public_functions())
    assert known - FEED.keys() - EXCUSED.keys() == set(), "feed it in tests/hostile/feeders.py, or say why not"
    assert {name for name in (*FEED, *EXCUSED) if "." not in name.partition(":")[2]} - known == set()


@pytest.mark.parametrize("name", FEED)
def test_16_kb_hold_no_function_up(name: str) -> None:
    """H1: 16 kB of `https://h/?key?key?key…` froze the whole process for minutes."""
    texts = [("", piece) for piece in (PIECES if name.startswith(GATES) else WORST)]
    if name == "cockpit.redaction:redact":
        texts += [(head, piece) for head in HEADS[1:4] for piece in WORST]
    assert [each for each in texts if spent(FEED[name], text(*each, SMALL)) > SMALL_S] == []


@pytest.mark.parametrize("name", [name for name in FEED if not name.startswith("cockpit.redaction.")])
def test_1_mb_holds_no_function_up(name: str) -> None:
    """H1: what is longer than is looked at is cut first; the parts of `redact` never get it."""
    pieces = WORST if name == "cockpit.redaction:redact" else WORST[:1]
    assert [piece for piece in pieces if spent(FEED[name], text("", piece, LARGE)) > LARGE_S] == []


def test_what_was_not_looked_at_is_not_shown_and_that_is_said() -> None:
    secret = "ghp_" + "a1B2" * 9
    shown = redact("x " * MOST_SCANNED + secret)
    assert secret not in shown and "more characters: not looked at, not shown]" in shown
    assert redact(shown) == shown


@pytest.mark.parametrize("pattern", [r"(a|aa)*b", r"(x+x+)+y", r"(.*a){12}$", r"^(\w+\s?)*$", r"(?i)((k|K)e*)*=$"])
def test_an_operator_s_pattern_takes_linear_time(pattern: str) -> None:
    """H1: `/` in the logs, a filter of a runbook, a parameter's pattern: RE2, whatever is typed."""
    made = Pattern(pattern)
    for raw in ("a" * LARGE, "xx" * (LARGE // 2), "word " * (LARGE // 5), "ke" * (LARGE // 2)):
        assert spent(made.found_in, raw) < 2.0


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"a(?=b)", "look-around"),
        (r"(a)\1", "back-reference"),
        (r"a{2000}", "repeat count"),
        (r"(a", "not closed"),
        (r"[a", "not closed"),
        ("a\\", "at the end"),
        ("\ud800", "no text"),
        ("*a", "nothing to repeat"),
    ],
)
def test_a_pattern_that_cannot_be_used_says_why(pattern: str, words: str) -> None:
    with pytest.raises(PatternRefused, match=words):
        Pattern(pattern)
