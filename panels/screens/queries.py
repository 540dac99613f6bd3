"""Shows queries of the runbooks by name and label: an operator's own one has its place here."""

from __future__ import annotations

from cockpit.model.observed.metrics import History, QueryResult
from cockpit.model.reading import Known, believed, last_known
from cockpit.model.situation import Situation
from cockpit.text import split_words
from panels.kit.spans import Line, cut_middle, width_of
from panels.kit.sparks import points
from panels.kit.words import age, value
from panels.screens.named import NamedRows, NamedView
from panels.screens.view import Asked

_SPARK = 16  # cells


class QueryRows(NamedRows):
    """Shows each query's name, then its values by their labels; what is not known now is dimmed."""

    def lines(self, situation: Situation, width: int) -> list[Line]:
        names = self.names or tuple(situation.runbooks.queries)
        return [line for name in names for line in self._query(situation, name, width)]

    def _query(self, situation: Situation, name: str, width: int) -> list[Line]:
        query = situation.runbooks.queries.get(name)
        if query is None:
            return [((f" {name}", "bold"), ("   ? no query of that name", "unknown"))]
        found = believed(situation.queries.get(name), situation.mono, QueryResult)
        live, last = isinstance(found, Known), last_known(found)
        ago = "" if found.age_s is None else f" {age(found.age_s)}"
        head: Line = ((f" {name}", "bold"), (f"  {query.unit}" if query.unit else "", "dim"))
        head += ((f"   ●{ago}", "ok"),) if live else ((f"   ? UNKNOWN{ago}", "unknown"), (f"  {found.reason}", "text"))
        if last is None:
            return [head]
        past = {tuple(sorted(series.labels.items())): series for series in last.history}
        rows: list[Line] = []
        for sample in last.samples:
            labels = ", ".join(f"{key}={value}" for key, value in sorted(sample.labels.items())) or "all"
            drawn = self._past(past.get(tuple(sorted(sample.labels.items()))))
            shown = value(sample.value, query.unit)
            room = max(8, width - width_of(shown) - width_of(drawn) - 8)
            text = cut_middle(labels, room)
            gap = " " * max(1, room - width_of(text) + 1)
            rows.append(
                (
                    (f"   {text}", "text"),
                    (gap, "text"),
                    (shown, "bold" if live else "unknown"),
                    (f"  {drawn}", "accent" if live else "dim"),
                )
            )
        return [head, *(rows or [(("   no series", "dim"),)])]

    def _past(self, series: History | None) -> str:
        return points(series.points, _SPARK) if series is not None else " " * _SPARK


class QueriesView(NamedView):
    """Shows the named queries, or all of the runbooks; posts CloseLayer."""

    TITLE = ("QUERIES", "of the runbooks, from Prometheus")
    ROWS = QueryRows


def view(asked: Asked) -> QueriesView:
    names = tuple(split_words(asked.args.get("names", "")))
    return QueriesView(names, asked.situation, appearance=asked.appearance)
