"""The dashboard: strips above, panels below.

All at once where they fit, else one at a time under a line of tabs.

The arrangement is a pure function of the size (`arrange`), so that a storm of resizes ends where it
would have begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from cockpit.model.situation import Situation
from panels.dashboard.api import ApiPanel
from panels.dashboard.guardrails import GuardrailsPanel
from panels.dashboard.journal import JournalPanel
from panels.dashboard.panel import LinesPanel
from panels.dashboard.pods import PodsPanel
from panels.dashboard.postgres import PostgresPanel
from panels.dashboard.publish import PublishPanel
from panels.dashboard.rpc import RpcPanel
from panels.dashboard.signals import SignalsPanel
from panels.dashboard.signers import SignersPanel
from panels.dashboard.strips.matchline import MatchLine
from panels.dashboard.strips.pipeline import PipelineStrip
from panels.dashboard.strips.tabs import TabLine
from panels.dashboard.strips.topstrip import TopStrip
from panels.dashboard.table import TablePanel
from panels.dashboard.toggles import TogglesPanel
from panels.dashboard.watermark import WatermarkPanel
from panels.kit import repaint
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line
from panels.kit.theme import Appearance
from panels.messages import Selection

#: A new panel is one file and one line here, in the order of its number.
PANELS: Final[tuple[type[LinesPanel], ...]] = (
    PodsPanel,
    PublishPanel,
    SignersPanel,
    WatermarkPanel,
    RpcPanel,
    GuardrailsPanel,
    ApiPanel,
    TogglesPanel,
    JournalPanel,
    SignalsPanel,
    PostgresPanel,
)

MIN_WIDTH, MIN_HEIGHT = 80, 24  # of the terminal
STATUS_LINES = 2  # of which tmux or screen may keep so many for themselves
ALL_WIDTH, ALL_HEIGHT = 150, 38  # of the dashboard: from here on all panels at once
#: Rows of the grid: (share of the height, ((panel, share of the width), ...)).
GRID: Final = (
    (15, (("pods", 72), ("publish", 48), ("signers", 40))),
    (13, (("watermark", 39), ("rpc", 40), ("guardrails", 39), ("api", 42))),
    (13, (("toggles", 46), ("journal", 36), ("signals", 44), ("postgres", 34))),
)
#: Which panel tells more about a stage of the pipeline.
STAGES: Final = {
    "ingest": "watermark",
    "aggregate": "watermark",
    "quant": "guardrails",
    "sign": "signers",
    "commit": "publish",
    "reveal": "publish",
    "serve": "api",
}


class TooSmall(LineWidget):
    def picture(self, width: int, height: int) -> list[Line]:
        size = self.app.size
        return [((f"needs {MIN_WIDTH}×{MIN_HEIGHT}, this is {size.width}×{size.height}", "bold"),)]


def arrange(size: Size, terminal: Size, notices: int, current: str) -> dict[str, Region]:
    """Which part goes where.

    Parts that are absent are not on screen; their state, focus and cursor are kept.
    """
    width, height = size
    if terminal.width < MIN_WIDTH or terminal.height < MIN_HEIGHT - STATUS_LINES:
        return {"small": Region(0, 0, width, height)}
    out: dict[str, Region] = {}
    y = 0
    for name, lines in (
        ("top", TopStrip.height_for(width)),
        ("pipeline", PipelineStrip.height_for(width)),
        ("match", 1 + min(2, notices)),
    ):
        out[name] = Region(0, y, width, lines)
        y += lines
    if width >= ALL_WIDTH and height >= ALL_HEIGHT:
        heights = _shares([share for share, _ in GRID], height - y)
        for (_, columns), row_height in zip(GRID, heights, strict=True):
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
    if width >= 120:
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


def _shares(shares: Iterable[int], total: int) -> list[int]:
    shares = list(shares)
    out = [total * share // sum(shares) for share in shares]
    for i in range(total - sum(out)):
        out[i % len(out)] += 1
    return out


class DashboardLayout(Layout):
    """Textual's view of `arrange`.

    Children without a region are off screen, but stay focusable: focus brings them up.
    """

    name = "dashboard"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        assert isinstance(parent, Dashboard)
        regions = parent.regions(size)
        return [
            WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, child, 0, True, False)
            for child in children
            if (region := regions.get(parent.part_of(child))) is not None and region.area
        ]


class Dashboard(Widget):
    """`show` hands the situation to every part.

    Keys 1–9, 0 and - are the app's: `focus_panel(n)`.
    """

    DEFAULT_CSS = """
    Dashboard { width: 1fr; height: 1fr; overflow: hidden hidden; }
    Dashboard > * { width: 100%; height: 100%; }
    """

    def __init__(self, look: Appearance | None = None, *, id: str | None = "dashboard") -> None:  # noqa: A002
        repaint.install()
        super().__init__(id=id)
        self.look = look or Appearance()
        self.panels: dict[str, LinesPanel] = {kind.key: kind(self.look) for kind in PANELS}
        self.top = TopStrip(self.look, id="top")
        self.pipeline = PipelineStrip(self.look, id="pipeline")
        self.match = MatchLine(self.look, id="match")
        self.tabs = TabLine(tuple(self.panels.values()), self.look)
        self.small = TooSmall(self.look, id="small")
        self.situation: Situation | None = None
        self.current = PANELS[0].key  # the panel that has, or had last, the focus
        self._notices = 0
        self._was_small = False
        self._parts: dict[LineWidget, str] = {
            self.top: "top",
            self.pipeline: "pipeline",
            self.match: "match",
            self.tabs: "tabs",
            self.small: "small",
            **{panel: name for name, panel in self.panels.items()},
        }
        self._arrangement = DashboardLayout()

    def compose(self) -> ComposeResult:
        yield from (self.top, self.pipeline, self.match, self.tabs, *self.panels.values(), self.small)

    def on_mount(self) -> None:
        self.panels[self.current].focus(scroll_visible=False)

    @property
    def layout(self) -> Layout:
        return self._arrangement

    def part_of(self, child: Widget) -> str:
        return self._parts.get(child, "") if isinstance(child, LineWidget) else ""

    def regions(self, size: Size) -> dict[str, Region]:
        return arrange(size, self.app.size, self._notices, self.current)

    # --- the situation -------------------------------------------------------------------------------------------------

    def show(self, situation: Situation) -> None:
        """Draw this situation; repaints only what differs."""
        for part in self._following(situation):
            part.show(situation)

    async def follow(self, situation: Situation) -> None:
        """As `show`, several times a second: in one frame, and with a turn for keys after each
        part.
        """
        parts = self._following(situation)
        for part in parts:
            part.hold()
        try:
            for part in parts:
                part.show(situation)
                await asyncio.sleep(0)
        finally:
            for part in parts:
                part.let_go()

    def _following(self, situation: Situation) -> list[LineWidget]:
        """Take the situation over; the parts that are to draw it."""
        self.situation = situation
        if len(situation.notices) != self._notices:
            self._notices = len(situation.notices)
            self._arrange_again()
        on_screen = self.regions(self.size)
        drawn: list[LineWidget] = []
        for part, name in self._parts.items():
            if name in on_screen or part is self.pods:  # what is not on screen costs nothing; the selection stays true
                drawn.append(part)
            else:
                part.situation = situation
        return drawn

    # --- what the app asks -----------------------------------------------------------------------------------------------

    @property
    def pods(self) -> PodsPanel:
        panel = self.panels["pods"]
        assert isinstance(panel, PodsPanel)
        return panel

    @property
    def focused_panel(self) -> LinesPanel:
        """The panel that has the focus, or had it last (a dialog may hold it now)."""
        return self.panels[self.current]

    @property
    def selection(self) -> Selection | None:
        """The pod or workload under the Pods panel's cursor."""
        return self.pods.selection

    def focus_panel(self, number: int) -> bool:
        """Bring panel `number` up and give it the focus; False when there is none."""
        panel = next((p for p in self.panels.values() if p.number == number), None)
        if panel is None:
            return False
        self._bring(panel.key)
        return True

    def jump(self, name: str) -> bool:
        """Go to a panel ("publish"), the panel of a stage ("reveal"), or a service in Pods
        ("m0-submitter"); False if none.
        """
        key = name.lower()
        if key in self.panels or key in STAGES:
            self._bring(STAGES.get(key, key))
            return True
        for service in self.situation.services if self.situation else ():
            if service.name == name and self.pods.find(service.namespace, service.name):
                self._bring("pods")
                return True
        return False

    def set_filter(self, text: str) -> None:
        """Filter the focused panel; the others keep theirs."""
        self.focused_panel.set_filter(text)

    def _bring(self, key: str) -> None:
        self._choose(key)
        self.panels[key].focus(scroll_visible=False)

    def _choose(self, key: str) -> None:
        if key != self.current:
            self.current = self.tabs.current = key
            self._arrange_again()
            if self.situation is not None:
                self.show(self.situation)

    def _arrange_again(self) -> None:
        self.tabs.refresh(layout=True)  # a child's request: a widget's own keeps its cached arrangement of children

    # --- events ----------------------------------------------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        key = self.part_of(event.widget)
        if key in self.panels:
            self._choose(key)

    def on_resize(self) -> None:
        small = "small" in self.regions(self.size)
        if small:
            self.small.sync()
            self.small.refresh()
        elif self._was_small:
            self.call_after_refresh(self._refocus)
        self._was_small = small
        if self.situation is not None:
            self.show(self.situation)  # panels that come (back) on screen have not followed it

    def _refocus(self) -> None:
        # A panel that left the screen lost the focus; a dialog that has it keeps it.
        if self.screen.focused is None:
            self.panels[self.current].focus(scroll_visible=False)


__all__ = ["PANELS", "Dashboard", "TablePanel", "arrange"]
