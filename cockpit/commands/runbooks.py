"""`m0-cockpit runbooks check|list|show|alerts` reads and checks runbooks files."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.text import counted, safe

if TYPE_CHECKING:
    from cockpit.model.runbook import Runbooks


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="every error of a runbooks.toml, with line and key")
    check.add_argument("file", nargs="?", metavar="FILE", help="the file (default: the packaged one)")
    actions.add_parser("list", help="the runbooks, one a line")
    show = actions.add_parser("show", help="one runbook, whole")
    show.add_argument("runbook", metavar="RUNBOOK", help="number or id")
    alerts = actions.add_parser("alerts", help="Prometheus alert rules made of the signals, as YAML")
    alerts.add_argument("--out", metavar="FILE", help="write them there instead of printing them")


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import runbooks_of, settings_of
    from cockpit.runbooks import schema

    if args.action == "check":
        return _check(args.file or args.runbooks_file)
    runbooks = runbooks_of(settings_of(args))
    for problem in runbooks.problems:
        print(problem, file=sys.stderr)
    if args.action == "alerts":
        # rules of the packaged runbooks would pass for the operator's own
        return 1 if runbooks.problems else _alerts(runbooks, args.out)
    if args.action == "list":
        for runbook in runbooks.runbooks:
            print(f"{runbook.number:>2}  {runbook.id:<22} {runbook.severity}  {runbook.title}")
        return 0
    print(schema.describe(runbooks.runbook(args.runbook)))
    return 0


def _check(file: str | None) -> int:
    from cockpit.host.files import read_text
    from cockpit.runbooks import schema
    from cockpit.settings import ConfigProblem

    if file is None:
        text, origin = schema.packaged_text(), "runbooks.toml"
    else:
        try:
            text, origin = read_text(Path(file).expanduser(), "utf-8-sig"), file
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise ConfigProblem(
                f"cannot read {safe(file, 200)}: {safe(why, 200)}", "check the path and its encoding"
            ) from None
    runbooks, problems = schema.check(text, origin)
    for problem in problems:
        print(problem)
    if problems or runbooks is None:
        print(f"{len(problems)} problem{'s' if len(problems) != 1 else ''}", file=sys.stderr)
        return 1
    print(
        f"{origin}: {counted(len(runbooks.runbooks), 'runbook')}, {counted(len(runbooks.signals), 'signal')}, "
        f"{len(runbooks.queries)} queries: all good"
    )
    return 0


def _alerts(runbooks: Runbooks, out: str | None) -> int:
    from cockpit.host.files import open_to_write
    from cockpit.runbooks.alerts import rules
    from cockpit.settings import ConfigProblem

    text = rules(runbooks)
    if out is None:
        print(text, end="")
        return 0
    path = Path(out).expanduser()
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing takes its place
            with os.fdopen(open_to_write(path), "w", encoding="utf-8") as file:
                file.write(text)
            return 0
        part.write_text(text, "utf-8")
        part.replace(path)  # whole or not at all: Prometheus may read it any time
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigProblem(f"cannot write {path}: {error.strerror or error}", "check the path and its mode") from None
    return 0
