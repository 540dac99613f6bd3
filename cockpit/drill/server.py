"""Runs a drill: the world, driven in real time, behind loopback servers of the real protocols."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

from cockpit.drill import admin, files
from cockpit.drill.decoys import decoys_of
from cockpit.drill.door import Door
from cockpit.drill.kubernetes.serving import serve as serve_kubernetes
from cockpit.drill.names import API, CONTEXT, MARKETS, NAMESPACE, RPC_URLS
from cockpit.drill.postgres import DrillPostgres, installed
from cockpit.drill.probes import Probes
from cockpit.drill.prometheus.server import PrometheusServer
from cockpit.drill.scenarios import find
from cockpit.drill.school import control
from cockpit.drill.school.referee import Referee
from cockpit.drill.solana.node.network import stream_url
from cockpit.drill.solana.node.servers import SolanaServers, bind_pairs, urls_of
from cockpit.drill.world import HISTORY_S, World
from cockpit.runbooks.schema import load

if TYPE_CHECKING:
    from cockpit.drill.postgres import DrillPostgres
    from cockpit.drill.school.control import Conductor

KEEP_EVERY_S = 2.0  # the publish state is written to the database so often
TICK_S = 0.2  # real seconds between two moves of the world
MOST_S = 30.0  # simulated seconds that one move may catch up; a machine that is slower than that runs late
WELL = "rpc-b"  # the endpoint that `where` names: no scenario breaks it
DOWN = "down"  # the switch of the database's server itself, beside those of its troubles
CHUNK_S = 2.0  # simulated seconds between two chances for the servers to answer

T = TypeVar("T")


class Drill:
    """Serves one drill as an async context manager: `async with Drill("rpc-outage") as drill`.

    Everything runs in the caller's loop.

    `start_at`: unix seconds at which the simulation stands when it starts (default: now). `aged_s`:
    how old the incident is then (default: the scenario's own). `history_s`: seconds of samples that
    exist before the incident. `decoys`: so many harmless changes happen around it. `speed`:
    simulated seconds a second; 0 leaves the world to the caller's `drill.world.advance`.
    `postgres`: a real PostgreSQL too, where the extra is installed; it comes up in the background,
    some two seconds later. `school`: a referee measures, and a control of its own answers. `tls`:
    of the API server. Raises KeyError for an unknown scenario.
    """

    def __init__(
        self,
        scenario: str | None = None,
        seed: int = 7,
        speed: float = 1.0,
        start_at: float | None = None,
        *,
        aged_s: float | None = None,
        history_s: float = HISTORY_S,
        decoys: int = 0,
        postgres: bool = False,
        school: bool = False,
        tls: bool = True,
    ) -> None:
        self.scenario = find(scenario or "calm")
        self._with_school = school
        self._tls = tls
        self.conductor: Conductor | None = None
        self.control = ""  # the conductor's address
        self.control_token = secrets.token_urlsafe(24)
        self._seed = seed
        self._speed = speed
        self._start_at = start_at
        self._aged_s = aged_s
        self._history_s = history_s
        self._decoys = decoys
        self._with_postgres = postgres
        self._keeping: asyncio.Task[None] | None = None  # the submitter's writing of its publish state
        self._kept_at = 0.0
        self.database: DrillPostgres | None = None
        self._troubles: set[str] = set()  # of the database, as last switched
        self._switching: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()
        self._driver: asyncio.Task[None] | None = None
        self.context = CONTEXT
        self.namespace = NAMESPACE
        self.kubernetes = ""  # the API server's address
        self.prometheus = ""
        self.services = ""  # /NAME/metrics of each service
        self.admin = ""  # where the stand-in for the network's command line speaks to
        self._admin_token = secrets.token_urlsafe(24)
        self.tokens = {name: secrets.token_urlsafe(24) for name in ("admin", "viewer")}  # of the API server's users
        self._door = Door()
        self.directory = Path()
        self.rpc_urls: dict[str, str] = {}  # Solana endpoint → its address
        self.solana: SolanaServers
        self.world: World
        self.prometheus_server: PrometheusServer

    @property
    def kubeconfig(self) -> str:
        return str(self.directory / files.KUBECONFIG)

    @property
    def config(self) -> str:
        """Return the path of a cockpit configuration file that points at this drill."""
        return str(self.directory / files.CONFIGURATION)

    async def __aenter__(self) -> Drill:
        start_at = time.time() if self._start_at is None else self._start_at
        clock = World.past_clock(float(int(start_at)), self._speed)
        pairs = bind_pairs(RPC_URLS)
        self.rpc_urls = urls_of(pairs)
        try:
            self.world = World(
                seed=self._seed,
                clock=clock,
                scenario=self.scenario,
                aged_s=self._aged_s,
                history_s=self._history_s,
                decoys=decoys_of(self.scenario, self._decoys, self._seed),
                rpc_urls=self.rpc_urls,
            )
        except BaseException:
            for pair in pairs.values():
                pair.close()
            raise
        users = self.world.kube.users
        for name, token in self.tokens.items():
            users[token] = users.pop(name)
        self.solana = SolanaServers(self.world.chain, self.world.network.endpoints, pairs)
        self.prometheus_server = PrometheusServer(self.world)
        try:
            await self._stack.enter_async_context(self.solana)
            served = await self._stack.enter_async_context(serve_kubernetes(self.world.kube, tls=self._tls))
            self.kubernetes = served.url
            self.prometheus = await self._serve(self.prometheus_server.application())
            services = self.prometheus_server.services()
            Probes(self.world, self.world.chain.bundle).add_to(services)
            self.services = await self._serve(services)
            self.admin = await self._serve(
                admin.application(
                    self.world.authority,
                    self._admin_token,
                    self.world.serve.restore,
                    self.world.serve.failover,
                    {"scale": self.world.serve.enlarge, "move-analytics": self.world.serve.move_analytics},
                )
            )
            self.directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="m0-drill-"))  # mode 0700
            if self._with_postgres:
                await self._attach_postgres()
            await asyncio.to_thread(
                files.write,
                self.directory,
                served,
                tokens=self.tokens,
                prometheus=self.prometheus,
                services=self.services,
                admin=(self.admin, self._admin_token),
                database=self.database,
                program_id=self.world.chain.program_id,
                rpc_urls=self.rpc_urls,
            )
            if self._with_school:
                await self._open_school()
        except BaseException:
            await self.__aexit__()
            raise
        if self._speed > 0:
            self._driver = asyncio.create_task(self._drive(), name="drill-world")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._driver is not None:
            self._driver.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._driver
            self._driver = None
        await self._stack.aclose()
        if self.directory != Path():
            await asyncio.to_thread(shutil.rmtree, self.directory, True)

    def where(self) -> dict[str, str | None]:
        """Return what `drill --serve` prints.

        Absent servers are None.
        """
        return {
            "kubeconfig": self.kubeconfig,
            "context": self.context,
            "namespace": self.namespace,
            "prometheus": self.prometheus,
            "solana_rpc": self.rpc_urls[WELL],
            "solana_ws": stream_url(self.rpc_urls[WELL]),
            "api": f"{self.services}/{API}",
            "program_id": self.world.chain.program_id,
            "postgres": self.database.url if self.database is not None else None,
            "config": self.config,
        }

    async def _serve(self, app: web.Application) -> str:
        runner = web.AppRunner(self._door.guard(app), access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def _open_school(self) -> None:
        runbooks = await asyncio.to_thread(load, None)
        self.conductor = control.Conductor(
            self.world,
            self.scenario,
            Referee(self.world, self.scenario, runbooks, self.directory / "state" / "journal.jsonl"),
        )
        self.control = await self._serve(control.application(self.conductor, self.control_token, self._seed))

    async def _attach_postgres(self) -> None:
        if not installed():
            return
        self.database = await asyncio.to_thread(DrillPostgres)
        self._stack.push_async_callback(asyncio.to_thread, self.database.stop)
        self.database.start_soon()

    async def database_up(self) -> None:
        """Wait until the database answers or has failed for good; without one, return at once."""
        database = self.database
        while database is not None and not database.ready.is_set() and database.problem is None:  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.05)

    async def _switch(self, database: DrillPostgres, wanted: frozenset[str]) -> None:
        """Throw the database's switches in threads, as a switch may wait for a lock.

        The world never waits for it. What fails is tried again.
        """
        try:
            for name in sorted(wanted ^ self._troubles, key=lambda name: (name != DOWN, name)):
                await asyncio.to_thread(getattr(database, name), name in wanted)
                self._troubles ^= {name}
        except Exception:
            await asyncio.sleep(1.0)
        finally:
            self._switching = None

    def follow_database(self) -> None:
        """Throw the switches that the scenario asks for; report the real database's slowness."""
        serve, database = self.world.serve, self.database
        if database is None or not database.ready.is_set():
            return
        serve.database_felt = database.slowdown
        if (self._keeping is None or self._keeping.done()) and time.monotonic() - self._kept_at > KEEP_EVERY_S:
            self._kept_at = time.monotonic()
            self._keeping = asyncio.create_task(asyncio.to_thread(database.keep_state, _kept_state(self.world)))
        wanted = serve.troubles | ({DOWN} if serve.database_down else frozenset())
        if self._switching is None and wanted != self._troubles:
            self._switching = asyncio.create_task(self._switch(database, wanted))

    async def _drive(self) -> None:
        """Move the world on with real time.

        Falling behind slows the drill down; it never skips.
        """
        last = time.monotonic()
        owed = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            if self.conductor is None or self.conductor.goes_on():
                owed = min(owed + (now - last) * self.world.clock.speed, MOST_S)
            last = now
            self.follow_database()
            while owed > 0:
                step = min(owed, CHUNK_S)
                self.world.advance(step)
                owed -= step
                if owed > 0:
                    await asyncio.sleep(0)


def _kept_state(world: World) -> list[tuple[str, int, int]]:
    """Return market, epoch and sequence as the publish state in the store has them."""
    publish = world.publish
    behind = max(0, publish.accepted - (publish.stored - publish.lost))
    held = (world.chain.accounts.market(name) for name in MARKETS)
    return [(one.market_id, one.current_epoch_id, max(0, one.last_sequence - behind)) for one in held if one]


class DrillThread:
    """Runs a drill in a thread and loop of its own: `with DrillThread("rpc-outage") as drill`.

    So it cannot slow the caller's loop down.

    The attributes of Drill are readable; use `call` to touch the world.
    """

    def __init__(self, scenario: str | None = None, **options: Any) -> None:
        self._drill = Drill(scenario, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="drill", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)

    def call(self, what: Callable[[Drill], T], timeout_s: float = 30.0) -> T:
        """Run `what(drill)` in the drill's loop and return its result."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(what(self._drill))
            except BaseException as error:
                done.set_exception(error)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(run)
        return done.result(timeout_s)

    def advance(self, seconds: float) -> None:
        """Move the world on by simulated seconds, beyond what real time does."""
        self.call(lambda drill: drill.world.advance(seconds), 120.0)

    @property
    def drill(self) -> Drill:
        return self._drill

    @property
    def kubeconfig(self) -> str:
        return self._drill.kubeconfig

    @property
    def context(self) -> str:
        return self._drill.context

    @property
    def namespace(self) -> str:
        return self._drill.namespace

    @property
    def prometheus(self) -> str:
        return self._drill.prometheus

    @property
    def config(self) -> str:
        return self._drill.config

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self._drill:
            self._ready.set_result(None)
            await self._stop.wait()
