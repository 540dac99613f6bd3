"""Shows the signer agents side by side, with threshold misses and the active set above them."""

from __future__ import annotations

from cockpit.model.signal import Level, worst
from cockpit.model.situation import Situation
from panels.dashboard.facts.chain import set_state, spoken
from panels.dashboard.facts.metrics import by_label, judge, live, number, query, signal_value, single, sum_by, unit_of
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.spans import BLANK, Column, Line, Span, table
from panels.kit.theme import MARK
from panels.kit.words import UNKNOWN, value


class SignersPanel(LinesPanel):
    queries = ("signer-p50", "signer-p95", "signer-errors", "signer-misses")
    signals = ("signer-p95", "signer-misses", "signer-errors", "kms-errors", "signer-unreachable", "signer-ready")

    def level(self, situation: Situation) -> Level:
        check = situation.signer_set
        found = Level.CRIT if check.differences else Level.UNKNOWN if check.unknown else Level.OK
        return worst([super().level(situation), found])

    def content(self, situation: Situation, width: int) -> list[Line]:
        return [*set_lines(situation, width, 3), self._summary(situation), BLANK, *self._agents(situation, width)]

    def _summary(self, situation: Situation) -> Line:
        misses = single(situation, "signer-misses")
        missed = situation.signals.get("signer-misses")
        level = missed.level if missed is not None else judge(situation, "signer-misses", misses, "")
        p95_text, p95_role = signal_value(situation.signals.get("signer-p95"))
        miss_text, miss_role = number(misses, unit_of(situation, "signer-misses", "/min"), level, "bold")
        return (
            ("p95 ", "dim"),
            (p95_text, p95_role if p95_role != "text" else "bold"),
            ("   misses ", "dim"),
            (miss_text, miss_role),
        )

    def _agents(self, situation: Situation, width: int) -> list[Line]:
        fast = by_label(situation, "signer-p50", "signer")
        slow = by_label(situation, "signer-p95", "signer")
        errors_of = query(situation, "signer-errors")
        errors = sum_by(errors_of.samples, "signer") if errors_of is not None else {}
        names = fast.keys() | slow.keys() | errors.keys()
        if not names:
            return [(("no signer reports latency", "unknown"),)]
        paces = {
            name: judge(situation, "signer-p95", slow.get(name), unit_of(situation, "signer-p95", "ms"), "signer-p95")
            for name in names
        }
        levels = {name: worst([paces[name], self._failing(situation, errors.get(name))]) for name in names}
        rows: list[list[Span]] = []
        for name in sorted(names, key=lambda n: (-levels[n].rank, len(n), n)):
            level, pace, failing = levels[name], paces[name], errors.get(name)
            # A counter that was never raised has no series: no errors known, but not measured
            # either.
            role = "unknown" if not live(situation, "signer-errors") else "warn" if failing else "text"
            shown: Span = ("–", "dim") if failing is None else (value(failing, ""), role)
            rows.append(
                [
                    (MARK[level], level.value),
                    (name, "text" if level is Level.OK else "bold"),
                    number(
                        fast.get(name),
                        unit_of(situation, "signer-p50", "ms"),
                        judge(situation, "signer-p50", fast.get(name), "ms"),
                    ),
                    number(slow.get(name), unit_of(situation, "signer-p95", "ms"), pace),
                    shown,
                ]
            )
        columns = (
            Column("", 1),
            Column("agent", 6, grow=1, middle=True),
            Column("p50", 6, ">"),
            Column("p95", 6, ">"),
            Column("err/min", 7, ">"),
        )
        return table(columns, rows, width)

    def _failing(self, situation: Situation, rate: float | None) -> Level:
        """Judge an agent's errors: one that fails is bad, however quick its answers were."""
        if rate is None:
            return Level.OK
        return judge(situation, "signer-errors", rate, unit_of(situation, "signer-errors", "/min"), "signer-errors")


def set_lines(situation: Situation, width: int, most: int) -> list[Line]:
    """Say "set 100  threshold 5 of 7  chain ✓", and below it what disagrees or is unknown."""
    check = situation.signer_set
    active = check.signer_set_id or next(
        (t.value for t in situation.toggles if t.name == "M0_ACTIVE_SIGNER_SET_ID"), None
    )
    head: list[Span] = [("set ", "dim"), (active or UNKNOWN, "bold" if active else "unknown")]
    if check.threshold is not None:
        head += [("  threshold ", "dim"), (f"{check.threshold} of {check.keys}", "bold")]
    head += [("  ", "text"), set_state(check)]
    lines: list[Line] = [tuple(head)]
    for one in check.differences[:most]:
        lines += spoken("✗", "crit", one.words, width)
    if len(check.differences) > most:
        lines.append(((f"  and {len(check.differences) - most} more: view signer-set", "crit"),))
    for words in check.unknown[:most]:
        lines += spoken("?", "unknown", words, width)
    return lines
