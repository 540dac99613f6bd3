"""Tells whether a mitigation helped.

A runbook's validation lines against the signals, with three answers: pass, fail, unknown.

A line passes once it has held for `hold` seconds in a row; when `within` has passed it fails if its
signal is known, and is unknown if it is not. A signal that is unknown breaks a hold: what is not
known is not held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from cockpit.mitigation.proof.chain_silence import ChainSilence
from cockpit.model.plan import Gauge, Proof
from cockpit.model.runbook import Runbooks, Validation
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation

OLD_SITUATION_S = 15.0
#: "rises" and "falls" want this much more than the value before, as a ratio: noise is no proof.
CLEARLY = 0.05


@dataclass(frozen=True, slots=True)
class Baseline:
    """Holds the signals' values before the step was sent."""

    values: Mapping[str, float | None]

    @staticmethod
    def of(situation: Situation | None, lines: Sequence[Validation], mono: float) -> Baseline:
        if situation is None or mono - situation.mono > OLD_SITUATION_S:
            return Baseline({})
        known = situation.signals
        return Baseline(
            {
                line.signal: known[line.signal].value
                for line in lines
                if line.signal in known and known[line.signal].level is not Level.UNKNOWN
            }
        )


def holds(line: Validation, status: SignalStatus | None, before: float | None) -> tuple[bool | None, str]:
    """Tell whether a line holds now (None: unknown), and why it does not."""
    if status is None:
        return None, "no such signal"
    if status.level is Level.UNKNOWN:
        return None, status.reason or "unknown"
    value = status.value
    if line.expect == "ok":
        return status.level is Level.OK, "" if status.level is Level.OK else status.reason or status.level.value
    if value is None or value != value:
        return None, status.reason or "no value"
    if line.expect in ("rises", "falls"):
        if before is None or before != before:
            return None, "its value before the step is not known"
        margin = abs(before) * CLEARLY
        moved = value > before + margin if line.expect == "rises" else value < before - margin
        return moved, "" if moved else f"{value:.4g}, {before:.4g} before the step"
    if status.baseline is None or status.baseline != status.baseline:
        return status.level is Level.OK, "" if status.level is Level.OK else status.reason or status.level.value
    near = abs(value - status.baseline) <= abs(status.baseline) * line.tolerance
    return near, "" if near else f"{value:.4g}, usually {status.baseline:.4g}"


class Verification:
    """Holds the gauges of one mitigation.

    Feed it situations with `update`; `proof` is PENDING until every line is decided.
    """

    def __init__(
        self,
        lines: Sequence[Validation],
        runbooks: Runbooks,
        baseline: Baseline,
        started_mono: float,
        quiet: ChainSilence | None = None,
    ) -> None:
        """Add, for a step that stops publishing, the gauge `quiet` before the others."""
        self._lines = tuple(lines)
        self._baseline = baseline
        self._started = started_mono
        self._since: list[float | None] = [None] * len(self._lines)
        self._quiet = quiet
        self._own: tuple[Gauge, ...] = tuple(
            Gauge(
                text=line.text,
                signal=line.signal,
                proof=Proof.PENDING,
                value=None,
                unit=runbooks.signals[line.signal].unit if line.signal in runbooks.signals else "",
                baseline=baseline.values.get(line.signal),
                held_s=0.0,
                hold_s=line.hold,
            )
            for line in self._lines
        )

    @property
    def gauges(self) -> tuple[Gauge, ...]:
        return self._own if self._quiet is None else (self._quiet.gauge, *self._own)

    @property
    def proof(self) -> Proof:
        proofs = {gauge.proof for gauge in self.gauges}
        if Proof.PENDING in proofs:
            return Proof.PENDING
        for verdict in (Proof.FAIL, Proof.UNKNOWN):
            if verdict in proofs:
                return verdict
        return Proof.PASS if proofs else Proof.UNKNOWN

    def update(self, situation: Situation | None, mono: float) -> None:
        """Judge every undecided line by the newest situation; an old one tells nothing."""
        if self._quiet is not None:
            self._quiet.update(situation, mono)
        old = situation is None or mono - situation.mono > OLD_SITUATION_S
        signals: Mapping[str, SignalStatus] = {} if situation is None or old else situation.signals
        self._own = tuple(
            self._judge(index, line, gauge, signals.get(line.signal), old, mono)
            if gauge.proof is Proof.PENDING
            else gauge
            for index, (line, gauge) in enumerate(zip(self._lines, self._own, strict=True))
        )

    def _judge(
        self, index: int, line: Validation, gauge: Gauge, status: SignalStatus | None, old: bool, mono: float
    ) -> Gauge:
        held, why = holds(line, status, self._baseline.values.get(line.signal))
        if old:
            why = "nothing new is known"
        since = self._since[index]
        since = (mono if since is None else since) if held else None
        self._since[index] = since
        held_s = 0.0 if since is None else mono - since
        value = status.value if status is not None and status.level is not Level.UNKNOWN else None
        gauge = replace(gauge, value=value, held_s=min(held_s, line.hold), reason=why)
        if since is not None and held_s >= line.hold:
            return replace(gauge, proof=Proof.PASS)
        if mono - self._started >= line.within:
            proof = Proof.UNKNOWN if held is None else Proof.FAIL
            return replace(gauge, proof=proof, reason=why or f"held only {held_s:.0f} of {line.hold:.0f} s")
        return gauge
