"""Shows the footer: the keys that work here, one line."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.keys import _character_to_key

from panels.keys import FOOTER
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line, Span
from panels.kit.theme import Appearance


class KeyBar(LineWidget):
    """Shows pairs of key and word.

    `say` changes them when the focus moves to another kind of thing.
    """

    DEFAULT_CSS = "KeyBar { height: 1; width: 100%; dock: bottom; }"

    def __init__(self, appearance: Appearance, pairs: Sequence[tuple[str, str]] = FOOTER) -> None:
        super().__init__(appearance, id="keybar")
        self._pairs = tuple(pairs)

    def say(self, pairs: Sequence[tuple[str, str]]) -> None:
        if tuple(pairs) != self._pairs:
            self._pairs = tuple(pairs)
            self.sync()

    def on_click(self, event: events.Click) -> None:
        """Do as the key that is clicked on; ranges of keys are only told."""
        at = 1
        for key, word in self._pairs:
            end = at + len(key) + len(word) + 3
            if at <= event.x < end:
                name = _character_to_key(key) if len(key) == 1 else key
                if "-" not in key or len(key) == 1:
                    self.app.post_message(events.Key(name, key if len(key) == 1 else None))
                return
            at = end

    def picture(self, width: int, height: int) -> list[Line]:
        line: list[Span] = [(" ", "text")]
        used = 1
        for key, word in self._pairs:
            cells = len(key) + len(word) + 3
            if used + cells > width:
                break
            line += [(key, "key"), (f" {word}  ", "dim")]
            used += cells
        return [tuple(line)]
