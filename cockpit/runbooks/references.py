"""Checks names in runbooks.toml that stand for something defined elsewhere in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cockpit.errors import nearest
from cockpit.model.views import BY_NAME
from cockpit.patterns import PatternRefused, compiled
from cockpit.runbooks.lines import Path
from cockpit.runbooks.shape import Report
from cockpit.sources.families import FAMILIES
from cockpit.text import split_words

MOST_TAIL = 10_000  # older lines of each pod
#: A "{param}" in a text of a step.
BRACES = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Names:
    """Holds every name that the file defines, right or wrong in itself.

    A broken signal is no unknown one.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        def of(key: str) -> list[str]:
            table = raw.get(key)
            return list(table) if isinstance(table, dict) else []

        self.queries, self.signals, self.services, self.toggles, self.conditions = (
            of("queries"),
            of("signals"),
            of("services"),
            of("toggles"),
            of("conditions"),
        )
        entries = raw.get("runbook")
        rows = [row for row in entries if isinstance(row, dict)] if isinstance(entries, list) else []
        self.runbooks = [str(row[key]) for row in rows for key in ("id", "number") if key in row]


def check_names(
    used: tuple[str, ...], path: Path, known: list[str], what: str, report: Report, single: bool = False
) -> None:
    for index, name in enumerate(used):
        if name not in known:
            at = path if single else (*path, index)
            report(at, f"expected the name of a {what}, there is no {name!r}{nearest(name, known)}")


def check_value_name(value: str, path: Path, names: Names, report: Report) -> None:
    family = FAMILIES.get(value.partition(".")[0])
    if family is not None:
        if family.knows(value):
            return
        service = family.service_of(value)
        if service is not None:
            check_names((service,), path, names.services, "service", report, single=True)
            return
    known = [name for each in ((family,) if family else FAMILIES.values()) for name in each.spelt]
    report(path, f"expected one of {', '.join(known)}, got {value!r}")


def check_view(view: str | None, args: Mapping[str, str], path: Path, names: Names, report: Report) -> None:
    """Report a view that the screen does not open, or a page that it does not have."""
    if view is None:
        return
    known = BY_NAME.get(view)
    if known is None:
        report((*path, "view"), f"expected one of {', '.join(BY_NAME)}, got {view!r}{nearest(view, list(BY_NAME))}")
        return
    for key in args:
        if key not in known.knows:
            those = f"expected one of {', '.join(known.knows)}" if known.knows else "it takes none"
            report((*path, "args", key), f"unknown for view {view}: {those}{nearest(key, list(known.knows))}")
    if "service" in args and "service" in known.knows:  # nobody fills a "{param}" in before a view is opened
        check_names((args["service"],), (*path, "args", "service"), names.services, "service", report, single=True)
    elif known.of_service and not known.or_chosen:
        report((*path, "args"), f"expected the service that {view!r} shows, as args.service")
    shown = args.get("show")
    if known.pages and shown is not None and shown not in known.pages:
        near = nearest(shown, list(known.pages))
        report((*path, "args", "show"), f"expected one of {', '.join(known.pages)}, got {shown!r}{near}")
    if known.name == "runbook" and "runbook" in args:
        check_names((args["runbook"],), (*path, "args", "runbook"), names.runbooks, "runbook", report, single=True)
    if known.name == "recovery" and args.get("signals"):
        for name in split_words(args["signals"]):
            check_names((name,), (*path, "args", "signals"), names.signals, "signal", report, single=True)
    if known.name == "queries" and "names" in args:
        asked = split_words(args["names"])
        for name in asked or [""]:
            check_names((name,), (*path, "args", "names"), names.queries, "query", report, single=True)
    if "filter" in known.knows and "filter" in args:
        check_pattern(args["filter"], (*path, "args", "filter"), report)
    tail = args.get("tail", "1")
    if "tail" in known.knows and not (tail.isascii() and tail.isdigit() and 1 <= int(tail[:9]) <= MOST_TAIL):
        report((*path, "args", "tail"), f"expected a number of lines from 1 to {MOST_TAIL:,}")


def check_pattern(pattern: str, path: Path, report: Report) -> None:
    try:
        compiled(pattern)
    except PatternRefused as error:
        report(path, f"expected a regular expression: {error}")
