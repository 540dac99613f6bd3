"""Shows the RPC endpoints side by side.

What this cockpit measures of each, what the submitter's metrics say, where they disagree.
"""

from __future__ import annotations

import math

from cockpit.model.observed.chain import EndpointStatus
from cockpit.model.signal import Level, worst
from cockpit.model.situation import Situation
from panels.dashboard.facts.chain import TopicData, disagreements, endpoints, spoken
from panels.dashboard.facts.metrics import by_label, judge, number, unit_of
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.spans import BLANK, Column, Line, Span, table
from panels.kit.theme import MARK
from panels.kit.words import UNKNOWN, count, value

#: Slots behind the highest: a blockhash lives 150.
BEHIND_WARN, BEHIND_CRIT = 50, 150
ERRORS_WARN, ERRORS_CRIT = 0.05, 0.20
MERGED = 64  # from this width on one table holds both views


class RpcPanel(LinesPanel):
    queries = ("rpc-error-ratio", "rpc-confirm-p95")
    signals = ("rpc-errors", "rpc-confirm")

    def level(self, situation: Situation) -> Level:
        levels = [endpoint_level(found) for found in endpoints(situation).values()]
        if disagreements(situation):
            levels.append(Level.WARN)
        return worst([super().level(situation), *levels])

    def aside(self, situation: Situation) -> Line:
        return () if "solana" in situation.configured else (("metrics only", "dim"),)

    def content(self, situation: Situation, width: int) -> list[Line]:
        own = endpoints(situation)
        lines: list[Line] = []
        if width >= MERGED or not own:
            lines += self._merged(situation, own, width)
        else:
            lines += _measured(own, width)
            used = self._submitter(situation, width)
            if used:
                lines += [BLANK, *used]
        if "solana" not in situation.configured:
            lines += [BLANK, (("measured here  ", "dim"), ("not configured", "faint"))]
        for one in disagreements(situation):
            lines += spoken("≠", "warn", f"{one.what}: {one.words}", width)
        for name, found in own.items():
            lines += said_of(name, found, width)
        return lines

    def _submitter(self, situation: Situation, width: int) -> list[Line]:
        """Tabulate the endpoints that the submitter uses, with its own errors and confirmations."""
        errors = by_label(situation, "rpc-error-ratio", "endpoint")
        confirms = by_label(situation, "rpc-confirm-p95", "endpoint")
        used = {name: self._used(situation, name) for name in errors.keys() | confirms.keys()}
        rows = [
            [(MARK[bad], bad.value), (name, "text" if bad is Level.OK else "bold"), failing, slow]
            for name, (failing, slow, bad) in sorted(used.items(), key=lambda each: (-each[1][2].rank, each[0]))
        ]
        if not rows:
            return []
        columns = (
            Column("", 1),
            Column("submitter", 9, grow=1),
            Column("errors", 6, ">"),
            Column("confirm p95", 11, ">"),
        )
        return table(columns, rows, width)

    def _used(self, situation: Situation, name: str) -> tuple[Span, Span, Level]:
        """Return (errors, confirmation p95, the worse level) of an endpoint, by the submitter."""
        errors = by_label(situation, "rpc-error-ratio", "endpoint").get(name)
        confirm = by_label(situation, "rpc-confirm-p95", "endpoint").get(name)
        error_unit, confirm_unit = (
            unit_of(situation, "rpc-error-ratio", "ratio"),
            unit_of(situation, "rpc-confirm-p95", "ms"),
        )
        failing = judge(situation, "rpc-error-ratio", errors, error_unit, "rpc-errors")
        if confirm is None or math.isnan(confirm):  # no confirmation went that way: there is nothing to measure
            return number(errors, error_unit, failing), ("–", "dim"), failing
        slow = judge(situation, "rpc-confirm-p95", confirm, confirm_unit, "rpc-confirm")
        bad = max((failing, slow), key=lambda level: level.rank)
        return number(errors, error_unit, failing), number(confirm, confirm_unit, slow), bad

    def _merged(self, situation: Situation, own: dict[str, TopicData[EndpointStatus]], width: int) -> list[Line]:
        errors = by_label(situation, "rpc-error-ratio", "endpoint")
        confirms = by_label(situation, "rpc-confirm-p95", "endpoint")
        names = [*own, *sorted((errors.keys() | confirms.keys()) - own.keys())]
        if not names:
            return [(("rpc endpoints  ", "heading"), ("no data", "unknown"))]
        ranked: list[tuple[int, list[Span]]] = []
        for name in names:
            failing, slow, used = self._used(situation, name)
            if name not in errors and name not in confirms:  # never used by the submitter: nobody measured it there
                failing, slow, used = ("–", "dim"), ("–", "dim"), Level.OK
            if name in own:
                measured, level = _cells(own[name]), worst([endpoint_level(own[name]), used])
            else:
                measured, level = [("", "dim")] * 5, used
            mark: list[Span] = [(MARK[level], level.value), (name, "text" if level is Level.OK else "bold")]
            ranked.append((level.rank, [*mark, *measured, failing, slow]))
        rows = [row for _, row in sorted(ranked, key=lambda each: -each[0])]
        columns = [
            Column("", 1),
            Column("endpoint", 8, grow=1),
            Column("behind", 6, ">"),
            Column("p95", 5, ">"),
            Column("err", 5, ">"),
            Column("429", 4, ">", drop=2),
            Column("logs", 4, drop=3),
            Column("used err", 8, ">"),
            Column("confirm", 7, ">"),
        ]
        if not own:
            columns = [
                columns[0],
                Column("rpc endpoint", 12, grow=1),
                Column("errors", 7, ">"),
                Column("confirm p95", 11, ">"),
            ]
            rows = [[row[0], row[1], row[7], row[8]] for row in rows]
        return table(columns, rows, width)


