"""Shows what the guardrails decide and why.

Decisions per minute, reasons, divergence by source, drift and calibration by model.
"""

from __future__ import annotations

from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from panels.dashboard.facts.metrics import by_label, judge, live, query, sum_by, unit_of
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.spans import BLANK, Column, Line, Span, table
from panels.kit.theme import MARK
from panels.kit.words import count, most_first, value

_WIDE = 60  # from here on there is room for a row of each source
_ROLES = {"ALLOW": "ok", "DEGRADE": "warn", "BLOCK": "crit"}


class GuardrailsPanel(LinesPanel):
    queries = ("guardrail-decisions", "guardrail-reasons", "divergence-by-source", "drift-by-model", "ece-by-model")
    signals = ("guardrail-blocks", "guardrail-restrictions")

    def aside(self, situation: Situation) -> Line:
        policy = next((t for t in situation.toggles if t.name == "M0_GUARDRAIL_POLICY_LEVEL"), None)
        if policy is None or policy.value is None:
            return ()
        return ((policy.value, "dim" if policy.level in ("usual", "safest") else "warn"),)

    def content(self, situation: Situation, width: int) -> list[Line]:
        lines = [self._decisions(situation), self._reasons(situation), BLANK, *self._models(situation, width)]
        divergence = query(situation, "divergence-by-source")
        by_source = sum_by(divergence.samples, "source") if divergence is not None else {}
        spans: list[Span] = [("divergence  ", "heading")]
        if divergence is None or not live(situation, "divergence-by-source"):
            spans.append(("no data", "unknown"))
        elif not any(rate > 0 for rate in by_source.values()):
            spans.append(("none", "text"))
        unit = unit_of(situation, "divergence-by-source", "/min")
        for source, rate in most_first(by_source):
            if rate > 0:
                spans += [(f"{source} ", "dim"), (f"{value(rate, unit)}  ", "warn")]
        return [*lines, BLANK, tuple(spans), *_sources(situation, width)]

    def _decisions(self, situation: Situation) -> Line:
        result = query(situation, "guardrail-decisions")
        decisions = sum_by(result.samples, "decision") if result is not None else {}
        if not decisions:
            return (("decisions/min  ", "heading"), ("no data", "unknown"))
        known = live(situation, "guardrail-decisions")
        spans: list[Span] = []
        for name in (*_ROLES, *sorted(decisions.keys() - _ROLES.keys())):
            rate = decisions.get(name)
            bad = rate is not None and rate > 0 and name != "ALLOW"
            role = "unknown" if not known else _ROLES.get(name, "text") if rate else "dim"
            spans += [
                (f"{name} ", role),
                (
                    f"{count(rate) if rate is not None else '–'}  ",
                    role if bad or not known else "bold" if rate else "dim",
                ),
            ]
        return (*spans, ("/min", "dim"))

    def _reasons(self, situation: Situation) -> Line:
        result = query(situation, "guardrail-reasons")
        reasons = {k: v for k, v in sum_by(result.samples, "reason").items() if v > 0} if result is not None else {}
        spans: list[Span] = [("reasons  ", "heading")]
        if not reasons:
            return (
                *spans,
                ("none", "text")
                if result is not None and live(situation, "guardrail-reasons")
                else ("no data", "unknown"),
            )
        for reason, rate in most_first(reasons):
            spans += [(f"{reason} ", "dim"), (f"{count(rate)}  ", "warn")]
        return tuple(spans)

    def _models(self, situation: Situation, width: int) -> list[Line]:
        drift = by_label(situation, "drift-by-model", "model")
        ece = by_label(situation, "ece-by-model", "model")
        names = sorted(drift.keys() | ece.keys(), key=lambda n: (-_bad(situation, drift.get(n), ece.get(n)), n))
        if not names:
            return [(("models  ", "heading"), ("no data", "unknown"))]
        rows: list[list[Span]] = [
            [
                (name, "text"),
                _score(situation, "drift-by-model", drift.get(name), "drift"),
                _score(situation, "ece-by-model", ece.get(name), "calibration"),
            ]
            for name in names
        ]
        return table(
            (Column("model", 10, grow=1, middle=True), Column("drift", 7, ">"), Column("ECE", 7, ">")), rows, width
        )


def _bad(situation: Situation, drift: float | None, ece: float | None) -> int:
    """Return how bad a model's worse score is: the order by it is one that rests."""
    scores = (("drift-by-model", drift, "drift"), ("ece-by-model", ece, "calibration"))
    return max(
        judge(situation, name, score, unit_of(situation, name), signal).rank
        for name, score, signal in scores
        if score is not None
    )


def _score(situation: Situation, name: str, score: float | None, signal_name: str) -> Span:
    """Judge a score by the thresholds of its signal: past them it has a sign and colour."""
    if score is None:
        return "–", "dim"
    level = judge(situation, name, score, unit_of(situation, name), signal_name)
    mark = f"{MARK[level]} " if level in (Level.WARN, Level.CRIT) else ""
    return f"{mark}{score:.3f}", "text" if level is Level.OK else level.value


def _sources(situation: Situation, width: int) -> list[Line]:
    """List every source where there is room, the one that diverges most first."""
    result = query(situation, "divergence-by-source")
    if result is None or not result.samples or width < _WIDE:
        return []
    unit = unit_of(situation, "divergence-by-source", "/min")
    total = sum_by(result.samples, "source")
    levels = sorted({s.labels["level"] for s in result.samples if "level" in s.labels}, key=lambda n: (n != "warn", n))
    rows: list[list[Span]] = []
    for source, _ in most_first(total):
        level = judge(situation, "divergence-by-source", total[source], unit, "divergence")
        own = sum_by([s for s in result.samples if s.labels.get("source") == source], "level")
        cells: list[Span] = [(value(own.get(name), unit), level.value if own.get(name) else "text") for name in levels]
        rows.append([(MARK[level], level.value), (source, "text" if level is Level.OK else "bold"), *cells])
    columns = (Column("", 1), Column("source", 9, grow=1, middle=True), *(Column(name, 9, ">") for name in levels))
    return [BLANK, *table(columns, rows, width)]
