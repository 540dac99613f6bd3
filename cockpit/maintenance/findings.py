"""Makes the single findings of a round: a signal over time, a table by label, a count, a value."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.maintenance.measure import Ranges, Span, Stats, measured
from cockpit.maintenance.words import number, share, span
from cockpit.model.maintenance import Finding
from cockpit.model.runbook import Runbooks, SignalDef
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from cockpit.text import safe

SHOWN = 8  # rows of a table
#: Out of bounds for longer than this share of the time wants attention.
TOLERATED = 0.01
#: A trend that reaches the bound within so many weeks is told as such.
AHEAD_WEEKS = 26.0
_COVERED = 0.98
#: What was well is not known to have been so on less than this share of the time.
ENOUGH = 0.8


async def over_time(
    name: str, runbooks: Runbooks, ranges: Ranges | None, at: Span, situation: Situation, *, trend: bool = False
) -> list[Finding]:
    """Judge a signal over the round's time where Prometheus has it, and as it is now otherwise."""
    signal = runbooks.signals.get(name)
    if signal is None:
        return [Finding("unknown", f"{name}: there is no such signal in runbooks.toml")]
    if signal.promql is None:
        return [now(name, situation)]
    found, why = await _asked(ranges, signal.promql, at, signal)
    if not found:
        return [Finding("unknown", f"{signal.title}: {why}")]
    return [_signal(signal, one, at, trend) for one in found[:1]]


async def by_label(
    name: str,
    what: str,
    label: str,
    runbooks: Runbooks,
    ranges: Ranges | None,
    at: Span,
    bound: SignalDef | None = None,
) -> list[Finding]:
    """Judge a query of runbooks.toml, one finding a value of `label`, the worst first.

    As in "drift of bayes-sports-v4: median …".
    """
    query = runbooks.queries.get(name)
    if query is None:
        return [Finding("unknown", f"{name}: there is no such query in runbooks.toml")]
    found, why = await _asked(ranges, query.promql, at, bound)
    if not found:
        return [Finding("unknown", f"{what} by {label}: {why}")]
    scale, unit = (100.0, "%") if query.unit == "ratio" else (1.0, query.unit)
    rows = []
    for one in found[:SHOWN]:
        numbers = ", ".join(
            f"{title} {number(value * scale, unit)}"
            for title, value in (("median", one.median), ("p95", one.p95), ("worst", one.most))
        )
        rows.append(
            Finding(_state(one), f"{what} of {_label(one, label)}: {numbers}{_bounds(one)}{_coverage(one, at)}")
        )
    if len(found) > SHOWN:
        rest = "ok" if all(_state(one) == "ok" for one in found[SHOWN:]) else "unknown"
        rows.append(Finding(rest, f"{what}: {len(found) - SHOWN} more, none worse"))
    return rows


async def counted(
    name: str, what: str, runbooks: Runbooks, ranges: Ranges | None, at: Span, label: str = "", *, bad: bool = False
) -> list[Finding]:
    """Count how many there were, by a query that is a rate per minute.

    With `bad`, any of them wants attention.
    """
    query = runbooks.queries.get(name)
    if query is None:
        return [Finding("unknown", f"{name}: there is no such query in runbooks.toml")]
    found, why = await _asked(ranges, query.promql, at, None)
    if not found:
        return [Finding("unknown", f"{what}: {why}")]
    some = sorted((one for one in found if one.total >= 0.5), key=lambda one: -one.total)
    if not some:
        of = f" of any of {len(found)} {label}s" if label else ""
        least = min(found, key=lambda one: one.covered)
        return [Finding(_known(least), f"no {what}{of}{_coverage(least, at)}")]
    rows = [
        Finding(
            "attention" if bad else _known(one),
            f"{_label(one, label) + ': ' if label else ''}{number(round(one.total))} {what}{_coverage(one, at)}",
        )
        for one in some[:SHOWN]
    ]
    if len(found) > len(rows):
        rows.append(Finding("ok", f"{len(found) - len(rows)} more have fewer {what}, or none"))
    return rows


def now(name: str, situation: Situation) -> Finding:
    """Judge a signal as it is; an unknown one says why."""
    status = situation.signals.get(name)
    if status is None:
        return Finding("unknown", f"{name}: nothing is known of it")
    if status.level is Level.UNKNOWN:
        return Finding("unknown", f"{status.title}: {status.reason or 'unknown'}")
    value = "" if status.value is None else f" {number(status.value, status.unit)}"
    if status.level is Level.OK:
        return Finding("ok", f"{status.title}: now{value or ' ok'}")
    return Finding("attention", f"{status.title}: now{value}, {status.level.value.upper()} ({status.reason})")


async def _asked(ranges: Ranges | None, promql: str, at: Span, signal: SignalDef | None) -> tuple[Sequence[Stats], str]:
    """Return what there is, or why there is nothing."""
    if ranges is None:
        return (), "not known: no Prometheus is configured"
    try:
        found = await measured(ranges, promql, at, signal)
    except Exception as error:  # whatever the reason is, it is what there is to say
        return (), f"not known: {safe(error, 200)}"
    return found, "not known: Prometheus keeps nothing of that time"


def _signal(signal: SignalDef, one: Stats, at: Span, trend: bool) -> Finding:
    unit = signal.unit
    lowest = signal.direction == "below"
    words = (
        f"{signal.title}: median {number(one.median, unit)}, {'p5' if lowest else 'p95'} {number(one.p95, unit)}, "
        f"{'lowest' if lowest else 'worst'} {number(one.most, unit)}{_bounds(one)}{_coverage(one, at)}"
    )
    state = _state(one)
    if trend and one.trend is None and state == "ok":
        state = "unknown"
    return Finding(state, words + (_ahead(signal, one) if trend else ""))


def _state(one: Stats) -> str:
    return "attention" if one.over is not None and one.over > TOLERATED else _known(one)


def _known(one: Stats) -> str:
    """Return "ok" where enough of the time is known to say so: what was not seen is not well."""
    return "ok" if one.covered >= ENOUGH else "unknown"


def _bounds(one: Stats) -> str:
    return f", out of bounds {share(one.over)} of the time" if one.over else ""


def _coverage(one: Stats, at: Span) -> str:
    if one.covered >= _COVERED:
        return ""
    return f" (known for {span(one.covered * (at.end - at.start))} of {span(at.end - at.start)})"


def _ahead(signal: SignalDef, one: Stats) -> str:
    """Say where the trend leads."""
    if one.trend is None or one.level is None:
        return "; too little is kept to tell a trend"
    words = f"; trend {'+' if one.trend >= 0 else '-'}{number(abs(one.trend), signal.unit)} a week"
    bound = signal.warn if signal.warn is not None else signal.crit
    if bound is None or signal.baseline is not None or one.over:
        return words
    left = bound - one.level
    if one.trend and left / one.trend > 0 and left / one.trend <= AHEAD_WEEKS:
        weeks = max(1, round(left / one.trend))
        return f"{words}: {number(bound, signal.unit)} is reached in {weeks} week{'s' if weeks > 1 else ''}"
    return words


def _label(one: Stats, label: str) -> str:
    return safe(one.labels.get(label) or ", ".join(one.labels.values()) or "all", 80)
