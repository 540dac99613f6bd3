"""Describes what is on the operator's screen, for the drill's coach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cockpit.model.plan import Plan
    from cockpit.model.situation import Situation


@dataclass(frozen=True, slots=True)
class Saying:
    """Holds what stands in the coach's strip.

    `alarm`: in a colour that cannot be overlooked.
    """

    head: str
    text: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Says what is open.

    `layers`, lowest first: "runbook", "log", "explain", "parameters", "confirm", "incident",
    "help", … `runbook`: the id of the one that is open. `plan`: what the topmost confirmation
    shows.
    """

    situation: Situation | None
    panel: str
    layers: tuple[str, ...] = ()
    runbook: str | None = None
    plan: Plan | None = None


class Coach(Protocol):
    """Watches the screen and may say something in a strip at the bottom.

    `remark` returns at once; `act` may block.
    """

    def remark(self, scene: Scene) -> Saying | None:
        """Look at the scene, when something opens and several times a second.

        None: no strip.
        """
        ...

    def commands(self) -> Sequence[tuple[str, str, str]]:
        """Return what the palette offers more: (title, help, the action for `act`)."""
        ...

    def act(self, action: str) -> str:
        """Carry out an action and say what happened.

        Raises CockpitError when it could not.
        """
        ...
