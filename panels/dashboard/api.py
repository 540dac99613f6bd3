"""Shows what users get: error ratio, latency and each market's newest output, oldest first.

As the metrics have it, and as it is seen from outside; which service is not well, and which
certificate ends soon.
"""

from __future__ import annotations

import math

from cockpit.model.observed.probe import MarketOutput
from cockpit.model.signal import Level, worst
from cockpit.model.situation import Situation
from panels.dashboard.facts.chain import TopicData, ending_certificates, failing, outputs
from panels.dashboard.facts.metrics import by_label, judge, live, number, query, signal_value, single, state, unit_of
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.spans import BLANK, Column, Line, Span, line_width, table
from panels.kit.sparks import of_signal
from panels.kit.theme import MARK
from panels.kit.words import UNKNOWN, count, duration, in_base, most_first, shown_digit, value


class ApiPanel(LinesPanel):
    queries = ("api-5xx-ratio", "api-errors-by-code", "api-errors-by-pod", "api-p95", "output-age", "output-epoch")
    signals = ("api-5xx", "api-latency", "output-age", "epoch-progress", "outputs-degraded")

    def level(self, situation: Situation) -> Level:
        said = [*failing(situation, 80), *ending_certificates(situation, 80)]
        roles = {line[0][1] for line in said} | {"unknown" for one in outputs(situation).values() if not one.live}
        return worst([super().level(situation), *(level for level in Level if level.value in roles)])

    def content(self, situation: Situation, width: int) -> list[Line]:
        lines = [
            self._number(situation, width, "5xx", "api-5xx", "api-5xx-ratio", "ratio"),
            *_errors_by(situation, width, "code"),
            *_pods(situation, width),
            self._number(situation, width, "p95", "api-latency", "api-p95", "ms"),
        ]
        epoch = situation.signals.get("epoch-progress")
        if epoch is not None:
            lines.append(
                (("epoch   ", "dim"), ("advances ", "dim"), signal_value(epoch), ("  ", "text"), state(epoch.level))
            )
        outside = [*failing(situation, width), *ending_certificates(situation, width)]
        if "probes" not in situation.configured:
            outside = [BLANK, (("from outside  ", "dim"), ("not configured", "faint"))]
        return [*lines, BLANK, *self._markets(situation, width), *outside]

    def _number(self, situation: Situation, width: int, label: str, signal_name: str, name: str, unit: str) -> Line:
        signal = situation.signals.get(signal_name)
        here = single(situation, name)
        unit = unit_of(situation, name, unit)
        if here is None and signal is not None:
            here, unit = signal.value, signal.unit
        level = signal.level if signal is not None else judge(situation, name, here, unit)
        text, role = number(here, unit, level, "bold")
        line: list[Span] = [(f"{label:<8}", "dim"), (f"{text:>7}  ", role), (f"{state(level)[0]:<11}", level.value)]
        if signal is not None and width >= 42:
            line.append((of_signal(signal, min(20, width - 28)), f"spark-{level.value}"))
        return tuple(line)

    def _markets(self, situation: Situation, width: int) -> list[Line]:
        ages = by_label(situation, "output-age", "market")
        epochs = by_label(situation, "output-epoch", "market")
        seen = outputs(situation)
        names = ages.keys() | epochs.keys() | seen.keys()
        if not names:
            return [(("outputs  ", "heading"), ("no data", "unknown"))]
        unit = unit_of(situation, "output-age", "ms")
        limits = situation.signals.get("output-age")

        def oldest_first(name: str) -> tuple[float, str]:
            age = in_base(ages[name], unit) if name in ages else _age_outside(situation, name, seen.get(name))
            return (-math.inf if age is None or math.isnan(age) else -shown_digit(age), name)

        rows: list[list[Span]] = []
        ranks: list[int] = []
        for name in sorted(names, key=oldest_first):
            level = judge(situation, "output-age", ages.get(name), unit, "output-age")
            epoch = epochs.get(name)
            known = epoch is not None and not math.isnan(epoch)
            believed = known and live(situation, "output-epoch")
            cells: list[Span] = [
                number(ages.get(name), unit, level),
                (count(epoch) if epoch is not None and known else UNKNOWN, "text" if believed else "unknown"),
            ]
            if seen:
                outside = seen.get(name)
                age_s = _age_outside(situation, name, outside)
                there = Level.UNKNOWN if outside is None or not outside.live or age_s is None else Level.OK
                if there is Level.OK and limits is not None and age_s is not None:
                    there = _against(age_s, limits.warn, limits.crit, limits.unit)
                level = worst([there] if name not in ages else [level, there])
                text = UNKNOWN if age_s is None else duration(age_s)
                cells = [
                    cells[0] if name in ages else ("–", "dim"),
                    (text, "text" if there is Level.OK else there.value),
                    _epoch_outside(outside, epoch),
                    _tick_outside(outside),
                ]
            rows.append([(MARK[level], level.value), (name, "text" if level is Level.OK else "bold"), *cells])
            ranks.append(5 if level is Level.UNKNOWN else level.rank)  # what nobody knows comes before what is bad
        rows = [row for _, row in sorted(zip(ranks, rows, strict=True), key=lambda each: -each[0])]
        columns: tuple[Column, ...] = (Column("", 1), Column("market", 8, grow=1, middle=True))
        if seen:
            epoch_wide, tick_wide = (max([5, *(len(cells[at][0]) for cells in rows)]) for at in (4, 5))
            columns += (
                Column("age", 5, ">"),
                Column("outside", 7, ">"),
                Column("epoch", epoch_wide, ">"),
                Column("tick", tick_wide, ">", drop=1),
            )
        else:
            columns += (Column("output age", 10, ">"), Column("epoch", 8, ">"))
        return table(columns, rows, width)


