"""Draws a chart as lines: the values with their axes, limits, what is usual, marks and a cursor."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from cockpit.model.observed.chart import Chart, Mark, Trace, axis
from cockpit.model.signal import YES_NO, SignalStatus
from panels.kit.spans import Line, Span, cut, pad, width_of
from panels.kit.words import UNKNOWN, clock, value
from panels.screens.chart.canvas import Canvas
from panels.screens.chart.scale import Scale, scale, tick_words, time_ticks

LETTERS = "abcdefgh"
#: A span of the picture is at most so wide: what changes is sent, not the whole row.
_PIECE = 4
_LABEL = 10
_ENTRY = 30
#: Around what is usual: a proof of "near-baseline" holds within so much of it.
BAND = 0.25


@dataclass(frozen=True, slots=True)
class Options:
    """Says how a chart is looked at: `at` is the cursor's time (None: the newest point).

    `chosen` is the series that lies on top. `letters`: no braille, or no colours for several lines.
    """

    unit: str = ""
    status: SignalStatus | None = None
    marks: tuple[Mark, ...] = ()
    at: float | None = None
    chosen: int = 0
    letters: bool = False


def times_of(chart: Chart) -> list[float]:
    """Return the times at which there is a point of any series."""
    return sorted({at for trace in chart.traces for at, _ in trace.points})


def reading(trace: Trace, at: float, step: float) -> float | None:
    """Return the value at that time; None where there is no point."""
    place = bisect_left(trace.points, (at - step / 2,))
    if place < len(trace.points) and abs(trace.points[place][0] - at) < step / 2:
        return trace.points[place][1]
    return None


def picture(chart: Chart, options: Options, width: int, height: int) -> list[Line]:
    """Return at most `height` lines: the value at the cursor, the plot, and what it shows."""
    times = times_of(chart)
    at = options.at if options.at is not None else times[-1] if times else chart.end
    marks = _mark_lines(options.marks, at, chart, width, height)
    legend, about = _legend(chart, options, at, width), _about(chart, width)
    rows = max(4, height - 3 - len(legend) - len(marks) - len(about))
    scaled = _scale(chart, options, rows)
    off = _off_scale(scaled, options)
    rows = max(4, rows - len(off))
    below = [*legend, *off, *marks, *about]
    words = tick_words(scaled, options.unit)
    label = min(_LABEL, max((width_of(each) for each in words), default=1))
    plot = _Plot(chart, options, scaled, at, max(10, width - label - 2), rows)
    at_row = {plot.row(tick): each for tick, each in zip(scaled.ticks, words, strict=True)}
    lines = [_readout(chart, options, at, width)]
    for y in range(rows):
        tick = at_row.get(y)
        lines.append(((f"{pad(tick or '', label, '>')} {'┤' if tick else '│'}", "dim"), *plot.line(y)))
    lines.append(((" " * (label + 1), "dim"), ("└", "dim"), *plot.foot()))
    lines.append(((" " * (label + 2), "dim"), *plot.times()))
    return (lines + below)[:height]


def _scale(chart: Chart, options: Options, rows: int) -> Scale:
    values = [number for trace in chart.traces for _, number in trace.points if math.isfinite(number)]
    status = options.status
    limits = (status.warn, status.crit, status.baseline) if status is not None else ()
    return scale(values, limits, options.unit, min(8, max(2, rows // 3)))


def _off_scale(scaled: Scale, options: Options) -> list[Line]:
    """Say which limits are too far away to be drawn."""
    status = options.status
    if status is None or options.unit == YES_NO:
        return []
    limits = (("usual", status.baseline), ("warn", status.warn), ("crit", status.crit))
    far = [f"{name} {value(n, options.unit)}" for name, n in limits if n is not None and not scaled.holds(n)]
    return [((f" off the scale: {', '.join(far)}", "dim"),)] if far else []


def band_of(status: SignalStatus) -> tuple[float, float] | None:
    """Return what is as good as usual; None where nothing usual is known."""
    usual = status.baseline
    if usual is None or not math.isfinite(usual):
        return None
    far = BAND * max(abs(usual), abs(status.warn - usual) if status.warn is not None else 0.0)
    return usual - far, usual + far


class _Plot:
    """Draws the area between the axes."""

    def __init__(self, chart: Chart, options: Options, scaled: Scale, at: float, width: int, height: int) -> None:
        self._options, self._scale, self._width, self._height = options, scaled, width, height
        self._start, self._end = axis(chart.range, chart.end)
        # at the newest point none is drawn: all of it would be sent anew with each that comes
        self._cursor = self._column(at, width) if options.at is not None else -1
        self._marks = {self._column(mark.at, width) for mark in options.marks}
        self._numbers = _numbered(options.marks, lambda mark: self._column(mark.at, width))
        self._canvas = Canvas(width, height, letters=options.letters)
        self._limits: dict[int, tuple[str, str]] = {}
        self._band = range(0)
        if options.status is not None:
            self._draw_limits(options.status)
        order = [n for n in range(len(chart.traces)) if n != options.chosen]
        for n in [*reversed(order), *([options.chosen] if options.chosen < len(chart.traces) else [])]:
            letter = "*" if len(chart.traces) == 1 else LETTERS[n]
            for piece in _pieces(chart.traces[n], chart.step_s):
                dots = [(self._column(t, self._canvas.columns), self._dot(number)) for t, number in piece]
                self._canvas.line(dots, f"line-{n + 1}", letter)

    def _draw_limits(self, status: SignalStatus) -> None:
        band = band_of(status)
        if band is not None and band[1] >= self._scale.low and band[0] <= self._scale.high:
            top = self.row(min(band[1], self._scale.high))
            self._band = range(top, self.row(max(band[0], self._scale.low)) + 1)
        usual = status.baseline
        for name, limit, role in (
            ("usual", usual, "dim"),
            ("warn", status.warn, "warn"),
            ("crit", status.crit, "crit"),
        ):
            if limit is not None and self._scale.holds(limit):
                self._limits[self.row(limit)] = (f" {name} {value(limit, self._options.unit)}", role)

    def _column(self, at: float, columns: int) -> int:
        return min(columns - 1, max(0, int((at - self._start) / (self._end - self._start) * columns)))

    def _dot(self, number: float) -> int:
        return round((1.0 - self._scale.share(number)) * (self._canvas.rows - 1))

    def row(self, number: float) -> int:
        """Return the row of cells in which a value is drawn."""
        return min(self._height - 1, max(0, self._dot(number) * self._height // self._canvas.rows))

    def _cell(self, x: int, y: int) -> Span:
        drawn = self._canvas.cell(x, y)
        if drawn is not None:
            return drawn
        if x == self._cursor:
            return "│", "key"
        if y in self._limits:
            return ("─" if self._limits[y][1] != "dim" else "·"), self._limits[y][1]
        if x in self._marks:
            return "┊", "accent"
        return ("░", "faint") if y in self._band else (" ", "text")

    def line(self, y: int) -> Line:
        label, role = self._limits.get(y, ("", ""))
        begins = self._width - width_of(label)
        cells = [self._cell(x, y) for x in range(self._width)]
        if label and all(self._canvas.cell(x, y) is None for x in range(begins, self._width)):
            cells[begins:] = [(sign, role) for sign in label]
        elif label and all(self._canvas.cell(x, y) is None for x in range(width_of(label))):
            cells[: width_of(label)] = [(sign, role) for sign in label]
        return tuple(_joined(cells))

    def foot(self) -> Line:
        """Return the axis of time, with the marks' numbers."""
        ticks = {self._column(at, self._width) for at, _ in time_ticks(self._start, self._end, self._width)}
        cells = [("┴" if x in ticks else "─", "dim") for x in range(self._width)]
        for column, number in self._numbers.items():
            cells[column] = (number, "key")
        return tuple(_joined(cells))

    def times(self) -> Line:
        text = [" "] * self._width
        for at, words in time_ticks(self._start, self._end, self._width):
            begins = max(0, min(self._width - len(words), self._column(at, self._width) - len(words) // 2))
            if all(sign == " " for sign in text[max(0, begins - 1) : begins + len(words) + 1]):
                text[begins : begins + len(words)] = words
        return (("".join(text), "dim"),)


def _pieces(trace: Trace, step: float) -> Iterator[list[tuple[float, float]]]:
    """Yield what is drawn in one go: a missing point, NaN and infinity are gaps."""
    piece: list[tuple[float, float]] = []
    for before, here in pairwise((None, *trace.points)):
        assert here is not None
        if piece and (before is None or here[0] - before[0] > 1.5 * step or not math.isfinite(here[1])):
            yield piece
            piece = []
        if math.isfinite(here[1]):
            piece.append(here)
    if piece:
        yield piece


def _joined(cells: Sequence[Span]) -> Iterator[Span]:
    """Yield the cells as spans that end with their role, and at fixed columns."""
    begins = 0
    for x in range(1, len(cells) + 1):
        if x == len(cells) or x % _PIECE == 0 or cells[x][1] != cells[begins][1]:
            yield "".join(sign for sign, _ in cells[begins:x]), cells[begins][1]
            begins = x


def exact(number: float | None, unit: str) -> tuple[str, str]:
    """Return a value as the cockpit writes it, and with all its digits; words for none."""
    if number is None:
        return "gap", "nothing was read then"
    if math.isnan(number):
        return UNKNOWN, "NaN: no number"
    shown, digits = value(number, unit), f"{number:.10g}"
    return shown, "" if digits == shown else digits


def _readout(chart: Chart, options: Options, at: float, width: int) -> Line:
    when = clock(at) if chart.step_s < 1800 else f"{_day(at)} {clock(at)[:5]}"
    if not chart.traces:
        return ((f" {when} UTC  ", "bold"), ("? at none of these times is there a value", "unknown"))
    trace = chart.traces[min(options.chosen, len(chart.traces) - 1)]
    shown, digits = exact(reading(trace, at, chart.step_s), options.unit)
    name = f"{trace.name}  " if trace.name else ""
    back = "" if at >= chart.end - chart.step_s / 2 else f"   {span_words(chart.end - at)} before the newest"
    role = "unknown" if shown in ("gap", UNKNOWN) else "bold"
    line = ((f" {when} UTC  ", "key"), (cut(name, 40), "text"), (shown, role), (f"  {digits}", "dim"), (back, "dim"))
    room = width - sum(width_of(text) for text, _ in line)
    return line if room >= 0 else line[:-1]


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d")


def span_words(seconds: float) -> str:
    """Return "15 s", "2 min", "2 h" or "3 d"."""
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _legend(chart: Chart, options: Options, at: float, width: int) -> list[Line]:
    """Return what each of several lines is, with its value at the cursor, side by side."""
    if len(chart.traces) < 2:
        return []
    across = max(1, (width - 1) // _ENTRY)
    entries = []
    for n, trace in enumerate(chart.traces):
        shown, _ = exact(reading(trace, at, chart.step_s), options.unit)
        sign = LETTERS[n] if options.letters else "━━"
        chosen = n == options.chosen
        room = _ENTRY - 5 - width_of(shown) - len(sign)
        name = pad(trace.name or "all", max(4, room))
        entries.append(
            (
                ("▸" if chosen else " ", "key"),
                (f"{sign} ", f"line-{n + 1}"),
                (f"{name} ", "bold" if chosen else "text"),
                (f"{shown}  ", "text" if shown != "gap" else "unknown"),
            )
        )
    return [tuple(span for entry in entries[n : n + across] for span in entry) for n in range(0, len(entries), across)]


def _numbered(marks: Sequence[Mark], column: object) -> dict[int, str]:
    """Return the sign of each column that has marks: 1 to 9, then +."""
    assert callable(column)
    places: dict[int, str] = {}
    for n, mark in enumerate(marks, 1):
        place = column(mark)
        places[place] = "+" if place in places or n > 9 else str(n)
    return places


def _mark_lines(marks: Sequence[Mark], at: float, chart: Chart, width: int, height: int) -> list[Line]:
    """Return the marks in words, those nearest to the cursor, as many as there is room for."""
    room = min(len(marks), 2 if height < 24 else 6)
    near = sorted(range(len(marks)), key=lambda n: abs(marks[n].at - at))[:room]
    lines: list[Line] = []
    for n in sorted(near):
        mark = marks[n]
        when = clock(mark.at) if chart.step_s < 1800 else f"{_day(mark.at)} {clock(mark.at)[:5]}"
        number = str(n + 1) if n < 9 else "+"
        lines.append(((f" {number} {when} ", "key"), (cut(mark.text, max(10, width - 13)), "text")))
    if len(marks) > room:
        lines.append(((f"   {len(marks)} marks in this time; the cursor goes to the others", "dim"),))
    return lines


def _about(chart: Chart, width: int) -> list[Line]:
    lines: list[Line] = [((f" ! {cut(note, width - 4)}", "warn"),) for note in chart.notes[:2]]
    if len(chart.notes) > 2:
        lines.append(((f" ! and {len(chart.notes) - 2} more warnings", "warn"),))
    return [*lines, ((f" {cut(chart.origin, width - 2)}", "dim"),)]
