"""Make and send only the cells that changed.

Textual 8.2.8 crops a partial update on the right only: a clock at the right edge would repaint its
whole line each second (2.5 KB/s for nine ages in titles; 0.5 KB/s with this). And it asks every
widget for every line of which any cell changed, those that lie wholly behind others too: a third of
what a second of the dashboard costs. And a cache of two colours a widget, meant for the class,
keeps each of the last thousand widgets with all that they had drawn: a megabyte for every page that
is opened and closed. Textual is pinned exactly; tests/panels/dashboard/test_dashboard_bytes.py and
tests/panels/kit/test_forgetting.py cover the hooks. Spans of our widgets begin and end at whole
spans, so that no wide character is ever cut.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget


def render_segments(self: ChopsUpdate, console: Console) -> str:
    """Render as Textual's own does, but cropped on the left too."""
    out: list[str] = []
    move_to = Control.move_to
    for y, x1, x2 in self.spans:
        for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
            if strip is None or x >= x2 or end <= x1:
                continue
            start = max(x, x1)
            if start > x or end > x2:
                strip = strip.crop(start - x, min(end, x2) - x)
            out.append(move_to(start, y).segment.text)
            out.append(strip.render(console))
    return "".join(out)


def render_partial_update(self: Compositor) -> ChopsUpdate | None:
    """Render as Textual does, but ask a widget only where it is the foremost of what changed."""
    dirty, screen = self._dirty_regions.copy(), self.size.region
    self._dirty_regions.clear()
    regions = [region for each in dirty if (region := each.intersection(screen))]
    if not regions:
        return None
    spans = list(self._regions_to_spans(regions))
    cuts = self.cuts
    chops: list[dict[int, Strip | None]] = [dict.fromkeys(line[:-1]) for line in cuts]
    missing: dict[int, set[int]] = {}  # line → where the spans begin that nobody has drawn yet
    for y, x1, x2 in spans:
        line = cuts[y]
        missing.setdefault(y, set()).update(x for x, end in pairwise(line) if x < x2 and end > x1)
    for widget, (region, clip) in self.visible_widgets.items():  # front to back
        area = region.intersection(clip)
        x1, x2 = area.column_span
        lines = [y for y in area.line_range if y in missing and any(x1 <= x < x2 for x in missing[y])]
        if not lines:
            continue
        strips = widget.render_lines(Region(area.x - region.x, area.y - region.y, area.width, area.height))
        for y in lines:
            own = [cut for cut in cuts[y] if x1 <= cut <= x2]
            for cut, piece in zip(own, strips[y - area.y].divide([cut - x1 for cut in own[1:]]), strict=False):
                if chops[y].get(cut) is None:
                    chops[y][cut] = piece
                    missing[y].discard(cut)
    return ChopsUpdate(chops, spans, [line[1:] for line in cuts])


@lru_cache(1024)
def inner_outer(base: Color, background: Color) -> tuple[Style, Style]:
    """Return the colours inside and outside of a border, as Textual's own does for a widget."""
    return Style(background=base + background), Style(background=base)


def forget_drawing(widget: Widget) -> None:
    """Let go of what a widget that is gone had drawn.

    Widgets refer to each other in circles, which are collected late, and each line of a picture
    weighs kilobytes: without this, a page opened and closed costs half a megabyte for minutes.
    """
    widget._styles_cache.clear()
    strips = getattr(widget, "_strips", None)
    if strips is not None:
        strips.clear()


def install() -> None:
    """Put all three into Textual; the dashboard calls it before the first update.

    It is idempotent.
    """
    ChopsUpdate.render_segments = render_segments  # type: ignore[method-assign]
    Compositor.render_partial_update = render_partial_update  # type: ignore[method-assign]
    StylesCache.get_inner_outer = staticmethod(inner_outer)  # type: ignore[assignment]