def _measured(own: dict[str, TopicData[EndpointStatus]], width: int) -> list[Line]:
    rows: list[list[Span]] = []
    for name, found in sorted(own.items(), key=lambda each: -endpoint_level(each[1]).rank):
        level = endpoint_level(found)
        mark: list[Span] = [(MARK[level], level.value), (name, "text" if level is Level.OK else "bold")]
        rows.append([*mark, *_cells(found)])
    columns = (
        Column("", 1),
        Column("node", 6, grow=1),
        Column("behind", 6, ">"),
        Column("p95", 5, ">"),
        Column("err", 5, ">"),
        Column("429", 3, ">"),
        Column("logs", 4, drop=1),
    )
    return table(columns, rows, width)


def measured(found: TopicData[EndpointStatus]) -> list[Span]:
    """Return the mark of its level, then the cells that every table of endpoints has."""
    level = endpoint_level(found)
    return [(MARK[level], level.value), *_cells(found)]


def said_of(name: str, found: TopicData[EndpointStatus], width: int) -> list[Line]:
    """Say in words what a row has no room for."""
    level, words = _words(name, found)
    return spoken(MARK[level], level.value, words, width) if words else []


def _cells(found: TopicData[EndpointStatus]) -> list[Span]:
    """Return slots behind, p95, error ratio, 429s, and whether program logs stream from it."""
    one = found.data
    if one is None:
        return [(UNKNOWN, "unknown")] * 4 + [("", "dim")]

    def shown(text: str, level: Level) -> Span:
        return text, "unknown" if not found.live else "text" if level is Level.OK else level.value

    behind = (UNKNOWN, "unknown") if one.behind is None else shown(count(one.behind), _behind(one))
    slow = (UNKNOWN, "unknown") if one.latency_p95_ms is None else shown(value(one.latency_p95_ms, "ms"), Level.OK)
    errors = (UNKNOWN, "unknown") if one.error_ratio is None else shown(value(one.error_ratio, "ratio"), _errors(one))
    refused = shown(str(one.throttled), Level.WARN if one.throttled else Level.OK)
    return [behind, slow, errors, refused, ("▶" if one.streaming else "", "accent")]


def _behind(one: EndpointStatus) -> Level:
    if one.behind is None:
        return Level.UNKNOWN
    return Level.CRIT if one.behind >= BEHIND_CRIT else Level.WARN if one.behind >= BEHIND_WARN else Level.OK


def _errors(one: EndpointStatus) -> Level:
    if one.error_ratio is None:
        return Level.UNKNOWN
    return Level.CRIT if one.error_ratio >= ERRORS_CRIT else Level.WARN if one.error_ratio >= ERRORS_WARN else Level.OK


def endpoint_level(found: TopicData[EndpointStatus]) -> Level:
    """Return the worst of what is known; what is not live is unknown, whatever it last said."""
    one = found.data
    if one is None or not found.live:
        return Level.UNKNOWN
    levels = [_behind(one), _errors(one)]
    if one.foreign:
        levels.append(Level.CRIT)
    if one.throttled or (one.health and one.health != "ok"):
        levels.append(Level.WARN)
    return worst(levels)


def _words(name: str, found: TopicData[EndpointStatus]) -> tuple[Level, str]:
    """Say what a row has no column for; "" when there is nothing.

    Another cluster, its own complaint, or why it is not known.
    """
    one = found.data
    if not found.live:
        return Level.UNKNOWN, f"{name}: {found.why}"
    if one is not None and one.foreign:
        return Level.CRIT, f"{name} is on another cluster: {one.cluster or 'unknown'}"
    if one is not None and one.retry_after_s:
        return Level.WARN, f"{name} asks to be left alone for {value(one.retry_after_s, 's')}"
    if one is not None and one.health and one.health != "ok":
        return Level.WARN, f"{name}: {one.health}"
    return Level.OK, ""
