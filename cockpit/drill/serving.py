"""Runs a drill alone: for `m0-cockpit drill --serve`, and as the child of a cockpit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from cockpit.drill.school.control import publish
from cockpit.drill.server import Drill

DATABASE_S = 30.0  # how long a script waits for the database to come up


async def serve(
    scenario: str | None = None,
    *,
    seed: int = 7,
    speed: float = 1.0,
    parent: int | None = None,
    postgres: bool = False,
    control: Path | None = None,
    decoys: int = 0,
) -> None:
    """Serve a drill until SIGTERM, SIGINT or SIGHUP, or until the process `parent` has ended.

    One JSON line says where everything is once every server answers.

    `control`: with a school, whose address is written there.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    school = control is not None
    async with Drill(scenario, seed=seed, speed=speed, decoys=decoys, postgres=postgres, school=school) as drill:
        where = drill.where()
        if control is not None:
            where["control"] = str(control)
            await asyncio.to_thread(publish, control, drill.control, drill.control_token)
        if parent is None:  # scripts connect at once; a cockpit shows the rest meanwhile
            coming, stopped = asyncio.create_task(drill.database_up()), asyncio.create_task(stop.wait())
            await asyncio.wait({coming, stopped}, timeout=DATABASE_S, return_when=asyncio.FIRST_COMPLETED)
            coming.cancel()
            stopped.cancel()
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
            if parent is not None and not _alive(parent):
                break
        if control is not None:
            await asyncio.to_thread(control.unlink, True)


def serve_forever(
    scenario: str | None = None,
    *,
    seed: int = 7,
    speed: float = 1.0,
    parent: int | None = None,
    postgres: bool = False,
    control: Path | None = None,
    decoys: int = 0,
) -> int:
    """Run `serve` to its end and return the exit code."""
    asyncio.run(
        serve(scenario, seed=seed, speed=speed, parent=parent, postgres=postgres, control=control, decoys=decoys)
    )
    return 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
