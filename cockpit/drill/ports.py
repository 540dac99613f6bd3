"""Reserves a loopback port for a server that is given its port before it starts."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _HIGHEST = 20_000, 49_151
_TRIES = 100


def free_port() -> int:
    """Return a port that is free now, and that the kernel gives to no outgoing connection.

    A port of the kernel's own choice (bind to 0) comes from the range that it also serves outgoing
    connections from: on a busy machine one of them has it before the server has started.
    """
    chosen = random.SystemRandom()
    for _ in range(_TRIES):
        port = chosen.randint(_LOWEST, _below_outgoing())
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _below_outgoing() -> int:
    """Return the highest port below those of outgoing connections."""
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _HIGHEST  # macOS and others: theirs begin at 49152
    return first - 1 if first > _LOWEST else _HIGHEST
