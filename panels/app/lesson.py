"""Draws the strip of a lesson below whatever is open: what to try next, and how far one is."""

from __future__ import annotations

from textwrap import wrap

from cockpit.model.scene import Saying
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line, cut, width_of
from panels.kit.theme import Appearance

HEIGHT = 2


class LessonLine(LineWidget):
    """Shows what the coach says; `say` changes it.

    What lies over the panels leaves it free: see the CSS of `coached.CoachedApp`.
    """

    DEFAULT_CSS = "LessonLine { layer: lesson; dock: bottom; height: 2; width: 100%; }"

    def __init__(self, appearance: Appearance) -> None:
        super().__init__(appearance, id="lesson")
        self._said: Saying | None = None

    def say(self, said: Saying) -> None:
        if said != self._said:
            self._said = said
            self.sync()

    def picture(self, width: int, height: int) -> list[Line]:
        return picture(self._said, width) if self._said is not None else []


def picture(said: Saying, width: int) -> list[Line]:
    """Return two lines: the head, then the words, which go on below.

    What does not fit ends in an ellipsis.
    """
    head = f" {said.head} "
    room = max(20, width - 2)
    lines = wrap(said.text, room, initial_indent=" " * width_of(head)) or [""]
    first, rest = lines[0].removeprefix(" " * width_of(head)), " ".join(lines[1:])
    return [((head, "halt" if said.alarm else "brand"), (f" {first}", "bold")), ((f" {cut(rest, room)}", "bold"),)]
