"""Looks at every scenario, at pairs, and with a source down (`python -m bench.situation`).

Exit code 1 where a bound does not hold.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence

from bench.situation.recognised import Case, Seen, blind, observe, pairs, singles


def main() -> int:
    args = _parser().parse_args()
    parts = {
        "singles": (singles(), 1.0),
        "pairs": (pairs(), 58 / 60),
        "without prometheus": (blind("prometheus"), 0.95),
        "without solana": (blind("solana"), 0.95),
    }
    wrong = False
    for name, (cases, share) in parts.items():
        if args.part and args.part not in name:
            continue
        chosen = [one for one in cases if not args.scenario or one.scenario in args.scenario]
        found = everything(chosen, args.jobs)
        print("\n".join(str(one) for one in found if args.all or not one.recognised))
        right = sum(one.recognised for one in found)
        wrong = wrong or right < share * len(found)
        print(f"{name}: {right} of {len(found)}", flush=True)
    return int(wrong)


def everything(cases: Sequence[Case], jobs: int) -> list[Seen]:
    """Case at all of them, each in a process of its own."""
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        return pool.map(observe, cases, chunksize=1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.situation")
    parser.add_argument("--part", help="singles, pairs, or a source that is down")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--all", action="store_true", help="list what is recognised too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
