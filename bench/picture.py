"""Draws README's pictures from the running program (`make pictures`).

`python -m bench.picture docs/cockpit.svg [SCENARIO] [WIDTHxHEIGHT] [KEYS]`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from cockpit import terminal

terminal.prepare()

from cockpit.app.main import CockpitApp  # noqa: E402
from cockpit.commands.drill import start_world  # noqa: E402
from cockpit.commands.settings import runbooks_of  # noqa: E402
from cockpit.config import load_settings  # noqa: E402
from cockpit.session import Session  # noqa: E402

SETTLE_S = 7.0


async def draw(config: str, size: tuple[int, int], keys: list[str]) -> str:
    with tempfile.TemporaryDirectory() as state:
        settings = load_settings(config=config, env={"M0_COCKPIT_STATE_DIR": state})
        app = CockpitApp(Session(settings, runbooks_of(settings)))
        async with app.run_test(size=size) as pilot:
            await asyncio.sleep(SETTLE_S)
            for key in keys:
                await pilot.press(key)
                await asyncio.sleep(1.0)
            await pilot.pause()
            return app.export_screenshot(title="m0-cockpit")


def main(path: str, scenario: str = "rpc-outage", size: str = "160x48", *keys: str) -> None:
    world, where = start_world(scenario, seed=7, speed=1.0)
    try:
        width, height = (int(number) for number in size.split("x"))
        picture = asyncio.run(draw(where["config"], (width, height), list(keys)))
        Path(path).write_text(picture, "utf-8")
    finally:
        world.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
