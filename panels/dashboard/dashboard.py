"""Shows the dashboard: strips above, panels below.

All at once where they fit, else one at a time under a line of tabs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module

from textual import events
from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from cockpit.model.registry import RegistryError, need_file
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from cockpit.model.views import PANELS, STAGES, WHERE, PanelSpec
from panels.dashboard.arrangement import MIN_HEIGHT, MIN_WIDTH, arrange, shows_all
from panels.dashboard.frame.panel import LinesPanel
from panels.dashboard.pods import PodsPanel
from panels.dashboard.strips.matchline import MatchLine, rows_below
from panels.dashboard.strips.pipeline import PipelineStrip
from panels.dashboard.strips.tabs import TabLine
from panels.dashboard.strips.topstrip import TopStrip
from panels.kit import repaint
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line
from panels.kit.theme import Appearance
from panels.messages import Selection


def kinds(rows: Sequence[PanelSpec] = PANELS) -> dict[str, type[LinesPanel]]:
    """Map names to classes: `panels/dashboard/signers.py` holds `SignersPanel`.

    Raises RegistryError, naming the row, where there is none.
    """
    found: dict[str, type[LinesPanel]] = {}
    for row in rows:
        module, name = f"panels.dashboard.{row.name.replace('-', '_')}", f"{row.name.title().replace('-', '')}Panel"
        need_file(module, where=WHERE, row=row.name)
        kind = getattr(import_module(module), name, None)
        if not (isinstance(kind, type) and issubclass(kind, LinesPanel)):
            raise RegistryError(f"{WHERE}: row {row.name!r}: expected a panel {name} in {module.replace('.', '/')}.py")
        found[row.name] = kind
    return found


class TooSmall(LineWidget):
    def picture(self, width: int, height: int) -> list[Line]:
        size = self.app.size
        return [((f"needs {MIN_WIDTH}×{MIN_HEIGHT}, this is {size.width}×{size.height}", "bold"),)]


class DashboardLayout(Layout):
    """Places the parts as `arrange` says, for textual.

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
    """Shows every panel of VIEWS, and the strips above; `show` hands the situation to each."""

    DEFAULT_CSS = """
    Dashboard { width: 1fr; height: 1fr; overflow: hidden hidden; }
    Dashboard > * { width: 100%; height: 100%; }
    """

    def __init__(self, appearance: Appearance | None = None, *, id: str | None = "dashboard") -> None:  # noqa: A002
        repaint.install()
        super().__init__(id=id)
        self.appearance = appearance or Appearance()
        self.panels: dict[str, LinesPanel] = {name: kind(self.appearance) for name, kind in kinds().items()}
        self.top = TopStrip(self.appearance, id="top")
        self.pipeline = PipelineStrip(self.appearance, id="pipeline")
        self.match = MatchLine(self.appearance, id="match")
        self.tabs = TabLine(tuple(self.panels.values()), self.appearance)
        self.small = TooSmall(self.appearance, id="small")
        self.situation: Situation | None = None
        self.current = PANELS[0].name  # the panel that has, or had last, the focus
        self.whole = False  # it is enlarged over the others
        self._led_to = (0, 0)  # how bad, and how early, the stage was to which the dashboard went by itself
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
        return arrange(size, self.app.size, self._notices, self.current, whole=self.whole)

    # --- the situation ----------------------------------------------------------------------------

    def show(self, situation: Situation) -> None:
        """Draw this situation; repaints only what differs."""
        for part in self._following(situation):
            part.show(situation)

    async def follow(self, situation: Situation) -> None:
        """Do as `show`, several times a second.

        In one frame, with a turn for keys after each part.
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
        """Take the situation over, and return the parts that are to draw it."""
        self.situation = situation
        if (below := rows_below(situation)) != self._notices:
            self._notices = below
            self._arrange_again()
        self._go_where_it_stops(situation)
        on_screen = self.regions(self.size)
        drawn: list[LineWidget] = []
        for part, name in self._parts.items():
            if name in on_screen or part is self.pods:  # what is not on screen costs nothing; the selection stays true
                drawn.append(part)
            else:
                part.situation = situation
        return drawn

    # --- what the app asks ------------------------------------------------------------------------

    @property
    def pods(self) -> PodsPanel:
        panel = self.panels["pods"]
        assert isinstance(panel, PodsPanel)
        return panel

    @property
    def focused_panel(self) -> LinesPanel:
        """Return the panel that has the focus, or had it last (a dialog may hold it now)."""
        return self.panels[self.current]

    @property
    def selection(self) -> Selection | None:
        """Return what the cursor is on, in the panel that has the focus, else in Pods.

        None where that is off screen: what nobody sees was not chosen.
        """
        panel = self.focused_panel
        if panel.chooses:
            return panel.selection
        return self.pods.selection if "pods" in self.regions(self.size) else None

    def focus_panel(self, name: str) -> None:
        """Bring a panel up and give it the focus."""
        self._choose(name)
        self.panels[name].focus(scroll_visible=False)

    def jump(self, name: str) -> bool:
        """Go to a panel ("publish"), a stage's panel ("reveal") or a service in Pods.

        False if none.
        """
        key = name.lower()
        if key in self.panels or key in STAGES:
            self.focus_panel(STAGES.get(key, key))
            return True
        for service in self.situation.services if self.situation else ():
            if service.name == name and self.pods.find(service.namespace, service.name):
                self.focus_panel("pods")
                return True
        return False

    def enlarge(self) -> None:
        """Give the current panel all the room, or put it back."""
        self.whole = not self.whole
        self._arrange_again()
        if self.situation is not None:
            self.show(self.situation)

    def _go_where_it_stops(self, situation: Situation) -> None:
        """Where one panel is in sight at a time, bring up the one that has the trouble.

        Until the operator strikes a key: then it stays where they are.
        """
        bad = {Level.WARN: 1, Level.CRIT: 2}
        stops = [
            (bad[s.level], -at, s.name) for at, s in enumerate(situation.stages) if s.stops_here and s.level in bad
        ]
        if not stops or not self.size or getattr(self.app, "touched", True) or shows_all(self.size):
            return
        level, early, name = stops[0]
        if (level, early) > self._led_to and name in STAGES:
            self._led_to = (level, early)
            self.call_later(self.focus_panel, STAGES[name])

    def set_filter(self, text: str) -> None:
        """Filter the focused panel; the others keep theirs."""
        self.focused_panel.set_filter(text)

    def _choose(self, key: str) -> None:
        if key != self.current:
            self.current = self.tabs.current = key
            self._arrange_again()
            if self.situation is not None:
                self.show(self.situation)

    def _arrange_again(self) -> None:
        self.tabs.refresh(layout=True)  # a child's request: a widget's own keeps its cached arrangement of children

    # --- events -----------------------------------------------------------------------------------

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
