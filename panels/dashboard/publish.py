"""Shows publishing as metrics and chain tell it, side by side, and in words where they disagree.

Commits and reveals per minute, success, what waits for its reveal, failures by class with the
runbook they belong to.
"""

from __future__ import annotations

from cockpit.model.observed.chain import ProgramActivity, ProtocolState, Rate
from cockpit.model.signal import Level, worst
from cockpit.model.situation import Situation
from cockpit.text import counted
from panels.dashboard.facts.chain import TopicData, program, quiet, spoken, topic_data
from panels.dashboard.facts.metrics import history, judge, live, number, query, single, state, sum_by, unit_of
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.spans import Column, Line, Span, line_width, pad, table
from panels.kit.sparks import points
from panels.kit.words import UNKNOWN, age, count, most_first, value

#: A reveal that is this late is no longer on its way.
LATE_SLOTS = 25


class PublishPanel(LinesPanel):
    queries = ("commits-ok", "commits-failed", "reveals-ok", "reveals-failed", "reveal-failures", "publish-success")
    signals = (
        "publish-success",
        "commit-rate",
        "reveal-rate",
        "invalid-signatures",
        "invalid-bundles",
        "replay-violations",
        "sequence-rejects",
        "reveal-failures",
        "submitter-ready",
        "submitter-pods",
        "chain-paused",
    )

    def level(self, situation: Situation) -> Level:
        levels = [super().level(situation)]
        if situation.mismatches:
            levels.append(Level.WARN)
        chain = program(situation)
        if not chain.live and not quiet(chain):
            levels.append(Level.UNKNOWN)
        return worst(levels)

    def aside(self, situation: Situation) -> Line:
        return (("metrics only", "dim"),) if quiet(program(situation)) else ()

    def content(self, situation: Situation, width: int) -> list[Line]:
        chain = program(situation)
        lines: list[Line] = []
        if not quiet(chain):
            lines.append(((f"{'':<10}{'metrics':>8}  {'chain':>7}", "heading"),))
        lines += [
            self._rate(situation, width, "commits", "commits-ok", "commit-rate", "/min", chain),
            self._rate(situation, width, "reveals", "reveals-ok", "reveal-rate", "/min", chain),
            self._rate(situation, width, "success", "publish-success", "publish-success", "ratio", chain),
        ]
        for mismatch in situation.mismatches:
            lines += spoken("≠", "warn", f"{mismatch.words} for {age(situation.mono - mismatch.since)}", width)
        lines += self._failures(situation)
        lines += _of_chain(chain, width)
        account = topic_data(situation.solana.get("protocol"), ProtocolState, situation.mono)
        if account.data is not None and account.data.paused:
            lines.append((("the program is ", "dim"), ("PAUSED", "crit" if account.live else "unknown")))
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
                    ((f"{label:<9}", "dim"), (f"{value(signal.newest, signal.unit):>8}  ", role), state(signal.level))
                )
        return lines

    def _rate(
        self,
        situation: Situation,
        width: int,
        label: str,
        name: str,
        signal_name: str,
        unit: str,
        chain: TopicData[ProgramActivity],
    ) -> Line:
        signal = situation.signals.get(signal_name)
        here = single(situation, name)
        if here is None and signal is not None:
            here, unit = signal.value, signal.unit
        else:
            unit = unit_of(situation, name, unit)
        level = signal.level if signal is not None else judge(situation, name, here, unit)
        base = signal.baseline if signal is not None else None
        both = not quiet(chain)
        if both and unit == "/min":  # the label says it
            label, unit = f"{label}/m", ""
        text, role = number(here, unit, level, "bold")
        rate = _rate_of(chain, label)
        spans: list[Span] = [(f"{label:<10}", "dim"), (pad(text, 8, ">") + "  ", role)]
        if both:
            spans.append(_chain_cell(chain, rate, label))
        word = state(level)[0]
        spans.append((pad(word, max(7, len(word) + 1) if width < 56 else 11), level.value))
        usual: Span = (f"  usual {value(base, signal.unit)}" if base is not None and signal is not None else "", "dim")
        room = width - line_width(tuple(spans))
        series = history(situation, name) or (rate.history if rate is not None else ())
        if series and room >= 5:
            long = min(28, room)
            spans.append((points(series, long, base), f"spark-{level.value}"))
            room -= long
        if len(usual[0]) <= room:
            spans.append(usual)
            when = f" {signal.baseline_from}" if base is not None and signal is not None else ""
            spans += [(when, "dim")] if len(usual[0]) + len(when) <= room else []
        return tuple(spans)

    def _failures(self, situation: Situation) -> list[Line]:
        spans: list[Span] = [("failures ", "dim")]
        for name, label in (("commits-failed", "commit"), ("reveals-failed", "reveal")):
            failed = single(situation, name)
            text = UNKNOWN if failed is None else value(failed, unit_of(situation, name, "/min"))
            spans += [
                (f"{label} ", "dim"),
                (
                    f"{text}  ",
                    "unknown" if failed is None or not live(situation, name) else "bold" if failed else "text",
                ),
            ]
        result = query(situation, "reveal-failures")
        reasons = sum_by(result.samples, "reason") if result is not None else {}
        lines: list[Line] = [tuple(spans)]
        shown = [(reason, rate) for reason, rate in most_first(reasons) if rate > 0][:3]
        if shown:
            why: list[Span] = [("         ", "text")]
            for reason, rate in shown:
                why += [(f"{reason} ", "text"), (f"{value(rate, '')}  ", "warn")]
            lines.append(tuple(why))
        return lines


