"""Follows ▶ through every scenario: is it cured, without harm? (`make path`).

`python -m bench.path [--scenario NAME]… [--seeds 1] [--jobs 2] [--speed 4] [--all]`: each form at
its default, no guard overridden. Exit code 1 where fewer are cured than must be, or a holding step
is missed.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from bench.forked import everything
from bench.path.follow import SPEED, Path, curable, follow
from cockpit.drill.scenarios import SCENARIOS, find

LEAST_CURED = 28 / 30


def main() -> int:
    args = _parser().parse_args()
    names = args.scenario or [name for name, one in SCENARIOS.items() if one.right_steps or one.holding_steps]
    tasks = [(name, seed, args.speed) for seed in range(1, args.seeds + 1) for name in names]
    found = everything(_one, tasks, args.jobs, lambda path: args.all or not path.good)
    lines, right = counted(found)
    print("\n".join(lines))
    return 0 if right else 1


def counted(found: Sequence[Path]) -> tuple[list[str], bool]:
    """Return the counts, and whether they are as they must be."""
    cures = [path for path in found if curable(find(path.scenario))]
    holds = [path for path in found if not curable(find(path.scenario))]
    cured, held = sum(path.good for path in cures), sum(path.good for path in holds)
    lines = [
        f"path: {cured} of {len(cures)} incidents that a step can cure are cured, without harm",
        f"path: {held} of {len(holds)} that none can cure reach the step that stops their harm",
        f"path: offenders: {', '.join(sorted({p.scenario for p in found if not p.good})) or 'none'}",
    ]
    return lines, cured >= LEAST_CURED * len(cures) and held == len(holds)


def _one(task: tuple[str, int, float]) -> Path:
    try:
        return follow(*task)
    except Exception as error:
        return Path(*task[:2], why=f"broke: {type(error).__name__}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.path")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--speed", type=float, default=SPEED, help="of what needs a real PostgreSQL, times real time")
    parser.add_argument("--all", action="store_true", help="list those that are as they should be too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
