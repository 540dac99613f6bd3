"""Says why an object is not healthy, worst first; a layer, so that the panels go on behind it.

A layer, so that the panels go on behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from panels.kit.layer import Layer
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance


class ExplainView(Layer):
    """Shows lines of words; those that begin with blanks stand under the line before.

    Scrolls by keys.
    """

    WIDTH = 120

    def __init__(self, title: str, lines: Sequence[str], *, appearance: Appearance | None = None) -> None:
        super().__init__(title, appearance)
        self.lines = tuple(lines)

    def show_lines(self, lines: Sequence[str]) -> None:
        """Show newer words for the same object."""
        self.lines = tuple(lines)
        self.refresh_words()

    def words(self) -> Sequence[Para]:
        if not self.lines:
            return [para("nothing is known against it"), para()]
        found = []
        for text in self.lines:
            bare = text.lstrip(" ")
            found.append(para((bare, "dim" if bare != text else "text"), label=" " * (len(text) - len(bare)) or None))
        return [*found, para()]
