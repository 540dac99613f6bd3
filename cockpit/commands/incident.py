"""`m0-cockpit incident …` keeps the incident record without a screen, in the same journal.

Exit codes: 0 done · 1 refused (none open, one open already, debts without a reason), not delivered,
or the bundle does not verify.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cockpit.host.files import read_plain
from cockpit.settings import ConfigProblem, Settings
from cockpit.sources.solana.settings import RPC_ENDPOINTS, SOLANA
from cockpit.text import counted, safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cockpit.incident.service import IncidentService
    from cockpit.journal.journal import Journal
    from cockpit.model.incident import Incident
    from cockpit.model.situation import Situation

REFUSED = 1
_DELIVERY_S = 90.0
_ASK_S = 8.0


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, words: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=words, description=words)

    opened = action("open", "open an incident; one at a time")
    opened.add_argument("--title", required=True, metavar="T", help="what is wrong, in a line")
    opened.add_argument("--severity", required=True, metavar="SEV", help="SEV0, SEV1, SEV2 or SEV3")
    opened.add_argument("--commander", default="", metavar="NAME", help="the incident commander")
    opened.add_argument("--runbook", default="", metavar="NAME", help="the runbook that it matches: number or id")
    opened.add_argument(
        "--since", default="", metavar="TIME", help="when it began: 25m (ago), 06:25 (UTC) or a date and time"
    )
    closed = action("close", "close it; with debts only with a reason, never while a mitigation is under way")
    closed.add_argument(
        "--reason", default="", metavar="WHY", help="why it may be closed although something is not put back"
    )
    listed = action("list", "every incident, newest last")
    listed.add_argument("--json", action="store_true", help="one JSON object")
    shown = action("show", "one incident: roles, checklist, updates, timeline")
    shown.add_argument("number", nargs="?", type=int, metavar="N", help="default: the open one, else the last")
    shown.add_argument("--json", action="store_true", help="one JSON object")
    noted = action("note", "write a note into it")
    noted.add_argument("words", metavar="TEXT", help="the note")
    updated = action("update", "tell others: recorded, and posted to the webhook if there is one")
    updated.add_argument("words", metavar="TEXT", help="what others should know")
    updated.add_argument("--no-send", action="store_true", help="record it only")
    severity = action("severity", "change the severity")
    severity.add_argument("severity", metavar="SEV", help="SEV0, SEV1, SEV2 or SEV3")
    severity.add_argument("--reason", default="", metavar="WHY", help="why it changes")
    role = action("role", "give a role to somebody")
    role.add_argument("role", metavar="ROLE", help="commander, on-call, scribe or expert")
    role.add_argument("name", metavar="NAME", help="who has it from now on")
    checked = action("check", "tick a line of the incident checklist by hand")
    checked.add_argument("item", metavar="ITEM", help="16.incident.1 to 16.incident.5, or its last number")
    checked.add_argument("--words", default="", metavar="TEXT", help="how you know")
    checked.add_argument("--undo", action="store_true", help="take the tick back")
    report = action("report", "a post-mortem skeleton in Markdown, with what is known filled in")
    report.add_argument("number", nargs="?", type=int, metavar="N", help="default: the open one, else the last")
    report.add_argument("--out", metavar="FILE", help="write it there instead of printing it")
    proof = action("evidence", "capture a bundle now, or verify one")
    proof.add_argument("--verify", metavar="FILE", help="compare a bundle with its manifest and with the journal")


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import settings_of
    from cockpit.incident.actions import IncidentProblem
    from cockpit.journal.journal import JournalProblem

    settings = settings_of(args)
    actions: dict[str, Callable[[Settings, argparse.Namespace], int]] = {
        "list": _list,
        "show": _show,
        "report": _report,
        "update": _update,
        "evidence": _evidence,
    }
    try:
        return actions.get(args.action, _do)(settings, args)
    except (IncidentProblem, JournalProblem) as problem:
        print(f"m0-cockpit: {problem.line()}", file=sys.stderr)
        return REFUSED


@contextmanager
def _service(settings: Settings, **more: Any) -> Iterator[IncidentService]:
    from cockpit.clock import SystemClock
    from cockpit.commands.settings import runbooks_of
    from cockpit.incident.service import IncidentService
    from cockpit.journal.operator import Operator
    from cockpit.session import open_journal, own_state_dir

    journal = open_journal(settings)
    service = IncidentService(
        journal,
        lambda: runbooks_of(settings),
        SystemClock(),
        operator=Operator.current,
        state_dir=own_state_dir(settings),
        webhook=settings.webhook,
        read_only=settings.read_only,
        record=False,
        **{"situation": lambda: None, **more},
    )
    try:
        yield service
    finally:
        service.close(timeout_s=0.0)
        journal.close()


def _do(settings: Settings, args: argparse.Namespace) -> int:
    values = {
        k: str(v)
        for k, v in vars(args).items()
        if k in ("title", "severity", "commander", "runbook", "since", "reason", "words", "role", "name", "item")
    }
    action = "uncheck" if args.action == "check" and args.undo else args.action
    with _looked(settings, args) as now, _service(settings, situation=now) as service:
        print(service.do(action, values))
    return 0


@contextmanager
def _looked(settings: Settings, args: argparse.Namespace) -> Iterator[Callable[[], Situation | None]]:
    """Look at the network before an incident is closed: others may have stopped something."""
    if args.action != "close":
        yield lambda: None
        return
    from cockpit.commands.settings import runbooks_of
    from cockpit.commands.status import first_situation
    from cockpit.model.reading import kind_unknown
    from cockpit.session import Session

    session = Session(settings, runbooks_of(settings), act=False)
    session.start()
    try:
        seen = first_situation(session, _ASK_S)
        blind = kind_unknown(seen.kinds, "deployments", seen.mono, "the cluster cannot be asked")
        if blind:
            print(f"m0-cockpit: whether others stopped or relaxed something is not known: {blind}", file=sys.stderr)
        yield lambda: session.situation
    finally:
        session.close()


def _update(settings: Settings, args: argparse.Namespace) -> int:
    with _service(settings) as service:
        words, future = service.update(args.words, send=not args.no_send)
        if future is None:
            print(words)
            return 0
        problem = future.result(_DELIVERY_S)
    print("update recorded and delivered" if not problem else "update recorded")
    if problem:
        print(f"m0-cockpit: the update was NOT delivered: {problem}", file=sys.stderr)
    return REFUSED if problem else 0


def _evidence(settings: Settings, args: argparse.Namespace) -> int:
    if args.verify is not None:
        return _verify(settings, Path(args.verify))
    from cockpit.commands.settings import runbooks_of
    from cockpit.commands.status import first_situation
    from cockpit.incident.evidence.onchain import find_last
    from cockpit.session import Session

    session = Session(settings, runbooks_of(settings), act=False)
    session.start()
    try:
        first_situation(session)
        find = find_last(settings.of(RPC_ENDPOINTS), settings.of(SOLANA).program_id, session.clock)
        with _service(
            settings, situation=lambda: session.situation, access=session.engine.access, find_last=find
        ) as service:
            captured = service.capture("on demand").result(120)
    except OSError as error:
        raise ConfigProblem(f"the bundle cannot be written: {error.strerror or error}", "see state-dir") from None
    finally:
        session.close()
    print(f"{captured.path}\nsha256 {captured.sha256}, {captured.size} bytes, {counted(len(captured.parts), 'part')}")
    for part, reason in captured.missing:
        print(f"not collected: {part}: {reason}")
    return 0


def _verify(settings: Settings, path: Path) -> int:
    from cockpit.incident.evidence import bundle

    try:
        problems, manifest = bundle.verify(path)
        digest = hashlib.sha256(read_plain(path, bundle.VERIFY_LIMIT)).hexdigest()
    except OSError as error:
        raise ConfigProblem(f"cannot read {safe(path, 200)}: {error.strerror or error}", "check the path") from None
    known = [r for r in _read(settings).records() if r.get("kind") == "evidence"]
    own = next((r for r in known if r.get("sha256") == digest), None)
    named = next((r for r in known if r.get("file") == path.name), None)
    if own is None and named is not None:
        problems.append(f"the journal holds another digest for {path.name} (record {named.get('seq')})")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{safe(path, 200)}: {len(problems)} problem{'s' if len(problems) > 1 else ''}")
        return REFUSED
    where = (
        f"journal record {own.get('seq')}"
        if own is not None
        else "not in this journal: whether it was replaced whole cannot be told"
    )
    print(f"{safe(path, 200)}: intact, {len(manifest.get('parts', {}))} parts ({where})")
    for each in manifest.get("missing", []):
        print(f"not collected: {safe(each.get('part', ''), 100)}: {safe(each.get('reason', ''), 300)}")
    return 0


# --- looking --------------------------------------------------------------------------------------


def _read(settings: Settings) -> Journal:
    """Return the journals to look at; what cannot be read is said, and is not "none"."""
    from cockpit.session import read_journal

    journal = read_journal(settings)
    journal.records()
    for problem in journal.unreadable:
        print(f"m0-cockpit: {problem}", file=sys.stderr)
    return journal


def _list(settings: Settings, args: argparse.Namespace) -> int:
    from cockpit.journal.incidents import incidents_of

    journal = _read(settings)
    incidents = incidents_of(journal.records())
    unread = journal.unreadable
    if args.json:
        known: dict[str, Any] = {"incidents": [_plain(i) for i in incidents.values()]}
        print(json.dumps({**known, "unreadable": list(unread)} if unread else known))
        return REFUSED if unread else 0
    for each in incidents.values():
        state = "OPEN" if each.closed is None else f"closed {_when(each.closed)}"
        print(f"#{each.number:<4} {each.severity}  {_when(each.opened)}  {state:<28}  {each.title}")
    if not incidents:
        print("whether there is an incident is not known: a journal cannot be read" if unread else "no incident yet")
    return REFUSED if unread else 0


def _show(settings: Settings, args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of
    from cockpit.incident.checklist import checklist
    from cockpit.incident.flight_recorder import read
    from cockpit.incident.reminders import reminder
    from cockpit.incident.report.timeline import timeline
    from cockpit.incident.report.writing import chosen
    from cockpit.journal.incidents import incidents_of
    from cockpit.model.incident import ROLES
    from cockpit.session import own_state_dir

    journal = _read(settings)
    records = journal.records()
    incident = chosen(incidents_of(records), args.number, journal.unreadable)
    lines = checklist(incident, records, None, runbooks_of(settings))
    entries = timeline(incident, records, read(own_state_dir(settings) / "flight.jsonl", incident.opened - 3600))
    due = reminder(incident, time.time())
    if args.json:
        shown = {**_plain(incident), "reminder": {"level": due.level, "seconds": due.seconds, "words": due.words}}
        shown["checklist"] = [
            {"item": x.item, "text": x.text, "state": x.state, "by": x.by, "words": x.words} for x in lines
        ]
        shown["timeline"] = [{"at": e.wall, "kind": e.kind, "words": e.words, "who": e.who} for e in entries]
        print(json.dumps(shown))
        return 0
    state = (
        "open"
        if incident.closed is None
        else f"closed {_when(incident.closed)} by {incident.closed_by}: {incident.close_reason or 'no debts'}"
    )
    print(
        f"incident #{incident.number} {incident.severity}  {incident.title}\n"
        f"{_when(incident.opened)} by {incident.opened_by}; {state}"
    )
    if incident.open:
        print(due.words)
    for role, name in ROLES.items():
        print(f"  {name:<20} {incident.holder(role) or 'nobody'}")
    print("checklist")
    for line in lines:
        print(f"  {line.state:<13}{line.text}: {line.words}" + (f" ({line.by})" if line.by else ""))
    print("timeline")
    for entry in entries[-200:]:
        print(f"  {_when(entry.wall)}  {entry.who:<12}  {entry.words}")
    return 0


def _report(settings: Settings, args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of
    from cockpit.incident.report.writing import report_of, write
    from cockpit.session import own_state_dir

    recording = own_state_dir(settings) / "flight.jsonl"
    _, text = report_of(_read(settings), args.number, runbooks_of(settings), recording, now=time.time())
    if args.out is None:
        print(text, end="")
        return 0
    try:
        write(Path(args.out), text)
    except OSError as error:
        raise ConfigProblem(
            f"cannot write {safe(args.out, 200)}: {error.strerror or error}", "give another --out"
        ) from None
    print(args.out)
    return 0


def _plain(incident: Incident) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(incident)
    return {**plain, "open": incident.open}


def _when(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(unix))
