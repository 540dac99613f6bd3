"""Send only the cells that changed. Textual 8.2.8 crops a partial update on the right only: a clock at the right edge would
repaint its whole line each second (2.5 KB/s for nine ages in titles; 0.5 KB/s with this). Textual is pinned exactly;
tests/panels/test_dashboard_bytes.py covers the hook. Spans of our widgets begin and end at whole pieces, so that no wide
character is ever cut.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate


def render_segments(self: ChopsUpdate, console: Console) -> str:
    """As Textual's own, but cropped on the left too."""
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


def install() -> None:
    """Idempotent; the dashboard calls it before the first update."""
    ChopsUpdate.render_segments = render_segments  # type: ignore[method-assign]