def _rate_of(chain: TopicData[ProgramActivity], label: str) -> Rate | None:
    if chain.data is None or label not in ("commits/m", "reveals/m"):
        return None
    return chain.data.commits if label == "commits/m" else chain.data.reveals


def _chain_cell(chain: TopicData[ProgramActivity], rate: Rate | None, label: str) -> Span:
    """Return the chain's number, to stand beside the metrics'; success is theirs alone."""
    if label == "success":
        return " " * 9, "text"
    if rate is None or rate.per_minute is None:
        return pad(UNKNOWN, 7, ">") + "  ", "unknown"
    return pad(count(rate.per_minute), 7, ">") + "  ", "bold" if chain.live else "unknown"


def _of_chain(chain: TopicData[ProgramActivity], width: int) -> list[Line]:
    """Say what waits for its reveal and what failed on the chain, or why that is not known."""
    if quiet(chain):
        return [(("chain    ", "dim"), (chain.why, "faint"))]
    lines: list[Line] = []
    if not chain.live:
        lines += spoken("?", "unknown", f"chain: {chain.why}", width)
    if chain.data is None:
        return lines
    lines.append(waiting(chain.data, chain.live))
    if chain.data.undecodable:
        many = "" if chain.data.undecodable == 1 else "s"
        lines += spoken(
            "?", "unknown", f"{count(chain.data.undecodable)} event{many} of the program not readable", width
        )
    lines += failures_table(chain.data, width, 3, chain.live)
    return lines


def waiting(activity: ProgramActivity, believed: bool) -> Line:
    """Return "waiting for reveal 231, oldest 1,904 slots".

    The slots count from when it could have been revealed.
    """
    total = activity.pending_total
    if not total:
        return (("waiting for reveal  ", "dim"), ("0", "text" if believed else "unknown"))
    oldest = max((one.overdue_slots for one in activity.pending), default=0)
    role = "unknown" if not believed else "warn" if oldest > LATE_SLOTS else "text"
    words = f"oldest {counted(oldest, 'slot')}" if oldest > 0 else "none overdue"
    return (
        ("waiting for reveal  ", "dim"),
        (count(total), role),
        (f", {words}", role if oldest > LATE_SLOTS else "dim"),
    )


def failures_table(activity: ProgramActivity, width: int, most: int, believed: bool = True) -> list[Line]:
    """Tabulate failed transactions by class, most frequent first, each with its runbook."""
    if not activity.failures:
        return []
    rows: list[list[Span]] = []
    for one in activity.failures[:most]:
        role = "unknown" if not believed else "warn" if one.per_minute > 0 else "text"
        leads_to: Span = (f"→ runbook {one.runbook}", "accent") if one.runbook is not None else ("", "text")
        rows.append([(one.name, role), (count(one.count), role), (f"{one.per_minute:.0f}/min", role), leads_to])
    columns = (Column("on the chain", 20, grow=1), Column("all", 5, ">"), Column("now", 7, ">"), Column("", 12))
    return table(columns, rows, width)
