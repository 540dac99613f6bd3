"""Runs a drill with a crowd: `python -m bench.crowd PODS EVENTS_PER_SECOND`.

It prints where it is, then runs until SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from cockpit.drill.server import Drill

TICK_S = 0.05


async def main(pods: int, events_per_s: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with Drill("calm", history_s=600.0) as drill:
        drill.world.kube.load.flood(pods)
        print(json.dumps(drill.where()), flush=True)
        owed, last = 0.0, loop.time()
        while not stop.is_set():
            await asyncio.sleep(TICK_S)
            now = loop.time()
            owed += (now - last) * events_per_s
            last = now
            drill.world.kube.load.churn(int(owed))
            owed -= int(owed)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
