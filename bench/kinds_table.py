"""Writes the table of kinds of step in docs/runbooks.md.

`python -m bench.kinds_table docs/runbooks.md`.

A test holds the page and the rows together.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from cockpit.model.step_kinds import STEP_KINDS, StepSpec

HEAD = "| kind | what it does | needs | may have in `args` |\n|---|---|---|---|\n"
_TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")


def table() -> str:
    return HEAD + "".join(map(_row, STEP_KINDS.values()))


def page(text: str) -> str:
    """Return the page with its table made anew."""
    return _TABLE.sub(lambda _: table(), text)


def _row(spec: StepSpec) -> str:
    needs = ", ".join(" or ".join(f"`{key}`" for key in needed.split("|")) for needed in spec.needs)
    takes = "what the view takes" if spec.takes is None else ", ".join(f"`{key}`" for key in spec.takes)
    return f"| `{spec.kind}` | {spec.title} | {needs or '–'} | {takes or '–'} |\n"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text("utf-8")), "utf-8")
