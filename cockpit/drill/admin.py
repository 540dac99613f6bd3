"""Serves the drill's side of the network's command line.

A small HTTP API on loopback with one bearer token, acting on the world.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from cockpit.drill.physics.authority import Authority, Refused, SignerSet

#: Names of the variables that tell `cockpit.drill.cli` where this is.
ADDRESS, TOKEN = "M0_DRILL_ADMIN", "M0_DRILL_TOKEN"
_LIMIT = 64 * 1024


def application(
    authority: Authority,
    token: str,
    restore: Callable[[float], None] | None = None,
    failover: Callable[[], None] | None = None,
    others: Mapping[str, Callable[[], None]] | None = None,
) -> web.Application:
    """Build the HTTP application: POST /market, /signer-set and /database with JSON.

    It answers 403 without the token, and 409 for what the program would reject. `others`: more that
    the database's tools can do, by verb.
    """

    async def market(request: web.Request) -> web.Response:
        asked = await _asked(request, token)
        name, verb = str(asked.get("market_id", "")), asked.get("verb")
        if verb in ("pause", "unpause"):
            authority.set_market(name, paused=verb == "pause")
        elif verb != "get":
            raise web.HTTPBadRequest(text="no such verb")
        paused = authority.market(name)
        return web.json_response({"market_id": name, "active": not paused, "paused": paused})

    async def signer_set(request: web.Request) -> web.Response:
        asked = await _asked(request, token)
        number = int(asked.get("signer_set_id", -1))
        if asked.get("verb") == "create":
            keys = tuple(str(key) for key in asked.get("pubkeys") or ())
            made = SignerSet(number, int(asked.get("threshold", 0)), keys, str(asked.get("activate_epoch", "now")))
            authority.create_signer_set(made)
        found = authority.signer_set(number)
        return web.json_response(
            {
                "signer_set_id": found.number,
                "threshold": found.threshold,
                "pubkeys": list(found.pubkeys),
                "activate_epoch": found.activate_epoch,
            }
        )

    async def database(request: web.Request) -> web.Response:
        asked = await _asked(request, token)
        if asked.get("verb") == "failover" and failover is not None:
            failover()
            return web.json_response({"promoted": "m0-postgres-1"})
        done = (others or {}).get(str(asked.get("verb")))
        if done is not None:
            done()
            return web.json_response({"done": asked["verb"]})
        if asked.get("verb") != "restore" or restore is None:
            raise web.HTTPBadRequest(text="no such verb")
        to = datetime.fromisoformat(str(asked.get("to", "")).replace("Z", "+00:00"))
        restore(to.timestamp())
        return web.json_response({"restored_to": to.isoformat()})

    app = web.Application(client_max_size=_LIMIT, middlewares=[_refusals])
    app.router.add_post("/market", market)
    app.router.add_post("/signer-set", signer_set)
    app.router.add_post("/database", database)
    return app


async def _asked(request: web.Request, token: str) -> dict[str, Any]:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise web.HTTPForbidden(text="the token is not accepted")
    asked = await request.json()
    if not isinstance(asked, dict):
        raise web.HTTPBadRequest(text="expected an object")
    return asked


@web.middleware
async def _refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except Refused as refused:
        return web.json_response({"error": str(refused)}, status=409)
    except (ValueError, TypeError) as error:
        return web.json_response({"error": str(error)}, status=400)
