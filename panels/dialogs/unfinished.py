"""Lists the intents that the last session left without an outcome, compared with the cluster."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model.plan import Unfinished
from panels.dialogs.confirm_words import change_lines
from panels.keys import hint
from panels.kit.layer import Layer
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance

_ROLES = {"applied": "ok", "not applied": "accent", "changed since": "warn"}


class UnfinishedDialog(Layer):
    """Lists each `Unfinished` as applied, not applied, changed since, or not known yet."""

    WIDTH = 92

    def __init__(self, unfinished: Sequence[Unfinished], *, appearance: Appearance | None = None) -> None:
        super().__init__("The last session ended in the middle of something", appearance)
        self.unfinished = tuple(unfinished)

    def words(self) -> Sequence[Para]:
        lines: list[Para] = []
        for item in self.unfinished:
            role = _ROLES.get(item.judgement, "unknown")
            lines += [
                para((f"journal {item.number}  ", "dim"), (item.title, "bold"), f"  {item.target}"),
                para((item.judgement.upper(), role), f"  {item.explanation}", label="  "),
                *[Para(change.spans, (("  ", "text"), *change.label)) for change in change_lines(item.changes)],
                para(),
            ]
        undo = hint(self.appearance.keys, "undo")
        return [
            *lines,
            para(
                "Nothing was sent since. After closing, ",
                (undo, "key"),
                " plans the undo of what was applied.",
            ),
            para(),
        ]
