"""Publishing as metrics tell it: commits and reveals per minute, success, failures by reason, and the RPC endpoints behind it."""

from __future__ import annotations

from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from panels.facts import by_label, history, judge, live, number, query, single, state, sum_by, unit_of
from panels.lines import LinesPanel
from panels.pieces import BLANK, Column, Line, Piece, pad, table
from panels.sparks import points
from panels.theme import MARK
from panels.words import UNKNOWN, value


class PublishPanel(LinesPanel):
    number = 2
    key = "publish"
    title_text = "Publish"
    short = "Pub"
    queries = (
        "commits-ok", "commits-failed", "reveals-ok", "reveals-failed", "reveal-failures", "publish-success", "rpc-error-ratio",
        "rpc-confirm-p95",
    )  # fmt: skip
    signals = (
        "publish-success", "commit-rate", "reveal-rate", "rpc-errors", "rpc-confirm", "invalid-signatures", "invalid-bundles",
        "replay-violations", "sequence-rejects", "reveal-failures", "submitter-ready", "submitter-pods",
    )  # fmt: skip

    def aside(self, situation: Situation) -> Line:
        return (("metrics only", "dim"),)

    def content(self, situation: Situation, width: int) -> list[Line]:
        lines = [
            self._rate(situation, width, "commits", "commits-ok", "commit-rate"),
            self._rate(situation, width, "reveals", "reveals-ok", "reveal-rate"),
            self._rate(situation, width, "success", "publish-success", "publish-success", "ratio"),
            *self._failures(situation),
        ]
        for name, label in (
            ("invalid-signatures", "signatures"),
            ("invalid-bundles", "bundles"),
            ("replay-violations", "replays"),
            ("sequence-rejects", "sequence"),
        ):
            signal = situation.signals.get(name)
            if signal is not None and signal.level is not Level.OK:
                role = signal.level.value
                lines.append(
                    ((f"{label:<9}", "dim"), (f"{value(signal.value, signal.unit):>8}  ", role), state(signal.level))
                )
        return [*lines, BLANK, *self._endpoints(situation, width)]

    def _rate(
        self, situation: Situation, width: int, label: str, name: str, signal_name: str, unit: str = "/min"
    ) -> Line:
        signal = situation.signals.get(signal_name)
        here = single(situation, name)
        if here is None and signal is not None:
            here, unit = signal.value, signal.unit
        else:
            unit = unit_of(situation, name, unit)
        level = signal.level if signal is not None else judge(situation, name, here, unit)
        room = max(0, min(28, width - 9 - 10 - 10 - 2))
        text, role = number(here, unit, level, "bold")
        base = signal.baseline if signal is not None else None
        pieces: list[Piece] = [
            (f"{label:<9}", "dim"),
            (pad(text, 9, ">") + "  ", role),
            (pad(state(level)[0], 10), level.value),
        ]
        series = history(situation, name)
        if series and room >= 6:
            pieces.append((points(series, room, base), f"spark-{level.value}"))
        if base is not None and signal is not None and width > 62:
            pieces.append((f"  usual {value(base, signal.unit)}", "dim"))
        return tuple(pieces)

    def _failures(self, situation: Situation) -> list[Line]:
        pieces: list[Piece] = [("failures ", "dim")]
        for name, label in (("commits-failed", "commit"), ("reveals-failed", "reveal")):
            failed = single(situation, name)
            text = UNKNOWN if failed is None else value(failed, unit_of(situation, name, "/min"))
            pieces += [
                (f"{label} ", "dim"),
                (
                    f"{text}  ",
                    "unknown" if failed is None or not live(situation, name) else "bold" if failed else "text",
                ),
            ]
        result = query(situation, "reveal-failures")
        reasons = sum_by(result.samples, "reason") if result is not None else {}
        lines: list[Line] = [tuple(pieces)]
        shown = [(reason, rate) for reason, rate in sorted(reasons.items(), key=lambda item: -item[1]) if rate > 0][:3]
        if shown:
            why: list[Piece] = [("         ", "text")]
            for reason, rate in shown:
                why += [(f"{reason} ", "text"), (f"{value(rate, '')}  ", "warn")]
            lines.append(tuple(why))
        return lines

    def _endpoints(self, situation: Situation, width: int) -> list[Line]:
        errors = by_label(situation, "rpc-error-ratio", "endpoint")
        confirms = by_label(situation, "rpc-confirm-p95", "endpoint")
        names = sorted(errors.keys() | confirms.keys())
        if not names:
            return [(("rpc endpoints  ", "heading"), ("no data", "unknown"))]
        error_unit = unit_of(situation, "rpc-error-ratio", "ratio")
        confirm_unit = unit_of(situation, "rpc-confirm-p95", "ms")
        rows: list[list[Piece]] = []
        for name in names:
            failing = judge(situation, "rpc-error-ratio", errors.get(name), error_unit, "rpc-errors")
            slow = judge(situation, "rpc-confirm-p95", confirms.get(name), confirm_unit, "rpc-confirm")
            bad = max((failing, slow), key=lambda level: level.rank)
            rows.append(
                [
                    (MARK[bad], bad.value),
                    (name, "text" if bad is Level.OK else "bold"),
                    number(errors.get(name), error_unit, failing),
                    number(confirms.get(name), confirm_unit, slow),
                ]
            )
        columns = (
            Column("", 1),
            Column("rpc endpoint", 12, grow=1),
            Column("errors", 7, ">"),
            Column("confirm p95", 11, ">"),
        )
        return table(columns, rows, width)
