"""Shows every key that works, grouped as the operator thinks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from panels.kit.layer import Layer
from panels.kit.prose import Para, labelled, para
from panels.kit.theme import Appearance

Keys = Sequence[tuple[str, str]]  # (key as shown, what it does)


#: One sign, one thing: on every screen.
SIGNS: Keys = (
    ("●", "ok"),
    ("△", "recovering: nothing bad is new, the window still holds what was"),
    ("◐", "warn, or bad but not yet for as long as it must be"),
    ("▲", "crit"),
    ("?", "unknown: old, missing or unreadable; never ok"),
    ("○", "off: not configured, or taken out"),
    ("✓ ✗ ! –", "of a line: holds, does not hold, warns, not so"),
    ("▶", "the next sensible step; in the journal, one under way"),
    ("▸ ▾", "closed, open: enter unfolds it"),
    ("◀", "where it stops"),
    ("≠", "two sources disagree"),
    ("·", "as usual; of a proof, not decided yet"),
    ("!! ! ?", "behind a title: something in it is crit, warn, unknown"),
)


class HelpDialog(Layer):
    """Shows `groups`: heading → (key, words) pairs, from the app's bindings."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "close", "Close", show=False)]
    WIDTH = 92

    def __init__(self, groups: Mapping[str, Keys], *, appearance: Appearance | None = None) -> None:
        super().__init__("Keys", appearance)
        self.groups = {heading: tuple(pairs) for heading, pairs in groups.items() if pairs}

    def words(self) -> Sequence[Para]:
        column = max((len(key) for pairs in self.groups.values() for key, _ in pairs), default=4) + 3
        lines: list[Para] = []
        for heading, pairs in self.groups.items():
            lines += [
                para((heading, "title")),
                *(labelled(f"  {key}", column + 2, words, role="key") for key, words in pairs),
                para(),
            ]
        lines.append(para(("Signs", "title")))
        lines += [labelled(f"  {self.appearance.glyphs(sign)}", column + 2, words, role="key") for sign, words in SIGNS]
        return lines
