"""Shows queries of the runbooks by name and label: an operator's own one has its place here."""

from __future__ import annotations

from cockpit.model.observed.metrics import History, QueryResult
from cockpit.model.reading import Known, believed, last_known
from cockpit.model.situation import Situation
from cockpit.text import split_words
from panels.kit.spans import Line, cut_middle, width_of
from panels.kit.sparks import points
from panels.kit.theme import Appearance
from panels.kit.words import age, value
from panels.screens.pages import ScrolledPage
from panels.screens.view import Asked, Bar, RowsView

_SPARK = 16  # cells


class QueryRows(ScrolledPage):
    """Shows each query's name, then its values by their labels; what is not known now is dimmed."""

    def __init__(self, appearance: Appearance, names: tuple[str, ...]) -> None:
        super().__init__(appearance)
        self.names = names
        self.situation: Situation | None = None

    def tell(self, situation: Situation) -> None:
        self.situation = situation
        self.sync()

    def picture(self, width: int, height: int) -> list[Line]:
        if self.situation is None:
            return []
        names = self.names or tuple(self.situation.runbooks.queries)
        lines = [line for name in names for line in self._query(self.situation, name, width)]
        return lines[self.window(len(lines), height)]

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


class QueriesView(RowsView):
    """Shows the named queries, or all of the runbooks; posts CloseLayer."""

    STATE = False

    def __init__(
        self, names: tuple[str, ...], situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        appearance = appearance or Appearance()
        self.rows = QueryRows(appearance, names)
        super().__init__(self.rows, appearance)
        self._situation = situation

    def opened(self) -> None:
        super().opened()
        self.query_one("#top", Bar).say((" QUERIES ", "brand"), ("  of the runbooks, from Prometheus", "dim"))
        if self._situation is not None:
            self.show(self._situation)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.rows.tell(situation)


def view(asked: Asked) -> QueriesView:
    names = tuple(split_words(asked.args.get("names", "")))
    return QueriesView(names, asked.situation, appearance=asked.appearance)
