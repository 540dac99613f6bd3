"""Identifies the process that wrote a record, to tell later whether it still runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DEAD = ("Z", "X")  # a zombie, and what is just being taken away


def this_process() -> dict[str, Any]:
    """Return enough of this process to tell later whether it still runs."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid()), "kernel": _kernel()}


def known_gone(process: Mapping[str, Any]) -> bool:
    """Return True only if the process certainly ended.

    It ran on the same host, boot and pid namespace, and the pid is free or reused. False means
    running *or unknown*: what another host or container wrote, or a kernel that does not say
    which it is, tells nothing.
    """
    kernel, pid, started = _kernel(), process.get("pid"), process.get("started")
    if not kernel or (process.get("kernel"), process.get("host")) != (kernel, socket.gethostname()):
        return False
    if type(pid) is not int or pid <= 0 or not isinstance(started, str) or not started:
        return False
    if not _there(pid):
        return True
    fields = _fields(pid)  # none: it may be hidden from us, so nothing is known
    return bool(fields) and (fields[0] in _DEAD or fields[19] != started)


def alive(record: Mapping[str, Any]) -> bool:
    """Return True when the record's process still runs on this host.

    It will record the outcome itself.
    """
    process = record.get("process") or {}
    if (
        not isinstance(process, Mapping)
        or process.get("host") != socket.gethostname()
        or not isinstance(process.get("pid"), int)
    ):
        return False
    return _there(process["pid"]) and _started(process["pid"]) == process.get("started")


def _there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it runs as someone else
    return True


def _kernel() -> str:
    """Return the boot and the pid namespace: a pid names the same process only within both.

    "" where they cannot be read.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, ValueError):
        return ""


def _started(pid: int) -> str:
    """Return the start time in clock ticks since boot, by which a reused pid shows; "" elsewhere.

    A zombie has no start: it does no work any more.
    """
    fields = _fields(pid)
    return "" if not fields or fields[0] in _DEAD else fields[19]


def _fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name (proc(5)); empty elsewhere.

    The state is the first, the start time the twentieth.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return fields if len(fields) >= 20 else []
