"""Writes the tables of docs/runbooks.md that follow from rows: values, kinds of step and views.

`python -m bench.runbooks_page docs/runbooks.md`.

A test holds the page and the rows together.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from cockpit.model.step_kinds import STEP_KINDS, StepSpec
from cockpit.model.views import VIEWS, ViewSpec
from cockpit.sources.families import FAMILIES

_KINDS = "| kind | what it does | needs | may have in `args` |\n|---|---|---|---|\n"
_VALUES = "| source | values |\n|---|---|\n"
_VIEWS = "| view | shows | may have in `args` |\n|---|---|---|\n"


def tables() -> dict[str, str]:
    """Return each table's rows by its head."""
    return {
        _VALUES: "".join(
            f"| {name} | {', '.join(f'`{value}`' for value in family.spelt)} |\n" for name, family in FAMILIES.items()
        ),
        _KINDS: "".join(map(_kind, STEP_KINDS.values())),
        _VIEWS: "".join(map(_view, VIEWS)),
    }


def page(text: str) -> str:
    """Return the page with its tables made anew; raises ValueError when it lacks one."""
    for head, rows in tables().items():
        if text.count(head) != 1:
            raise ValueError(f"expected this table once: {head.splitlines()[0]}")
        made = head + rows
        text = re.sub(re.escape(head) + r"(?:\|.*\n)*", lambda _, made=made: made, text)  # type: ignore[misc]
    return text


def _view(spec: ViewSpec) -> str:
    words = f"{spec.title}: {spec.words}" if spec.words else f"the panel {spec.title}"
    takes = [f"`{key}`" for key in spec.knows]
    if spec.pages:
        takes[0] = f"`show` ({', '.join(spec.pages)})"
    return f"| `{spec.name}` | {words} | {', '.join(takes) or '–'} |\n"


def _kind(spec: StepSpec) -> str:
    needs = ", ".join(" or ".join(f"`{key}`" for key in needed.split("|")) for needed in spec.needs)
    takes = "what the view takes" if spec.takes is None else ", ".join(f"`{key}`" for key in spec.takes)
    return f"| `{spec.kind}` | {spec.title} | {needs or '–'} | {takes or '–'} |\n"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text("utf-8")), "utf-8")
