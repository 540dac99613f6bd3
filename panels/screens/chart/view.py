"""Shows a chart over the whole screen: what one number was, read value by value."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.observed.chart import FIRST_RANGE, RANGES, ChartNow, ChartOf
from cockpit.model.signal import SIGNAL, SignalStatus
from cockpit.model.situation import Situation
from panels.dashboard.facts.metrics import Trouble
from panels.dashboard.frame.panel import fault_lines
from panels.keys import of_selection
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line, Span
from panels.kit.theme import MARK, WORD, Appearance
from panels.kit.words import age, value
from panels.messages import Explain, LogsOf, Selection, WantChart
from panels.screens.chart.happened import marks_of
from panels.screens.chart.plot import Options, picture, span_words, times_of
from panels.screens.view import Bar, RowsView

_SLOW_S = 2.0  # a question that takes longer is said
_FAR = 10  # points that pgup and pgdn go


class ChartLines(LineWidget, can_focus=True):
    """Draws the chart that was answered, and keeps the cursor's time."""

    DEFAULT_CSS = "ChartLines { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "read(-1)", "Point before", show=False),
        Binding("right", "read(1)", "Next point", show=False),
        Binding("pageup,ctrl+b", f"read(-{_FAR})", "Points before", show=False),
        Binding("pagedown,ctrl+f", f"read({_FAR})", "Next points", show=False),
        Binding("home,g", "read_end(0)", "Oldest", show=False),
        Binding("end,G", "read_end(-1)", "Newest", show=False),
        Binding("down,j", "choose(1)", "Next series", show=False),
        Binding("up,k", "choose(-1)", "Series before", show=False),
    ]

    def __init__(self, appearance: Appearance) -> None:
        super().__init__(appearance)
        self.now: ChartNow | None = None
        self.status: SignalStatus | None = None
        self.unit = ""
        self.mono = 0.0  # now
        self.at: float | None = None  # the cursor's time; None: it goes with the newest point
        self.chosen = 0

    def picture(self, width: int, height: int) -> list[Line]:
        chart, said = self.now.chart if self.now is not None else None, self._said(width)
        if chart is None:
            return said
        ascii_only = self.appearance.ascii
        marks = marks_of(self.situation, chart.start, chart.end, chart.behind_s) if self.situation is not None else ()
        options = Options(
            unit=self.unit,
            status=self.status,
            marks=marks,
            at=self.at,
            chosen=min(self.chosen, max(0, len(chart.traces) - 1)),
            letters=ascii_only or (self.appearance.colours == "none" and len(chart.traces) > 1),
        )
        return [*said, *picture(chart, options, width, height - len(said))]

    def _said(self, width: int) -> list[Line]:
        """Say why there is no answer, or none of now; how old what is shown is."""
        now = self.now
        if now is None:
            return []
        ago = age(self.mono - now.answered_at) if now.answered_at is not None else "?"
        shown = f"; what is shown is {ago} old" if now.chart is not None else ""
        if now.fault:
            return fault_lines([Trouble("chart", "UNKNOWN", f"{now.fault}{shown}", now.remedy)], width)
        since = self.mono - now.asked_at if now.asked_at is not None else 0.0
        if since < _SLOW_S:
            return []
        return [((f" ? asked {age(since)} ago, no answer{shown or ' yet'}", "unknown"),)]

    def action_read(self, by: int) -> None:
        chart = self.now.chart if self.now is not None else None
        times = times_of(chart) if chart is not None else []
        if not times or chart is None:
            return
        here = self.at if self.at is not None else times[-1]
        there = min(max(here + by * chart.step_s, times[0]), times[-1])
        self.at = None if there >= times[-1] else there
        self.sync()

    def action_read_end(self, place: int) -> None:
        chart = self.now.chart if self.now is not None else None
        times = times_of(chart) if chart is not None else []
        self.at = times[0] if times and place == 0 else None
        self.sync()

    def action_choose(self, by: int) -> None:
        count = len(self.now.chart.traces) if self.now is not None and self.now.chart is not None else 0
        if count:
            self.chosen = (min(self.chosen, count - 1) + by) % count
            self.sync()


