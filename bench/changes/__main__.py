"""Looks at every scenario, with and without harmless changes around it.

`python -m bench.changes [--decoys N] [--seeds N] [--scenario NAME] [--all]`.

Exit code 1 where a bound does not hold.
"""

from __future__ import annotations

import argparse
import os

from bench.changes.named import observe, singles
from bench.forked import everything

#: Of 32 scenarios, without decoys and with them.
ALONE, AMONG_OTHERS = 31 / 32, 29 / 32


def main() -> int:
    args = _parser().parse_args()
    cases = [one for one in singles(args.seeds, args.decoys) if not args.scenario or one.scenario in args.scenario]
    found = everything(observe, cases, args.jobs, lambda one: args.all or not one.right)
    right, dated = sum(one.right for one in found), sum(one.dated for one in found)
    among = f" among {args.decoys} decoys" if args.decoys else ""
    print(f"the change that did it first{among}: {right} of {len(found)}; onset in time: {dated} of {len(found)}")
    return int(right < (AMONG_OTHERS if args.decoys else ALONE) * len(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.changes")
    parser.add_argument("--decoys", type=int, default=0, help="harmless changes around each incident")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--all", action="store_true", help="list what is right too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
