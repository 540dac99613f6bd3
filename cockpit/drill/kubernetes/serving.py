"""Serves a cluster on loopback, and writes the kubeconfig that reaches it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from cockpit.drill.door import Door
from cockpit.drill.kubernetes.api.certificate import make_identity
from cockpit.drill.kubernetes.world import KubernetesWorld


@dataclass(frozen=True)
class Served:
    """Tells where the server is.

    `url`: https://127.0.0.1:PORT (http without TLS).

    `authority`: the certificate to trust, PEM; empty without TLS.
    """

    url: str
    port: int
    authority: str = ""


@contextlib.asynccontextmanager
async def serve(
    world: KubernetesWorld, *, port: int = 0, host: str = "127.0.0.1", tls: bool = True
) -> AsyncIterator[Served]:
    """Serve the API on loopback; open streams are ended on leaving.

    Without TLS kubectl sends no token.
    """
    identity = make_identity() if tls else None
    runner = web.AppRunner(Door().guard(world.application()), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=identity.context if identity else None)
        await site.start()
        bound = runner.addresses[0][1]
        scheme = "https" if identity else "http"
        yield Served(f"{scheme}://{host}:{bound}", bound, identity.certificate if identity else "")
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def ticking(world: KubernetesWorld, *, per_second: float = 20.0, speed: float = 1.0) -> AsyncIterator[None]:
    """Advance the clock in real time (times `speed`) and step the controllers, while inside."""

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(1 / per_second)
            now = loop.time()
            world.clock.advance((now - last) * speed)
            last = now
            world.step()

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def write_kubeconfig(
    path: Path, served: Served, *, token: str = "admin", namespace: str = "m0-prod", name: str = "drill"
) -> Path:
    """Write a kubeconfig (mode 0600) with one context `name`; JSON, which is YAML too.

    Returns the path.
    """
    user = f"{name}-{token}"
    cluster = {"server": served.url}
    if served.authority:
        cluster["certificate-authority-data"] = base64.b64encode(served.authority.encode()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": namespace}}],
        "current-context": name,
    }
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(json.dumps(config, indent=1) + "\n")
    return path
