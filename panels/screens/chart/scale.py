"""Chooses where an axis begins and ends, and which round numbers and times stand at it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cockpit.model.signal import YES_NO
from panels.kit.words import value

_TIMES = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000)
_DAY = 86_400.0
_APART = 12  # cells between two times
#: What is drawn takes at least this share of the height: a limit far away is told in words. A line
#: that is steady has no height to keep: a limit within twice its value is shown.
_LEAST_SHARE, _NEAR = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Holds both ends of the values' axis, and the round values between."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, number: float) -> float:
        """Return how high a value stands: 0 at the bottom, 1 at the top."""
        return (number - self.low) / (self.high - self.low)

    def holds(self, number: float | None) -> bool:
        return number is not None and self.low <= number <= self.high


def scale(values: Sequence[float], limits: Sequence[float | None], unit: str, most: int) -> Scale:
    """Return an axis for the values, with `most` ticks, and for those limits that are near."""
    if unit == YES_NO:
        return Scale(-0.1, 1.1, (0.0, 1.0))
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low >= 0.0 and low <= high * 0.6:
        low = 0.0
    if low == high:
        low, high = (low - abs(low) * 0.1, high + abs(high) * 0.1) if high else (0.0, 1.0)
    span = high - low
    for limit in limits:
        if limit is None or not math.isfinite(limit):
            continue
        wider = max(high, limit) - min(low, limit)
        if span >= wider * _LEAST_SHARE or wider <= _NEAR * max(abs(low), abs(high)):
            low, high = min(low, limit), max(high, limit)
    step = _round_step((high - low) / max(1, most))
    if not math.isfinite(step) or step <= 0.0:
        return Scale(low, high if high > low else low + 1.0, ())
    first, last = math.floor(low / step), math.ceil(high / step)
    if high == last * step and values and max(values) == high:
        last += 1  # the highest is not drawn into the frame
    return Scale(first * step, last * step, tuple(n * step for n in range(first, last + 1)))


def _round_step(rough: float) -> float:
    if rough <= 0.0 or not math.isfinite(rough):
        return 1.0
    size = 10.0 ** math.floor(math.log10(rough))
    return next((size * n for n in (1.0, 2.0, 2.5, 5.0) if size * n >= rough), size * 10.0)


def tick_words(scale_: Scale, unit: str) -> list[str]:
    """Return what stands at the ticks; more digits where two would look alike."""
    words = [value(tick, unit) for tick in scale_.ticks]
    if len(set(words)) < len(words):
        words = [f"{tick:.6g}" for tick in scale_.ticks]
    return words


def time_ticks(start: float, end: float, width: int) -> list[tuple[float, str]]:
    """Return round times (unix seconds) of the axis, in UTC, with their words."""
    span = end - start
    step = next((n for n in _TIMES if width * n / span >= _APART), _TIMES[-1])
    first = math.ceil(start / step)
    return [(n * step, _words(n * step, step)) for n in range(first, math.floor(end / step) + 1)]


def _words(at: float, step: float) -> str:
    when = datetime.fromtimestamp(at, UTC)
    if step >= _DAY:
        return when.strftime("%m-%d")
    if step < 60:
        return when.strftime("%H:%M:%S")
    return when.strftime("%m-%d") if step >= 10_800 and at % _DAY == 0 else when.strftime("%H:%M")
