"""Looks at every scenario, at pairs, with a source down, and for false alarms on ordinary days.

`python -m bench.situation [--part NAME] [--seeds 10] [--hours 24]`.

Exit code 1 where a bound does not hold.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

from bench.forked import everything
from bench.situation.ordinary import day
from bench.situation.recognised import blind, observe, pairs, singles

ALARMS = "false alarms"


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
        found = everything(observe, chosen, args.jobs, lambda one: args.all or not one.recognised)
        right, said = sum(one.recognised for one in found), sum(one.said for one in found if not one.recognised)
        wrong = wrong or right + said < share * len(found)
        more = f"; {said} more with one that cannot show, which is said" if said else ""
        print(f"{name}: {right} of {len(found)}{more}", flush=True)
    if not args.part or args.part in ALARMS:
        days = everything(partial(day, hours=args.hours), range(1, args.seeds + 1), args.jobs, lambda one: True)
        matched, crit = sum(len(one.matched) for one in days), sum(len(one.crit) for one in days)
        wrong = wrong or bool(matched or crit)
        print(f"{ALARMS}: {matched} matched, {crit} CRIT over a minute, in {len(days)} days of {args.hours:g} h")
    return int(wrong)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.situation")
    parser.add_argument("--part", help="singles, pairs, a source that is down, or false alarms")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--all", action="store_true", help="list what is recognised too")
    parser.add_argument("--seeds", type=int, default=10, help="ordinary days")
    parser.add_argument("--hours", type=float, default=24.0, help="simulated, of each of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
