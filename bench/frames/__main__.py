"""Reads every frame of every scenario (`make frames`).

`python -m bench.frames [--scenario NAME]… [--seed 1] [--jobs 2] [--after 600]`: exit code 1 where a
frame contradicts itself, or the screen is later than the world by more than the bounds below.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cockpit.drill.scenarios import SCENARIOS

MEDIAN_S, WORST_S = 20.0, 45.0  # beyond a signal's own `for`, and a scrape
SCRAPE_S = 5.0
SHOWN = 12


def main() -> int:
    args = _parser().parse_args()
    if args.worker:
        print(json.dumps(_read(args.worker, args.seed, args.after)))
        return 0
    names = args.scenario or [name for name in SCENARIOS if name not in ("calm", "hostile-logs")]
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda name: _child(name, args), names))
    wrong = sum(len(result["found"]) for result in results)
    lags = [lag for result in results for lag in result["lags"]]
    early = [lag["cause"] - SCRAPE_S for lag in lags if lag["cause"] is not None]
    late = [lag["cure"] - SCRAPE_S for lag in lags if lag["cure"] is not None]
    frames = sum(result["frames"] for result in results)
    print(f"{frames:,} frames of {len(results)} scenarios: {wrong} contradictions")
    bad = wrong > 0
    for what, each in (("cause → shown", early), ("cure → shown", late)):
        if each:
            median, worst = statistics.median(each), max(each)
            print(f"{what}: median {median:.0f} s, worst {worst:.0f} s beyond, of {len(each)} signals")
            bad = bad or median > MEDIAN_S or worst > WORST_S
    return 1 if bad else 0


def _child(name: str, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.frames", "--worker", name, "--seed", str(args.seed)]
    done = subprocess.run(
        [*command, "--after", str(args.after)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    try:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or [""])[-1]
        result = {"frames": 0, "found": [f"it broke: {last}"], "lags": [], "cure": ""}
    print(f"{name}: {result['frames']} frames, cure {result['cure'] or 'none'}, {len(result['found'])} found")
    for words in result["found"][:SHOWN]:
        print(f"    {words}")
    for lag in result["lags"]:
        words = [f"{key} {lag[key]:.0f} s" for key in ("cause", "cure") if lag[key] is not None]
        print(f"    {lag['signal']}: {', '.join(words) or 'not so in the world'}", flush=True)
    return result


def _read(name: str, seed: int, after_s: float) -> dict[str, Any]:
    from bench.frames.frame import Frame
    from bench.frames.rules import contradictions, over_time
    from bench.frames.story import play
    from bench.matrix.loop import simulate

    found: dict[str, tuple[float, int]] = {}

    def heard(frame: Frame) -> None:
        for words in contradictions(frame):
            first, count = found.get(words, (frame.at, 0))
            found[words] = (first, count + 1)

    story = simulate(play(name, seed, after_s=after_s, heard=heard))
    assert story.truth is not None
    assert story.cured_at is not None
    lags = story.truth.lags(story.caused_at, story.cured_at)
    return {
        "frames": len(story.frames),
        "cure": story.cure,
        "found": [f"from {at:.0f} s, {count} frames: {words}" for words, (at, count) in found.items()]
        + over_time(story.frames),
        "lags": [
            {"signal": signal, "cause": _finite(cause), "cure": _finite(cure)} for signal, (cause, cure) in lags.items()
        ],
    }


def _finite(lag: float | None) -> float | None:
    return lag if lag is None or math.isfinite(lag) else 9999.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.frames")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--after", type=float, default=600.0, help="simulated seconds after the cure")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
