"""Tells whether a mitigation helped.

A runbook's validation lines against the signals, with three answers: pass, fail, unknown.

A line passes once it has held, without a break, over readings that a proof may rest on
(`grounds.py`). When `within` has passed it fails if its signal is known, and is unknown if it is
not. All lines together pass only if at least one of them did not hold before the step: what held
already proves nothing, nor does what another step may have moved. What can no longer be known ends
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from cockpit.mitigation.proof.before import Baseline, Was, key_of, well
from cockpit.mitigation.proof.chain_silence import ChainSilence
from cockpit.mitigation.proof.grounds import GAP_S, STILL_PAST, Evidence, Hold, evidence_of
from cockpit.mitigation.proof.trend import Trend
from cockpit.model.plan import Gauge, Proof
from cockpit.model.runbook import Runbooks, Validation
from cockpit.model.signal import Level, SignalStatus, near
from cockpit.model.situation import Situation
from cockpit.sources.prometheus.windows import window_of

__all__ = ["Baseline", "Verification", "holds"]

#: "rises" and "falls" without a normal want this much more than all that was read before, as a
#: ratio: noise is no proof.
CLEARLY = 0.10
HELD_BEFORE = "held before the step: proves nothing"
NOT_KNOWN_BEFORE = "what it was before the step is not known"


def holds(line: Validation, status: SignalStatus | None, was: Was | None) -> tuple[bool | None, str]:
    """Tell whether a line holds now (None: unknown), and why it does not."""
    if status is None:
        return None, "no such signal"
    if status.level is Level.UNKNOWN:
        return None, status.reason or "unknown"
    value = status.value
    trouble = "" if well(status) else status.reason or status.level.value
    if line.expect == "ok":
        return not trouble, trouble
    if value is None or value != value:
        return None, status.reason or "no value"
    normal = status.baseline
    if normal is not None and normal != normal:
        normal = None
    if line.expect == "near-baseline":
        if normal is None:
            return (False, trouble) if trouble else (None, "what is usual of it is not known")
        back = not trouble and near(value, normal, status.warn, status.direction, line.tolerance)
        return back, "" if back else f"{value:.4g}, usually {normal:.4g}{_of(status)}"
    if line.expect == "stable":
        return not trouble, trouble
    if line.expect == "rises" and normal is not None:
        enough = value >= line.share * normal
        return enough, "" if enough else f"{value:.4g}, normal is {normal:.4g}{_of(status)}"
    if was is None:
        return None, "its value before the step is not known"
    if line.expect == "rises":
        moved = value > was.high + abs(was.high) * CLEARLY
    else:
        moved = value < was.low - abs(was.low) * CLEARLY
    if not moved:
        return False, f"{value:.4g}, {was.value:.4g} before the step"
    return not trouble, trouble


def _of(status: SignalStatus) -> str:
    return f" ({status.baseline_from})" if status.baseline_from else ""


class Verification:
    """Holds the gauges of one mitigation.

    Feed it situations with `update`; `proof` is PENDING until it is decided.
    """

    def __init__(
        self,
        lines: Sequence[Validation],
        runbooks: Runbooks,
        baseline: Baseline,
        started_mono: float,
        quiet: ChainSilence | None = None,
        mark: Callable[[], int] = lambda: 0,
    ) -> None:
        """Add, for a step that stops publishing, the gauge `quiet` before the others.

        `mark`: how much the journal holds now; `moved_at` tells what it held when the last line
        began to hold.
        """
        self._lines = tuple(lines)
        self._runbooks = runbooks
        self._baseline = baseline
        self._started = started_mono
        self._holds = [Hold() for _ in self._lines]
        self._marks: list[int | None] = [None] * len(self._lines)
        self._trends = [Trend(self._rising(line)) for line in self._lines]
        self._measured: dict[int, Evidence] = {}
        self._swing: dict[int, tuple[float, float]] = {}  # by line: least and greatest value since it holds
        self._mark = mark
        self._quiet = quiet
        self._own: tuple[Gauge, ...] = tuple(self._first(line) for line in self._lines)

    def _first(self, line: Validation) -> Gauge:
        definition = self._runbooks.signals.get(line.signal)
        gauge = Gauge(
            text=line.text,
            signal=line.signal,
            proof=Proof.PENDING,
            value=None,
            unit=definition.unit if definition is not None else "",
            baseline=self._baseline.values.get(line.signal),
            held_s=0.0,
            hold_s=line.hold,
            gives_up_s=deadline(line, self._runbooks),
        )
        held = self._baseline.held
        hopeless = ""
        if definition is None:
            hopeless = "no such signal"
        elif (
            line.signal not in self._baseline.was and line.expect in ("rises", "falls") and definition.baseline is None
        ):
            hopeless = "its value before the step is not known"
        elif self._quiet is None and key_of(line) not in held and not any(known is False for known in held.values()):
            hopeless = NOT_KNOWN_BEFORE  # and nothing else was bad: whatever holds later, no step is proved by it
        return replace(gauge, proof=Proof.UNKNOWN, reason=hopeless, gives_up_s=None) if hopeless else gauge

    def _rising(self, line: Validation) -> bool:
        """Tell whether more of it is better."""
        signal = self._runbooks.signals.get(line.signal)
        by_signal = signal is not None and signal.direction == "below"
        return line.expect == "rises" or (line.expect != "falls" and by_signal)

    @property
    def gauges(self) -> tuple[Gauge, ...]:
        return self._own if self._quiet is None else (self._quiet.gauge, *self._own)

    @property
    def proof(self) -> Proof:
        proofs = {gauge.proof for gauge in self.gauges}
        for verdict in (Proof.FAIL, Proof.UNKNOWN, Proof.PENDING):
            if verdict in proofs:
                return verdict
        return Proof.PASS if proofs else Proof.UNKNOWN

    @property
    def moved_at(self) -> int:
        """Return what `mark` gave when the last of the lines that were bad began to hold."""
        return max((m for index, m in enumerate(self._marks) if m is not None and self._was_bad(index)), default=0)

    def _was_bad(self, index: int) -> bool:
        return self._baseline.held.get(key_of(self._lines[index])) is False

    def doubt(self, why: str) -> None:
        """Make unknown what has passed: `why` it proves nothing of this step."""
        bad = [index for index in range(len(self._lines)) if self._was_bad(index)]
        self._own = tuple(
            replace(gauge, proof=Proof.UNKNOWN, reason=why, gives_up_s=None)
            if gauge.proof in (Proof.PASS, Proof.PENDING) and (index in bad or not bad)
            else gauge
            for index, gauge in enumerate(self._own)
        )

    def update(self, situation: Situation | None, mono: float, measured: Mapping[int, Evidence] | None = None) -> None:
        """Judge every undecided line by the newest reading; an old one tells nothing.

        `measured`: by the line's place, readings that were made for this proof alone.
        """
        if self._quiet is not None:
            self._quiet.update(situation, mono)
        self._own = tuple(
            self._judge(index, gauge, situation, (measured or {}).get(index), mono)
            if gauge.proof is Proof.PENDING
            else gauge
            for index, gauge in enumerate(self._own)
        )
        passed = all(gauge.proof is Proof.PASS for gauge in self._own)
        if self._own and passed and self._quiet is None and not any(map(self._was_bad, range(len(self._lines)))):
            self._own = tuple(replace(gauge, proof=Proof.UNKNOWN, reason=HELD_BEFORE) for gauge in self._own)

    def _judge(
        self, index: int, gauge: Gauge, situation: Situation | None, measured: Evidence | None, mono: float
    ) -> Gauge:
        line, hold = self._lines[index], self._holds[index]
        seen = evidence_of(situation, line.signal, self._runbooks, self._started, mono)
        if measured is not None:
            self._measured[index] = measured
        one = seen
        kept = self._measured.get(index)
        if kept is not None and seen.status is not None and seen.status.level is not Level.UNKNOWN and seen.why:
            one = kept if mono - kept.until <= max(GAP_S, kept.gap_s) else seen
        held, why = (None, one.why) if one.status is None else holds(line, one.status, self._was(line))
        if held is not None and one.why:
            held, why = None, one.why
        if held and line.only_with:
            held, why = self._companion(line, situation, mono)
        if held and line.expect == "stable" and one.status is not None:
            held, why = self._steady(index, line, one.status.value)
        if held is not None and one.exact:
            hold.take_exact(one, held)
        elif held is not None:
            hold.take(one, held)
        elif not why.endswith(STILL_PAST):  # that is no news, good or bad
            hold.end(mono)
        if hold.began is None:
            self._marks[index] = None
            self._swing.pop(index, None)
        elif self._marks[index] is None:
            self._marks[index] = self._mark()
        lasted = hold.lasted()
        known = one.status is not None and one.status.level is not Level.UNKNOWN
        left = deadline(line, self._runbooks) - (mono - self._started)
        newest = seen.status.newest if seen.status is not None and seen.status.level is not Level.UNKNOWN else None
        gauge = replace(
            gauge,
            value=one.status.value if one.status is not None and known else None,
            held_s=max(0.0, min(lasted, line.hold)),
            reason=why,
            gives_up_s=None,
            trend=self._trends[index].take(newest, mono),
        )
        if seen.status is not None and seen.status.off:
            return replace(gauge, proof=Proof.UNKNOWN, reason=seen.status.reason)
        if hold.whole(line.hold):
            return replace(gauge, proof=Proof.PASS)
        if left <= 0.0:
            proof = Proof.UNKNOWN if held is None else Proof.FAIL
            return replace(gauge, proof=proof, reason=why or f"held only {lasted:.0f} of {line.hold:.0f} s")
        return replace(gauge, gives_up_s=left)

    def _steady(self, index: int, line: Validation, value: float | None) -> tuple[bool, str]:
        """Tell whether the values since the line began to hold lie close together."""
        low, high = self._swing.get(index, (value or 0.0, value or 0.0))
        low, high = min(low, value or 0.0), max(high, value or 0.0)
        self._swing[index] = (low, high)
        steady = high - low <= line.tolerance * max(abs(low), abs(high))
        return steady, "" if steady else f"not stable: from {low:.4g} to {high:.4g} in {line.hold:.0f} s"

    def _was(self, line: Validation) -> Was | None:
        return self._baseline.was.get(line.signal)

    def _companion(self, line: Validation, situation: Situation | None, mono: float) -> tuple[bool | None, str]:
        """Tell whether what the line needs to mean anything is there."""
        assert line.only_with is not None
        beside = evidence_of(situation, line.only_with, self._runbooks, self._started, mono)
        if beside.status is not None and well(beside.status) and not beside.why:
            return True, ""
        why = beside.why or (beside.status.reason if beside.status is not None else "") or "not ok"
        return None, f"nothing to judge by: {line.only_with}: {why}"


def deadline(line: Validation, runbooks: Runbooks) -> float:
    """Return when the line must be decided: not before its window can lie behind the step."""
    names = [line.signal, *([line.only_with] if line.only_with else [])]
    window = max((window_of(runbooks.signals[n]) for n in names if n in runbooks.signals), default=0.0)
    return max(line.within, window + line.hold + 2 * GAP_S if window and line.within else line.within)
