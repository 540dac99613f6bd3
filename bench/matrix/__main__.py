"""Tries every drill scenario × every step that changes something (`make matrix`).

`python -m bench.matrix [--scenario NAME]… [--step RUNBOOK/ID]… [--seeds 5] [--cures] [--wire 20]
[--speed 8] [--jobs 2] [--out FILE]`: exit code 1 where a bound of `report.py` does not hold. FILE
gets one JSON line a run.

Of the simulated runs each worker may be interrupted at will; those on the real wire need half an
idle core each: on a busy machine give a lower `--speed`.
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
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.matrix import report
from bench.matrix.cases import Case
from bench.matrix.run import NOT_HERE, Result
from cockpit.drill.scenarios import SCENARIOS

WIRED = 20  # runs that are repeated over the real wire
SPEED = 8.0  # of their time


@dataclass(frozen=True, slots=True)
class Task:
    """Names what one process does.

    `wrong`: not the cures alone. `steps`: as RUNBOOK/ID; none: all. `wire`: over real sockets, so
    many times as fast as real time.
    """

    scenario: str
    seed: int
    wrong: bool = False
    steps: tuple[str, ...] = ()
    wire: bool = False
    speed: float = 1.0


def main() -> int:
    args = _parser().parse_args()
    if args.worker:
        return _work(Task(**json.loads(args.worker)))
    out = Path(args.out) if args.out else None
    if out is not None:
        out.write_text("")
    only = tuple(args.step)
    names = args.scenario or list(SCENARIOS)
    tasks = [Task(name, 1, not args.cures, only) for name in names if not args.cures or SCENARIOS[name].right_steps]
    seeds = range(2, args.seeds + 1)
    tasks += [Task(name, seed, False, only) for seed in seeds for name in names if SCENARIOS[name].right_steps]
    found = everything(tasks, args.jobs, out)
    simulated = [r for r in found if r.verdict != NOT_HERE]
    again = _some([r for r in simulated if r.verdict in ("pass", "fail", "unknown") and _same(r.case)], args.wire)
    # what is on the real wire waits most of its time
    real = [_wired(r.case, args.speed) for r in found if r.verdict == NOT_HERE]
    results = [*simulated, *everything(real, 2 * args.jobs, out)]
    wired = everything([_wired(r.case, args.speed) for r in again], 2 * args.jobs)
    print("\n".join([*report.lines(results), *report.compared(results, wired)]))
    wrong = report.verdict(results)
    print("matrix: " + ("; ".join(wrong) if wrong else "all is so"))
    return 1 if wrong else 0


def _same(case: Case) -> bool:
    """Tell whether it can be so with a real database too."""
    scenario = SCENARIOS[case.scenario]
    return (str(case.runbook), case.step) not in {scenario.qualified(step) for step in scenario.enlarged}


def _wired(case: Case, speed: float) -> Task:
    return Task(case.scenario, case.seed, steps=(case.label,), wire=True, speed=speed)


def _some(results: Sequence[Result], count: int) -> list[Result]:
    """Choose so many, as different as their order has them."""
    ordered = sorted(results, key=lambda r: (r.case.cures, r.case.name))
    return [ordered[i * len(ordered) // count] for i in range(count)] if len(ordered) >= count else ordered


def everything(tasks: Sequence[Task], jobs: int, out: Path | None = None) -> list[Result]:
    """Run the tasks in processes of their own, so many at a time."""
    results: list[Result] = []
    began = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_child, task): task for task in tasks}
        for done in as_completed(waiting):
            made, trouble = done.result()
            results += made
            task = waiting[done]
            passed = sum(r.verdict == "pass" for r in made)
            where = " (wire)" if task.wire else ""
            print(
                f"{time.perf_counter() - began:6.0f} s  {task.scenario} seed {task.seed}{where}: "
                f"{len(made)} runs, {passed} pass, {len(report.offenders(made))} offend{trouble}",
                flush=True,
            )
            if out is not None:
                with out.open("a") as file:
                    file.writelines(json.dumps(r.as_json()) + "\n" for r in made if r.verdict != NOT_HERE)
    return results


def _child(task: Task) -> tuple[list[Result], str]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.matrix", "--worker", json.dumps(asdict(task))],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    results = [Result.of(json.loads(line)) for line in done.stdout.splitlines() if line.startswith(b"{")]
    trouble = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return results, f"; exit code {done.returncode}: {trouble[-1] if trouble else ''}" if done.returncode else ""


def _work(task: Task) -> int:
    from bench.matrix.worker import run, run_on_the_wire

    def heard(result: Result) -> None:
        sys.stdout.write(json.dumps(result.as_json()) + "\n")
        sys.stdout.flush()

    if task.wire:
        for step in task.steps:
            heard(run_on_the_wire(task.scenario, task.seed, step, task.speed))
    else:
        run(task.scenario, task.seed, task.wrong, tuple(task.steps), heard)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.matrix")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--step", action="append", default=[], help="RUNBOOK/ID; without any: all")
    parser.add_argument("--seeds", type=int, default=5, help="for the cures; other steps run once")
    parser.add_argument("--cures", action="store_true", help="the cures alone")
    parser.add_argument("--wire", type=int, default=WIRED, help="runs that are repeated over the real wire")
    parser.add_argument("--speed", type=float, default=SPEED, help="of those, times real time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", help="a file that gets one JSON line a run")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
