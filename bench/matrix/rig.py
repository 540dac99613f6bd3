"""Puts a drill's world and a whole cockpit onto one loop of simulated time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from bench.matrix.loop import LoopClock
from cockpit.config import load_settings
from cockpit.drill.server import Drill
from cockpit.engine import Engine
from cockpit.journal.journal import Journal
from cockpit.journal.operator import Operator
from cockpit.mitigation.context import Backends, NetworkCli
from cockpit.mitigation.executor import Executor
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.runbooks.own_commands import with_commands
from cockpit.runbooks.schema import load
from cockpit.session import journal_path
from cockpit.settings import Settings, secret_of
from cockpit.sources.postgres.settings import POSTGRES
from cockpit.sources.probes.settings import PROBES
from cockpit.sources.prometheus.settings import PROMETHEUS
from cockpit.sources.solana.settings import SOLANA

START = 1_790_000_000.0  # unix seconds
ASK_EVERY_S = 5.0  # as the drill's services are scraped
TICK_S = 0.5  # simulated seconds between two moves of the world
OPERATOR = Operator(name="matrix", os_user="matrix", ssh_user="", ssh_from="", kube_user="drill-admin", host="matrix")


@dataclass
class Rig:
    """Holds one world with the cockpit that watches it and acts on it."""

    drill: Drill
    settings: Settings
    runbooks: Runbooks
    clock: LoopClock
    engine: Engine
    executor: Executor

    @property
    def situation(self) -> Situation:
        situation = self.engine.situation
        assert situation is not None
        return situation


@asynccontextmanager
async def rig(scenario: str, seed: int, *, wire: bool = False) -> AsyncIterator[Rig]:
    """Start both; the cockpit has looked once at everything when it is handed over.

    Everything runs in the caller's loop, and the world moves on with its time. `wire`: with TLS and
    a real PostgreSQL, for which the loop must be one of real sockets.
    """
    random.seed(seed)
    loop = asyncio.get_running_loop()
    async with Drill(scenario, seed=seed, speed=0, start_at=START, tls=wire, postgres=wire) as drill:
        await drill.database_up()
        clock = LoopClock(loop, START - loop.time())
        settings = _unhurried(load_settings(config=drill.config, env={}))
        runbooks = with_commands(load(None), settings)
        recorded: list[Executor] = []
        engine = Engine(
            settings,
            lambda: runbooks,
            clock,
            lambda: {"progress": recorded[0].progress, "journal": recorded[0].journal_lines} if recorded else {},
            assess_every_s=1.0,
            rng=random.Random(seed),
        )
        driving, reading = asyncio.create_task(_drive(drill)), asyncio.create_task(engine.run())
        journal = Journal.open(journal_path(settings), wall=clock.wall, sync=lambda fd: None)
        try:
            while engine.place is None or engine.situation is None:  # noqa: ASYNC110 - in simulated time
                await asyncio.sleep(0.1)
            postgresql = settings.of(POSTGRES)
            cli = settings.network_cli
            executor = Executor(
                engine.access,
                runbooks,
                journal,
                lambda: engine.situation,
                clock,
                namespace=engine.place.namespace,
                read_only=False,
                operator=OPERATOR,
                backends=Backends(
                    NetworkCli(cli.argv, cli.cluster, cli.timeout, cli.env),
                    admin_url=lambda: secret_of(postgresql.admin_url, postgresql.admin_url_file, "admin-url"),
                    past=engine.past,
                    measure=engine.measure,
                ),
                loop=loop,
            )
            recorded.append(executor)
            yield Rig(drill, settings, runbooks, clock, engine, executor)
        finally:
            engine.close()
            await reading
            driving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await driving
            journal.close()


def _unhurried(settings: Settings) -> Settings:
    """Ask as often as the drill's metrics change: an operator might configure it so."""
    for key in (PROMETHEUS, SOLANA, PROBES):
        settings = settings.having(key, replace(settings.of(key), interval=ASK_EVERY_S))
    return settings


async def _drive(drill: Drill) -> None:
    """Move the world on with the loop's time."""
    while True:
        await asyncio.sleep(TICK_S)
        drill.world.advance(TICK_S)
        drill.follow_database()
