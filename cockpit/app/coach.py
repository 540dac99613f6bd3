"""Lets a drill's coach see what is open, offer commands and speak in a strip.

In a drill, a coach sees what is open, offers commands and may speak.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from textual.widget import Widget

from cockpit.errors import CockpitError
from cockpit.model.scene import Scene
from cockpit.text import safe
from panels import messages
from panels.kit.lazy_module import LazyModule
from panels.kit.terminal_app import TerminalApp

if TYPE_CHECKING:
    from cockpit.model.scene import Coach, Scene
    from cockpit.session import Session
    from panels.app import lesson, overlays
else:
    overlays, lesson = LazyModule("panels.app.overlays"), LazyModule("panels.app.lesson")

#: What scenes leave out of a layer's class name.
_ENDINGS = ("View", "Dialog")


class CoachController:
    """Shows the coach the screen, and the operator what it says; without a `coach` does nothing."""

    def __init__(self, app: TerminalApp, session: Session) -> None:
        self.coach: Coach | None = None
        self._app = app
        self._session = session
        self._strip: Widget | None = None

    async def follow(self) -> None:
        """Show the coach what is on screen; show what it says."""
        if self.coach is None:
            return
        said = self.coach.remark(self._scene())
        strip, base = self._strip, self._app.base
        if said is not None and strip is None:
            self._strip = strip = lesson.LessonLine(self._app.appearance)
            base.add_class("coached")
            await base.mount(strip)
        elif said is None and strip is not None:
            self._strip = None
            base.remove_class("coached")
            await strip.remove()
        if said is not None and isinstance(strip, lesson.LessonLine):
            strip.say(said)

    def _scene(self) -> Scene:
        layers = self._app.layers()
        runbooks = [w.chosen for w in layers if isinstance(w, overlays.RunbookView)]
        plans = [w.plan for w in layers if isinstance(w, overlays.ConfirmDialog)]
        panel = next((str(getattr(w, "current", "")) for w in self._app.base.query("Dashboard")), "")
        return Scene(
            self._session.situation,
            panel,
            tuple(_name(w) for w in layers),
            runbooks[-1] if runbooks else None,
            plans[-1] if plans else None,
        )

    def commands(self) -> list[overlays.Command]:
        """Return what the coach adds to the palette."""
        if self.coach is None:
            return []
        offered = self.coach.commands()
        return [overlays.Command(title, words, partial(messages.CoachAct, act)) for title, words, act in offered]

    def act(self, event: messages.CoachAct) -> None:
        self._app.run_worker(self._act(event.action), exit_on_error=False, group="coach")

    async def _act(self, action: str) -> None:
        assert self.coach is not None
        try:
            words = await asyncio.to_thread(self.coach.act, action)
        except Exception as error:
            self._app.notify_line(CockpitError.of(error).line(), severity="error")
        else:
            self._app.notify(safe(words), markup=False, timeout=4)


def _name(layer: Widget) -> str:
    name = type(layer).__name__
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name.lower()
