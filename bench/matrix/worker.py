"""Lives through one scenario up to where an operator would act, and forks there for each step."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path

from bench.matrix.cases import Case, case_of, cases, needs_database
from bench.matrix.loop import hurry, simulate
from bench.matrix.rig import Rig, rig
from bench.matrix.run import NOT_HERE, Result, carry_out
from cockpit.drill.scenarios import find

SETTLED_S = 90.0  # simulated: every signal has held for as long as it must
LATEST_S = 900.0  # simulated, until it is answered over the real wire


def run(scenario: str, seed: int, wrong: bool, only: tuple[str, ...], heard: Callable[[Result], None]) -> None:
    """Carry out every step that is to be tried; `only`: steps as RUNBOOK/ID."""
    simulate(_all(scenario, seed, wrong, only, heard))


async def _all(scenario: str, seed: int, wrong: bool, only: tuple[str, ...], heard: Callable[[Result], None]) -> None:
    async with rig(scenario, seed) as made:
        await asyncio.sleep(SETTLED_S)
        gc.freeze()  # what the forks share is looked through by none of them
        gc.set_threshold(100_000, 50, 100)
        for case in cases(find(scenario), seed, made.runbooks, made.situation, wrong=wrong):
            if not only or f"{case.runbook}/{case.step}" in only:
                real = needs_database(case, made.runbooks)
                heard(Result(case, NOT_HERE, "") if real else await _forked(made, case))


def run_on_the_wire(scenario: str, seed: int, step: str, speed: float) -> Result:
    """Carry one step (RUNBOOK/ID) out over real sockets, in real time at this speed."""
    return hurry(_one(scenario, seed, step), speed)


async def _one(scenario: str, seed: int, step: str) -> Result:
    async with rig(scenario, seed, wire=True) as made:
        await asyncio.sleep(SETTLED_S)
        end = made.clock.mono() + LATEST_S
        needed = {"k8s", "prom"} | (set() if made.drill.world.serve.database_down else {"pg"})
        while silent := [s.name for s in made.situation.sources if s.name in needed and not s.state.live]:
            if made.clock.mono() > end:  # a machine that is too busy for this speed
                case = case_of(find(scenario), seed, made.runbooks, step)
                return Result(case, "error", f"no answer in {LATEST_S:.0f} s: {', '.join(silent)}")
            await asyncio.sleep(1.0)
        return await carry_out(made, case_of(find(scenario), seed, made.runbooks, step))


async def _forked(made: Rig, case: Case) -> Result:
    """Run the case in a copy of this process, so that the next one begins where this one did."""
    reading, writing = os.pipe()
    state = _files(made.settings.state_dir)
    pid = os.fork()
    if pid:
        os.close(writing)
        with os.fdopen(reading, "rb") as answers:
            said = answers.read()  # nothing else goes on here meanwhile, by intention
        os.waitpid(pid, 0)  # noqa: ASYNC222
        _put_back(made.settings.state_dir, state)  # the journal is on disk, where a fork shares it
        return Result.of(json.loads(said)) if said else Result(case, "error", "the process ended without a word")
    asyncio._set_running_loop(asyncio.get_event_loop_policy().get_event_loop())  # it forgets it over a fork
    try:
        result = await carry_out(made, case)
    except BaseException as error:
        where = tuple(traceback.format_exc().splitlines()[-6:])
        result = Result(case, "error", f"{type(error).__name__}: {error}", where)
    os.write(writing, json.dumps(result.as_json()).encode())
    os._exit(0)


def _files(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def _put_back(directory: Path, files: dict[Path, bytes]) -> None:
    """Let the files be as they were, in place: they are open."""
    for path in directory.rglob("*"):
        if path.is_file() and path not in files:
            path.unlink()
    for path, held in files.items():
        with path.open("r+b") as file:
            file.truncate(0)
            file.write(held)