def _errors_by(situation: Situation, width: int, label: str) -> list[Line]:
    """Return "503 1,320/min  500 2/min", the most first; no line where nobody asks for it."""
    name = f"api-errors-by-{label}"
    if query(situation, name) is None:
        return []
    rates = {key: rate for key, rate in by_label(situation, name, label).items() if rate > 0}
    known = live(situation, name)
    signal = situation.signals.get("api-5xx")
    role = "unknown" if not known else "text" if signal is None or signal.level is Level.OK else signal.level.value
    unit = unit_of(situation, name, "/min")
    spans: list[Span] = [(f"by {label:<5}", "dim")]
    if not rates:
        return [(*spans, ("none", "text") if known else ("no data", "unknown"))]
    for key, rate in most_first(rates):
        one: Line = ((f"{key.removeprefix('m0-api-gateway-')} ", "dim"), (f"{value(rate, unit)}  ", role))
        if line_width((*spans, *one)) - 2 <= width:
            spans += one
    return [tuple(spans)]


def _pods(situation: Situation, width: int) -> list[Line]:
    """Say which gateways the errors are from, while there are more than usual."""
    signal = situation.signals.get("api-5xx")
    calm = signal is not None and signal.level is Level.OK
    return [] if calm else _errors_by(situation, width, "pod")


def _age_outside(situation: Situation, name: str, outside: TopicData[MarketOutput] | None) -> float | None:
    """Return the output's age now: what it was when it was seen, and the time since."""
    if outside is None or outside.data is None or outside.data.age_s is None:
        return None
    since = situation.probes[f"output/{name}"].believed(situation.mono).age_s
    return None if since is None else outside.data.age_s + since


def _epoch_outside(outside: TopicData[MarketOutput] | None, epoch: float | None) -> Span:
    """Return the epoch as it is served.

    The metrics' own stands in while it is not known, and then is not believed.
    """
    if outside is not None and outside.data is not None and outside.data.epoch is not None:
        behind = epoch is not None and not math.isnan(epoch) and outside.data.epoch < epoch - 1
        return count(outside.data.epoch), "unknown" if not outside.live else "warn" if behind else "text"
    return (count(epoch) if epoch is not None and not math.isnan(epoch) else UNKNOWN), "unknown"


def _tick_outside(outside: TopicData[MarketOutput] | None) -> Span:
    """Write the tick in full: that it moves on is what there is to see."""
    if outside is None or outside.data is None or outside.data.tick is None:
        return UNKNOWN, "unknown"
    return f"{outside.data.tick:,}", "text" if outside.live else "unknown"


def _against(age_s: float, warn: float | None, crit: float | None, unit: str) -> Level:
    for level, limit in ((Level.CRIT, crit), (Level.WARN, warn)):
        if limit is not None and age_s >= in_base(limit, unit):
            return level
    return Level.OK
