"""Tries every drill scenario × every step that changes something (`make matrix`).

`python -m bench.matrix [--scenario NAME]… [--step RUNBOOK/ID]… [--seeds 5] [--cures] [--jobs 2]
[--out FILE]`: exit code 1 where a bound of `report.py` does not hold. FILE gets one JSON line a
run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from bench.matrix import report
from bench.matrix.run import Result
from cockpit.drill.scenarios import SCENARIOS

Task = tuple[str, int, bool]  # scenario, seed, wrong steps too


def main() -> int:
    args = _parser().parse_args()
    if args.worker:
        return _work(*args.worker.split(":"), only=tuple(args.step))
    names = args.scenario or list(SCENARIOS)
    first = [(name, 1, not args.cures) for name in names]
    more = [(name, seed, False) for seed in range(2, args.seeds + 1) for name in names if SCENARIOS[name].right_steps]
    results = everything([*first, *more], args.jobs, tuple(args.step), Path(args.out) if args.out else None)
    print("\n".join(report.lines(results)))
    wrong = report.verdict(results)
    print("matrix: " + ("; ".join(wrong) if wrong else "all is so"))
    return 1 if wrong else 0


def everything(tasks: Sequence[Task], jobs: int, only: tuple[str, ...], out: Path | None) -> list[Result]:
    """Run the tasks in processes of their own, so many at a time."""
    results: list[Result] = []
    began = time.perf_counter()
    if out is not None:
        out.write_text("")
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_child, task, only): task for task in tasks}
        for done in as_completed(waiting):
            made, trouble = done.result()
            results += made
            name, seed, _ = waiting[done]
            passed = sum(r.verdict == "pass" for r in made)
            print(
                f"{time.perf_counter() - began:6.0f} s  {name} seed {seed}: {len(made)} runs, {passed} pass, "
                f"{len(report.offenders(made))} offend{trouble}",
                flush=True,
            )
            if out is not None:
                with out.open("a") as file:
                    file.writelines(json.dumps(r.as_json()) + "\n" for r in made)
    return results


def _child(task: Task, only: tuple[str, ...]) -> tuple[list[Result], str]:
    words = [sys.executable, "-m", "bench.matrix", "--worker", ":".join(map(str, task))]
    done = subprocess.run(
        [*words, *(word for step in only for word in ("--step", step))],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    results = [Result.of(json.loads(line)) for line in done.stdout.splitlines() if line.startswith(b"{")]
    trouble = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return results, f"; exit code {done.returncode}: {trouble[-1] if trouble else ''}" if done.returncode else ""


def _work(scenario: str, seed: str, wrong: str, *, only: tuple[str, ...]) -> int:
    from bench.matrix.worker import run

    def heard(result: Result) -> None:
        sys.stdout.write(json.dumps(result.as_json()) + "\n")
        sys.stdout.flush()

    run(scenario, int(seed), wrong == "True", only, heard)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.matrix")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--step", action="append", default=[], help="RUNBOOK/ID; without any: all")
    parser.add_argument("--seeds", type=int, default=5, help="for the cures; other steps run once")
    parser.add_argument("--cures", action="store_true", help="the cures alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", help="a file that gets one JSON line a run")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
