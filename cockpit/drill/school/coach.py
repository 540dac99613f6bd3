"""Coaches the operator, in the cockpit's process.

The coach reports to the referee what is on screen, shows the lessons, and offers the drill's own
commands.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Sequence

from cockpit.drill.school.control_client import ControlClient, NoDrill
from cockpit.drill.school.lessons import RELENT_AT, Course
from cockpit.model.scene import Saying, Scene

PAUSED = Saying("PAUSED", "the drill's world stands still: `:` and “Drill: go on” moves it again", alarm=True)
_SPEEDS = (1, 4, 16)
ASK_S = 2.0


class DrillCoach:
    """Implements `cockpit.model.scene.Coach`.

    `course`: the lessons of a guided drill.
    """

    def __init__(self, control: ControlClient, tools: Sequence[str] = (), course: Course | None = None) -> None:
        self._control = control
        self._tools = tuple(tools)
        self._course = course
        self._paused = False
        self._relented = False
        self._viewed: set[str] = set()
        self._outbox: queue.SimpleQueue[tuple[str, dict[str, object]] | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_all, name="coach", daemon=True)
        self._sender.start()

    def close(self) -> None:
        """Send what is still in the outbox, then end."""
        self._outbox.put(None)
        self._sender.join(timeout=2.0)

    def _send_all(self) -> None:
        """Send from the outbox until `close`.

        In between it asks whether someone has paused the drill from elsewhere.
        """
        while True:
            try:
                one = self._outbox.get(timeout=ASK_S)
            except queue.Empty:
                with contextlib.suppress(NoDrill):
                    self._paused = bool(self._control.status().get("paused"))
                continue
            if one is None:
                return
            with contextlib.suppress(NoDrill):
                self._control.request(one[0], **one[1])

    def remark(self, scene: Scene) -> Saying | None:
        if scene.runbook is not None and scene.runbook not in self._viewed:
            self._viewed.add(scene.runbook)
            self._outbox.put(("look", {"runbook": scene.runbook}))
        if self._paused:
            return PAUSED
        if self._course is None:
            return None
        speed = self._course.lesson.speed
        while self._course.advance(scene):
            pass
        if self._course.lesson.speed != speed:
            self._outbox.put(("speed", {"speed": self._course.lesson.speed}))
        if self._course.at >= RELENT_AT and not self._relented:
            self._relented = True
            self._outbox.put(("relent", {}))
        return self._course.saying

    def commands(self) -> Sequence[tuple[str, str, str]]:
        pause = (
            ("Drill: go on", "the world moves again", "resume")
            if self._paused
            else (
                "Drill: pause",
                "the world stands still",
                "pause",
            )
        )
        speeds = [(f"Drill: speed {n}×", "simulated seconds a second", f"speed {n}") for n in _SPEEDS]
        tools = [(f"Drill: {name}", "what the operator's other tools would do", f"do {name}") for name in self._tools]
        return [pause, *speeds, *tools]

    def act(self, action: str) -> str:
        """Carry out a command of the drill and word its result.

        Raises NoDrill.
        """
        name, _, value = action.partition(" ")
        values: dict[str, object] = (
            {"speed": float(value)} if name == "speed" else {"tool": value} if name == "do" else {}
        )
        status = self._control.request(name, **values)
        self._paused = bool(status.get("paused"))
        return {
            "pause": "the drill is paused",
            "resume": "the drill goes on",
            "speed": f"the drill runs at {value}×",
            "do": f"done: {value}",
        }.get(name, name)
