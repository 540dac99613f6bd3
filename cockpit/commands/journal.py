"""`m0-cockpit journal show|verify|undo` reads the journal and takes steps back."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING

from cockpit.commands.run import Carrier
from cockpit.errors import UnknownName
from cockpit.journal.entries import entries_of
from cockpit.model.reading import spell
from cockpit.text import counted

if TYPE_CHECKING:
    from cockpit.journal.anchor import Comparison
    from cockpit.journal.journal import Journal
    from cockpit.settings import Settings

_ASK_S = 8.0
#: Whole, but with records that are newer than the anchor: whoever may write the file may have
#: written them.
UNVOUCHED = 3


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="what was done, newest last")
    show.add_argument("--last", type=int, default=50, metavar="N", help="how many (default 50)")
    actions.add_parser("verify", help="find any edit, cut or reorder; compare it with the cluster's anchor")
    undo = actions.add_parser("undo", help="take one step back: a plan like any other")
    undo.add_argument("number", type=int, metavar="N", help="its number in the journal")
    undo.add_argument("--yes", action="store_true", help="confirm an ordinary undo")
    undo.add_argument("--confirm", metavar="NAME", help="confirm a dangerous one: the target's name")
    undo.add_argument("--dry-run", action="store_true", help="plan and print; send nothing")
    undo.add_argument("--json", action="store_true", help="one JSON object at the end")


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.journal.entries import lines_from
    from cockpit.session import Session, read_journal

    settings = settings_of(args)
    if args.action == "undo":
        from cockpit.commands.status import first_situation

        known = read_journal(settings)
        if args.number not in entries_of(known.records()) and not known.unreadable:
            raise UnknownName("step", f"#{args.number}", (), "see `m0-cockpit journal show`", within="the journal")
        session = Session(settings, runbooks_of(settings))
        session.record = False
        session.start()
        try:
            first_situation(session)
            session.ready.wait(30)
            return Carrier(session, args).carry(session.mitigations.plan_undo(args.number).result(60))
        finally:
            session.close(timeout_s=30)
    journal = read_journal(settings)
    if args.action == "verify":
        return _verify(settings, journal)
    unread = journal.unreadable if journal.there else ()
    for problem in unread:
        print(f"m0-cockpit: {problem}: what it holds is not known", file=sys.stderr)
    if not journal.there:
        print(f"no journal yet at {journal.path}")
    for line in list(lines_from(journal.records()))[: args.last][::-1]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(line.wall))
        number = str(line.number) if line.number else ""
        off = line.clock_behind_s
        clock = f"(clock {spell(abs(off))} {'behind' if off > 0 else 'ahead'})" if off else ""
        words = "  ".join(filter(None, (line.title, line.target, line.outcome, clock)))
        print(f"{number:>4}  {when}Z  {line.operator:<12}  {words}")
    return 1 if unread else 0


def _verify(settings: Settings, journal: Journal) -> int:
    """Check the files, then compare them with what the cluster's lease says of them."""
    problems = journal.verify()
    for problem in problems:
        print(problem, file=sys.stderr)
    if journal.there:
        more = "s" if len(problems) > 1 else ""
        print(f"{journal.path}: " + (f"{len(problems)} problem{more}" if problems else "intact"))
    else:
        print(f"no journal yet at {journal.path}")
    if journal.there and not problems:
        count, digest = journal.end()
        print(f"{counted(count, 'record')}; the newest has the hash {digest}")
    found, why = _compared(settings, journal)
    if why:
        print(f"not compared with the cluster's anchor: {why}")
    for one in found:
        print(one.line, file=sys.stderr if one.wrong else sys.stdout)
    if not (found or why) and journal.there:
        print("not compared with the cluster's anchor: there is no record to compare")
    if problems or any(one.wrong for one in found):
        return 1
    return UNVOUCHED if any(one.newer for one in found) else 0


def _compared(settings: Settings, journal: Journal) -> tuple[list[Comparison], str]:
    """Ask the cluster; return what was found, or why it could not be asked."""
    from cockpit.engine import place_of
    from cockpit.errors import CockpitError
    from cockpit.kubeapi.access import load_access
    from cockpit.kubeapi.client import KubeClient
    from cockpit.mitigation.cluster.anchor import compared

    async def ask() -> tuple[list[Comparison], str]:
        access = await asyncio.to_thread(load_access, settings.kubeconfig, settings.context)
        place = place_of(settings, access)
        async with asyncio.timeout(_ASK_S), KubeClient(access, read_only=True) as client:
            return await compared(client, journal, (access.context, place.namespace), time.time)

    try:
        return asyncio.run(ask())
    except TimeoutError:
        return [], f"the cluster did not answer within {_ASK_S:g} s"
    except CockpitError as error:
        return [], error.line()
