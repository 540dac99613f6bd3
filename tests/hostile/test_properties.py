"""Properties of the gates and of the decoders, whatever comes in (H1, H3, H8)."""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import unicodedata
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cockpit.errors import CockpitError
from cockpit.kubeapi import convert, wire
from cockpit.oracle import layouts, logs
from cockpit.redaction.marks import listed
from cockpit.sources.kubernetes import log_lines
from cockpit.sources.kubernetes.configmaps import configmap
from cockpit.sources.postgres import sql_text
from cockpit.sources.prometheus import wire as prometheus_wire
from cockpit.text import clean, redact, safe

SECRET = "hunter2-Zq8vN3xK7pLm"
#: One planted secret of each kind; what is around it is random.
PLANTED = (
    f"password={SECRET}",
    f'"accessToken": "{SECRET}"',
    f"spring.datasource.password={SECRET}",
    f"X-Api-Key: {SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"--token {SECRET}",
    f'["--token","{SECRET}"]',
    f"postgres://m0:{SECRET}@db:5432/m0",
    f"https://rpc.example.com/v2/{SECRET.replace('-', '')}",
    f"https://rpc.example.com/?api-key={SECRET}",
    f'{{\\"password\\":\\"{SECRET}\\"}}',
    f'Config {{ api_key: Some("{SECRET}") }}',
    f"<password>{SECRET}</password>",
    f"\x1b[33mtoken\x1b[0m=\x1b[32m{SECRET}\x1b[0m",
    "ghp_" + "hunter2Zq8vN3xK7pLmhunter2Zq8vN3xK7p",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
)
#: Around it: any characters, but none that would make another word of the name or the mark.
AROUND = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40).map(
    lambda raw: raw.replace("hunter2", "")
)
QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def _invisible(char: str) -> bool:
    return char != " " and unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Zs")


def test_no_character_that_is_unseen_passes() -> None:
    """H8: C1, bidi, fillers, no-break spaces, tags, selectors: every code point that there is."""
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        unseen = _invisible(char) or char in "\u115f\u1160\u2800\u3164\uffa0\ufe0f\u034f" or 0xE0000 <= code <= 0xE0FFF
        if unseen:
            assert clean(char).isascii() and clean(char).isprintable(), hex(code)


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u1161", "\u20dd", "\u0e49"])
def test_a_pile_of_marks_is_cut_and_counted(mark: str) -> None:
    """H8: thousands of combining marks on one letter went through."""
    shown = clean("a" + mark * 3000 + "b")
    assert shown == f"a{mark * 4}[+2996 marks]b"
    assert clean(shown) == shown
    assert clean("e\u0301 กำ है") == "e\u0301 กำ है"


def test_a_mark_without_a_letter_does_not_change_what_is_before_the_text() -> None:
    assert clean("\u0301x") == "\\u0301x"


@given(st.text())
@QUICK
def test_clean_shows_everything_and_stays(text: str) -> None:
    shown = clean(text)
    assert clean(shown) == shown
    assert not any(_invisible(char) for char in shown)


@given(st.text())
@example("password=***")
@example('token="***"')
@QUICK
def test_redact_stays_and_never_lengthens_without_end(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
    assert len(once) <= 2 * len(text) + 64
    assert safe(safe(text)) == safe(text)


@pytest.mark.parametrize("planted", PLANTED)
@given(before=AROUND, after=AROUND)
@settings(max_examples=40, deadline=None)
def test_a_planted_secret_never_survives(planted: str, before: str, after: str) -> None:
    """H3: whatever stands before and after, on lines of its own or beside it."""
    for text in (f"{before} {planted} {after}", f"{before}\n{planted}\n{after}", f"{before} {planted}"):
        shown = redact(text)
        assert "hunter2" not in shown and "Zq8vN3xK7pLm" not in shown, (text, shown)


# --- decoders: never an exception outside the error tree ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    sorted(
        listed(
            "metadata name labels spec status containers containerStatuses state items data result resultType metric value "
            "values error env template phase conditions kind"
        )
    )
)
SHAPED = st.recursive(
    JSON, lambda inner: st.dictionaries(NAMES, inner, max_size=5) | st.lists(inner, max_size=3), max_leaves=14
)


def decoded(kind: type[object], turned: Callable[[object], object]) -> Callable[[bytes], object]:
    """A decoder as a source uses it: nonsense is what `NONSENSE` names."""

    def decode(raw: bytes) -> object:
        with contextlib.suppress(*wire.NONSENSE):
            return turned(msgspec.json.decode(raw, type=kind))
        return None

    return decode


@pytest.mark.parametrize(
    ("kind", "turned"),
    [
        (wire.PodW, convert.pod),
        (wire.WorkloadW, convert.deployment),
        (wire.EventW, convert.event),
        (wire.ConfigMapW, configmap),
        (wire.AutoscalerW, convert.autoscaler),
    ],
)
@given(body=SHAPED)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_objects_of_any_shape_are_read_or_refused(
    kind: type[object], turned: Callable[[object], object], body: object
) -> None:
    decoded(kind, turned)(json.dumps(body).encode())


@given(raw=st.binary(max_size=400))
@QUICK
def test_bytes_of_any_kind_are_a_line_of_a_log(raw: bytes) -> None:
    line, _ = log_lines.parse(raw, "p", "c")
    assert line.text.isprintable() or any(unicodedata.category(char) in ("Co", "Cn") for char in line.text)


@given(body=SHAPED, raw=st.binary(max_size=200))
@QUICK
def test_prometheus_answers_of_any_shape_are_read_or_refused(body: object, raw: bytes) -> None:
    for code, answer in ((200, json.dumps(body).encode()), (200, raw), (503, raw)):
        with contextlib.suppress(CockpitError):
            found = prometheus_wire.decode(code, answer)
            for read in (prometheus_wire.samples, prometheus_wire.histories, prometheus_wire.alerts):
                with contextlib.suppress(CockpitError):
                    read(found)


@given(
    lines=st.lists(st.text(max_size=60) | st.sampled_from(["Program log: x", "Program 1 invoke [1]", "Log truncated"]))
)
@QUICK
def test_logs_of_any_shape_are_read(lines: list[str]) -> None:
    logs.read_logs(lines, "1" * 32)


@given(raw=st.binary(max_size=300), value=JSON)
@QUICK
def test_accounts_and_events_of_any_bytes_are_read_or_refused(raw: bytes, value: object) -> None:
    data = base64.b64encode(raw).decode()
    with contextlib.suppress(layouts.Undecodable):
        layouts.decode_event(data)
    for body in ({"data": [data, "base64"], "owner": "1" * 32, "lamports": 1}, value):
        with contextlib.suppress(layouts.Undecodable):
            account = layouts.account_of("1" * 32, body, 1)
            if account is not None:
                for read in (layouts.protocol_state, layouts.signer_set_state, layouts.market_state):
                    with contextlib.suppress(layouts.Undecodable):
                        read(account, "1" * 32)


@given(statement=st.text())
@QUICK
def test_statements_of_any_kind_are_shown(statement: str) -> None:
    shown = sql_text.shown(statement)
    assert len(shown) <= 10 * sql_text.TEXT_LIMIT
