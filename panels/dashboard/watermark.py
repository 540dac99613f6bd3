"""Shows ingestion: which connector lags and why, coverage by domain, backlog by topic, workers."""

from __future__ import annotations

import math

from cockpit.model.signal import Level, worst
from cockpit.model.situation import Situation
from panels.dashboard.facts.metrics import by_label, judge, live, number, query, sum_by, unit_of
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.spans import BLANK, Column, Line, Span, line_width, table
from panels.kit.theme import MARK
from panels.kit.words import UNKNOWN, in_base, most_first, shown_digit, value

_WORKERS = {
    Level.OK: "keep up ",
    Level.RECOVERING: "recovering ",
    Level.WARN: "saturated ",
    Level.CRIT: "saturated ",
    Level.UNKNOWN: "",
}


class WatermarkPanel(LinesPanel):
    queries = (
        "lag-by-connector",
        "coverage-by-domain",
        "connector-errors",
        "connector-errors-by-reason",
        "poll-latency",
        "eventlog-backlog",
        "ingest-rate",
    )
    signals = (
        "watermark-lag",
        "coverage",
        "eventlog-backlog",
        "connector-errors",
        "rate-limited",
        "ingest-saturation",
        "ingestor-ready",
        "schema-errors",
    )

    def content(self, situation: Situation, width: int) -> list[Line]:
        lines = self._connectors(situation, width)
        lines.append(BLANK)
        lines += self._by(situation, width, "coverage", "coverage-by-domain", "domain", "coverage", "ratio")
        lines += self._by(situation, width, "backlog", "eventlog-backlog", "topic", "eventlog-backlog", "")
        saturation = situation.signals.get("ingest-saturation")
        if saturation is not None:
            lines.append(
                (
                    ("workers   ", "heading"),
                    (_WORKERS[saturation.level], saturation.level.value if saturation.level is not Level.OK else "dim"),
                    number(saturation.value, saturation.unit, saturation.level),
                )
            )
        result = query(situation, "connector-errors-by-reason")
        reasons = {k: v for k, v in sum_by(result.samples, "reason").items() if v > 0} if result is not None else {}
        if reasons:
            spans: list[Span] = [("errors    ", "heading")]
            for reason, rate in most_first(reasons):
                spans += [(f"{reason} ", "dim"), (f"{value(rate, '/min')}  ", "warn")]
            lines.append(tuple(spans))
        return lines

    def _connectors(self, situation: Situation, width: int) -> list[Line]:
        lags = by_label(situation, "lag-by-connector", "connector")
        polls = by_label(situation, "poll-latency", "connector")
        rates = by_label(situation, "ingest-rate", "connector")
        failing = query(situation, "connector-errors")
        errors = sum_by(failing.samples, "connector") if failing is not None else {}
        why = _reasons(situation)
        names = lags.keys() | polls.keys() | rates.keys() | errors.keys()
        if not names:
            return [(("no connector reports its lag", "unknown"),)]
        lag_unit = unit_of(situation, "lag-by-connector", "ms")
        rows: list[list[Span]] = []
        levels = {}
        for name in names:
            levels[name] = judge(situation, "lag-by-connector", lags.get(name), lag_unit, "watermark-lag")
            if name in errors:
                own = judge(situation, "connector-errors", errors[name], "/min", "connector-errors")
                levels[name] = worst([levels[name], own])
        for name in sorted(names, key=lambda n: (-levels[n].rank, -_rank(lags.get(n), lag_unit), n)):
            level = levels[name]
            wrong = errors.get(name)
            rows.append(
                [
                    (MARK[level], level.value),
                    (name, "text" if level is Level.OK else "bold"),
                    number(
                        lags.get(name),
                        lag_unit,
                        judge(situation, "lag-by-connector", lags.get(name), lag_unit, "watermark-lag"),
                    ),
                    number(polls.get(name), unit_of(situation, "poll-latency", "ms"))
                    if name in polls
                    else ("–", "dim"),
                    (value(rates[name], unit_of(situation, "ingest-rate", "/s")), "text")
                    if name in rates
                    else ("–", "dim"),
                    (value(wrong, ""), _wrong(situation, wrong)) if wrong is not None else ("–", "dim"),
                    (why.get(name, ""), "warn" if live(situation, "connector-errors-by-reason") else "unknown"),
                ]
            )
        columns = (
            Column("", 1),
            Column("connector", 9, grow=1, middle=True),
            Column("lag", 6, ">"),
            Column("poll p95", 8, ">", drop=2),
            Column("rate", 7, ">", drop=1),
            Column("errors/m", 8, ">"),
            Column("why", 12, grow=1, most=60, drop=3),
        )
        return table(columns, rows, width)

    def _by(
        self, situation: Situation, width: int, title: str, name: str, label: str, signal_name: str, unit: str
    ) -> list[Line]:
        """Return "coverage  sports 0.97  macro 0.99", worst first, on as many lines as it needs."""
        values = by_label(situation, name, label)
        spans: list[Span] = [(f"{title:<10}", "heading")]
        if not values:
            return [(*spans, ("no data", "unknown"))]
        unit = unit_of(situation, name, unit)
        judged = [(judge(situation, name, number_, unit, signal_name), key, number_) for key, number_ in values.items()]
        lines: list[Line] = []
        for level, key, number_ in sorted(judged, key=lambda item: (-item[0].rank, item[1])):
            text, role = number(number_, "" if unit == "events" else unit, level)
            one: Line = (
                (f"{MARK[level]} " if level is not Level.OK else "", level.value),
                (f"{key} ", "dim"),
                (f"{text}  ", role),
            )
            if len(spans) > 1 and line_width((*spans, *one)) - 2 > width:
                lines.append(tuple(spans))
                spans = [(" " * 10, "heading")]
            spans += one
        return [*lines, tuple(spans)]


def _reasons(situation: Situation) -> dict[str, str]:
    """Map each connector to "rate_limited 812/min, timeout 0.5/min", the most first.

    Empty for those that have no error.
    """
    result = query(situation, "connector-errors-by-reason")
    found: dict[str, dict[str, float]] = {}
    for sample in result.samples if result is not None else ():
        if sample.value > 0:
            of = found.setdefault(sample.labels.get("connector", UNKNOWN), {})
            reason = sample.labels.get("reason", UNKNOWN)
            of[reason] = of.get(reason, 0.0) + sample.value
    return {
        name: ", ".join(f"{reason} {value(rate, '/min')}" for reason, rate in most_first(of))
        for name, of in found.items()
    }


def _cell(situation: Situation, name: str, number_: float | None, unit: str) -> Span:
    unit = unit_of(situation, name, unit)
    return number(number_, unit, judge(situation, name, number_, unit))


def _wrong(situation: Situation, rate: float) -> str:
    return "unknown" if not live(situation, "connector-errors") else "warn" if rate > 0 else "text"


def _rank(lag: float | None, unit: str) -> float:
    """Rank the longest lag first, and an unknown one before that; what looks alike is alike."""
    return math.inf if lag is None or math.isnan(lag) else shown_digit(in_base(lag, unit))
