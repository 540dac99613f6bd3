"""Measures how exactly the Solana source counts a thousand transactions a second, and the cost.

`python -m bench.chain serve RATE SECONDS` is the drill's Solana servers with that load (on a line
on standard input it starts, and says at the end what it did); `watch RATE SECONDS` runs the source
alone against it, in a process of its own, and prints what it counted and what that took.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

RATE, SECONDS = 1000.0, 60.0
SETTLE_S = 15.0  # for the last reveals and the last listing


def memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


async def serve(rate: float, seconds: float) -> None:
    from cockpit.drill.solana.load import load
    from cockpit.drill.solana.node.servers import SolanaServers
    from cockpit.drill.solana.program import ledger

    # A node has its history ready: signing it again is not what is measured.
    ledger.ENCODED = round(rate * seconds) + 1000
    async with SolanaServers.alone(names=("rpc-a", "rpc-b")) as servers:
        where = {"program": servers.oracle.program_id, "urls": {name: servers.url(name) for name in servers.nodes}}
        print(json.dumps(where), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        done = await load(servers.oracle, rate, seconds)
        print(
            json.dumps(
                {"commits": done.commits, "reveals": done.reveals, "failed": done.failed, "seconds": done.seconds}
            ),
            flush=True,
        )
        await asyncio.to_thread(sys.stdin.readline)


def server_of(rate: float, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.chain", "serve", str(rate), str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def watch(rate: float, seconds: float) -> dict[str, Any]:
    from cockpit.clock import SystemClock
    from cockpit.model.reading import last_known
    from cockpit.sources.solana.settings import RpcEndpoint, SolanaSettings
    from cockpit.sources.solana.source import SolanaSource

    server = server_of(rate, seconds)
    assert server.stdin is not None and server.stdout is not None
    try:
        where = json.loads(server.stdout.readline())
        endpoints = [RpcEndpoint(name=name, url=url) for name, url in where["urls"].items()]
        source = SolanaSource(SolanaSettings(program_id=where["program"]), endpoints, SystemClock(), lambda: None)
        result: dict[str, Any] = {}
        cpu = wall = early = 0.0
        peak = 0.0
        ending: asyncio.Task[str] | None = None
        ended_at = 0.0
        async with aclosing(source.readings()) as readings:
            async for reading in readings:
                seen, now = last_known(reading.believed(SystemClock().mono())), time.perf_counter()
                if reading.topic != "solana/program" or seen is None:
                    continue
                if ending is None:
                    if seen.complete and seen.endpoint:
                        print("go", file=server.stdin, flush=True)
                        ending = asyncio.create_task(asyncio.to_thread(server.stdout.readline))
                        cpu, wall = time.process_time(), now
                    continue
                if now - wall > seconds / 3:
                    early = early or memory_mb()
                    peak = max(peak, memory_mb())
                if ending.done() and not result:
                    result = json.loads(ending.result())
                    spent, took, ended_at = time.process_time() - cpu, now - wall, now
                counts = {"commits": seen.commits.count, "reveals": seen.reveals.count, "failed": seen.failed.count}
                exact = bool(result) and all(counts[name] == result[name] for name in counts)
                if result and (exact or now - ended_at > SETTLE_S):
                    return {
                        "sent": {name: result[name] for name in counts},
                        "counted": counts,
                        "exact": exact,
                        "cpu": spent / took,
                        "per_second": sum(counts.values()) / result["seconds"],
                        "early_mb": early,
                        "peak_mb": peak,
                        "doubles": seen.doubles_dropped,
                        "filled": seen.filled,
                        "reconnects": seen.reconnects,
                        "kept": source.program.ledger.kept if source.program is not None else 0,
                    }
        raise RuntimeError("the source ended")
    finally:
        server.terminate()
        server.wait(10)


def measured(rate: float = RATE, seconds: float = SECONDS) -> dict[str, Any]:
    """Run `watch` in a process that does nothing else, and return what it found."""
    command = [sys.executable, "-m", "bench.chain", "watch", str(rate), str(seconds)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


if __name__ == "__main__":
    what, of_rate, of_seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    if what == "serve":
        asyncio.run(serve(of_rate, of_seconds))
    else:
        print(json.dumps(asyncio.run(watch(of_rate, of_seconds))))
