"""Shows several pods in one stream: followed, paused without loss, filtered by a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.reading import Fault
from cockpit.text import counted
from panels.dialogs.filter import FilterBar
from panels.kit.theme import Appearance
from panels.kit.words import age
from panels.messages import CopyText, FilterChanged, LogSource
from panels.screens.logs.lines import LogLines
from panels.screens.logs.page import CAPACITY, LogLineLike, LogPage
from panels.screens.view import Bar, RowsView

SINCE_S: tuple[int | None, ...] = (None, 60, 300, 900, 3600)  # `s` goes round; None: the last lines only
_KEYS = (
    ("space", "pause"),
    ("/!", "filter"),
    ("eE", "error"),
    ("p", "prev"),
    ("s", "since"),
    ("w", "wrap"),
    ("ty", "copy"),
    ("esc", "back"),
)


class LogView(RowsView):
    """Shows what the app feeds it.

    `append(lines)`, `tell(state, dropped)`, `clear()` when another stream begins.

    Posts LogSource (another container or time), CopyText (line or trace id) and CloseLayer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", show=False),
        # Priority: a laggy link delivers "/word" in one read; without it the letters would reach
        # this view's keys first.
        Binding("slash", "filter(False)", "Filter", show=False, priority=True),
        Binding("exclamation_mark", "filter(True)", "Inverse filter", show=False, priority=True),
        Binding("e,n", "error(1)", "Next error", show=False),
        Binding("E,N", "error(-1)", "Previous error", show=False),
        Binding("p", "previous", "Previous container", show=False),
        Binding("s", "since", "Since", show=False),
        Binding("w", "wrap", "Wrap", show=False),
        Binding("t", "copy_trace", "Copy trace id", show=False),
        Binding("y", "copy_line", "Copy line", show=False),
        Binding("o", "copy_link", "Copy the trace's link", show=False),
    ]

    def __init__(
        self, title: str, *, query: str = "", appearance: Appearance | None = None, capacity: int = CAPACITY
    ) -> None:
        appearance = appearance or Appearance()
        self.lines = LogLines(appearance, LogPage(capacity))
        super().__init__(self.lines, appearance)
        self.title = title
        self.previous = False
        self.since_s: int | None = None
        self._state = ""
        self._lost = 0  # lines that the source dropped before they came here
        self._note = ""
        self._asked_inverse = False
        self._before_filter = ("", False)
        if query:
            self._note = self.lines.model.set_filter(query)

    def opened(self) -> None:
        super().opened()
        linked = self.appearance.links.trace is not None
        self.query_one("#keys", Bar).keys(*_KEYS[:-1], *((("o", "link"),) if linked else ()), _KEYS[-1])
        self._say()

    # -- what the app tells

    def append(self, lines: Sequence[LogLineLike | Fault]) -> None:
        self.lines.append(lines)

    def tell(self, state: str, dropped: int = 0) -> None:
        """Say the stream's state in words, and how many lines its source dropped.

        For example "following 3 pods", "reconnecting: …".
        """
        if (state, dropped) != (self._state, self._lost):
            self._state, self._lost = str(state), dropped
            self._say()

    def clear(self) -> None:
        """Drop all lines, as another stream begins."""
        self.lines.clear()

    # -- bars

    def on_log_lines_changed(self, event: LogLines.Changed) -> None:
        event.stop()
        self._say()

    def _say(self) -> None:
        if not self.is_attached:
            return
        lines, model = self.lines, self.lines.model
        top: list[tuple[str, str]] = [(" LOGS ", "brand"), (f"  {self.title}", "bold")]
        if self.previous:
            top.append(("   PREVIOUS container", "warn"))
        if self.since_s is not None:
            top.append((f"   since {age(float(self.since_s))}", "accent"))
        if lines.wrapped:
            top.append(("   wrapped", "dim"))
        self.query_one("#top", Bar).say(*top)
        dropped = model.dropped + self._lost
        state: list[tuple[str, str]] = [
            (" ● FOLLOWING", "ok") if lines.following else (f" ○ PAUSED, {lines.new} new", "warn"),
            (f"   {counted(len(model.lines), 'line')}", "dim"),
        ]
        if dropped:
            state.append((f"   {dropped:,} oldest dropped", "warn"))
        if model.query:
            state += [
                (f"   {'!' if model.inverse else '/'}{model.query}", "key"),
                (f" {len(model.shown):,} shown", "dim"),
            ]
        if self._note:
            state.append((f"   {self._note}", "warn"))
        if self._state:
            state.append((f"   {self._state}", "text"))
        self.query_one("#state", Bar).say(*state)

    # -- keys

    def action_pause(self) -> None:
        self.lines.hold(self.lines.following)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave `/` and `!` to the filter as letters while it is typed."""
        return not (action == "filter" and self.query(FilterBar))

    async def action_filter(self, inverse: bool) -> None:
        model = self.lines.model
        self._asked_inverse = inverse
        self._before_filter = (model.query, model.inverse)
        await self.mount(
            FilterBar(
                model.query if model.inverse is inverse else "",
                prompt="!" if inverse else "/",
                appearance=self.appearance,
            )
        )

    async def on_filter_changed(self, event: FilterChanged) -> None:
        """Open the filter inside this view.

        Its words are for these lines, not for a panel behind.
        """
        event.stop()
        bar = self.query_one(FilterBar)
        query, inverse = self._before_filter if event.cancelled else (event.text, self._asked_inverse)
        self._note = self.lines.set_filter(query, inverse)
        bar.tell(self._note or counted(len(self.lines.model.shown), "line"))
        self._say()
        if event.done or event.cancelled:
            await bar.remove()

    def action_error(self, by: int) -> None:
        self._note = "" if self.lines.to_error(by) else f"no {'further' if by > 0 else 'earlier'} error"
        self._say()

    def action_previous(self) -> None:
        self.previous = not self.previous
        self._ask_source()

    def action_since(self) -> None:
        self.since_s = SINCE_S[(SINCE_S.index(self.since_s) + 1) % len(SINCE_S)]
        self._ask_source()

    def _ask_source(self) -> None:
        self._say()
        self.post_message(LogSource(self.previous, self.since_s))

    def action_wrap(self) -> None:
        self.lines.toggle_wrap()
        self._say()

    def action_copy_trace(self) -> None:
        line = self.lines.current
        if line is not None and line.trace:
            self.post_message(CopyText(line.trace, "trace id"))
        else:
            self._note = "no trace id in this line"
            self._say()

    def action_copy_link(self) -> None:
        """Copy it rather than open it.

        The browser is on the operator's machine, this may be a bastion.
        """
        line, links = self.lines.current, self.appearance.links
        url = links.of_trace(line.trace) if line is not None and line.trace else None
        if url is not None:
            self.post_message(CopyText(url, "link to the trace"))
        else:
            self._note = "[links] trace is not configured" if links.trace is None else "no trace id in this line"
            self._say()

    def action_copy_line(self) -> None:
        line = self.lines.current
        if line is not None:
            self.post_message(CopyText(line.text, "line"))
