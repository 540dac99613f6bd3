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
from cockpit.assessment.crosscheck import QUERIES as CROSS_CHECKED
from cockpit.config import load_settings
from cockpit.drill.server import Drill
from cockpit.drill.world import HISTORY_S
from cockpit.engine import Engine
from cockpit.journal.journal import Journal
from cockpit.journal.operator import Operator
from cockpit.mitigation.choices.effects import TAKEN, WAITING
from cockpit.mitigation.choices.markets import RISK
from cockpit.mitigation.choices.markets import SOURCES as IMPLIED
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
from cockpit.sources.prometheus.values import BY_SIGNER
from cockpit.sources.solana.settings import RPC_ENDPOINTS, SOLANA

START = 1_790_000_000.0  # unix seconds
#: Ports that nobody listens on, for a source that is down.
NOWHERE = "http://127.0.0.1:{port}"
OPERATOR = Operator(name="matrix", os_user="matrix", ssh_user="", ssh_from="", kube_user="drill-admin", host="matrix")


@dataclass(frozen=True, slots=True)
class Pace:
    """Says how finely a run goes, in simulated seconds.

    `ask_s` between two questions of a source (the drill's services are scraped every 5), `tick_s`
    between two moves of the world, `assess_s` between two situations.
    """

    ask_s: float = 5.0
    tick_s: float = 0.5
    assess_s: float = 2.0


FINE = Pace()


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
async def rig(
    scenario: str,
    seed: int,
    *,
    wire: bool = False,
    pace: Pace = FINE,
    without: frozenset[str] = frozenset(),
    off_s: float = 0.0,
    history_s: float = HISTORY_S,
    aged_s: float | None = None,
    decoys: int = 0,
) -> AsyncIterator[Rig]:
    """Start both; the cockpit has looked once at everything when it is handed over.

    Everything runs in the caller's loop, and the world moves on with its time. `wire`: with TLS and
    a real PostgreSQL, for which the loop must be one of real sockets. `without`: sources that are
    configured and cannot be reached, of "prometheus" and "solana". `off_s`: how much the cockpit's
    clock is off. `history_s`: how long the world has been there. `aged_s`: how old the incident is
    then, by default as old as the scenario says. `decoys`: harmless changes around it.
    """
    random.seed(seed)
    loop = asyncio.get_running_loop()
    async with Drill(
        scenario,
        seed=seed,
        speed=0,
        start_at=START,
        tls=wire,
        postgres=wire,
        history_s=history_s,
        aged_s=aged_s,
        decoys=decoys,
    ) as drill:
        await drill.database_up()
        clock = LoopClock(loop, START + off_s - loop.time())
        drill.world.step_s = max(drill.world.step_s, pace.tick_s)
        settings = _cut_off(_unhurried(load_settings(config=drill.config, env={}), pace), without)
        runbooks = _without_panels(with_commands(load(None), settings))
        recorded: list[Executor] = []
        engine = Engine(
            settings,
            lambda: runbooks,
            clock,
            lambda: {"progress": recorded[0].progress, "journal": recorded[0].journal_lines} if recorded else {},
            assess_every_s=pace.assess_s,
            rng=random.Random(seed),
        )
        driving, reading = asyncio.create_task(_drive(drill, pace)), asyncio.create_task(engine.run())
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


def _without_panels(runbooks: Runbooks) -> Runbooks:
    """Leave out the queries that panels alone show: nobody looks at them here."""
    params = [param for runbook in runbooks.runbooks for step in runbook.mitigations for param in step.params]
    asked = [name for runbook in runbooks.runbooks for line in runbook.triage for name in line.queries]
    used = {
        *asked,
        *CROSS_CHECKED.values(),
        BY_SIGNER,
        IMPLIED,
        RISK,
        WAITING,
        TAKEN,
        *(name for param in params for name in (param.choices_from or "").split(":")),
    }
    return replace(runbooks, queries={name: query for name, query in runbooks.queries.items() if name in used})


def _unhurried(settings: Settings, pace: Pace) -> Settings:
    """Ask as often as the drill's metrics change: an operator might configure it so."""
    for key in (PROMETHEUS, SOLANA, PROBES):
        settings = settings.having(key, replace(settings.of(key), interval=pace.ask_s))
    return settings


def _cut_off(settings: Settings, without: frozenset[str]) -> Settings:
    """Let sources be where nobody answers."""
    if "prometheus" in without:
        settings = settings.having(PROMETHEUS, replace(settings.of(PROMETHEUS), url=NOWHERE.format(port=1)))
    if "solana" in without:
        dead = tuple(
            replace(each, url=NOWHERE.format(port=port), ws_url=None)
            for port, each in enumerate(settings.of(RPC_ENDPOINTS), 2)
        )
        settings = settings.having(RPC_ENDPOINTS, dead)
    return settings


async def _drive(drill: Drill, pace: Pace) -> None:
    """Move the world on with the loop's time."""
    while True:
        await asyncio.sleep(pace.tick_s)
        drill.world.advance(pace.tick_s)
        drill.follow_database()
