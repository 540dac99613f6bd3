"""Shows something to know, in a few lines, with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from panels.kit.layer import Layer
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance


class NoticeDialog(Layer):
    """Shows lines of words; Enter or Escape closes."""

    WIDTH = 92

    def __init__(
        self, title: str, lines: Sequence[str], *, role: str = "text", appearance: Appearance | None = None
    ) -> None:
        super().__init__(title, appearance)
        self.lines = tuple(lines)
        self.role = role

    def words(self) -> Sequence[Para]:
        return [*(para((text, self.role)) for text in self.lines), para()]
