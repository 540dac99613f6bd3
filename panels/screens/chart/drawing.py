"""Draws the chart that was answered, with its title, how old it is, and the cursor's value."""

from __future__ import annotations

from textwrap import wrap
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.observed.chart import FIRST_RANGE, RANGES, Chart, ChartNow, ChartOf
from cockpit.model.signal import SignalStatus
from cockpit.model.situation import Situation
from panels.dashboard.facts.metrics import Trouble
from panels.dashboard.frame.panel import fault_lines
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line, Span, fit
from panels.kit.theme import MARK, WORD, Appearance
from panels.kit.words import age, value
from panels.screens.chart.happened import marks_of
from panels.screens.chart.plot import Options, picture, span_words, times_of

_LEAST_PLOT = 26  # rows that the plot, its legend and its marks keep
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

    def __init__(self, of: ChartOf, appearance: Appearance) -> None:
        super().__init__(appearance)
        self.of = of
        self.range = FIRST_RANGE
        self.now: ChartNow | None = None
        self.mono = 0.0  # now, by the screen's own clock
        self.at: float | None = None  # the cursor's time; None: it goes with the newest point
        self.chosen = 0
        self._picture: tuple[Chart, tuple[object, ...], list[Line]] | None = None

    def picture(self, width: int, height: int) -> list[Line]:
        situation = self.situation
        if situation is None:
            return []
        head = [fit(tuple(self._title(situation)), width), fit(tuple(self._state()), width), *self._said(width)]
        about = self._about(width)
        chart = self.now.chart if self.now is not None else None
        if chart is None:
            return [*head, *about]
        about = about if height - len(head) - len(about) >= _LEAST_PLOT else []
        options = Options(
            unit=self._unit(situation),
            status=self._status(situation),
            marks=marks_of(situation, chart.start, chart.end, chart.behind_s),
            at=self.at,
            chosen=min(self.chosen, max(0, len(chart.traces) - 1)),
            letters=self.appearance.ascii or (self.appearance.colours == "none" and len(chart.traces) > 1),
        )
        return [*head, *self._plot(chart, options, width, height - len(head) - len(about)), *about]

    def _plot(self, chart: Chart, options: Options, width: int, height: int) -> list[Line]:
        """Return the picture; the last one, where nothing that it shows has changed."""
        status = options.status
        limits = (status.warn, status.crit, status.baseline) if status is not None else ()
        drawn_of = (options.unit, limits, options.marks, options.at, options.chosen, options.letters, width, height)
        if self._picture is None or self._picture[0] is not chart or self._picture[1] != drawn_of:
            self._picture = (chart, drawn_of, picture(chart, options, width, height))
        return self._picture[2]

    def _about(self, width: int) -> list[Line]:
        """Return what the number is, where there is room for it; `x` tells it anywhere."""
        lines: list[Line] = []
        for text in self.now.about if self.now is not None else ():
            rows = wrap(text, max(20, width - 4))
            lines += [((f"{' · ' if n == 0 else '   '}{row}", "dim"),) for n, row in enumerate(rows)]
        return [((" WHAT IT IS", "heading"),), *lines] if lines else []

    def _status(self, situation: Situation) -> SignalStatus | None:
        return situation.signals.get(self.of.name) if self.of.kind == "signal" else None

    def _unit(self, situation: Situation) -> str:
        runbooks = situation.runbooks
        row = runbooks.signals.get(self.of.name) if self.of.kind == "signal" else runbooks.queries.get(self.of.name)
        return row.unit if row is not None else ""

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

    def _title(self, situation: Situation) -> list[Span]:
        status = self._status(situation)
        signal = situation.runbooks.signals.get(self.of.name) if self.of.kind == "signal" else None
        spans = [(" CHART ", "brand"), (f"  {signal.title if signal is not None else self.of.name}", "bold")]
        if self.of.label:
            return [*spans, (f"  {self.of.label} {self.of.value}", "key")]
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
        ago = age(self.mono - now.answered_at) if now.answered_at is not None else "?"
        every = RANGES[self.range][1]
        spans.append((f"  ● {ago}", "ok") if now.chart.traces else ("  ? empty", "unknown"))
        spans.append((f"  a point every {span_words(every)}, UTC", "dim"))
        if abs(now.chart.behind_s) >= 60.0:
            way = "behind" if now.chart.behind_s > 0 else "ahead of"
            spans.append((f"  this clock is {span_words(abs(now.chart.behind_s))} {way} Prometheus'", "warn"))
        return spans

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
