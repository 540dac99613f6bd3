"""`m0-cockpit journal show|verify|undo` reads the journal and takes steps back."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING

from cockpit.commands.run import Carrier
from cockpit.mitigation.cluster.lease import Held
from cockpit.model.reading import spell

if TYPE_CHECKING:
    from cockpit.journal.journal import Journal
    from cockpit.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="what was done, newest last")
    show.add_argument("--last", type=int, default=50, metavar="N", help="how many (default 50)")
    actions.add_parser("verify", help="find any edit, cut or reorder")
    undo = actions.add_parser("undo", help="take one step back: a plan like any other")
    undo.add_argument("number", type=int, metavar="N", help="its number in the journal")
    undo.add_argument("--yes", action="store_true", help="confirm an ordinary undo")
    undo.add_argument("--confirm", metavar="NAME", help="confirm a dangerous one: the target's name")
    undo.add_argument("--dry-run", action="store_true", help="plan and print; send nothing")
    undo.add_argument("--json", action="store_true", help="one JSON object at the end")


_WITHIN_S = 6.0


async def _anchored(settings: Settings) -> Held:
    """Read the lease, which bears count and hash of the journal since the last mitigation."""
    from cockpit.kubeapi.access import AccessProblem, load_access
    from cockpit.kubeapi.client import KubeClient
    from cockpit.mitigation.cluster import lease

    try:
        async with asyncio.timeout(_WITHIN_S):
            access = await asyncio.to_thread(load_access, settings.kubeconfig, settings.context)
            namespace = next(iter(settings.namespaces), None) or access.namespace or "default"
            async with KubeClient(access) as client:
                return await lease.read(client, namespace, lambda: client.server_time() or time.time())
    except AccessProblem as problem:
        return Held(problem=problem.reason)
    except TimeoutError:
        return Held(problem=f"no answer in {_WITHIN_S:g} s")


def _compared(anchored: Held, journal: Journal) -> str:
    """Say what the journal was compared with: what was not is not known to be whole."""
    if anchored.problem:
        return f"not compared with the cluster: {anchored.problem}"
    if not journal.anchored(anchored.journals):
        return "not compared with the cluster: its lease knows nothing of this journal"
    return "compared with what the cluster's lease knows of it"


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.journal.entries import lines_from
    from cockpit.journal.journal import Journal
    from cockpit.session import Session, journal_path

    settings = settings_of(args)
    if args.action == "undo":
        from cockpit.commands.status import first_situation

        session = Session(settings, runbooks_of(settings))
        session.start()
        try:
            first_situation(session)
            session.ready.wait(30)
            return Carrier(session, args).carry(session.mitigations.plan_undo(args.number).result(60))
        finally:
            session.close(timeout_s=30)
    path = journal_path(settings)
    anchored = asyncio.run(_anchored(settings)) if args.action == "verify" else Held()
    if not path.exists():
        gone = Journal(path).compare(anchored.journals, held=False)
        for problem in gone:
            print(problem, file=sys.stderr)
        print(f"no journal at {path}" if gone else f"no journal yet at {path}")
        return 1 if gone else 0
    journal = Journal.open(path)
    try:
        if args.action == "verify":
            held = bool(anchored.holder)
            problems = [*journal.verify(), *journal.compare(anchored.journals, held=held)]
            for problem in problems:
                print(problem, file=sys.stderr)
            print(
                f"{path}: "
                + ("intact" if not problems else f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
            )
            if not problems:
                count, digest = journal.end()
                print(f"{count} records; the newest has the hash {digest}")
                print(_compared(anchored, journal))
            return 1 if problems else 0
        for line in list(lines_from(journal.records()))[: args.last][::-1]:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(line.wall))
            number = str(line.number) if line.number else ""
            off = line.clock_behind_s
            clock = f"(clock {spell(abs(off))} {'behind' if off > 0 else 'ahead'})" if off else ""
            words = "  ".join(filter(None, (line.title, line.target, line.outcome, clock)))
            print(f"{number:>4}  {when}Z  {line.operator:<12}  {words}")
        return 0
    finally:
        journal.close()
