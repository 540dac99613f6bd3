"""An operator at the running cockpit over a drill, who only types.

Simulated time passes when the test says so.
"""

from __future__ import annotations

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
from cockpit.drill.world import World
from cockpit.model.plan import Progress, Proof
from cockpit.runbooks.schema import load
from cockpit.settings import Settings
from cockpit.sources.probes.settings import PROBES
from cockpit.sources.prometheus.settings import PROMETHEUS
from cockpit.sources.solana.settings import SOLANA
from tests.support.terminals.paced import PacedDrill, PacedSession
from tests.support.terminals.screen import Screen, screen_of
from tests.support.waiting import HANG_S

#: Seconds that a validation line must hold where time is real.
HOLD_S, WITHIN_S = 1.0, 2 * HANG_S
#: Seconds between two questions to a source, as an operator might configure them.
ASK_EVERY_S = 10.0
#: Simulated seconds that pass between two looks at whether something has ended.
PIECE_S = 10.0


@contextmanager
def incident(name: str, path: Path) -> Iterator[tuple[PacedDrill, Settings]]:
    """Run a drill, with the settings of a cockpit that asks as often as something is new."""
    with PacedDrill(name) as drill:
        drill.call(lambda running: setattr(running.world, "step_s", 2.0))
        settings = replace(load_settings(config=drill.config, env={}), state_dir=path / "state")
        for key in (PROMETHEUS, SOLANA, PROBES):
            settings = settings.having(key, msgspec.structs.replace(settings.of(key), interval=ASK_EVERY_S))
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
    def __init__(self, cockpit: Screen, drill: PacedDrill) -> None:
        self.cockpit = cockpit
        self.drill = drill
        self._before: set[str] = set()  # plans that were confirmed before the one that goes on

    @property
    def world(self) -> World:
        return self.drill.drill.world

    async def pass_time(self, seconds: float) -> None:
        """Let simulated seconds pass: all that is read, done and proven in them has been, then."""
        then = self.drill.loop.grant(seconds)
        await self.cockpit.until(lambda: self.drill.loop.time() >= then)

    async def wait(self, pattern: str, timeout_s: float = HANG_S, *, absent: bool = False) -> str:
        return await self.cockpit.wait(pattern, timeout_s, absent=absent)

    async def begin(self, match: str) -> None:
        """The dashboard names the runbook, the keys open it, the executor is there."""
        await self.wait(rf"(?:MATCH|PUBLISHING UNSAFE) +{match}")
        await self.cockpit.until(self.cockpit.app.session.ready.is_set)

    async def choose(self, name: str, title: str) -> None:
        """A step by the palette: number and title as it lists them."""
        await self.back()
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
        self._before = {progress.plan.id for progress in self._progress}
        shown = await self.wait(rf"type {re.escape(typed)} to go on" if typed else r"y do it")
        await self.cockpit.settled()
        if typed:
            self.cockpit.write(typed)
            await self.wait(r"ctrl\+y does it")
            self.cockpit.burst("ctrl+y")
        else:
            self.cockpit.burst("y")
        return shown

    @property
    def _progress(self) -> tuple[Progress, ...]:
        return self.cockpit.app.session.progress

    @property
    def _newest(self) -> Progress | None:
        return next((p for p in self._progress if p.plan.id not in self._before), None)

    @property
    def verdicts(self) -> list[Proof]:
        """What is known of each step that was carried out, newest first."""
        return [p.proof for p in sorted(self._progress, key=lambda p: -p.started_mono)]

    async def back(self) -> None:
        """Close what is open over the dashboard."""
        self.cockpit.burst("escape", "escape", "escape")
        await self.cockpit.settled()

    async def undo(self, typed: str = "") -> str:
        """Take the newest step back."""
        await self.back()
        self.cockpit.burst("u")
        await self.confirm(typed)
        return await self.carried_out()

    async def carried_out(self, until: str = r"DONE +", within_s: float = 1800.0) -> str:
        """Let simulated time pass until the mitigation has ended, and the screen says so."""
        await self.cockpit.until(lambda: self._newest is not None)
        passed = 0.0
        while self._newest is not None and self._newest.running and passed < within_s:
            await self.pass_time(PIECE_S)
            passed += PIECE_S
        return await self.wait(until)


@asynccontextmanager
async def at_work(drill: PacedDrill, settings: Settings, size: tuple[int, int] = (160, 48)) -> AsyncIterator[Hands]:
    session = PacedSession(settings, load(None), drill)
    async with screen_of(session, size) as cockpit:
        yield Hands(cockpit, drill)


def intents(hands: Hands) -> Sequence[dict[str, Any]]:
    journal = hands.cockpit.app.session.journal
    assert journal is not None
    return [dict(r) for r in journal.records() if r["kind"] == "intent"]
