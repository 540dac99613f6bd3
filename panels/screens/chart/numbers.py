"""Lists numbers that have a chart: those of a panel, of a service, or all of the runbooks."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model.observed.chart import ChartOf
from cockpit.model.reading import Known, believed
from cockpit.model.signal import SignalStatus
from cockpit.model.situation import Situation
from cockpit.model.views import BY_NAME
from panels.dashboard.dashboard import kinds
from panels.kit.lines_view import LinesView
from panels.kit.prose import Para, para
from panels.kit.spans import pad
from panels.kit.sparks import of_signal
from panels.kit.theme import MARK, WORD, Appearance
from panels.kit.words import value
from panels.messages import OpenView
from panels.screens.chart.view import ChartView
from panels.screens.view import Asked, Bar, RowsView, View

_NAME, _VALUE, _SPARK = 40, 12, 12


class NumbersView(RowsView):
    """Shows numbers, one of which Enter opens as a chart."""

    STATE = False
    KEYS = (("↑↓", "move"), ("enter", "chart"), ("esc", "back"))

    def __init__(
        self, args: dict[str, str], situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        appearance = appearance or Appearance()
        self.list = LinesView(appearance, cursor=True)
        super().__init__(self.list, appearance)
        self._args = args
        self._situation = situation

    def opened(self) -> None:
        super().opened()
        panel, service = self._args.get("panel", ""), self._args.get("service", "")
        of = BY_NAME[panel].title if panel in BY_NAME else service or "all signals and queries"
        self.query_one("#top", Bar).say((" CHART ", "brand"), (f"  of {of}: which number?", "bold"))
        if self._situation is not None:
            self.show(self._situation)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        if self.is_attached:
            self.list.show_lines(lines(situation, numbers(situation, self._args)))

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        event.stop()
        kind, _, name = event.key.partition(":")
        self.post_message(OpenView("chart", {kind: name}))


def numbers(situation: Situation, args: dict[str, str]) -> list[ChartOf]:
    """Return what is listed: signals, the worst first, then queries that keep a history."""
    runbooks, panel, service = situation.runbooks, args.get("panel", ""), args.get("service", "")
    kind = kinds().get(panel)
    signals, queries = list(runbooks.signals), list(runbooks.queries)
    if service:
        signals = [n for n, one in runbooks.signals.items() if service in f"{one.value or ''} {one.promql or ''}"]
        queries = [n for n, one in runbooks.queries.items() if service in one.promql]
    elif kind is not None and (kind.signals or kind.queries):
        signals = [name for name in kind.signals if name in runbooks.signals]
        queries = [name for name in kind.queries if name in runbooks.queries]
    known = [name for name in signals if not _status(situation, name).off]
    known.sort(key=lambda name: -_status(situation, name).level.rank)
    return [*(ChartOf("signal", name) for name in known), *(ChartOf("query", name) for name in queries)]


def _status(situation: Situation, name: str) -> SignalStatus:
    return situation.signals[name]


def lines(situation: Situation, of: Sequence[ChartOf]) -> list[Para]:
    """Return a line for each number: its state, name, value now and sparkline."""
    found: list[Para] = []
    for one in of:
        if one.kind == "signal":
            status = _status(situation, one.name)
            found.append(
                para(
                    (pad(f"{MARK[status.level]} {WORD[status.level]}", 12), status.level.value),
                    (pad(status.title or one.name, _NAME), "text"),
                    (pad(value(status.newest, status.unit), _VALUE, ">"), "bold"),
                    (f"  {of_signal(status, _SPARK)}", "dim"),
                    key=f"signal:{one.name}",
                )
            )
        else:
            found.append(_query(situation, one.name))
    return found or [para(("no number of it has a chart", "dim"))]


def _query(situation: Situation, name: str) -> Para:
    query = situation.runbooks.queries[name]
    answer = believed(situation.queries.get(name), situation.mono)
    samples = answer.data.samples if isinstance(answer, Known) else ()
    words = value(samples[0].value, query.unit) if len(samples) == 1 else f"{len(samples)} series" if samples else "?"
    return para(
        (pad("query", 12), "dim"),
        (pad(name, _NAME), "text"),
        (pad(words, _VALUE, ">"), "bold" if samples else "unknown"),
        key=f"query:{name}",
    )


def view(asked: Asked) -> View:
    """Make the chart of the signal or query that is named, else the list to choose from."""
    for kind in ("signal", "query"):
        name = asked.args.get(kind, "")
        if name:
            of = ChartOf("signal", name) if kind == "signal" else ChartOf("query", name)
            return ChartView(of, asked.situation, appearance=asked.appearance)
    return NumbersView(dict(asked.args), asked.situation, appearance=asked.appearance)
