"""A real Prometheus as a child, and samples written into it with times of one's own.

Remote write 1.0: https://prometheus.io/docs/specs/prw/remote_write_spec/ (protobuf in snappy).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from cockpit.drill.prometheus.series import STALE
from tests.support.waiting import HANG_S

__all__ = ["STALE", "prometheus_at", "write"]

Series = tuple[Mapping[str, str], Sequence[tuple[float, float]]]  # labels, (unix seconds, value) oldest first


@asynccontextmanager
async def prometheus_at(binary: str, folder: Path, config: str = "") -> AsyncIterator[str]:
    """The URL of one that is ready, takes remote writes, and is ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    file = folder / "prometheus.yml"
    file.write_text(config or "global: {evaluation_interval: 1s}\n")
    arguments = [
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-remote-write-receiver",
    ]
    process = await asyncio.create_subprocess_exec(
        binary, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(HANG_S), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    if (await client.get(f"http://{address}/-/ready")).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.kill()
        await process.wait()


async def write(url: str, series: Iterable[Series]) -> None:
    """Write samples; raises for what Prometheus refuses."""
    body = _snappy(b"".join(_field(1, _series(*one)) for one in series))
    headers = {
        "content-type": "application/x-protobuf",
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": "0.1.0",
    }
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{url}/api/v1/write", content=body, headers=headers)
    assert answer.status_code in (200, 204), answer.text


def _series(labels: Mapping[str, str], points: Sequence[tuple[float, float]]) -> bytes:
    made = b""
    for name, value in sorted(labels.items()):
        made += _field(1, _field(1, name.encode()) + _field(2, value.encode()))
    for at, number in points:
        made += _field(2, b"\x09" + struct.pack("<d", number) + b"\x10" + _varint(round(at * 1000)))
    return made


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(made + bytes([number]))


def _snappy(data: bytes) -> bytes:
    """Frame bytes as snappy's block format, all of them literal."""
    made = _varint(len(data))
    for start in range(0, len(data), 65536):
        part = data[start : start + 65536]
        made += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return made
