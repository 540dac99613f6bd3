"""Shows a chart over the whole screen: what one number was, read value by value."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from cockpit.model.observed.chart import RANGES, ChartNow, ChartOf
from cockpit.model.signal import SIGNAL
from cockpit.model.situation import Situation
from panels.keys import of_selection
from panels.kit.theme import Appearance
from panels.messages import Explain, LogsOf, Selection, WantChart
from panels.screens.chart.drawing import ChartLines
from panels.screens.view import Bar, View

_KEYS = (("←→", "read"), ("-+", "range"), ("↑↓", "series"), ("x", "explain"), ("l", "logs"), ("esc", "back"))


class ChartView(View):
    """Shows the chart of one number; the app hands it what is answered: `tell(now, mono)`.

    Posts WantChart when it opens and for another range, and CloseLayer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign,right_square_bracket", "wider(1)", "Longer range", show=False),
        Binding("minus,left_square_bracket", "wider(-1)", "Shorter range", show=False),
        *of_selection(),
    ]

    def __init__(
        self, of: ChartOf, situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        super().__init__(appearance)
        self.of = of
        self.lines = ChartLines(of, self.appearance)
        self._situation = situation

    def compose(self) -> ComposeResult:
        yield self.lines
        yield Bar(self.appearance, id="keys")

    def opened(self) -> None:
        super().opened()
        self.query_one("#keys", Bar).keys(*_KEYS)
        self.post_message(WantChart(self.of, self.range))
        if self._situation is not None:
            self.show(self._situation)

    def take_focus(self) -> None:
        self.seize(self.lines)

    @property
    def range(self) -> str:
        return self.lines.range

    @property
    def now(self) -> ChartNow | None:
        return self.lines.now

    def show(self, situation: Situation) -> None:
        self.lines.mono = max(self.lines.mono, situation.mono)
        self.lines.show(situation)

    def tell(self, now: ChartNow, mono: float) -> None:
        """Show what is answered by now; `mono`: the screen's own clock."""
        if (now.of, now.range) == (self.of, self.range):
            self.lines.mono, self.lines.now = mono, now
            self.lines.sync()

    def action_wider(self, by: int) -> None:
        names = list(RANGES)
        name = names[min(max(names.index(self.range) + by, 0), len(names) - 1)]
        if name != self.range:
            self.lines.range, self.lines.now, self.lines.at = name, None, None
            self.lines.sync()
            self.post_message(WantChart(self.of, name))

    @property
    def selection(self) -> Selection | None:
        return Selection(SIGNAL, "", self.of.name) if self.of.kind == "signal" else None

    def action_explain(self) -> None:
        if self.selection is not None:
            self.post_message(Explain(self.selection))

    def action_logs(self) -> None:
        if self.selection is not None:
            self.post_message(LogsOf(self.selection))
