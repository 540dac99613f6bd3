"""A server that is given its port before it starts still has it when it starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cockpit.drill import ports


def test_a_port_is_none_that_outgoing_connections_are_given() -> None:
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        given = client.getsockname()[1]
        first, last = (int(each) for each in Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        assert first <= given <= last
    chosen = {ports.free_port() for _ in range(20)}
    assert len(chosen) > 15 and not [port for port in chosen if first <= port <= last]


def test_where_the_range_is_not_known_or_leaves_no_room_a_free_port_is_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("", "1024\t65535\n"):
        (tmp_path / "range").write_text(text)
        monkeypatch.setattr(ports, "_RANGE", tmp_path / "range")
        with socket.socket() as server:
            server.bind(("127.0.0.1", ports.free_port()))
            server.listen()
