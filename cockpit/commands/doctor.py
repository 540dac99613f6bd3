"""`m0-cockpit doctor` examines every source, right, clock and file at once, and says what to do.

Exit code 0 ok, 1 warn, 2 fail, 3 unknown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from cockpit.doctor import AREAS
from cockpit.errors import UnknownName

if TYPE_CHECKING:
    from cockpit.sources.examination import Examination, Finding

EXIT = {"ok": 0, "warn": 1, "fail": 2, "unknown": 3}
#: No area takes more than some rounds of checks after one another, each within its limit.
ROUNDS = 5


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "areas", nargs="*", type=_area, metavar="AREA", help=f"only these: {', '.join(AREAS)} (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object (docs/commands.md has its shape)")


def _area(text: str) -> str:
    if text not in AREAS:
        raise argparse.ArgumentTypeError(UnknownName("area", text, AREAS).line())
    return text


def run(args: argparse.Namespace) -> int:
    from cockpit.sources.examination import verdict

    exam = examination_of(args)
    findings, left_behind = examine(exam, args.areas or tuple(AREAS))
    print(json.dumps(as_json(findings)) if args.json else as_text(findings), flush=True)
    code = EXIT[verdict(findings).value]
    if left_behind:  # a thread that hangs in a name lookup or a credential plugin would keep the process for minutes
        sys.stderr.flush()
        os._exit(code)
    return code


def examination_of(args: argparse.Namespace) -> Examination:
    """Return what the doctor examines, with the problem of a configuration that cannot be read.

    That is a finding like any other; the rest is examined with defaults and flags.
    """
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.settings import ConfigProblem, Settings
    from cockpit.sources.examination import Examination

    problem = None
    try:
        settings = settings_of(args)
    except ConfigProblem as broken:
        problem = (broken.reason, broken.remedy)
        settings = Settings(
            kubeconfig=args.kubeconfig,
            context=args.context,
            namespace=(args.namespace or [None])[0],
            namespaces=tuple(args.namespace or ()),
            read_only=bool(args.read_only),
        )
    return Examination(settings, runbooks_of(settings), tty=_tty(), problem=problem)


def _tty() -> int | None:
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        try:
            if stream.isatty():
                return stream.fileno()
        except (AttributeError, OSError, ValueError):
            continue
    return None


def examine(exam: Examination, areas: Sequence[str] = tuple(AREAS)) -> tuple[list[Finding], bool]:
    """Return all findings, and whether a thread was left behind.

    Every area runs in one loop, which is not waited for without end.
    """
    from cockpit.sources.examination import State, found

    done: dict[str, list[Finding]] = {}
    over = threading.Event()

    def work() -> None:
        try:
            asyncio.run(_areas(exam, areas, done, over))
        finally:
            over.set()

    thread = threading.Thread(target=work, name="doctor", daemon=True)
    thread.start()
    over.wait(exam.limit_s * ROUNDS)
    thread.join(0.5)  # the loop waits for threads of its own, which may hang
    silent = found("", "", State.UNKNOWN, f"nothing in {exam.limit_s * ROUNDS:g} s", "something on this machine hangs")
    findings = []
    for area in areas:
        known = done.get(area)
        findings += known if known is not None else [_of_area(silent, area)]
    return findings, thread.is_alive()


def _of_area(finding: Finding, area: str) -> Finding:
    return replace(finding, area=area, check=area)


async def _areas(
    exam: Examination, areas: Sequence[str], done: dict[str, list[Finding]], over: threading.Event
) -> None:
    """Examine each area, its imports within the try: a broken client library is a finding."""
    from cockpit.sources.examination import State, found

    async def one(area: str) -> None:
        try:
            module = await asyncio.to_thread(import_module, AREAS[area])
            done[area] = await module.examine(exam)
        except Exception as error:
            words = f"it could not be examined: {type(error).__name__}: {error}"
            done[area] = [found(area, area, State.UNKNOWN, words, "is the installation whole?")]

    await asyncio.gather(*(one(area) for area in areas))
    over.set()


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return `{"verdict": STATE, "findings": [{"area", "check", "state", "words", "remedy"}]}`."""
    from cockpit.sources.examination import verdict

    return {"verdict": verdict(findings).value, "findings": [msgspec.to_builtins(finding) for finding in findings]}


def as_text(findings: Sequence[Finding]) -> str:
    from cockpit.sources.examination import State, verdict

    lines = []
    area = None
    for one in findings:
        if one.area != area:
            area = one.area
            lines.append(area)
        state = one.state.value.upper() if one.state in (State.FAIL, State.WARN, State.UNKNOWN) else one.state.value
        lines.append(f"  {state:<8} {one.check}: {one.words}")
        if one.remedy:
            lines.append(f"           → {one.remedy}")
    counts = ", ".join(f"{n} {s.value}" for s in State if (n := sum(f.state is s for f in findings)))
    return "\n".join([*lines, f"{verdict(findings).value.upper()}: {counts}"])
