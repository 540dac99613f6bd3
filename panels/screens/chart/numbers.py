"""Lists numbers that have a chart: of a panel, a service, an object, or all of the runbooks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from cockpit.model.observed.chart import ChartOf
from cockpit.model.observed.metrics import Sample
from cockpit.model.signal import SignalStatus
from cockpit.model.situation import Situation
from cockpit.model.views import BY_NAME
from panels.dashboard.dashboard import kinds
from panels.kit.lines_view import LinesView
from panels.kit.prose import Para, heading, para
from panels.kit.spans import pad
from panels.kit.sparks import of_signal
from panels.kit.theme import MARK, WORD, Appearance
from panels.kit.words import value
from panels.messages import OpenView
from panels.screens.chart.view import ChartView
from panels.screens.view import Asked, Bar, RowsView, View

_NAME, _VALUE, _SPARK = 40, 12, 12
#: Objects of one panel that are listed: more can be reached by their chart's legend.
MOST_OBJECTS = 60
#: Labels that name no object of the network: a number's parts.
_NO_OBJECTS = frozenset({"le", "quantile", "reason", "class", "code", "status", "state", "job", "instance", "__name__"})
_BY = re.compile(r"\bby\s*\(([^)]*)\)")


class NumbersView(RowsView):
    """Shows numbers, one of which Enter opens as a chart, and objects, of which it lists theirs."""

    STATE = False
    KEYS = (("↑↓", "move"), ("enter", "open"), ("esc", "back"))

    def __init__(
        self, args: Mapping[str, str], situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        appearance = appearance or Appearance()
        self.list = LinesView(appearance, cursor=True)
        super().__init__(self.list, appearance)
        self._args = dict(args)
        self._situation = situation

    def opened(self) -> None:
        super().opened()
        self._tell()
        if self._situation is not None:
            self.show(self._situation)

    def _tell(self) -> None:
        panel, service, (label, name) = self._args.get("panel", ""), self._args.get("service", ""), _object(self._args)
        of = f"{label} {name}" if label else BY_NAME[panel].title if panel in BY_NAME else service
        self.query_one("#top", Bar).say((" CHART ", "brand"), (f"  of {of or 'all numbers'}: which one?", "bold"))

    def show(self, situation: Situation) -> None:
        self._situation = situation
        if self.is_attached:
            self.list.show_lines(lines(situation, self._args))

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        event.stop()
        kind, _, name = event.key.partition(":")
        if kind == "object" and self._situation is not None:
            self._args = {"object": name}
            self._tell()
            self.show(self._situation)
        else:
            self.post_message(OpenView("chart", {kind: name, "object": self._args.get("object", "")}))


def _object(args: Mapping[str, str]) -> tuple[str, str]:
    """Return (label, value) of what `object` of the arguments names, as "connector=sports"."""
    label, _, name = args.get("object", "").partition("=")
    return label, name


def numbers(situation: Situation, args: Mapping[str, str]) -> list[ChartOf]:
    """Return what is listed: signals, the worst first, then queries."""
    runbooks, panel, service = situation.runbooks, args.get("panel", ""), args.get("service", "")
    label, name = _object(args)
    kind = kinds().get(panel)
    signals, queries = list(runbooks.signals), list(runbooks.queries)
    if label:
        signals = [n for n, one in runbooks.signals.items() if label in _grouped(one.promql or "")]
        queries = [n for n in queries if any(s.labels.get(label) == name for s in _samples(situation, n))]
    elif service:
        signals = [n for n, one in runbooks.signals.items() if service in f"{one.value or ''} {one.promql or ''}"]
        queries = [n for n, one in runbooks.queries.items() if service in one.promql]
    elif kind is not None and (kind.signals or kind.queries):
        signals = [n for n in kind.signals if n in runbooks.signals]
        queries = [n for n in kind.queries if n in runbooks.queries]
    known = [situation.signals[n] for n in signals if n in situation.signals and not situation.signals[n].off]
    known.sort(key=lambda status: -status.level.rank)
    return [
        *(ChartOf("signal", status.name, label, name) for status in known),
        *(ChartOf("query", n, label, name) for n in queries),
    ]


def objects(situation: Situation, queries: Sequence[str]) -> list[tuple[str, str]]:
    """Return (label, value) of each connector, endpoint, market … that the queries tell of."""
    pairs = (
        (label, name)
        for query in queries
        for sample in _samples(situation, query)
        for label, name in sample.labels.items()
        if label not in _NO_OBJECTS and name
    )
    return sorted(dict.fromkeys(pairs))


def _samples(situation: Situation, query: str) -> tuple[Sample, ...]:
    answer = situation.answer(query)
    return answer.samples if answer is not None else ()


def _grouped(promql: str) -> frozenset[str]:
    """Return the labels by which a query tells its series apart."""
    return frozenset(label.strip() for group in _BY.findall(promql) for label in group.split(","))


def lines(situation: Situation, args: Mapping[str, str]) -> list[Para]:
    """Return a line for each number: its state, name, value now and sparkline; then the objects."""
    of = numbers(situation, args)
    found = [_signal(situation, one) if one.kind == "signal" else _query(situation, one) for one in of]
    if not _object(args)[0]:
        found += _objects(situation, [one.name for one in of if one.kind == "query"])
    return found or [para(("no number of it has a chart", "dim"))]


def _signal(situation: Situation, of: ChartOf) -> Para:
    status = situation.signals[of.name]
    number, spark = value(status.newest, status.unit), of_signal(status, _SPARK)
    state = (pad(f"{MARK[status.level]} {WORD[status.level]}", 12), status.level.value)
    if of.label and not _is_worst(status, of):  # what the signal says is of another: its chart tells of this one
        state, number, spark = (pad("signal", 12), "dim"), "", ""
    return para(
        state,
        (pad(status.title or of.name, _NAME), "text"),
        (pad(number, _VALUE, ">"), "bold"),
        (f"  {spark}", "dim"),
        key=f"signal:{of.name}",
    )


def _is_worst(status: SignalStatus, of: ChartOf) -> bool:
    return (status.worst_labels or {}).get(of.label) == of.value


def _query(situation: Situation, of: ChartOf) -> Para:
    query, samples = situation.runbooks.queries[of.name], _samples(situation, of.name)
    if of.label:
        samples = tuple(one for one in samples if one.labels.get(of.label) == of.value)
    words = value(samples[0].value, query.unit) if len(samples) == 1 else f"{len(samples)} series" if samples else "?"
    return para(
        (pad("query", 12), "dim"),
        (pad(of.name, _NAME), "text"),
        (pad(words, _VALUE, ">"), "bold" if samples else "unknown"),
        key=f"query:{of.name}",
    )


def _objects(situation: Situation, queries: Sequence[str]) -> Iterator[Para]:
    every = objects(situation, queries)
    if every:
        yield from heading("ONE OF THEM", "its numbers alone")
    for label, name in every[:MOST_OBJECTS]:
        yield para((pad(label, 12), "dim"), (name, "text"), key=f"object:{label}={name}")
    if len(every) > MOST_OBJECTS:
        yield para((f"and {len(every) - MOST_OBJECTS:,} more: see the legends of the charts above", "dim"))


def view(asked: Asked) -> View:
    """Make the chart of the signal or query that is named, else the list to choose from."""
    label, name = _object(asked.args)
    for kind in ("signal", "query"):
        number = asked.args.get(kind, "")
        if number:
            of = ChartOf("signal" if kind == "signal" else "query", number, label, name)
            return ChartView(of, asked.situation, appearance=asked.appearance)
    return NumbersView(asked.args, asked.situation, appearance=asked.appearance)
