"""Draws sparklines as text: eight heights, a blank where nothing was known.

Cheap to draw, cheap to send, easy to compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cockpit.model.signal import SignalStatus

LEVELS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float | None], width: int, top: float | None = None) -> str:
    """Draw the values, oldest first, in `width` characters (right-aligned when fewer).

    The scale starts at 0 (or the lowest negative value) and ends at the highest, or at `top` when
    that is higher. Gaps and NaN stay blank: they are not zero.
    """
    if width <= 0:
        return ""
    buckets = _buckets(values, width)
    known = [v for v in buckets if v is not None]
    if not known:
        return " " * width
    low, high = min(0.0, min(known)), max(known)
    if top is not None and math.isfinite(top):
        high = max(high, top)
    high += (high - low) * 0.15  # a steady rate is not a solid wall
    span = high - low
    return "".join(
        " " if v is None else LEVELS[0 if span <= 0 else min(7, int((v - low) / span * 7.999))] for v in buckets
    ).rjust(width)


def _buckets(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return [v if v is not None and math.isfinite(v) else None for v in values]
    out: list[float | None] = []
    for i in range(width):
        part = values[i * len(values) // width : (i + 1) * len(values) // width]
        known = [v for v in part if v is not None and math.isfinite(v)]
        out.append(sum(known) / len(known) if known else None)
    return out


def points(series: Sequence[tuple[float, float]], width: int, top: float | None = None) -> str:
    """Do the same for (unix seconds, value).

    Buckets keep their borders as time goes on, so that most characters stay put.
    """
    if width <= 0 or not series:
        return " " * max(0, width)
    end = series[-1][0]
    step = max(1.0, (end - series[0][0]) / width)
    last = math.floor(end / step)
    sums: list[float] = [0.0] * width
    counts = [0] * width
    for at, number in series:
        place = width - 1 - (last - math.floor(at / step))
        if 0 <= place < width and math.isfinite(number):
            sums[place] += number
            counts[place] += 1
    return spark([s / n if n else None for s, n in zip(sums, counts, strict=True)], width, top)


def of_signal(signal: SignalStatus, width: int) -> str:
    """Draw a signal's history.

    Where high is bad, the scale reaches to its warning threshold, so that a calm signal looks low.
    """
    return spark(signal.spark, width, signal.warn if signal.direction == "above" else None)
