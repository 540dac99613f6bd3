"""A screen that is watched over: in a drill, a coach sees what is open, offers commands of its own,
and may speak in a strip.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on
from textual.widget import Widget

from cockpit.errors import CockpitError
from cockpit.text import safe
from panels import messages
from panels.app.maintenance import RoundsApp
from panels.kit.lazy_module import LazyModule, loaded

if TYPE_CHECKING:
    from cockpit.model.scene import Coach
    from panels.app import lesson, overlays
else:
    overlays, lesson = LazyModule("panels.app.overlays"), LazyModule("panels.app.lesson")

#: What scenes leave out of a layer's class name.
_ENDINGS = ("View", "Dialog")


class CoachedApp(RoundsApp):
    """Without a `coach` as if this were not here."""

    DEFAULT_CSS = """
    Screen.coached > KeyBar { margin: 0 0 2 0; }
    Screen.coached > Overlay { margin: 0 0 2 0; }
    """

    coach: Coach | None = None
    _strip: Widget | None = None

    async def open_layer(self, layer: Widget) -> None:
        await super().open_layer(layer)
        await self.coached()

    async def coached(self) -> None:
        """Show the coach what is on screen; show what it says."""
        if self.coach is None or self.ending:
            return
        said = self.coach.look(self._scene())
        strip = self._strip
        if said is not None and strip is None:
            self._strip = strip = lesson.LessonLine(self.look)
            self.base.add_class("coached")
            await self.base.mount(strip)
        elif said is None and strip is not None:
            self._strip = None
            self.base.remove_class("coached")
            await strip.remove()
        if said is not None and isinstance(strip, lesson.LessonLine):
            strip.say(said)

    def _scene(self) -> Any:
        from cockpit.model.scene import Scene

        layers = self.layers()
        books = [w.chosen for w in layers if loaded("panels.app.overlays") and isinstance(w, overlays.RunbookView)]
        plans = [w.plan for w in layers if isinstance(w, overlays.ConfirmDialog)] if layers else []
        panel = next((str(getattr(w, "current", "")) for w in self.base.query("Dashboard")), "")
        return Scene(
            self._acts.situation,
            panel,
            tuple(_name(w) for w in layers),
            books[-1] if books else None,
            plans[-1] if plans else None,
        )

    def coach_commands(self) -> list[overlays.Command]:
        """What the coach adds to the palette."""
        if self.coach is None:
            return []
        offered = self.coach.commands()
        return [overlays.Command(title, words, partial(messages.CoachAct, act)) for title, words, act in offered]

    @on(messages.CoachAct)
    def _coach_act(self, event: messages.CoachAct) -> None:
        self.run_worker(self._let_coach_act(event.action), exit_on_error=False, group="coach")

    async def _let_coach_act(self, action: str) -> None:
        assert self.coach is not None
        try:
            words = await asyncio.to_thread(self.coach.act, action)
        except Exception as error:
            self.notify_line(CockpitError.of(error).reason, severity="error")
        else:
            self.notify(safe(words), markup=False, timeout=4)


def _name(layer: Widget) -> str:
    name = type(layer).__name__
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name.lower()
