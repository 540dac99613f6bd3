"""Says how a program that somebody configured is started without letting others into it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_PYTHON = re.compile(r"python[0-9.]*(\.exe)?")


def safe_path(argv: Sequence[str]) -> Mapping[str, str]:
    """Return what keeps `python -m` and `python -c` from importing out of the current directory.

    Whoever can write there would run as the operator. A script's own directory stays its own.
    """
    if not argv or not _PYTHON.fullmatch(Path(argv[0]).name):
        return {}
    for option in argv[1:]:
        if option.startswith(("-m", "-c")):
            return {"PYTHONSAFEPATH": "1"}
        if not option.startswith("-"):
            break
    return {}
