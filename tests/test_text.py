"""Hostile text is cleaned, secrets are hidden: whatever comes in."""

from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cockpit.text import clean, counted, redact, safe, url_hint, url_secrets, without

ROOT = Path(__file__).parent.parent


@given(st.text())
def test_nothing_that_drives_a_terminal_survives(text: str) -> None:
    for char in clean(text):
        assert unicodedata.category(char) not in ("Cc", "Zl", "Zp", "Cs"), repr(char)
        assert not 0x202A <= ord(char) <= 0x202E
        assert not 0x2066 <= ord(char) <= 0x2069


@given(st.text())
def test_safe_is_idempotent(text: str) -> None:
    once = safe(text)
    assert safe(once) == once


@given(st.text(max_size=300))
def test_clean_keeps_to_its_limit_before_escapes(text: str) -> None:
    assert len(clean(text, limit=10)) <= 10 * 10


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\e[2J"),
        ("a\nb", "a\\nb"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil", "\\u202eevil"),
        ("\x1b]52;c;AAAA\x1b\\", "\\e]52;c;AAAA\\e\\"),
        ("[bold]a[/b]c[INFO]", "[bold]a[/b]c[INFO]"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://user:hunter2@h.io/x", "hunter2"),
        ("https://rpc.example.com/v2/abcd1234efgh5678ijkl", "abcd1234efgh5678ijkl"),
        ("https://rpc.example.com/?api-key=abcdef", "abcdef"),
        ("password=hunter2", "hunter2"),
        ('{"token": "abcdef123"}', "abcdef123"),
        ("Authorization: Bearer abc.def.ghi12345", "abc.def.ghi12345"),
        ("postgres://m0:s3cr3t@db:5432/x?sslmode=require", "s3cr3t"),
        ("M0_DB_PASSWORD: s3cr3t", "s3cr3t"),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----", "MIIabc"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
        (str(list(range(64))), "61, 62"),
    ],
)
def test_secrets_are_hidden(text: str, secret: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "public key = 9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin",
        "signature=5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnb",
        "keyspace hits=4",
        "pod m0-submitter-5f9645fd77-2v8wf is ready",
        "ghcr.io/m0club/m0-quant@sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9",
    ],
)
def test_evidence_is_kept(text: str) -> None:
    assert redact(text) == text


def test_a_url_is_reported_by_its_host_alone() -> None:
    assert url_hint("https://rpc-a.example.com/v2/KEY?x=1") == "https://rpc-a.example.com/***"
    assert url_hint("https://rpc-b.example.com") == "https://rpc-b.example.com"
    assert url_hint("not a url") == "***"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://rpc.example/v2/KEYLIKE987654321xyz", ("KEYLIKE987654321xyz",)),
        ("https://rpc.example/?api-key=0123-4567-89ab&x=1", ("0123-4567-89ab",)),
        ("https://somebody:s3cretword@rpc.example/", ("somebody:s3cretword", "s3cretword", "somebody")),
        ("https://rpc.example/onlylettersbutlong/rpc/v1", ("onlylettersbutlong",)),
        ("http://127.0.0.1:8899", ()),
        ("no url", ()),
    ],
)
def test_what_a_url_hides_is_known(url: str, secrets: tuple[str, ...]) -> None:
    assert url_secrets(url) == secrets
    hidden = without(f"refused: {' and '.join(secrets)}", url_secrets(url))
    assert not any(secret in hidden for secret in secrets)


@pytest.mark.parametrize(
    "piece",
    ["?key", "&key", "password", "a-", "a_password-", "-eyJ", "eyJaaaaaaaa.", "[ ", "[1,", "-----BEGIN ", "bearer "],
)
@pytest.mark.parametrize("head", ["", "https://h/", "https://h/?", "password"])
def test_no_text_makes_a_pattern_go_back_over_itself(head: str, piece: str) -> None:
    """16 kB of `https://h/?key?key?key…` held the whole process up for minutes, SIGTERM included.

    What is linear takes a few hundredths of a second here; what is not took minutes.
    """
    text = head + piece * (16_384 // len(piece))
    began = time.perf_counter()
    for guard in (redact, safe, url_secrets, url_hint):
        guard(text)
    assert time.perf_counter() - began < 2.0


EMOJI = st.text(
    st.sampled_from("a\u2764\ufe0f\U0001f44d\U0001f3fd\U0001f469\u200d\U0001f4bb\U0001f1e9\U0001f1ea1\u20e3\u26a0"),
    max_size=12,
)


@given(EMOJI)
def test_r11_a_text_is_as_wide_as_its_characters(text: str) -> None:
    """R11: no sequence is drawn as one picture, by which a panel's border moved a cell."""
    cleaned = clean(text)
    assert cell_len(cleaned) == sum(cell_len(char) for char in cleaned)


@pytest.mark.parametrize("text", ["\u2764\ufe0f", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3"])
def test_r11_what_joins_emoji_is_shown_as_what_it_is(text: str) -> None:
    """R11: VS16, skin tones, flags and keycaps; a plain emoji stays one."""
    assert "\\" in clean(text) and clean("\U0001f44d \u2764") == "\U0001f44d \u2764"


@pytest.mark.parametrize(
    ("number", "noun", "plural", "words"),
    [(1, "pod", "", "1 pod"), (0, "pod", "", "0 pods"), (1204, "query", "queries", "1,204 queries")],
)
def test_one_is_no_plural(number: int, noun: str, plural: str, words: str) -> None:
    """U15: "1 pods"."""
    assert counted(number, noun, plural) == words


def test_no_count_stands_before_a_plural_that_it_may_not_fit() -> None:
    """U15, by kind: what is counted on a screen says "1 pod"; "2 of 1 pods" counts the second."""
    nouns = "pod|market|endpoint|runbook|record|restart|variable|part|key|day|alert"
    found = []
    for path in (*ROOT.glob("panels/**/*.py"), *ROOT.glob("cockpit/**/*.py")):
        if "drill" in path.parts:
            continue
        for line, text in enumerate(path.read_text().splitlines(), 1):
            if re.search(rf"(?<!of )\{{(len\([^{{}}]*\)|\w*count\w*)(:,)?\}} ({nouns})s\b", text):
                found.append(f"{path}:{line}: {text.strip()[:100]}")
    assert not [one for one in found if "== 1" not in one and '== "1"' not in one], "\n".join(found)
