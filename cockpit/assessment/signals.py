"""Makes signals of the board: ok, warn, crit or unknown, and always why.

Nothing but a fresh, finite, complete value is ever OK.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from cockpit.assessment.baseline import Points, judge, merged, spark
from cockpit.assessment.board import Board
from cockpit.assessment.doubts import (
    doubt_of,
    gone_bad,
    impossible,
    labelled,
    nothing_read,
    sample_ages,
    threshold_words,
    too_old,
)
from cockpit.assessment.usual.kept import KEEP_S, KeptBaselines
from cockpit.assessment.usual.windows import ENOUGH_SHARE, RECENT_S, Usual, median, normal, too_short
from cockpit.assessment.verdicts.culprits import culprits
from cockpit.assessment.verdicts.holding import Held, Raw
from cockpit.assessment.verdicts.onset import onset_of
from cockpit.assessment.verdicts.recovering import Fresh, fresh_of_value, of_newest, silent
from cockpit.clock import Clock
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.reading import Known, Reading, Unknown, believed, last_known, spell
from cockpit.model.runbook import Runbooks, SignalDef
from cockpit.model.signal import Level, SignalStatus
from cockpit.sources.families import FAMILIES
from cockpit.sources.inventory import Inventory
from cockpit.sources.kubernetes.values import BLAMED
from cockpit.sources.paused_markets import NONE_PAUSED, PausedMarkets
from cockpit.sources.prometheus.queries import companions
from cockpit.sources.registry import sources
from cockpit.sources.values import Onset, Snapshot, Values

#: Values that are made of when other signals turned bad.
AGAINST_ONSETS = frozenset(f"kubernetes.{name}" for name in BLAMED)
#: Values that say that there was a release: no failure that follows one.
_OF_RELEASES = AGAINST_ONSETS | {"kubernetes.recent-releases", "kubernetes.suspect-releases"}
#: Of the last hour so much may have been bad, or what is normal is not learned from it.
WELL_SHARE = 0.1


@dataclass(slots=True)
class _Memory:
    """Holds what one signal remembers between evaluations."""

    held: Held = field(default_factory=Held)
    known: Usual | None = None  # the last baseline from a time that was well
    usual: QueryResult | None = None  # the long window that a baseline is made of
    weighed: QueryResult | None = None  # the one that `known` was last compared with
    awaits_usual: bool = False  # the long window has not been answered yet
    reading: Reading[QueryResult] | None = None  # what `status` was made from
    status: SignalStatus | None = None
    result: QueryResult | None = None  # what `points` and `spark` were made from
    points: Points = field(default_factory=list)
    spark: tuple[float | None, ...] = ()
    paused: PausedMarkets = NONE_PAUSED
    until: float = 0.0  # monotonic: the oldest of its samples may be believed so long


class Evaluator:
    """Keeps how long levels have held, and baselines; otherwise a function of the board."""

    def __init__(
        self,
        runbooks: Runbooks,
        clock: Clock,
        *,
        configured: frozenset[str] = frozenset({"kubernetes", "prometheus"}),
        inventory: Inventory | None = None,
        kept: KeptBaselines | None = None,
    ) -> None:
        self._runbooks = runbooks
        self._clock = clock
        self._configured = configured
        self._inventory = inventory or Inventory()
        self._kept = kept
        self.onsets: Mapping[str, Onset] = {}  # of what was bad when it was evaluated last
        self._memory = {name: _Memory() for name in runbooks.signals}
        self._beside = companions(runbooks)
        # What is held against the onset of others comes after them.
        self._order = sorted(runbooks.signals.items(), key=lambda one: one[1].value in AGAINST_ONSETS)

    def evaluate(
        self,
        board: Board,
        cluster: Cluster,
        cluster_now: float,
        switched_off: frozenset[str] = frozenset(),
        stopped: Mapping[str, str] | None = None,
        tempo: float = 1.0,
    ) -> dict[str, SignalStatus]:
        """Return every signal of the runbooks, in their order.

        `cluster_now`: unix seconds on the cluster's clock. `switched_off`: what steps of the
        journal took out of service, by label values: `politics`, or `m0-ingestor-` for its pods.
        `stopped`: the services that are scaled to 0 on purpose, with who did it in words. `tempo`:
        how often steps of the journal let the markets publish, of what was usual.
        """
        mono = self._clock.mono()
        self._inventory.update(cluster, mono)
        snapshot = Snapshot(board, cluster, self._inventory, cluster_now, mono)
        families: dict[str, Values] = {}
        statuses: dict[str, SignalStatus] = {}
        paused = replace(snapshot.paused, tempo=tempo)
        for name, signal in self._order:
            memory = self._memory[name]
            if signal.off:
                raw = Raw(Level.UNKNOWN, None, signal.off, off=True)
            elif signal.value is not None:
                family = signal.value.partition(".")[0]
                if family not in self._configured:
                    raw = Raw(Level.UNKNOWN, None, f"{sources()[family].title} not configured", off=True)
                else:
                    if family not in families:
                        families[family] = FAMILIES[family].values(snapshot)
                    raw = _of_value(signal, families[family], stopped or {})
            elif "prometheus" not in self._configured:
                raw = Raw(Level.UNKNOWN, None, "Prometheus is not configured")
            else:
                reading = board.get(f"prometheus/signals/{name}")
                steady = _steady(reading, memory, mono)
                if steady is not None and paused == memory.paused:
                    statuses[name] = steady
                    continue
                if signal.normal_s is not None:
                    usual = believed(board.get(f"baselines/{name}"), mono)
                    memory.usual = usual.data if isinstance(usual, Known) else memory.usual
                    memory.awaits_usual = isinstance(usual, Unknown) and usual.starting
                raw = _of_prometheus(signal, reading, memory, mono, switched_off, self._kept, paused)
                memory.reading, memory.paused = reading, paused
                if raw.level.bad:
                    raw = replace(raw, fresh=self._fresh(name, signal, raw, board, mono))
            statuses[name] = memory.status = memory.held.settle(name, signal, raw, memory.spark, mono)
            if statuses[name].level.bad and signal.value not in _OF_RELEASES:
                snapshot.onsets[name] = onset_of(signal, memory.held, memory.points, raw, mono, cluster_now)
        self.onsets = snapshot.onsets
        return {name: statuses[name] for name in self._runbooks.signals}

    def _fresh(self, name: str, signal: SignalDef, raw: Raw, board: Board, mono: float) -> Fresh | None:
        """Return what is new of a bad signal; None where silence may be that nothing is tried."""
        found = of_newest(name, signal, board, mono, raw.warn, raw.crit)
        beside = self._beside.get(name)
        if found is None or found.level is not Level.OK or beside is None:
            return found
        other, memory = self._runbooks.signals[beside], self._memory[beside]
        base = 1.0 if other.baseline is None else memory.known.value if memory.known is not None else math.nan
        limits = [None if each is None else each * base for each in (other.warn, other.crit)]
        return None if silent(of_newest(beside, other, board, mono, *limits)) else found


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


def _of_value(signal: SignalDef, values: Values, stopped: Mapping[str, str]) -> Raw:
    assert signal.value is not None
    value = values.get(signal.value)
    warn, crit = signal.warn, signal.crit
    if value.number is None or not math.isfinite(value.number):
        return Raw(
            Level.UNKNOWN,
            None,
            value.reason or "no value",
            value.age_s,
            warn=warn,
            crit=crit,
            off=value.off,
            starting=value.starting,
        )
    if value.age_s is not None and value.age_s > signal.max_age:
        late = f"last read {spell(value.age_s)} ago, more than {signal.max_age:g} s"
        return Raw(Level.UNKNOWN, value.number, late, value.age_s, value.labels, warn=warn, crit=crit)
    if cannot_be := impossible(signal, value.number, value.labels or {}):
        return Raw(Level.UNKNOWN, value.number, cannot_be, value.age_s, value.labels, warn=warn, crit=crit)
    level = judge(value.number, signal.direction, warn, crit)
    words = threshold_words(
        signal=signal,
        level=level,
        value=value.number,
        warn=warn,
        crit=crit,
        who=labelled(value.labels or {}) if value.labels else "",
    )
    words = f"{value.reason}: {words}" if value.reason and words else words
    service = FAMILIES[signal.value.partition(".")[0]].service_of(signal.value)
    if service is not None and service in stopped and level is Level.CRIT:
        level, words = Level.WARN, stopped[service]
    fresh = fresh_of_value(signal, value) if level.bad else None
    return Raw(level, value.number, words, value.age_s, value.labels, warn=warn, crit=crit, fresh=fresh)


def _of_prometheus(
    signal: SignalDef,
    reading: Reading[QueryResult] | None,
    memory: _Memory,
    mono: float,
    switched_off: frozenset[str] = frozenset(),
    kept: KeptBaselines | None = None,
    paused: PausedMarkets = NONE_PAUSED,
) -> Raw:
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
        last = _last_value(signal, result)
        return Raw(Level.UNKNOWN, last, shown, found.age_s, warn=warn, crit=crit, starting=found.starting)
    assert reading is not None
    ages = sample_ages(found.data, found.age_s)
    oldest = max(ages, default=found.age_s)
    memory.until = mono + reading.max_sample_s - oldest
    late = [(age, one) for age, one in zip(ages, found.data.samples, strict=True) if age > reading.max_sample_s]
    raw = _judge(signal, found.data, memory, oldest, late, switched_off, kept, paused)
    return replace(raw, bound_s=reading.max_sample_s)


def _judge(
    signal: SignalDef,
    result: QueryResult,
    memory: _Memory,
    age: float | None,
    late: Sequence[tuple[float, Sample]] = (),
    switched_off: frozenset[str] = frozenset(),
    kept: KeptBaselines | None = None,
    paused: PausedMarkets = NONE_PAUSED,
) -> Raw:
    """Judge the worst of what is known.

    `late`: samples that are too old. With any of them, or a series that was bad and is gone,
    nothing is OK: they may be the worst. Nothing is expected of a market that is paused.
    """
    old = {id(sample) for _, sample in late}
    finite = [one for one in result.samples if math.isfinite(one.value) and id(one) not in old]
    expected = [one for one in finite if one.labels.get("market") not in paused.names]
    if finite and not expected:
        return Raw(Level.UNKNOWN, None, "every market is paused", age)
    finite = expected
    warn, crit, base, unsure = signal.warn, signal.crit, None, ""
    if signal.baseline is not None:
        base, unsure = _baseline(signal, result, memory, kept)
        if base is None:
            value = _worst(signal, finite).value if finite else None
            reason = unsure if finite else nothing_read(result)
            return Raw(Level.UNKNOWN, value, reason, age, starting=memory.awaits_usual and bool(finite))
        warn, crit = _times(signal, base)
    elif signal.usual is not None:
        base = _baseline(signal, result, memory, kept)[0]
    if signal.per_market and (paused.names or paused.tempo != 1.0):
        if paused.every:
            return Raw(Level.UNKNOWN, None, "every market is paused", age)
        share = paused.share * (paused.tempo if signal.unit == "/min" else 1.0)
        warn, crit = _expected(signal, warn, share), _expected(signal, crit, share)
    if not result.samples and signal.absent is not None:
        finite = [Sample({}, signal.absent)]
    if not finite:
        why = too_old(late) or gone_bad(signal, result, warn, crit, switched_off) or nothing_read(result)
        return Raw(Level.UNKNOWN, None, why, age, baseline=base.value if base else None, warn=warn, crit=crit)
    sample = _worst(signal, finite)
    level = judge(sample.value, signal.direction, warn, crit)
    where = culprits(signal, finite, warn, crit)
    who = where if "," in where or where.startswith("all ") else labelled(sample.labels) if sample.labels else ""
    reason = threshold_words(signal=signal, level=level, value=sample.value, warn=warn, crit=crit, who=who, base=base)
    lowest = min(finite, key=lambda one: one.value)
    doubt = (
        impossible(signal, lowest.value, lowest.labels)
        or doubt_of(result, finite)
        or too_old(late)
        or gone_bad(signal, result, warn, crit, switched_off)
    )
    doubt = doubt or (unsure if level is Level.OK else "")
    if doubt:
        reason = f"{reason}; {doubt}" if level is not Level.OK else doubt
        level = Level.UNKNOWN if level is Level.OK else level
    return Raw(
        level=level,
        value=sample.value,
        reason=reason,
        age_s=age,
        labels=sample.labels or None,
        where=where,
        baseline=base.value if base is not None and (not unsure or level.rank > Level.UNKNOWN.rank) else None,
        warn=warn,
        crit=crit,
        baseline_from=base.words if base is not None else "",
        starting=memory.awaits_usual and level is Level.UNKNOWN and doubt == unsure,
    )


def _times(signal: SignalDef, usual: Usual) -> tuple[float | None, float | None]:
    """Return the thresholds that are multiples of what is usual."""
    warn, crit = (None if each is None else each * usual.value for each in (signal.warn, signal.crit))
    return warn, crit


def _expected(signal: SignalDef, threshold: float | None, share: float) -> float | None:
    """Return the threshold of a signal of all markets together, where a share of them publishes."""
    if threshold is None:
        return None
    if signal.direction == "below":
        return threshold * share
    return 100.0 * (1.0 - share) + threshold * share if signal.unit == "%" else threshold


def _baseline(
    signal: SignalDef, result: QueryResult, memory: _Memory, kept: KeptBaselines | None
) -> tuple[Usual | None, str]:
    """Return what is normal, and why nothing may be called well against it ("": it may).

    What was known before, here or on disk, stays while the long window is bad against it: then an
    incident fills the window, and must not become what is normal. Where neither is known, the
    history at hand can still say that something is bad. What stays changed is taken up when the old
    is forgotten (`KEEP_S`).
    """
    assert signal.normal_s is not None and signal.promql is not None
    span = signal.normal_s
    now = result.evaluated_at if result.evaluated_at is not None else memory.points[-1][0] if memory.points else 0.0
    if memory.known is None and kept is not None:
        memory.known = kept.get(signal.promql, now)
    if memory.known is not None and now - memory.known.until > KEEP_S:
        memory.known = None
    if memory.usual is not None and memory.usual is not memory.weighed:
        memory.weighed = memory.usual
        long = normal(merged(memory.usual.history, signal.direction), now, span, signal.direction)
        if long is not None and _acceptable(signal, long, memory, now):
            memory.known = long
            if kept is not None and long.enough(span):
                kept.put(signal.promql, long)
    base, sure = memory.known, memory.known is not None and memory.known.enough(span)
    if base is None:
        base = median(memory.points, now, span)
        sure = base is not None and base.span_s >= ENOUGH_SHARE * (span - RECENT_S)
        memory.known = base if sure else None
    if base is None:
        return None, _waits(memory) or too_short(memory.points, now)
    if signal.baseline is not None and (base.value < 0 or (base.value == 0 and signal.direction == "above")):
        return None, f"the baseline is {base.value:g}: no multiple of it is a threshold"
    return base, "" if sure else _waits(memory) or f"what is usual is known of {base.span_s / 60:.0f} min only"


def _waits(memory: _Memory) -> str:
    return "what is usual is not read yet" if memory.awaits_usual else ""


def _acceptable(signal: SignalDef, long: Usual, memory: _Memory, now: float) -> bool:
    """Tell whether a long window may become what is normal: not where it holds an incident."""
    known = memory.known
    if known is None or not known.enough(signal.normal_s or 0.0):
        return True
    warn, crit = _times(signal, known) if signal.baseline is not None else (signal.warn, signal.crit)
    bad = [judge(value, signal.direction, warn, crit) is not Level.OK for at, value in memory.points if at > now - 3600]
    return judge(long.value, signal.direction, warn, crit) is Level.OK and sum(bad) <= WELL_SHARE * len(bad)


def _worst(signal: SignalDef, samples: list[Sample]) -> Sample:
    pick = max if signal.direction == "above" else min
    return pick(samples, key=lambda sample: sample.value)


def _last_value(signal: SignalDef, result: QueryResult | None) -> float | None:
    finite = [s for s in result.samples if math.isfinite(s.value)] if result is not None else []
    return _worst(signal, finite).value if finite else None
