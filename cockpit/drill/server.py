"""A drill: the world, driven in real time, behind servers on loopback that speak the real protocols."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from cockpit.drill.kubernetes.serving import Served
from cockpit.drill.kubernetes.serving import serve as serve_kubernetes
from cockpit.drill.names import CONTEXT, NAMESPACE, RPC_URLS, SERVICES
from cockpit.drill.prometheus import PrometheusServer
from cockpit.drill.world import HISTORY_S, World

TICK_S = 0.2  # real seconds between two moves of the world
MOST_S = 30.0  # simulated seconds that one move may catch up; a machine that is slower than that runs late
CHUNK_S = 2.0  # simulated seconds between two chances for the servers to answer

T = TypeVar("T")


class Drill:
    """An async context manager: `async with Drill("rpc-outage") as drill`. Everything runs in the caller's loop.

    `start_at`: unix seconds at which the simulation stands when it starts (default: now). `aged_s`: how old the incident
    is then (default: the scenario's own). `history_s`: seconds of samples that exist before the incident. `speed`: simulated seconds a second; 0 leaves the world to the caller's
    `drill.world.advance`. Raises KeyError for an unknown scenario.
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
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._speed = speed
        self._start_at = start_at
        self._aged_s = aged_s
        self._history_s = history_s
        self._stack = contextlib.AsyncExitStack()
        self._driver: asyncio.Task[None] | None = None
        self.context = CONTEXT
        self.namespace = NAMESPACE
        self.kubernetes = ""  # the API server's address
        self.prometheus = ""
        self.services = ""  # /NAME/metrics of each service
        self.directory = Path()
        self.world: World
        self.prometheus_server: PrometheusServer

    @property
    def kubeconfig(self) -> str:
        return str(self.directory / "kubeconfig")

    @property
    def config(self) -> str:
        """A cockpit configuration file that points at this drill."""
        return str(self.directory / "cockpit.toml")

    async def __aenter__(self) -> Drill:
        start_at = time.time() if self._start_at is None else self._start_at
        clock = World.past_clock(float(int(start_at)), self._speed)
        self.world = World(
            seed=self._seed, clock=clock, scenario=self._scenario, aged_s=self._aged_s, history_s=self._history_s
        )
        self.prometheus_server = PrometheusServer(self.world)
        try:
            served = await self._stack.enter_async_context(serve_kubernetes(self.world.kube))
            self.kubernetes = served.url
            self.prometheus = await self._serve(self.prometheus_server.application())
            self.services = await self._serve(self.prometheus_server.services())
            self.directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="m0-drill-"))  # mode 0700
            await asyncio.to_thread(self._write_files, served)
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
        """What `drill --serve` prints. Absent servers are None."""
        return {
            "kubeconfig": self.kubeconfig,
            "context": self.context,
            "namespace": self.namespace,
            "prometheus": self.prometheus,
            "solana_rpc": None,
            "solana_ws": None,
            "api": None,
            "program_id": None,
            "config": self.config,
        }

    async def _serve(self, app: web.Application) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def _write_files(self, served: Served) -> None:
        state = self.directory / "state"
        state.mkdir(mode=0o700)
        _write(Path(self.kubeconfig), _kubeconfig(served))
        lines = [
            f"kubeconfig = {json.dumps(self.kubeconfig)}",
            f"context = {json.dumps(CONTEXT)}",
            f"namespace = {json.dumps(NAMESPACE)}",
            "production = true",
            f"state-dir = {json.dumps(str(state))}",
            "",
            "[prometheus]",
            f"url = {json.dumps(self.prometheus)}",
            "",
            "[prometheus.direct]",
            *(f"{name} = {json.dumps(f'{self.services}/{name}/metrics')}" for name in SERVICES),
        ]
        for name, url in RPC_URLS.items():
            lines += ["", "[[rpc-endpoints]]", f"name = {json.dumps(name)}", f"url = {json.dumps(url)}"]
        _write(Path(self.config), "\n".join(lines) + "\n")

    async def _drive(self) -> None:
        """Move the world on with real time. Falling behind slows the drill down; it never skips."""
        last = time.monotonic()
        owed = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            owed = min(owed + (now - last) * self.world.clock.speed, MOST_S)
            last = now
            while owed > 0:
                step = min(owed, CHUNK_S)
                self.world.advance(step)
                owed -= step
                if owed > 0:
                    await asyncio.sleep(0)


class DrillThread:
    """A drill in a thread and loop of its own: `with DrillThread("rpc-outage") as drill`, so that it cannot slow the
    caller's loop down. The attributes of Drill are readable; use `call` to touch the world."""

    def __init__(self, scenario: str | None = None, **options: Any) -> None:
        self._drill = Drill(scenario, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="drill", daemon=True)

    def __enter__(self) -> DrillThread:
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


async def serve(scenario: str | None = None, *, seed: int = 7, speed: float = 1.0, parent: int | None = None) -> None:
    """Print where everything is (one JSON line) once every server answers; run until SIGTERM or SIGINT, or until the
    process `parent` has ended."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with Drill(scenario, seed=seed, speed=speed) as drill:
        sys.stdout.write(json.dumps(drill.where()) + "\n")
        sys.stdout.flush()
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
            if parent is not None and not _alive(parent):
                break


def serve_forever(scenario: str | None = None, *, seed: int = 7, speed: float = 1.0, parent: int | None = None) -> int:
    """`serve`, blocking; returns the exit code."""
    asyncio.run(serve(scenario, seed=seed, speed=speed, parent=parent))
    return 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _kubeconfig(served: Served) -> str:
    """Contexts `drill` (may do all) and `drill-viewer` (may read). JSON, which is YAML too."""
    cluster = {"server": served.url}
    if served.authority:
        cluster["certificate-authority-data"] = base64.b64encode(served.authority.encode()).decode()
    contexts, users = [], []
    for name, token in ((CONTEXT, "admin"), (f"{CONTEXT}-viewer", "viewer")):
        user = f"drill-{token}"
        users.append({"name": user, "user": {"token": token}})
        contexts.append({"name": name, "context": {"cluster": "drill", "user": user, "namespace": NAMESPACE}})
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "drill", "cluster": cluster}],
        "users": users,
        "contexts": contexts,
        "current-context": CONTEXT,
    }
    return json.dumps(config, indent=1) + "\n"
