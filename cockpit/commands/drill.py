"""`m0-cockpit drill`: the same cockpit on an embedded world, which runs in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cockpit import terminal
from cockpit.commands.live import NO_TERMINAL, show
from cockpit.config import ConfigProblem, load_settings

START_TIMEOUT_S = 30.0


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scenario", nargs="?", metavar="SCENARIO", help="which incident; see --list (default: rpc-outage)"
    )
    parser.add_argument("--scenario", dest="scenario_flag", metavar="NAME", help="the same, for scripts")
    parser.add_argument("--list", action="store_true", help="list the scenarios and stop")
    parser.add_argument("--serve", action="store_true", help="run the world alone; one JSON line says where it is")
    parser.add_argument("--speed", type=float, default=1.0, metavar="N", help="simulated seconds a second (default 1)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="same seed, same world (default 7)")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # the process whose end is ours


def run(args: argparse.Namespace) -> int:
    from cockpit.drill.scenarios import SCENARIOS

    if args.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:24} runbook {scenario.runbook or '-':<3} {scenario.title}")
        return 0
    name = args.scenario or args.scenario_flag or ("calm" if args.serve else "rpc-outage")
    if name not in SCENARIOS:
        raise ConfigProblem(f"there is no scenario {name!r}", f"one of: {', '.join(SCENARIOS)}")
    if not 0.1 <= args.speed <= 100:
        raise ConfigProblem(f"--speed {args.speed:g} is out of bounds", "give 0.1 to 100")
    if args.serve:
        from cockpit.drill.server import serve_forever

        return serve_forever(name, seed=args.seed, speed=args.speed, parent=args.parent)
    why = terminal.problem()
    if why is not None:
        print(f"m0-cockpit: {why}", file=sys.stderr)
        return NO_TERMINAL
    world, where = start_world(name, seed=args.seed, speed=args.speed)
    try:
        settings = load_settings(config=where["config"], read_only=args.read_only, runbooks=args.runbooks_file)
        return show(settings, debug=bool(args.debug))
    finally:
        world.terminate()
        world.wait(timeout=5)


def start_world(name: str, *, seed: int, speed: float) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start `drill --serve` as a child and wait for its JSON line. Raises ConfigProblem when it does not come up."""
    command = [
        sys.executable,
        "-m",
        "cockpit.cli",
        "drill",
        "--serve",
        "--scenario",
        name,
        "--seed",
        str(seed),
        "--speed",
        str(speed),
    ]
    command += ["--parent", str(os.getpid())]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(_root()), os.environ.get("PYTHONPATH", "")]))}
    # a session of its own: ctrl+c and a hang-up are for the cockpit, which ends the world in its own time
    world = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=env,
    )
    assert world.stdout is not None
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if select.select([world.stdout], [], [], 0.2)[0]:
            line = world.stdout.readline()
            if line:
                return world, json.loads(line)
        if world.poll() is not None:
            break
    world.kill()
    raise ConfigProblem("the drill's world did not start", "run `m0-cockpit drill --serve` to see why")


def _root() -> Path:
    return Path(__file__).resolve().parent.parent.parent
