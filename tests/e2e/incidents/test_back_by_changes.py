"""A release and a key that made it worse are taken back from Changes, in eight keys at most."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.drill.names import CONFIG, QUANT, SERVICES
from cockpit.drill.server import DrillThread
from cockpit.settings import Settings
from tests.support.terminals.screen import Screen, screen

#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("bad-config-release", 1500.0)
pytestmark = pytest.mark.long


#: What is struck, in order: the whole cure.
KEYS = ("w", "enter", "y", "escape", "up", "enter", "y")


async def test_it_is_cured_from_the_screen(settings: Settings, drill: DrillThread) -> None:
    async with screen(settings, (80, 24)) as cockpit:
        await cockpit.wait(r"since \d\d:\d\d, +\d+ min .*before: m0-quant image")
        cockpit.burst("w")
        await cockpit.wait(r"explains it best: deployment m0-quant")
        await taken_back(cockpit, r"image +ghcr")
        cockpit.burst("escape")
        await cockpit.wait(r"explains it best: configmap m0-engine-config")
        cockpit.burst("up")
        await taken_back(cockpit, r"feature_batch +512 +→ +16")
        await cockpit.until(lambda: drill.call(lambda one: one.world.kube.config(CONFIG)["feature_batch"]) == "16")
    assert len(KEYS) <= 8
    image = drill.call(lambda one: one.world.kube.env(QUANT) and image_of(one.world.kube.workload(QUANT)))
    assert image == SERVICES[QUANT].image


async def taken_back(cockpit: Screen, first: str) -> None:
    """Enter plans it, and y does it once it was seen."""
    cockpit.burst("enter")
    await cockpit.wait(first)
    await cockpit.wait(r"y +do it")
    cockpit.burst("y")
    await cockpit.wait(r"Close")


def image_of(workload: Any) -> str:
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])
