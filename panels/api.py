"""What users get: error ratio and latency of the API, and the age and epoch of each market's output, oldest first."""

from __future__ import annotations

import math

from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from panels.facts import by_label, judge, live, number, signal_value, single, state, unit_of
from panels.lines import LinesPanel
from panels.pieces import BLANK, Column, Line, Piece, table
from panels.sparks import of_signal
from panels.theme import MARK
from panels.words import count


class ApiPanel(LinesPanel):
    number = 6
    key = "api"
    title_text = "API"
    queries = ("api-5xx-ratio", "api-p95", "output-age", "output-epoch")
    signals = ("api-5xx", "api-latency", "output-age", "epoch-progress", "outputs-degraded")

    def content(self, situation: Situation, width: int) -> list[Line]:
        lines = [
            self._number(situation, width, "5xx", "api-5xx", "api-5xx-ratio", "ratio"),
            self._number(situation, width, "p95", "api-latency", "api-p95", "ms"),
        ]
        epoch = situation.signals.get("epoch-progress")
        if epoch is not None:
            lines.append(
                (("epoch   ", "dim"), ("advances ", "dim"), signal_value(epoch), ("  ", "text"), state(epoch.level))
            )
        return [*lines, BLANK, *self._markets(situation, width)]

    def _number(self, situation: Situation, width: int, label: str, signal_name: str, name: str, unit: str) -> Line:
        signal = situation.signals.get(signal_name)
        here = single(situation, name)
        unit = unit_of(situation, name, unit)
        if here is None and signal is not None:
            here, unit = signal.value, signal.unit
        level = signal.level if signal is not None else judge(situation, name, here, unit)
        text, role = number(here, unit, level, "bold")
        line: list[Piece] = [(f"{label:<8}", "dim"), (f"{text:>7}  ", role), (f"{state(level)[0]:<11}", level.value)]
        if signal is not None and width >= 42:
            line.append((of_signal(signal, min(20, width - 28)), f"spark-{level.value}"))
        return tuple(line)

    def _markets(self, situation: Situation, width: int) -> list[Line]:
        ages = by_label(situation, "output-age", "market")
        epochs = by_label(situation, "output-epoch", "market")
        if not ages and not epochs:
            return [(("outputs  ", "heading"), ("no data", "unknown"))]
        unit = unit_of(situation, "output-age", "ms")

        def oldest_first(name: str) -> tuple[float, str]:
            age = ages.get(name, math.nan)
            return (-math.inf if math.isnan(age) else -age, name)

        rows: list[list[Piece]] = []
        for name in sorted(ages.keys() | epochs.keys(), key=oldest_first):
            level = judge(situation, "output-age", ages.get(name), unit, "output-age")
            epoch = epochs.get(name)
            known = epoch is not None and not math.isnan(epoch)
            believed = known and live(situation, "output-epoch")
            rows.append(
                [
                    (MARK[level], level.value),
                    (name, "text" if level is Level.OK else "bold"),
                    number(ages.get(name), unit, level),
                    (count(epoch) if epoch is not None and known else "?", "text" if believed else "unknown"),
                ]
            )
        columns = (
            Column("", 1),
            Column("market", 8, grow=1, middle=True),
            Column("output age", 10, ">"),
            Column("epoch", 8, ">"),
        )
        return table(columns, rows, width)
