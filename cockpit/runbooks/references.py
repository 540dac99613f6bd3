"""Names in runbooks.toml that stand for something defined elsewhere in it, and how a wrong one is
reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cockpit.runbooks.lines import Path
from cockpit.runbooks.shape import Report, nearest

#: Views that a step or a triage line can open.
VIEWS = (
    "pods",
    "publish",
    "signers",
    "watermark",
    "rpc",
    "guardrails",
    "api",
    "postgres",
    "toggles",
    "signals",
    "journal",
    "logs",
    "explain",
    "alerts",
    "signer-set",
    "transactions",
    "endpoints",
    "maintenance",
)
#: What `show` of the view "postgres" may be.
POSTGRES_PAGES = (
    "top-queries",
    "missing-indexes",
    "vacuum",
    "activity",
    "connections",
    "replication",
    "archiver",
)
#: What `show` of the view "maintenance" may be.
ROUNDS = ("weekly", "monthly", "deploy", "incident")
#: A "{param}" in a text of a step.
BRACES = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Names:
    """Every name that the file defines, right or wrong in itself: a broken signal is no unknown
    one.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        def of(key: str) -> list[str]:
            table = raw.get(key)
            return list(table) if isinstance(table, dict) else []

        self.queries, self.signals, self.services, self.toggles = (
            of("queries"),
            of("signals"),
            of("services"),
            of("toggles"),
        )


def check_names(
    used: tuple[str, ...], path: Path, known: list[str], what: str, report: Report, single: bool = False
) -> None:
    for index, name in enumerate(used):
        if name not in known:
            at = path if single else (*path, index)
            report(at, f"expected the name of a {what}, there is no {name!r}{nearest(name, known)}")


def check_view(view: str | None, args: Mapping[str, str], path: Path, names: Names, report: Report) -> None:
    if view is not None and view not in VIEWS:
        report((*path, "view"), f"expected one of {', '.join(VIEWS)}, got {view!r}{nearest(view, list(VIEWS))}")
    if view is not None and "service" in args and not BRACES.search(args["service"]):
        check_names((args["service"],), (*path, "args", "service"), names.services, "service", report, single=True)
    pages = {"postgres": POSTGRES_PAGES, "maintenance": ROUNDS}.get(view or "", ())
    if pages and args.get("show", pages[0]) not in pages:
        shown = args["show"]
        near = nearest(shown, list(pages))
        report((*path, "args", "show"), f"expected one of {', '.join(pages)}, got {shown!r}{near}")
    if view == "logs" and "filter" in args:
        check_pattern(args["filter"], (*path, "args", "filter"), report)


def check_pattern(pattern: str, path: Path, report: Report) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        report(path, f"expected a regular expression: {error}")
