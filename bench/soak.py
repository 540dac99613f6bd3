"""Opens and closes all that the screen can show: `python -m bench.soak CONFIG CONTROL OUT`.

At its end it writes to OUT what the process took after the first round, after 300 openings, and
after an hour of the world.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from cockpit import terminal

terminal.prepare()

from cockpit.app.main import CockpitApp  # noqa: E402
from cockpit.commands.settings import runbooks_of  # noqa: E402
from cockpit.config import load_settings  # noqa: E402
from cockpit.drill.school.control_client import ControlClient  # noqa: E402
from cockpit.model.runbook import Runbook, Step  # noqa: E402
from cockpit.model.views import VIEWS  # noqa: E402
from cockpit.session import Session  # noqa: E402
from panels import messages  # noqa: E402
from panels.app import overlays  # noqa: E402

OPENINGS = 300
SPEED = 60.0  # of the world, for its hour
HOUR_S = 3600.0
SETTLED_S = 6.0
SHOWN_S = 0.1
PATIENCE_S = 10.0
SERVICE = "m0-quant"

Open = Callable[[], Awaitable[object] | object]


def resident_mb() -> float:
    """Return the megabytes that the process holds in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Soak(CockpitApp):
    """Goes round all screens, dialogs and pages by itself, as an operator's keys would."""

    def __init__(self, session: Session, control: ControlClient) -> None:
        super().__init__(session)
        self.control = control
        self.result: dict[str, Any] = {}
        self.opened: set[str] = set()

    def on_ready(self) -> None:
        self._going = asyncio.create_task(self._go())

    async def _go(self) -> None:
        try:
            await self._until(self.session.ready.is_set)
            await asyncio.sleep(SETTLED_S)
            await asyncio.to_thread(self.session.incident.do, "open", {"title": "a soak", "severity": "SEV3"})
            ways = dict(self._ways())
            self.result.update(kinds=len(ways), began_mb=resident_mb())
            for number, (name, way) in zip(range(1, OPENINGS + 1), cycle(ways.items()), strict=False):
                await self._open_and_close(name, way)
                if number == len(ways):
                    self.result["first_mb"] = resident_mb()
            self.result.update(opened_mb=resident_mb(), never=sorted(self._layers_of_the_house() - self.opened))
            await asyncio.to_thread(self.control.request, "speed", speed=SPEED)
            await asyncio.sleep(HOUR_S / SPEED)
            self.result["hour_mb"] = resident_mb()
        except Exception as error:
            self.result["error"] = f"{type(error).__name__}: {error}"
        self.end(0)

    @staticmethod
    async def _until(holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - what it waits for has no event
                await asyncio.sleep(0.01)

    async def _open_and_close(self, name: str, way: Open) -> None:
        made = way()
        if isinstance(made, Awaitable):
            await made
        try:
            await self._until(lambda: self.layers() or self.in_palette)
        except TimeoutError:
            raise TimeoutError(f"{name} did not open") from None
        await asyncio.sleep(SHOWN_S)
        self.opened |= {type(layer).__name__ for layer in self.layers()}
        if self.in_palette:
            self.opened.add("palette")
            self.pop_screen()
        while self.layers():
            await self.close_top()
        await asyncio.sleep(0)

    @staticmethod
    def _layers_of_the_house() -> set[str]:
        """Return the classes of what can lie over the dashboard."""
        every = [one for one in vars(overlays).values() if isinstance(one, type) and issubclass(one, overlays.Overlay)]
        return {one.__name__ for one in every if one not in (overlays.Overlay, overlays.View)} | {"palette"}

    def _ways(self) -> Iterator[tuple[str, Open]]:
        """Yield each thing that can be opened with what opens it."""
        post, appearance = self.post_message, self.appearance
        for view in VIEWS:
            args = {"service": SERVICE} if view.of_service else {}
            for page in view.pages or [""]:
                if page or not hasattr(view, "key"):
                    shown = {**args, **({"show": page} if page else {})}
                    yield f"view {view.name} {page}", partial(post, messages.OpenView(view.name, shown))
                else:
                    yield f"panel {view.name}", partial(self._panel_in_full, view.name)
        for runbook in self.session.runbooks.runbooks:
            yield f"runbook {runbook.id}", partial(post, messages.OpenRunbook(runbook.id))
        for runbook, step in self._steps():
            yield f"step {runbook.id} {step.id}", partial(post, messages.PlanStep(runbook.id, step.id, {}))
        for action in overlays.INCIDENT_FORMS:
            if action != "open":
                yield f"form {action}", partial(post, messages.AskIncident(action, {}))
        yield "incident", self.action_incident
        yield "help", self.action_help
        yield "filter", self.action_filter
        yield "palette", self.action_command_palette
        yield "kill switch", self.action_kill_switch
        yield "undo", self.action_undo
        for dialog in (
            partial(overlays.QuitDialog, ()),
            partial(overlays.StopDialog, ()),
            partial(overlays.UnfinishedDialog, ()),
            partial(overlays.NoticeDialog, "A notice", ("one line",)),
        ):
            yield dialog.func.__name__, partial(self._dialog, dialog, appearance)

    async def _panel_in_full(self, name: str) -> None:
        kind = type(self.dashboard.panels[name])
        await self.open_layer(overlays.PanelView(kind, self.session.situation, appearance=self.appearance))

    async def _dialog(self, made: Callable[..., Any], appearance: object) -> None:
        await self.open_layer(made(appearance=appearance))

    def _steps(self) -> Iterator[tuple[Runbook, Step]]:
        """Yield two steps of each kind that opens something: a form, a plan, a question."""
        seen: dict[str, int] = {}
        for runbook in self.session.runbooks.runbooks:
            for step in runbook.mitigations:
                seen[step.kind] = seen.get(step.kind, 0) + 1
                if seen[step.kind] <= 2 and step.kind not in ("view", "check", "evidence", "verify-signatures"):
                    yield runbook, step


def main(config: str, control: str, out: str) -> None:
    settings = load_settings(config=config)
    app = Soak(Session(settings, runbooks_of(settings)), ControlClient.of(Path(control)))
    app.run()
    Path(out).write_text(json.dumps(app.result))


if __name__ == "__main__":
    main(*sys.argv[1:])
