"""What the metric panels say, and words, sparks and lines underneath."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.plan import Phase, Proof
from cockpit.model.reading import Fault, SourceState
from cockpit.model.signal import Level, SignalStatus
from panels.dashboard.api import ApiPanel
from panels.dashboard.facts.metrics import judge
from panels.dashboard.frame.panel import fault_lines
from panels.dashboard.guardrails import GuardrailsPanel
from panels.dashboard.journal import JournalPanel
from panels.dashboard.publish import PublishPanel
from panels.dashboard.rpc import RpcPanel
from panels.dashboard.signers import SignersPanel
from panels.dashboard.toggles import TogglesPanel
from panels.dashboard.watermark import WatermarkPanel
from panels.kit import words
from panels.kit.spans import Column, changed, cut, cut_middle, fit, fit_columns, line_width, plain, table, to_strip
from panels.kit.sparks import points, spark
from panels.kit.theme import Appearance
from tests.support.samples import situations


def said(panel: object, situation: object, width: int = 60) -> str:
    return "\n".join(plain(line) for line in panel.content(situation, width))  # type: ignore[attr-defined]


def test_publish_names_the_failing_reason() -> None:
    assert "BlockhashNotFound 109" in said(PublishPanel(), situations.rpc_outage())


def test_an_empty_vector_is_not_zero() -> None:
    empty = {name: situations.result({}, "x") for name in situations.queries()}
    situation = situations.calm(queries=situations.readings(empty), probes={})
    assert "no data" in said(WatermarkPanel(), situation)
    assert "no signer reports latency" in said(SignersPanel(), situation)
    assert "no data" in said(ApiPanel(), situation)
    assert "no data" in said(GuardrailsPanel(), situation)
    assert "failures commit ?  reveal ?" in said(PublishPanel(), situation)


def test_markets_are_listed_oldest_first_and_nan_is_unknown() -> None:
    lines = said(ApiPanel(), situations.rpc_outage()).splitlines()
    markets = [line for line in lines if "88," in line]
    assert "cpi-yoy" in markets[0] and "NaN" not in markets[0] and markets[0].startswith("?")
    assert [m.split()[1] for m in markets[1:]] == ["nba-finals", "btc-weekly", "us-senate"]


def test_the_api_names_the_gateways_that_fail_only_while_more_fail_than_usual() -> None:
    by_pod = situations.result(
        {"m0-api-gateway-7c9-aa": 40.0, "m0-api-gateway-7c9-bb": 900.0, "m0-api-gateway-7c9-cc": 0.0}, "pod"
    )
    asked = situations.readings(situations.queries(api_errors_by_pod=by_pod))
    assert "by pod" not in said(ApiPanel(), situations.calm(queries=asked))
    wrong = replace(situations.calm().signals["api-5xx"], level=Level.CRIT)
    shown = said(ApiPanel(), situations.calm(queries=asked, signals={**situations.calm().signals, "api-5xx": wrong}))
    (line,) = [line for line in shown.splitlines() if line.startswith("by pod")]
    assert line.split()[2:] == ["7c9-bb", "900/min", "7c9-aa", "40/min"]


def test_guardrails_mark_scores_past_their_thresholds_and_set_every_source_beside_the_others() -> None:
    drift = situations.result({"sports-elo": 0.35, "macro-nowcast": 0.07}, "model")
    split = (("sports", "warn", 3.0), ("sports", "block", 30.0), ("macro", "warn", 0.0), ("macro", "block", 0.0))
    samples = tuple(Sample({"source": s, "level": lv}, v) for s, lv, v in split)
    diverged = QueryResult(samples, (), (), situations.WALL)
    asked = situations.readings(situations.queries(drift_by_model=drift, divergence_by_source=diverged))
    limits = replace(situations.calm().signals["watermark-lag"], unit="", warn=0.2, crit=0.4)
    many = replace(limits, unit="/min", warn=2.0, crit=12.0)
    calm = situations.calm(queries=asked, signals={"drift": limits, "divergence": many})
    shown = said(GuardrailsPanel(), calm, 74).splitlines()
    assert next(line.split() for line in shown if line.startswith("sports-elo"))[1:3] == ["◐", "0.350"]
    assert next(line.split() for line in shown if line.startswith("macro-nowcast"))[1] == "0.070"
    assert [line.split() for line in shown if "/min" in line and line[0] in "▲●"] == [
        ["▲", "sports", "3/min", "30/min"],
        ["●", "macro", "0/min", "0/min"],
    ]
    assert not [line for line in said(GuardrailsPanel(), calm, 37).splitlines() if line.startswith("▲ sports")]


def test_a_toggle_that_differs_says_so_in_words() -> None:
    text = said(TogglesPanel(), situations.rpc_outage(), 90)
    assert text.splitlines()[1].split()[1:5] == ["M0_GUARDRAIL_POLICY_LEVEL", "NORMAL", "DIFFERS", "STRICT"]
    assert "https" not in text


def test_the_journal_tells_a_mitigation_proving_itself() -> None:
    text = said(JournalPanel(), situations.rpc_outage(), 120)
    assert "#31 Switch RPC endpoint" in text and "verifying" in text and "rolled out 1/1" in text
    assert "proof 12 of 30 s" in text and "● PASS" in text and "? UNKNOWN" in text
    assert "DEBT #28" in text and "rejected: deployments is forbidden" in text
    failed = situations.rpc_outage(progress=(situations.proving(Proof.FAIL, Phase.DONE),))
    assert "u takes it back: set SOLANA_RPC_URL back" in said(JournalPanel(), failed, 120)
    assert JournalPanel().level(failed) is Level.CRIT


def test_a_stale_number_within_its_thresholds_is_unknown() -> None:
    stale = situations.stale()
    assert judge(stale, "lag-by-connector", 1.2, "s", "watermark-lag") is Level.UNKNOWN
    assert judge(situations.calm(), "lag-by-connector", 1.2, "s", "watermark-lag") is Level.OK


def test_units_are_aligned_before_they_are_compared() -> None:
    calm = situations.calm()
    assert judge(calm, "lag-by-connector", 9_000.0, "ms", "watermark-lag") is Level.OK
    assert judge(calm, "lag-by-connector", 10_000.0, "ms", "watermark-lag") is Level.WARN
    assert judge(calm, "rpc-error-ratio", 0.38, "ratio", "rpc-errors") is Level.CRIT
    assert judge(calm, "coverage-by-domain", 0.5, "", "coverage") is Level.CRIT


def test_one_failing_query_is_reported_by_its_name_and_all_by_the_source() -> None:
    fault = Fault(SourceState.DOWN, "HTTP 400: parse error", "m0-cockpit runbooks check --live")
    good = situations.readings(situations.queries())
    bad = situations.readings({"api-p95": situations.queries()["api-p95"]}, 3.0, fault)
    one = situations.calm(queries={**good, **bad})
    (line, *_) = fault_lines(ApiPanel().trouble(one), 120)
    assert plain(line).startswith("? api-p95: down: HTTP 400: parse error")
    assert ApiPanel().level(one) is Level.UNKNOWN
    assert [t.what for t in ApiPanel().trouble(situations.stale())] == ["Prometheus"]


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        (0.184, "s", "184ms"),
        (1200.0, "ms", "1.2s"),
        (74.0, "s", "74s"),
        (900.0, "s", "15m"),
        (0.025, "ratio", "2.5 %"),
        (38.0, "%", "38 %"),
        (99.8, "%", "99.8 %"),
        (118.0, "/min", "118/min"),
        (1900.0, "/s", "1,900/s"),
        (120_000.0, "events", "120k events"),
        (1536.0, "bytes", "1.5 KiB"),
        (None, "s", "?"),
        (math.nan, "s", "?"),
        (math.inf, "", "+Inf"),
        (0.97, "", "0.97"),
        (1.0, "pods", "1 pod"),
        (0.0, "h", "0h"),
        (0.0, "ms", "0ms"),
        (1.0, "yes-no", "yes"),
        (0.0, "yes-no", "no"),
    ],
)
def test_numbers_read_as_people_write_them(number: float | None, unit: str, expected: str) -> None:
    """U15: "1 pods", "0ms since the last vacuum", "recovery works: now 1"."""
    assert words.value(number, unit) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, "?"), (2, "2s"), (99, "99s"), (130, "2m"), (7200, "2h"), (4 * 86_400, "4d"), (-3, "0s")],
)
def test_ages(seconds: float | None, expected: str) -> None:
    assert words.age(seconds) == expected


def test_sparks_leave_gaps_where_nothing_was_known() -> None:
    assert spark([0.0, None, math.nan, 1.0], 6) == "  ▁  ▇"
    assert spark([], 3) == "   "
    assert spark([0.0, 0.0], 2) == "▁▁"
    assert len(points([(float(i), 1.0) for i in range(100)], 12)) == 12


def test_sparks_of_a_moving_window_keep_their_characters_in_place() -> None:
    series = [(10.0 * i, 50.0 + i % 7) for i in range(91)]
    shifted = [*series[1:], (910.0, 53.0)]
    before, after = points(series, 15), points(shifted, 15)
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 3


@given(st.text(max_size=80), st.integers(0, 40))
def test_no_text_is_wider_than_its_place_and_none_controls_the_terminal(text: str, width: int) -> None:
    for shown in (cut(text, width), cut_middle(text, width)):
        assert line_width(((shown, "text"),)) <= width
        assert shown.isprintable() or all(c.isprintable() or not c.isascii() for c in shown)
    strip = to_strip(((text, "text"), (text, "crit")), width, Appearance())
    assert strip.cell_length == width
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in strip.text)


@given(st.lists(st.tuples(st.text("abc", max_size=4), st.sampled_from(["ok", "crit"])), max_size=6), st.integers(1, 12))
def test_what_changed_covers_every_differing_cell(spans: list[tuple[str, str]], width: int) -> None:
    old, new = fit(tuple(spans), width), fit(tuple(reversed(spans)), width)
    span = changed(old, new)

    def cells(line: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
        out = [(c, role) for text, role in line for c in text]
        return out + [(" ", "")] * (width - len(out))

    differing = [i for i, (a, b) in enumerate(zip(cells(old), cells(new), strict=True)) if a != b]
    if differing:
        assert span is not None and span[0] <= differing[0] and differing[-1] < span[1]


def test_columns_drop_by_priority_and_nothing_scrolls_sideways() -> None:
    columns = (Column("name", 10, grow=1), Column("ready", 5), Column("restarts", 8, drop=1), Column("age", 5, drop=2))
    assert [i for i, _ in fit_columns(columns, 60)] == [0, 1, 2, 3]
    assert [i for i, _ in fit_columns(columns, 30)] == [0, 1, 2]
    assert [i for i, _ in fit_columns(columns, 18)] == [0, 1]
    for width in range(5, 60):
        assert all(line_width(line) <= width for line in table(columns, [[("x" * 30, "ok")] * 4], width))


def _limits(unit: str, warn: float, crit: float) -> SignalStatus:
    return replace(situations.calm().signals["watermark-lag"], unit=unit, warn=warn, crit=crit)


def test_the_signer_that_fails_is_first_and_marked() -> None:
    """U10: the failing signer was `?` and last, whatever it did."""
    errors = situations.result({"0": 0.0, "3": 12.0, "6": 0.0}, "signer")
    slow = situations.result({"0": 90.0, "3": math.nan, "6": 95.0}, "signer")
    asked = situations.readings(situations.queries(signer_errors=errors, signer_p95=slow))
    signals = {**situations.calm().signals, "signer-errors": _limits("/min", 1.0, 10.0)}
    rows = [line.split() for line in said(SignersPanel(), situations.calm(queries=asked, signals=signals)).splitlines()]
    first = rows.index(["agent", "p50", "p95", "err/min"]) + 1
    assert rows[first][:2] == ["▲", "3"]


def test_the_endpoint_that_fails_is_first_and_one_that_is_not_used_is_not_unknown() -> None:
    """U10: an endpoint with 43 % errors stood below those that nobody used, which had a `?`."""
    errors = situations.result({"rpc-a": 0.0, "rpc-b": 0.43}, "endpoint")
    confirm = situations.result({"rpc-a": math.nan, "rpc-b": 900.0}, "endpoint")
    asked = situations.readings(situations.queries(rpc_error_ratio=errors, rpc_confirm_p95=confirm))
    for width in (40, 100):
        shown = said(RpcPanel(), situations.calm(queries=asked, solana={}, configured=frozenset()), width)
        rows = [line.split() for line in shown.splitlines() if "rpc-" in line]
        assert [row[:2] for row in rows] == [["▲", "rpc-b"], ["●", "rpc-a"]]


def test_rows_do_not_move_by_less_than_the_digit_shown() -> None:
    """U10: they changed places every second."""
    assert words.most_first({"b": 12.4, "a": 12.1, "c": 30.0}) == [("c", 30.0), ("a", 12.1), ("b", 12.4)]
    assert words.most_first({"b": 0.021, "a": 0.019})[0][0] == "a"
    assert words.most_first({"a": math.nan, "b": 0.0})[-1][0] == "a"


def test_the_market_that_is_late_is_first() -> None:
    """U10: by how bad it is, and no number of less than the digit shown."""
    ages = {"A": 4.0, "B": 70.0, "C": 4.04}
    asked = situations.readings(
        situations.queries(output_age=situations.result(ages, "market"), output_epoch=situations.result({}, "market"))
    )
    shown = said(ApiPanel(), situations.calm(queries=asked, probes={}), 60).splitlines()
    rows = [line.split()[:2] for line in shown if line.split()[1:2] and line.split()[1] in ages]
    assert rows == [["▲", "B"], ["●", "A"], ["●", "C"]]
