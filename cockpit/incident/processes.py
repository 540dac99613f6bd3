"""Who wrote a record: enough of a process to tell later whether it still runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """Enough to tell later whether the process that wrote an intent still runs."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def alive(record: Mapping[str, Any]) -> bool:
    """True when the record's process runs still, on this host: it will record the outcome itself."""
    process = record.get("process") or {}
    if (
        not isinstance(process, Mapping)
        or process.get("host") != socket.gethostname()
        or not isinstance(process.get("pid"), int)
    ):
        return False
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it runs as someone else
    return _started(process["pid"]) == process.get("started")


def _started(pid: int) -> str:
    """Start time in clock ticks since boot (proc(5), field 22), so that a reused pid is not mistaken; "" elsewhere.

    A zombie has no start: it does no work any more.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if len(fields) < 20 or fields[0] in ("Z", "X") else fields[19]
