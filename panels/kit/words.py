"""Writes numbers as an operator reads them.

These are ages, durations, rates and ratios with their unit.
Unknown is "?", never 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from cockpit.model.signal import YES_NO, noun_of

_TIME = {"ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0, "us": 1e-6, "µs": 1e-6, "min": 60.0, "h": 3600.0}
_RATIO = {"ratio": 1.0, "%": 0.01, "percent": 0.01}
_PER_MINUTE = {"/min": 1.0, "/m": 1.0, "per-minute": 1.0, "per minute": 1.0, "/minute": 1.0}
_PER_SECOND = {"/s": 1.0, "per-second": 1.0, "per second": 1.0, "/second": 1.0}
_BYTES = ("bytes", "byte", "B")

UNKNOWN = "?"


def age(seconds: float | None) -> str:
    """Say how long ago: "2s", "12m", "3h", "4d"."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    seconds = max(0.0, seconds)
    for limit, divisor, unit in ((100, 1, "s"), (6000, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // divisor)}{unit}"
    return f"{int(seconds // 86_400):,}d"


def duration(seconds: float) -> str:
    """Return "184ms", "1.2s", "74s" or "12m"."""
    size = abs(seconds)
    if size < 0.0005:
        return "0ms"
    if size < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if size < 9.95:
        return f"{seconds:.1f}s"
    if size < 600:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if size < 6000 else f"{seconds / 3600:.0f}h"


def shown_digit(seconds: float) -> float:
    """Return it as exactly as `duration` shows it: rows that look alike keep their order."""
    return round(seconds, 1 if abs(seconds) < 9.95 else 0 if abs(seconds) < 600 else -1)


def most_first(of: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return (name, rate), the most first, by the digits shown: what looks alike does not move."""
    return sorted(of.items(), key=lambda pair: (-_digits(pair[1]), pair[0]))


def _digits(number: float) -> float:
    if math.isnan(number):
        return -math.inf
    size = abs(number)
    return round(number, 0 if size >= 9.95 else 1 if size >= 1 else 2)


def count(value: float) -> str:
    """Return "0.02", "3", "1,904", "120k" or "4.5M"."""
    size = abs(value)
    if size >= 1e12:
        return f"{value:.0e}"
    if size >= 999_950:
        return f"{value / 1e6:.1f}M"
    if size >= 99_950:
        return f"{value / 1e3:.0f}k"
    if size >= 9.95 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 1 else f"{value:.2f}"


def percent(ratio: float) -> str:
    size = abs(ratio)
    if size >= 0.9995 or ratio == 0:
        return f"{ratio * 100:.0f} %"
    return f"{ratio * 100:.1f} %" if size < 0.1 or size > 0.9 else f"{ratio * 100:.0f} %"


def value(number: float | None, unit: str) -> str:
    """Return the number in its unit; "?" for none and for no number, infinities by name."""
    if number is None or math.isnan(number):
        return UNKNOWN
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if unit == YES_NO:
        return "yes" if number else "no"
    if unit in _TIME:
        return f"0{unit[0]}" if number == 0 and _TIME[unit] >= 1.0 else duration(number * _TIME[unit])
    if unit in _RATIO:
        return percent(number * _RATIO[unit])
    if unit in _PER_MINUTE:
        return f"{count(number)}/min"
    if unit in _PER_SECOND:
        return f"{count(number)}/s"
    if unit in _BYTES:
        for name in ("B", "KiB", "MiB", "GiB"):
            if abs(number) < 1024:
                return f"{count(number)} {name}"
            number /= 1024
        return f"{count(number)} TiB"
    return f"{count(number)} {noun_of(number, unit)}" if unit else count(number)


def bare(number: float | None, unit: str) -> str:
    """Return the same without a noun ("310", not "310 events"): the name beside it tells it."""
    return value(number, "" if unit.isalpha() and not any(unit in known for known in (_TIME, _RATIO, _BYTES)) else unit)


def in_base(number: float, unit: str) -> float:
    """Return it in seconds, a ratio or per minute, to compare with a signal's threshold."""
    for table in (_TIME, _RATIO, _PER_MINUTE):
        if unit in table:
            return number * table[unit]
    return number * 60 if unit in _PER_SECOND else number


def clock(unix: float) -> str:
    """Return "12:31:05" in UTC."""
    try:
        return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "??:??:??"
