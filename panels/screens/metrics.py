"""Shows the metrics of one service as it tells them itself, while Prometheus cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.observed.metrics import Exposed
from cockpit.model.reading import NOTHING_READ, Known, last_known, light_of
from cockpit.model.situation import Situation
from panels.dialogs.filter import FilterBar
from panels.kit.spans import Line, cut_middle, width_of
from panels.kit.theme import Appearance
from panels.kit.words import age
from panels.messages import FilterChanged
from panels.screens.pages import ScrolledPage
from panels.screens.view import Asked, Bar, RowsView


class MetricRows(ScrolledPage):
    """Shows name and labels at the left, the value at the right.

    Only what is on screen is made into text.
    """

    def __init__(self, appearance: Appearance) -> None:
        super().__init__(appearance)
        self.known = False  # what is shown was read just now
        self.empty = ""
        self.shown: Sequence[Exposed] = ()
        self._all: Sequence[Exposed] = ()
        self._words: tuple[str, ...] = ()

    def tell(self, samples: Sequence[Exposed], known: bool, empty: str) -> None:
        self.known, self.empty = known, empty
        if samples is not self._all:
            self._all = samples
            self._choose()
        self.sync()

    def set_filter(self, text: str) -> None:
        """Show only rows that contain every word of `text`, in name or labels."""
        self._words = tuple(text.lower().split())
        self.top = 0
        self._choose()
        self.sync()

    def _choose(self) -> None:
        if not self._words:
            self.shown = self._all
            return
        texts = ((one, series(one).lower()) for one in self._all)
        self.shown = [one for one, text in texts if all(word in text for word in self._words)]

    def picture(self, width: int, height: int) -> list[Line]:
        if not self.shown:
            self.total = 0
            words = "nothing matches" if self._all and self._words else self.empty
            return [((f" {words}", "dim"),)]
        return [self._row(one, width) for one in self.shown[self.window(len(self.shown), height)]]

    def _row(self, one: Exposed, width: int) -> Line:
        number = f"{one.value:,.10g}"
        room = max(8, width - width_of(number) - 4)
        text = series(one)
        name, rest = (one.name, text[len(one.name) :]) if width_of(text) <= room else (cut_middle(text, room), "")
        gap = " " * max(1, width - width_of(name) - width_of(rest) - width_of(number) - 2)
        return ((f" {name}", "text"), (rest, "dim"), (gap, "text"), (f"{number} ", "bold" if self.known else "unknown"))


def series(one: Exposed) -> str:
    """Return `name{label="value"}`, as Prometheus writes it."""
    labels = ", ".join(f'{key}="{value}"' for key, value in one.labels.items())
    return f"{one.name}{{{labels}}}" if labels else one.name


class MetricsView(RowsView):
    """Shows a service's metrics; the app hands it each new situation: `show(situation)`.

    Posts CloseLayer.
    """

    KEYS = (("/", "filter"), *RowsView.KEYS)
    BINDINGS: ClassVar[list[BindingType]] = [
        # Priority, as in the log view: "/word" may come in one read.
        Binding("slash", "filter", "Filter", show=False, priority=True),
    ]

    def __init__(
        self, service: str, situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        appearance = appearance or Appearance()
        self.rows = MetricRows(appearance)
        super().__init__(self.rows, appearance)
        self.service = service
        self._situation = situation
        self._filter = self._before = ""

    def opened(self) -> None:
        super().opened()
        self.query_one("#top", Bar).say(
            (" METRICS ", "brand"),
            (f"  {self.service}", "bold"),
            ("   read directly: no signal is judged by these", "dim"),
        )
        if self._situation is not None:
            self.show(self._situation)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        reading = situation.metrics.get(self.service)
        if reading is None:
            self.rows.tell((), False, f"no address for {self.service} in [prometheus.direct] of the configuration")
            self._say("? UNKNOWN", "unknown", "")
            return
        found = reading.believed(situation.mono)
        live = isinstance(found, Known)
        last = last_known(found)
        self.rows.tell(last or (), live, NOTHING_READ if last is None else "the page is empty")
        ago = "" if found.age_s is None else f" {age(found.age_s)}"
        mark, role = ("●", "ok") if live else ("○", "dim") if found.off else ("?", "unknown")
        self._say(f"{mark} {light_of(found).value.upper()}{ago}", role, found.reason)

    def _say(self, state: str, role: str, reason: str) -> None:
        if not self.is_attached:
            return
        spans = [(f" {state}", role)]
        if reason:
            spans.append((f"   {reason}", "text"))
        spans.append((f"   {len(self.rows.shown):,} series", "dim"))
        if self._filter:
            spans.append((f"   /{self._filter}", "key"))
        self.query_one("#state", Bar).say(*spans)

    # -- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave `/` to the filter as a letter while it is typed."""
        return not (action == "filter" and self.query(FilterBar))

    async def action_filter(self) -> None:
        self._before = self._filter
        await self.mount(FilterBar(self._filter, appearance=self.appearance))

    async def on_filter_changed(self, event: FilterChanged) -> None:
        event.stop()
        bar = self.query_one(FilterBar)
        self._filter = self._before if event.cancelled else event.text
        self.rows.set_filter(self._filter)
        bar.tell(f"{len(self.rows.shown):,} series")
        if self._situation is not None:
            self.show(self._situation)
        if event.done or event.cancelled:
            await bar.remove()


def view(asked: Asked) -> MetricsView:
    return MetricsView(asked.args.get("service", ""), asked.situation, appearance=asked.appearance)
