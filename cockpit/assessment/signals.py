"""Makes signals of the board: ok, warn, crit or unknown, and always why.

Nothing but a fresh, finite, complete value is ever OK.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from cockpit.assessment.baseline import Points, amount, judge, merged, spark, usual
from cockpit.assessment.board import Board
from cockpit.clock import Clock
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.reading import Known, Reading, Unknown, believed, last_known, spell
from cockpit.model.runbook import Runbooks, SignalDef
from cockpit.model.signal import Level, SignalStatus
from cockpit.sources.families import FAMILIES
from cockpit.sources.inventory import Inventory
from cockpit.sources.registry import sources
from cockpit.sources.values import Snapshot, Values

#: A series that was bad and is gone is missed for so long, or as long as the sparkline goes back.
GONE_S = 900.0
#: What a failed range adds to the warnings: the value of now stands, only the past is missing.
_NO_HISTORY = "no history"


@dataclass(slots=True)
class _Memory:
    """Holds what one signal remembers between evaluations."""

    level: Level | None = None
    since: float = 0.0
    since_warn: float | None = None  # monotonic: a level of at least WARN has been read since then
    since_crit: float | None = None
    baseline: float | None = None  # the last one from a time that was well
    baseline_from: str = ""
    usual: QueryResult | None = None  # the long window that a baseline is made of
    reading: Reading[QueryResult] | None = None  # what `status` was made from
    status: SignalStatus | None = None
    result: QueryResult | None = None  # what `points` and `spark` were made from
    points: Points = field(default_factory=list)
    spark: tuple[float | None, ...] = ()
    until: float = 0.0  # monotonic: the oldest of its samples may be believed so long


@dataclass(frozen=True, slots=True)
class _Raw:
    """Holds a value as it was read, before its level had to hold."""

    level: Level
    value: float | None
    reason: str
    age_s: float | None = None
    labels: Mapping[str, str] | None = None
    baseline: float | None = None
    warn: float | None = None
    crit: float | None = None
    off: bool = False
    baseline_from: str = ""


class Evaluator:
    """Keeps how long levels have held, and baselines; otherwise a function of the board."""

    def __init__(
        self,
        runbooks: Runbooks,
        clock: Clock,
        *,
        configured: frozenset[str] = frozenset({"kubernetes", "prometheus"}),
        inventory: Inventory | None = None,
    ) -> None:
        self._runbooks = runbooks
        self._clock = clock
        self._configured = configured
        self._inventory = inventory or Inventory()
        self._memory = {name: _Memory() for name in runbooks.signals}

    def evaluate(
        self, board: Board, cluster: Cluster, cluster_now: float, switched_off: frozenset[str] = frozenset()
    ) -> dict[str, SignalStatus]:
        """Return every signal of the runbooks, in their order.

        `cluster_now`: unix seconds on the cluster's clock. `switched_off`: what steps of the
        journal took out of service, by label values: `politics`, or `m0-ingestor-` for its pods.
        """
        mono = self._clock.mono()
        self._inventory.update(cluster, mono)
        snapshot = Snapshot(board, cluster, self._inventory, cluster_now, mono)
        families: dict[str, Values] = {}
        statuses: dict[str, SignalStatus] = {}
        for name, signal in self._runbooks.signals.items():
            memory = self._memory[name]
            if signal.value is not None:
                family = signal.value.partition(".")[0]
                if family not in self._configured:
                    raw = _Raw(Level.UNKNOWN, None, f"{sources()[family].title} not configured", off=True)
                else:
                    if family not in families:
                        families[family] = FAMILIES[family].values(snapshot)
                    raw = _of_value(signal, families[family])
            elif "prometheus" not in self._configured:
                raw = _Raw(Level.UNKNOWN, None, "Prometheus is not configured")
            else:
                reading = board.get(f"prometheus/signals/{name}")
                steady = _steady(reading, memory, mono)
                if steady is not None:
                    statuses[name] = steady
                    continue
                if signal.baseline is not None:
                    usual = believed(board.get(f"baselines/{name}"), mono)
                    memory.usual = usual.data if isinstance(usual, Known) else memory.usual
                raw = _of_prometheus(signal, reading, memory, mono, switched_off)
                memory.reading = reading
            statuses[name] = memory.status = _settle(name, signal, raw, memory, mono)
        return statuses


def _steady(reading: Reading[QueryResult] | None, memory: _Memory, mono: float) -> SignalStatus | None:
    """Return the status of a moment ago, a little older, when it still stands.

    While no newer answer has come, what was OK stays so as long as it is fresh.
    """
    before = memory.status
    if reading is None or reading is not memory.reading or before is None or before.level is not Level.OK:
        return None
    found = reading.believed(mono)
    if before.pending is not None or isinstance(found, Unknown) or mono > memory.until:
        return None
    return msgspec.structs.replace(before, age_s=mono - before.sampled_at if before.sampled_at is not None else None)


def _of_value(signal: SignalDef, values: Values) -> _Raw:
    assert signal.value is not None
    value = values.get(signal.value)
    warn, crit = signal.warn, signal.crit
    if value.number is None or not math.isfinite(value.number):
        return _Raw(Level.UNKNOWN, None, value.reason or "no value", value.age_s, warn=warn, crit=crit, off=value.off)
    if value.age_s is not None and value.age_s > signal.max_age:
        late = f"last read {spell(value.age_s)} ago, more than {signal.max_age:g} s"
        return _Raw(Level.UNKNOWN, value.number, late, value.age_s, value.labels, warn=warn, crit=crit)
    level = judge(value.number, signal.direction, warn, crit)
    words = _words(signal=signal, level=level, value=value.number, warn=warn, crit=crit, labels=value.labels)
    return _Raw(level, value.number, words, value.age_s, value.labels, warn=warn, crit=crit)


def _of_prometheus(
    signal: SignalDef,
    reading: Reading[QueryResult] | None,
    memory: _Memory,
    mono: float,
    switched_off: frozenset[str] = frozenset(),
) -> _Raw:
    warn, crit = (None, None) if signal.baseline is not None else (signal.warn, signal.crit)
    found = believed(reading, mono)
    result = last_known(found)
    if result is not None and result is not memory.result:
        memory.result = result
        memory.points = merged(result.history, signal.direction)
        memory.spark = spark(memory.points, result.evaluated_at, min(signal.history, 900.0))
    if isinstance(found, Unknown):
        reason = found.reason
        shown = reason if reason.startswith(("Prometheus", "last read", "last sample")) else f"Prometheus: {reason}"
        return _Raw(Level.UNKNOWN, _last_value(signal, result), shown, found.age_s, warn=warn, crit=crit)
    assert reading is not None
    ages = _ages(found.data, found.age_s)
    oldest = max(ages, default=found.age_s)
    memory.until = mono + reading.max_sample_s - oldest
    late = [(age, one) for age, one in zip(ages, found.data.samples, strict=True) if age > reading.max_sample_s]
    return _judge(signal, found.data, memory, oldest, late, switched_off)


def _ages(result: QueryResult, newest_s: float) -> list[float]:
    """Return how old each sample is, when the newest of them is so old."""
    times = [sample.at for sample in result.samples if sample.at is not None]
    newest = max(times, default=0.0)
    return [newest_s if one.at is None else newest_s + newest - one.at for one in result.samples]


def _judge(
    signal: SignalDef,
    result: QueryResult,
    memory: _Memory,
    age: float | None,
    late: Sequence[tuple[float, Sample]] = (),
    switched_off: frozenset[str] = frozenset(),
) -> _Raw:
    """Judge the worst of what is known.

    `late`: samples that are too old. With any of them, or a series that was bad and is gone,
    nothing is OK: they may be the worst.
    """
    old = {id(sample) for _, sample in late}
    finite = [one for one in result.samples if math.isfinite(one.value) and id(one) not in old]
    warn, crit, base = signal.warn, signal.crit, None
    if signal.baseline is not None:
        base, why = _baseline(signal, result, memory)
        if base is None:
            value = _worst(signal, finite).value if finite else None
            reason = why if finite else _nothing(result)
            return _Raw(Level.UNKNOWN, value, reason, age)
        warn, crit = (None if each is None else each * base for each in (warn, crit))
    if not result.samples and signal.absent is not None:
        finite = [Sample({}, signal.absent)]
    if not finite:
        why = _late(late) or _gone(signal, result, warn, crit, switched_off) or _nothing(result)
        return _Raw(Level.UNKNOWN, None, why, age, baseline=base, warn=warn, crit=crit)
    sample = _worst(signal, finite)
    level = judge(sample.value, signal.direction, warn, crit)
    reason = _words(
        signal=signal, level=level, value=sample.value, warn=warn, crit=crit, labels=sample.labels, base=base
    )
    doubt = _doubt(result, finite) or _late(late) or _gone(signal, result, warn, crit, switched_off)
    if doubt:
        reason = f"{reason}; {doubt}" if level is not Level.OK else doubt
        level = Level.UNKNOWN if level is Level.OK else level
    return _Raw(
        level=level,
        value=sample.value,
        reason=reason,
        age_s=age,
        labels=sample.labels or None,
        baseline=base,
        warn=warn,
        crit=crit,
        baseline_from=memory.baseline_from if base is not None else "",
    )


def _baseline(signal: SignalDef, result: QueryResult, memory: _Memory) -> tuple[float | None, str]:
    """Return what is normal over the window, unless that is bad against the one before.

    Then an incident fills the window, and must not become what is normal. Where the long window was
    not read (yet), the median of the history at hand stands for it.

    (What stays changed for good is taken up at the next start.)
    """
    assert signal.baseline is not None
    long = merged(memory.usual.history, signal.direction) if memory.usual is not None else []
    base, since, why = usual(long, memory.points, result.evaluated_at, signal.baseline, signal.direction)
    if base is None:
        return memory.baseline, why
    if base < 0 or (base == 0 and signal.direction == "above"):
        return None, f"the baseline is {base:g}: no multiple of it is a threshold"
    if memory.baseline is not None:
        warn, crit = (None if each is None else each * memory.baseline for each in (signal.warn, signal.crit))
        if judge(base, signal.direction, warn, crit) is not Level.OK:
            return memory.baseline, ""
    memory.baseline, memory.baseline_from = base, since
    return base, ""


def _doubt(result: QueryResult, finite: list[Sample]) -> str:
    """Return why a value that looks well cannot be called OK."""
    bad = [s for s in result.samples if not math.isfinite(s.value)]
    if bad and finite:
        return f"{len(bad)} of {len(result.samples)} samples are {_spelt(bad[0].value)}: {_labels(bad[0].labels)}"
    warnings = [warning for warning in result.warnings if not warning.startswith(_NO_HISTORY)]
    return f"Prometheus warns, the result may be partial: {warnings[0]}" if warnings else ""


def _late(late: Sequence[tuple[float, Sample]]) -> str:
    if not late:
        return ""
    age, sample = max(late, key=lambda pair: pair[0])
    return f"last sample {spell(age)} ago: {_labels(sample.labels)}"


def _gone(
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
    return f"{_labels(labels)}: {amount(value)}{unit} {spell(now - at)} ago, then gone{more}"


def _on_purpose(labels: Mapping[str, str], switched_off: frozenset[str]) -> bool:
    pod = labels.get("pod", "")
    return not switched_off.isdisjoint(labels.values()) or any(
        pod.startswith(word) for word in switched_off if word.endswith("-")
    )


def _nothing(result: QueryResult) -> str:
    if result.samples:
        return f"the value is {_spelt(result.samples[0].value)}"
    return "no data: the metric does not exist or nothing matches"


def _spelt(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "no labels"


def _worst(signal: SignalDef, samples: list[Sample]) -> Sample:
    pick = max if signal.direction == "above" else min
    return pick(samples, key=lambda sample: sample.value)


def _last_value(signal: SignalDef, result: QueryResult | None) -> float | None:
    finite = [s for s in result.samples if math.isfinite(s.value)] if result is not None else []
    return _worst(signal, finite).value if finite else None


def _words(
    signal: SignalDef,
    level: Level,
    value: float,
    warn: float | None,
    crit: float | None,
    labels: Mapping[str, str] | None = None,
    base: float | None = None,
) -> str:
    """Return which threshold was passed, or an empty string when all is well."""
    if level is Level.OK:
        return ""
    threshold = crit if level is Level.CRIT else warn
    assert threshold is not None
    unit = f" {signal.unit}" if signal.unit and not signal.unit.startswith("/") else signal.unit
    limit = f"{amount(threshold)}{unit}"
    side = f"from {limit}" if signal.direction == "above" else f"at {limit} or less"
    words = f"{amount(value)}{unit}: {level.value} {side}"
    if base is not None:
        words += f", baseline {amount(base)}{unit}"
    return f"{words} ({_labels(labels)})" if labels else words


def _settle(name: str, signal: SignalDef, raw: _Raw, memory: _Memory, mono: float) -> SignalStatus:
    """Let a worse level count only after `for` seconds; unknown and better ones at once.

    What was bad at the first look, or after a time of unknown, may have held for long: it counts at
    once too.
    """
    first = memory.level in (None, Level.UNKNOWN)
    start = mono - signal.hold if first else mono
    bad = raw.level in (Level.WARN, Level.CRIT)
    memory.since_warn = (memory.since_warn if memory.since_warn is not None else start) if bad else None
    crit = raw.level is Level.CRIT
    memory.since_crit = (memory.since_crit if memory.since_crit is not None else start) if crit else None
    level = raw.level
    if bad:
        level = Level.OK
        if memory.since_warn is not None and mono - memory.since_warn >= signal.hold:
            level = Level.WARN
        if memory.since_crit is not None and mono - memory.since_crit >= signal.hold:
            level = Level.CRIT
    if level is not memory.level:
        memory.level, memory.since = level, mono
    pending, reason = None, raw.reason
    if bad and level is not raw.level:
        pending = raw.level
        began = memory.since_crit if crit else memory.since_warn
        held = mono - began if began is not None else 0.0
        reason = f"{raw.reason}; for {held:.0f} of {signal.hold:g} s"
    return SignalStatus(
        name=name,
        title=signal.title,
        level=level,
        value=raw.value,
        unit=signal.unit,
        reason=reason,
        age_s=raw.age_s,
        sampled_at=mono - raw.age_s if raw.age_s is not None else None,
        since=memory.since,
        pending=pending,
        spark=memory.spark,
        worst_labels=raw.labels,
        baseline=raw.baseline,
        baseline_from=raw.baseline_from,
        warn=raw.warn,
        crit=raw.crit,
        direction=signal.direction,
        off=raw.off,
    )
