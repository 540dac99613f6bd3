"""Makes a command the owner of its terminal.

A shell does it, for a session's leader owns the first terminal that it opens: what runs between
fork and exec (`preexec_fn`) may hang for ever where the parent has threads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence


def owning(slave: int, command: Sequence[str]) -> list[str]:
    """Return the command that begins with the terminal as its own; its session must be new."""
    return ["/bin/sh", "-c", 'exec "$@" <>"$0" >&0', os.ttyname(slave), *command]
