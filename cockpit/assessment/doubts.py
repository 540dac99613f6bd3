"""Finds why a value that looks well cannot be called OK: what is missing is not good."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from cockpit.assessment.baseline import amount, judge, with_unit
from cockpit.assessment.usual.windows import Usual
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.reading import spell
from cockpit.model.runbook import SignalDef
from cockpit.model.signal import YES_NO, Level

#: A series that was bad and is gone is missed for so long, or as long as the sparkline goes back.
GONE_S = 900.0
#: So far below nothing a value of a unit may be, by two clocks; one without unit may be anything.
_BELOW_NOTHING = {"": math.inf, "s": 5.0, "ms": 5000.0, "slots": 64.0}
#: What a failed range adds to the warnings: the value of now stands, only the past is missing.
_NO_HISTORY = "no history"


def sample_ages(result: QueryResult, newest_s: float) -> list[float]:
    """Return how old each sample is, when the newest of them is so old."""
    times = [sample.at for sample in result.samples if sample.at is not None]
    newest = max(times, default=0.0)
    return [newest_s if one.at is None else newest_s + newest - one.at for one in result.samples]


def doubt_of(result: QueryResult, finite: list[Sample]) -> str:
    """Return why a value that looks well cannot be called OK."""
    bad = [s for s in result.samples if not math.isfinite(s.value)]
    if bad and finite:
        return f"{len(bad)} of {len(result.samples)} samples are {_spelt(bad[0].value)}: {labelled(bad[0].labels)}"
    warnings = [warning for warning in result.warnings if not warning.startswith(_NO_HISTORY)]
    return f"Prometheus warns, the result may be partial: {warnings[0]}" if warnings else ""


def impossible(signal: SignalDef, value: float, labels: Mapping[str, str] = MappingProxyType({})) -> str:
    """Say that no time, count or share is so far below nothing, well as that may look."""
    if value >= -_BELOW_NOTHING.get(signal.unit, 1e-6):
        return ""
    why = "do the clocks agree?" if signal.unit in ("s", "ms", "h", "days") else "the query is not of what it says"
    return f"{amount(value)} {signal.unit} cannot be: {why} ({labelled(labels)})"


def too_old(late: Sequence[tuple[float, Sample]]) -> str:
    if not late:
        return ""
    age, sample = max(late, key=lambda pair: pair[0])
    return f"last sample {spell(age)} ago: {labelled(sample.labels)}"


def gone_bad(
    signal: SignalDef, result: QueryResult, warn: float | None, crit: float | None, switched_off: frozenset[str]
) -> str:
    """Name the series that was bad within the window and is gone: it is not well, it is unknown.

    But one that a step switched off is gone on purpose.
    """
    now, there = result.evaluated_at, [dict(sample.labels) for sample in result.samples]
    window = min(signal.history, GONE_S)
    lost: list[tuple[float, float, Mapping[str, str]]] = []
    for series in result.history:
        at, value = series.points[-1] if series.points else (0.0, math.nan)
        if now is None or now - at > window or not math.isfinite(value) or dict(series.labels) in there:
            continue
        bad = judge(value, signal.direction, warn, crit) is not Level.OK
        if bad and not _on_purpose(series.labels, switched_off):
            lost.append((at, value, series.labels))
    if not lost or now is None:
        return ""
    at, value, labels = max(lost, key=lambda each: each[1] if signal.direction == "above" else -each[1])
    unit = f" {signal.unit}" if signal.unit and not signal.unit.startswith("/") else signal.unit
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return f"{labelled(labels)}: {amount(value)}{unit} {spell(now - at)} ago, then gone{more}"


def _on_purpose(labels: Mapping[str, str], switched_off: frozenset[str]) -> bool:
    pod = labels.get("pod", "")
    return not switched_off.isdisjoint(labels.values()) or any(
        pod.startswith(word) for word in switched_off if word.endswith("-")
    )


def nothing_read(result: QueryResult) -> str:
    if result.samples:
        return f"the value is {_spelt(result.samples[0].value)}"
    if result.why_empty:
        return f"no data: {result.why_empty}"
    return "no data: the metric does not exist or nothing matches"


def _spelt(value: float) -> str:
    return "not a number" if math.isnan(value) else "infinite"


def labelled(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "no labels"


def threshold_words(
    signal: SignalDef,
    level: Level,
    value: float,
    warn: float | None,
    crit: float | None,
    who: str = "",
    base: Usual | None = None,
) -> str:
    """Return which threshold was passed, or an empty string when all is well."""
    if level is Level.OK:
        return ""
    if signal.unit == YES_NO:
        return with_unit(value, YES_NO) + (f" ({who})" if who else "")
    threshold = crit if level is Level.CRIT else warn
    assert threshold is not None
    limit = with_unit(threshold, signal.unit)
    side = f"from {limit}" if signal.direction == "above" else f"at {limit} or less"
    words = f"{with_unit(value, signal.unit)}: {level.value} {side}"
    if base is not None and signal.baseline is not None:
        words += f", usual {with_unit(base.value, signal.unit)}" + (f" ({base.words})" if base.kept else "")
    return f"{words} ({who})" if who else words
