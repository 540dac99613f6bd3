"""Decides which part of the dashboard goes where.

A pure function of the size, so that a storm of resizes ends where it would have begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.geometry import Region, Size

from cockpit.model.views import PANELS, PanelSpec, grid
from panels.dashboard.strips.pipeline import PipelineStrip
from panels.dashboard.strips.topstrip import TopStrip

MIN_WIDTH, MIN_HEIGHT = 80, 24  # of the terminal
STATUS_LINES = 2  # of which tmux or screen may keep so many for themselves
ALL_WIDTH, ALL_HEIGHT = 150, 38  # of the dashboard: from here on all panels at once


def arrange(
    size: Size,
    terminal: Size,
    notices: int,
    current: str,
    panels: Sequence[PanelSpec] = PANELS,
    *,
    whole: bool = False,
) -> dict[str, Region]:
    """Return which part goes where.

    Parts that are absent are not on screen; their state, focus and cursor are kept. `whole`: the
    current panel has all the room; where that is short, the strips that the first one sums up too.
    """
    width, height = size
    if terminal.width < MIN_WIDTH or terminal.height < MIN_HEIGHT - STATUS_LINES:
        return {"small": Region(0, 0, width, height)}
    out: dict[str, Region] = {}
    y = 0
    for name, lines in (
        ("top", TopStrip.height_for(width)),
        ("pipeline", PipelineStrip.height_for(width)),
        ("match", 1 + notices),
    ):
        if whole and height < ALL_HEIGHT and name != "top":
            continue
        out[name] = Region(0, y, width, lines)
        y += lines
    if shows_all(size) and not whole:
        rows = grid(panels)
        heights = _shares([share for share, _ in rows], height - y)
        for (_, columns), row_height in zip(rows, heights, strict=True):
            x = 0
            for (name, _), column_width in zip(columns, _shares([share for _, share in columns], width), strict=True):
                out[name] = Region(x, y, column_width, row_height)
                x += column_width
            y += row_height
        return out
    out["tabs"] = Region(0, y, width, 1)
    y += 1
    rest = Region(0, y, width, max(0, height - y))
    # With room to spare, the signals stay in sight beside (or below) the chosen panel.
    mate = "signals" if current != "signals" else "pods"
    if whole:
        out[current] = rest
    elif width >= 120:
        left = width * 55 // 100
        out[current] = Region(0, y, left, rest.height)
        out[mate] = Region(left, y, width - left, rest.height)
    elif rest.height >= 30:
        upper = rest.height * 60 // 100
        out[current] = Region(0, y, width, upper)
        out[mate] = Region(0, y + upper, width, rest.height - upper)
    else:
        out[current] = rest
    return out


def shows_all(size: Size) -> bool:
    """Return whether a dashboard of this size shows every panel at once."""
    return size.width >= ALL_WIDTH and size.height >= ALL_HEIGHT


def _shares(shares: Iterable[int], total: int) -> list[int]:
    shares = list(shares)
    out = [total * share // sum(shares) for share in shares]
    for i in range(total - sum(out)):
        out[i % len(out)] += 1
    return out
