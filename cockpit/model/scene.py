"""What the operator has on screen, for who watches over a drill: what was opened is told by what is
open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cockpit.model.plan import Plan
    from cockpit.model.situation import Situation


@dataclass(frozen=True, slots=True)
class Saying:
    """What stands in the strip.

    `alarm`: in a colour that cannot be overlooked.
    """

    head: str
    text: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """`layers`, lowest first: "runbook", "log", "explain", "parameters", "confirm", "incident",
    "help", … `runbook`: the id of the one that is open.

    `plan`: what the topmost confirmation shows.
    """

    situation: Situation | None
    panel: str
    layers: tuple[str, ...] = ()
    runbook: str | None = None
    plan: Plan | None = None


class Coach(Protocol):
    """Watches the screen and may say something in a strip at the bottom.

    `look` returns at once; `act` may block.
    """

    def look(self, scene: Scene) -> Saying | None:
        """Called when something opens, and several times a second.

        None: no strip.
        """
        ...

    def commands(self) -> Sequence[tuple[str, str, str]]:
        """What the palette offers more: (title, help, the action for `act`)."""
        ...

    def act(self, action: str) -> str:
        """Do it; what happened, in words.

        Raises an exception with `reason` when it could not.
        """
        ...
