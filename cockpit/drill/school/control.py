"""Controls a running drill: pause, speed, the operator's other tools, and the score.

HTTP on loopback with one token. A file of the state directory says where, while the drill runs
(`control_client.CONTROLS`), so that `m0-cockpit drill --pause` finds it from another terminal. It
moves the clock and the cause; the cluster is changed through the Kubernetes API alone.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from cockpit.drill.scenarios import Scenario
from cockpit.drill.school.referee import Referee
from cockpit.drill.world import World
from cockpit.journal.state_files import make_own, write_whole

SPEEDS = (0.1, 100.0)
_LIMIT = 64 * 1024


class Conductor:
    """Controls time and tools of one drill.

    `paused` stops the world; `speed` is simulated seconds a second.
    """

    def __init__(self, world: World, scenario: Scenario, referee: Referee) -> None:
        self.world = world
        self.scenario = scenario
        self.referee = referee
        self.paused = False
        self._paused_at = 0.0
        self._paused_s = 0.0

    def goes_on(self) -> bool:
        """Let the referee see what the last move brought; return False while paused.

        To be called before every move of the world.
        """
        self.referee.follow()
        return not self.paused

    def pause(self) -> None:
        if not self.paused:
            self.paused, self._paused_at = True, time.monotonic()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self._paused_s += time.monotonic() - self._paused_at

    @property
    def paused_s(self) -> float:
        return self._paused_s + (time.monotonic() - self._paused_at if self.paused else 0.0)

    def set_speed(self, speed: float) -> None:
        """Set the simulated seconds a second.

        Raises ValueError.
        """
        if not SPEEDS[0] <= speed <= SPEEDS[1]:
            raise ValueError(f"speed {speed:g} is out of bounds: give {SPEEDS[0]:g} to {SPEEDS[1]:g}")
        self.world.clock.speed = speed

    @property
    def tools(self) -> list[str]:
        """Return the names of what can be done by hand here."""
        return sorted({"failover-db", *self.scenario.by_hand})

    def do(self, name: str) -> None:
        """Use one of the tools.

        Raises ValueError.
        """
        if name not in self.tools:
            raise ValueError(f"there is no tool {name}: one of {', '.join(self.tools)}")
        effect = self.scenario.by_hand.get(name)
        self.referee.by_hand(name)
        if effect is not None:
            effect(self.world)
        else:
            self.world.serve.failover()

    def relent(self) -> None:
        """End the cause from outside, where the scenario knows how."""
        for part in self.scenario.incidents:
            if part.relent is not None:
                part.relent(self.world)

    def status(self) -> dict[str, Any]:
        """Report the drill's state, and nothing that gives the cause away."""
        return {
            "paused": self.paused,
            "speed": self.world.clock.speed,
            "elapsed_s": round(self.world.clock.now() - self.referee.began, 1),
            "harm": self.world.harm.words,
            "tools": self.tools,
            "recovered": bool(self.referee.cases) and all(c.score.recovered_s is not None for c in self.referee.cases),
        }


def application(conductor: Conductor, token: str, seed: int) -> web.Application:
    """Build the control's HTTP application.

    GET /status; POST /pause, /resume, /speed {"speed"}, /do {"tool"}, /relent, /look {"runbook"},
    /watch {"journal"}, /score {"surprise", "guided"}. 403 without the token, 400 with what is
    wrong.
    """

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(conductor.status())

    async def action(request: web.Request) -> web.Response:
        asked = await request.json() if request.can_read_body else {}
        if not isinstance(asked, dict):
            raise ValueError("expected an object")
        actions: dict[str, Callable[[], object]] = {
            "pause": conductor.pause,
            "resume": conductor.resume,
            "speed": lambda: conductor.set_speed(float(asked["speed"])),
            "do": lambda: conductor.do(str(asked["tool"])),
            "relent": conductor.relent,
            "look": lambda: conductor.referee.viewed(str(asked["runbook"])),
            "watch": lambda: conductor.referee.watch(Path(str(asked["journal"]))),
        }
        name = request.match_info["action"]
        if name == "score":
            conductor.referee.follow()
            score = conductor.referee.score(
                at=time.time(),
                seed=seed,
                surprise=bool(asked.get("surprise")),
                guided=bool(asked.get("guided")),
                paused_s=conductor.paused_s,
            )
            scenario = conductor.scenario
            return web.json_response({"score": score.as_json(), "title": scenario.title, "story": scenario.story})
        if name not in actions:
            raise web.HTTPNotFound(text="no such act")
        actions[name]()
        return web.json_response(conductor.status())

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise web.HTTPForbidden(text="the token is not accepted")
        try:
            response: web.StreamResponse = await handler(request)
            return response
        except (ValueError, TypeError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)

    app = web.Application(client_max_size=_LIMIT, middlewares=[guard])
    app.router.add_get("/status", status)
    app.router.add_post("/{action}", action)
    return app


def publish(path: Path, address: str, token: str) -> None:
    """Write where the control is, readable by its owner only."""
    make_own(path.parent)
    write_whole(path, json.dumps({"address": address, "token": token}))
