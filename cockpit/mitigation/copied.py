"""Writes command lines that can be run as they are copied.

What is hidden stands as "$NAME", for the operator's shell to fill in: a line with `***` in it would
do something else than what is shown.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_MARK = re.compile(r"m0hidden_(\w+?)_nedd1h0m")


def hidden(name: str) -> str:
    """Return what stands for a hidden value until the line is written."""
    return f"m0hidden_{re.sub(r'[^A-Za-z0-9_]', '_', name).upper()}_nedd1h0m"


def line(words: Sequence[str]) -> str:
    """Return the words as a POSIX shell takes them."""
    return " ".join(map(word, words))


def word(text: str) -> str:
    """Quote one word; what is hidden in it becomes a variable of the shell."""
    quoted = shlex.quote(text)
    inside = quoted.startswith("'")
    return _MARK.sub(r"""'"$\1"'""" if inside else r'"$\1"', quoted)
