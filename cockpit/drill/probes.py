"""Answers HTTP probes for the drill's services: health, newest outputs, signer agents' reports.

All of it follows from the world: a service without a working pod answers as a load balancer does
for it, 503.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

from aiohttp import web

from cockpit.drill.clock import http_date
from cockpit.drill.names import API, MARKETS, REALTIME, RECONCILER, SERVICES, SIGNER, SIGNERS
from cockpit.drill.world import World

_READS_DATABASE = (API, REALTIME, RECONCILER)
_REFUSALS = {500: web.HTTPInternalServerError, 503: web.HTTPServiceUnavailable, 504: web.HTTPGatewayTimeout}


class Probes:
    """Serves routes below /NAME of each service.

    `bundle`: market → its newest revealed bundle, as the network publishes it; None before the
    first.
    """

    def __init__(
        self,
        world: World,
        bundle: Callable[[str], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.world = world
        self._bundle = bundle
        self._draws = Random("probes")

    def add_to(self, app: web.Application) -> None:
        app.on_response_prepare.append(self._stamp)
        app.router.add_get("/{job}/healthz", self._healthz)
        app.router.add_get("/{job}/readyz", self._readyz)
        app.router.add_get(f"/{API}/v1/markets/{{market}}/latest", self._latest)
        app.router.add_get(f"/{API}/v1/markets/{{market}}/bundle", self._newest_bundle)
        app.router.add_get(f"/{SIGNER}/{{agent}}/status", self._agent)

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = http_date(self.world.clock.now())

    async def _healthz(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if not self.world.fleet.pods[job]:
            raise web.HTTPServiceUnavailable(text="no endpoints available for the service\n")
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if not self.world.fleet.ready(job):
            raise web.HTTPServiceUnavailable(text="no pod is ready\n")
        down = self.world.serve.unavailable if job == API else self.world.serve.database_down
        if job in _READS_DATABASE and down:
            raise web.HTTPServiceUnavailable(text="database: connection refused\n")
        return web.Response(text="ready\n")

    def _job(self, request: web.Request) -> str:
        job = request.match_info["job"]
        if job not in SERVICES:
            raise web.HTTPNotFound(text="no such service\n")
        return job

    def _market(self, request: web.Request) -> str:
        """Return the market that is asked for, while the gateway can answer at all."""
        if not self.world.fleet.ready(API):
            raise web.HTTPServiceUnavailable(text="no pod is ready\n")
        market = request.match_info["market"]
        if market not in MARKETS:
            raise web.HTTPNotFound(text="no such market\n")
        if self.world.serve.unavailable:
            raise web.HTTPServiceUnavailable(text="database: connection refused\n")
        self._as_others()
        return market

    def _as_others(self) -> None:
        """Answer as any client is answered now: so many of the last requests failed."""
        drawn = self._draws.random()
        for status, share in self.world.serve.failing.items():
            drawn -= share
            if drawn < 0:
                raise _REFUSALS[status]()

    async def _latest(self, request: web.Request) -> web.Response:
        market = self._market(request)
        world = self.world
        as_of = world.clock.now() - world.serve.age_s(market)
        epoch = world.serve.epochs[market]
        body = {
            "market": market,
            "epoch": epoch,
            "sequence": epoch,  # each reveal is one tick, and one epoch
            "as_of": datetime.fromtimestamp(as_of, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return web.json_response(body)

    async def _newest_bundle(self, request: web.Request) -> web.Response:
        found = self._bundle(self._market(request)) if self._bundle is not None else None
        if found is None:
            raise web.HTTPNotFound(text="no bundle yet\n")
        pods = self.world.fleet.ready(API)
        if any(self.world.releases.of(pod.image).rewrites for pod in pods):
            shares = {name: share / 1e9 for name, share in found["payload"]["outcomes"].items()}
            found = {**found, "payload": {**found["payload"], "outcomes": shares}}
        return web.json_response(found)

    async def _agent(self, request: web.Request) -> web.Response:
        """Report an agent in its place of the set: its key and the set that it signs for."""
        agent = request.match_info["agent"]
        if agent not in SIGNERS:
            raise web.HTTPNotFound(text="no such agent\n")
        found = self.world.agent(agent)
        if found is None:
            raise web.HTTPServiceUnavailable(text="no pod holds this place\n")
        pod, key = found
        body = {"agent": agent, "pod": pod, "status": "ok", "pubkey": key, "signer_set_id": self.world.agent_set(key)}
        return web.json_response(body)


def configuration(base: str) -> list[str]:
    """Write the lines of a cockpit configuration that ask all of this."""
    lines = ["", "[probes]", "interval = 3.0", "", "[probes.services]"]
    lines += [f'{name} = "{base}/{name}"' for name in SERVICES]
    lines += ["", "[probes.output]", f'url = "{base}/{API}/v1/markets/{{market}}/latest"']
    lines += [f'bundle = "{base}/{API}/v1/markets/{{market}}/bundle"']
    lines += [f"markets = [{', '.join(f'{chr(34)}{market}{chr(34)}' for market in MARKETS)}]", "", "[probes.signers]"]
    return [*lines, *(f'{agent} = "{base}/{SIGNER}/{agent}/status"' for agent in SIGNERS)]