class ChartView(RowsView):
    """Shows the chart of one number; the app hands it what is answered: `tell(now, mono)`.

    Posts WantChart when it opens and for another range, and CloseLayer.
    """

    KEYS = (("←→", "read"), ("-+", "range"), ("↑↓", "series"), ("x", "explain"), ("l", "logs"), ("esc", "back"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign,right_square_bracket", "wider(1)", "Longer range", show=False),
        Binding("minus,left_square_bracket", "wider(-1)", "Shorter range", show=False),
        *of_selection(),
    ]

    def __init__(
        self, of: ChartOf, situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        appearance = appearance or Appearance()
        self.lines = ChartLines(appearance)
        super().__init__(self.lines, appearance)
        self.of = of
        self.range = FIRST_RANGE
        self.now: ChartNow | None = None
        self._situation = situation

    def opened(self) -> None:
        super().opened()
        self.post_message(WantChart(self.of, self.range))
        if self._situation is not None:
            self.show(self._situation)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.lines.mono = max(self.lines.mono, situation.mono)
        lines, runbooks = self.lines, situation.runbooks
        lines.situation = situation
        row = runbooks.signals.get(self.of.name) if self.of.kind == "signal" else runbooks.queries.get(self.of.name)
        lines.unit = row.unit if row is not None else ""
        lines.status = situation.signals.get(self.of.name) if self.of.kind == "signal" else None
        self._draw()

    def tell(self, now: ChartNow, mono: float) -> None:
        """Show what is answered by now; `mono`: the screen's own clock."""
        if (now.of, now.range) != (self.of, self.range):
            return
        self.lines.mono = mono
        self.now = self.lines.now = now
        self._draw()

    def _draw(self) -> None:
        if not self.is_attached or self._situation is None:
            return
        self.query_one("#top", Bar).say(*self._title(self._situation))
        self.query_one("#state", Bar).say(*self._state())
        self.lines.sync()

    def _title(self, situation: Situation) -> list[Span]:
        status = self.lines.status
        signal = situation.runbooks.signals.get(self.of.name) if self.of.kind == "signal" else None
        spans = [(" CHART ", "brand"), (f"  {signal.title if signal is not None else self.of.name}", "bold")]
        if status is not None:
            number = value(status.newest, status.unit)
            spans += [("  ", "text"), (f"{MARK[status.level]} {WORD[status.level]} {number}", status.level.value)]
            spans += [(f"  {self.of.name}", "dim")]
        return spans

    def _state(self) -> list[Span]:
        spans: list[Span] = [(" ", "text")]
        for name in RANGES:
            short = name.replace(" ", "")
            spans.append((f" {name} ", "brand") if name == self.range else (f" {short} ", "dim"))
        now = self.now
        if now is None or now.fault or now.chart is None:
            return [*spans, ("  ? UNKNOWN" if now is not None and now.fault else "  ? asked", "unknown")]
        ago = age(self.lines.mono - now.answered_at) if now.answered_at is not None else "?"
        every = RANGES[self.range][1]
        spans.append((f"  ● {ago}", "ok") if now.chart.traces else ("  ? empty", "unknown"))
        spans.append((f"  a point every {span_words(every)}, UTC", "dim"))
        if abs(now.chart.behind_s) >= 60.0:
            way = "behind" if now.chart.behind_s > 0 else "ahead of"
            spans.append((f"  this clock is {span_words(abs(now.chart.behind_s))} {way} Prometheus'", "warn"))
        return spans

    def action_wider(self, by: int) -> None:
        names = list(RANGES)
        place = min(max(names.index(self.range) + by, 0), len(names) - 1)
        if names[place] == self.range:
            return
        self.range = names[place]
        self.now = self.lines.now = None
        self.lines.at = None
        self.post_message(WantChart(self.of, self.range))
        self._draw()

    @property
    def selection(self) -> Selection | None:
        return Selection(SIGNAL, "", self.of.name) if self.of.kind == "signal" else None

    def action_explain(self) -> None:
        if self.selection is not None:
            self.post_message(Explain(self.selection))

    def action_logs(self) -> None:
        if self.selection is not None:
            self.post_message(LogsOf(self.selection))
