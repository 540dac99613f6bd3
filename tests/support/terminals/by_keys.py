"""An operator at the running cockpit over a drill, who only types.

Simulated time passes when the test says so.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from textual.widgets import Input

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.drill.world import World
from cockpit.runbooks.schema import load
from cockpit.settings import Settings
from cockpit.sources.probes.settings import PROBES
from cockpit.sources.prometheus.settings import PROMETHEUS
from cockpit.sources.solana.settings import SOLANA
from tests.support.terminals.screen import Screen, screen
from tests.support.waiting import HANG_S

#: Real seconds that a validation line must hold here: what it looks at moves on by the drill's own
#: clock.
HOLD_S, WITHIN_S = 1.0, 2 * HANG_S
SPEED = 2.0


@contextmanager
def incident(name: str, path: Path, number: int) -> Iterator[tuple[DrillThread, Settings]]:
    """A drill, and settings for a cockpit that looks often and whose runbook `number` validates
    quickly.
    """
    with DrillThread(name, speed=SPEED, history_s=1500.0) as drill:
        drill.call(lambda running: setattr(running.world, "step_s", 2.0))
        found = load_settings(config=drill.config, env={})
        own = path / "runbooks.toml"
        own.write_text(quick(number))
        settings = (
            replace(found, state_dir=path / "state", runbooks=own)
            .having(PROMETHEUS, msgspec.structs.replace(found.of(PROMETHEUS), interval=1.0))
            .having(SOLANA, msgspec.structs.replace(found.of(SOLANA), interval=1.0))
            .having(PROBES, msgspec.structs.replace(found.of(PROBES), interval=1.0))
        )
        yield drill, settings


def quick(number: int) -> str:
    """The packaged runbook, with validation lines that need less real time."""
    runbook = load().runbook(str(number))
    head = f"[[runbook]]\nid = {json.dumps(runbook.id)}\nnumber = {number}\ntitle = {json.dumps(runbook.title)}\n"
    lines = [
        f"{{ {f'item = {json.dumps(v.item)}, ' if v.item else ''}text = {json.dumps(v.text)}, signal = {json.dumps(v.signal)}, "
        f"expect = {json.dumps(v.expect)}, hold = {HOLD_S}, within = {WITHIN_S} }}"
        for v in runbook.validation
    ]
    return head + (f"validation = [{', '.join(lines)}]\n" if lines else "")


class Hands:
    def __init__(self, cockpit: Screen, drill: DrillThread) -> None:
        self.cockpit = cockpit
        self.drill = drill

    @property
    def world(self) -> World:
        return self.drill.drill.world

    async def pass_time(self, seconds: float, step: float = 60.0) -> None:
        """Simulated seconds, in pieces between which everything that watches can follow."""
        while seconds > 0:
            await asyncio.to_thread(self.drill.advance, min(step, seconds))
            seconds -= step
            await asyncio.sleep(0.05)

    async def wait(self, pattern: str, timeout_s: float = HANG_S, *, absent: bool = False) -> str:
        return await self.cockpit.wait(pattern, timeout_s, absent=absent)

    async def begin(self, match: str) -> None:
        """The dashboard names the runbook, the keys open it, the executor is there."""
        await self.wait(rf"MATCH +{match}")
        await self.cockpit.until(self.cockpit.app.session.ready.is_set)

    async def choose(self, name: str, title: str) -> None:
        """A step by the palette: number and title as it lists them."""
        self.cockpit.burst("escape", "escape", "escape")
        await self.cockpit.settled()
        self.cockpit.write(f":{name}")
        await self.cockpit.until(lambda: self.cockpit.app.in_palette)
        await self.wait(re.escape(title))
        self.cockpit.burst("enter")
        await self.cockpit.until(lambda: not self.cockpit.app.in_palette)

    async def fill(self, *values: str) -> None:
        """The fields of the form, in order; an empty one stays as it is."""
        for value in values:
            await self.cockpit.settled()
            if value:
                if not isinstance(
                    self.cockpit.app.screen.focused, Input
                ):  # a list of choices has a line to type at below it
                    self.cockpit.burst("tab")
                    await self.cockpit.settled()
                self.cockpit.write(value)
            await self.cockpit.settled()
            self.cockpit.burst("enter")
        await self.cockpit.settled()

    async def confirm(self, typed: str = "") -> str:
        """The plan as it was shown; it is sent."""
        shown = await self.wait(rf"type {re.escape(typed)} to go on" if typed else r"y do it")
        await self.cockpit.settled()
        if typed:
            self.cockpit.write(typed)
            await self.wait(r"ctrl\+y does it")
            self.cockpit.burst("ctrl+y")
        else:
            self.cockpit.burst("y")
        return shown

    async def carried_out(self, steps: int = 30, every_s: float = 30.0, until: str = r"DONE +") -> str:
        """Let simulated time pass until the mitigation has ended."""
        pattern = re.compile(until, re.M)
        for _ in range(steps):
            await self.pass_time(every_s)
            for _ in range(3):
                if pattern.search(shown := self.cockpit.text()):
                    return shown
                await asyncio.sleep(0.13)
        return await self.wait(until)  # enough has passed in the world: what is left is the machine's own pace


@asynccontextmanager
async def at_work(drill: DrillThread, settings: Settings, size: tuple[int, int] = (160, 48)) -> AsyncIterator[Hands]:
    async with screen(settings, size) as cockpit:
        yield Hands(cockpit, drill)


def intents(hands: Hands) -> Sequence[dict[str, Any]]:
    journal = hands.cockpit.app.session.journal
    assert journal is not None
    return [dict(r) for r in journal.records() if r["kind"] == "intent"]
