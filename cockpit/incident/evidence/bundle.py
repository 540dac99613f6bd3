"""Writes evidence: a tar of what was known, with a manifest of digests.

Deterministic (same content, same bytes), 0600, bounded in size and time.

Parts are collected in parallel, each within its budget; what could not be collected is named in the
manifest with the reason. Every text passes `cockpit.text.safe` before it is written.
`cockpit/incident/evidence/collectors.py` says what the parts are.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.host.files import read_plain
from cockpit.incident.evidence.redaction import redacted
from cockpit.journal.state_files import make_own
from cockpit.text import counted, safe

BUDGET_S = 20.0  # of one part; all run at the same time
PART_LIMIT = 2_000_000  # bytes; of a longer part the end is kept, and that is said
TOTAL_LIMIT = 16_000_000
VERIFY_LIMIT = 64 << 20
MANIFEST = "manifest.json"

#: Gives a part: JSON values, or lines of text. Raises `Missing` with the reason, or anything else,
#: which is a reason too.
Collect = Callable[[], Awaitable[Any]]


class Missing(Exception):
    """A part that cannot be collected, and why: "not configured", "no submitter pod is left"."""


@dataclass(frozen=True, slots=True)
class Captured:
    """Names a written bundle; `missing` pairs each part that is not whole in it with the reason."""

    path: Path
    sha256: str
    size: int
    parts: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]

    @property
    def words(self) -> str:
        lost = f"; not collected: {', '.join(name for name, _ in self.missing)}" if self.missing else ""
        return f"{self.path.name}: {counted(len(self.parts), 'part')}{lost}"


async def capture(
    directory: Path,
    name: str,
    collectors: Mapping[str, Collect],
    about: Mapping[str, Any],
    *,
    wall: float,
    budget_s: float = BUDGET_S,
) -> Captured:
    """Collect, redact, write `directory/NAME.tar`.

    A collector that hangs costs its budget, never more. Raises OSError when the bundle cannot be
    written.
    """
    tasks = {part: asyncio.create_task(_call(collect)) for part, collect in collectors.items()}
    if tasks:
        _, late = await asyncio.wait(tasks.values(), timeout=budget_s)
        for task in late:
            task.cancel()  # and not awaited: one that ignores it must not hold the rest up
    parts: dict[str, bytes] = {}
    missing: list[tuple[str, str]] = []
    for part, task in tasks.items():
        if not task.done() or task.cancelled():
            missing.append((part, f"not collected within {budget_s:g} s"))
        elif (error := task.exception()) is not None:
            words = safe(error, 300) or type(error).__name__
            missing.append((part, words if isinstance(error, Missing) else f"{type(error).__name__}: {words}"))
        else:
            data, cut = _encoded(task.result())
            parts[part] = data
            if cut:
                missing.append((part, cut))
    return await asyncio.to_thread(_write, directory, name, parts, missing, dict(about), wall)


async def _call(collect: Collect) -> Any:
    return await collect()


def _encoded(value: Any) -> tuple[bytes, str]:
    """Return the bytes of a part, and what was cut off."""
    value = redacted(value)
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        data = "".join(f"{line}\n" for line in value).encode("utf-8", "replace")
        if len(data) > PART_LIMIT:
            kept = data[-PART_LIMIT:]
            kept = kept[kept.find(b"\n") + 1 :]
            return kept, f"too long: the last {len(kept)} of {len(data)} bytes are kept"
        return data, ""
    data = (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode()
    if len(data) > PART_LIMIT:
        return data[
            :PART_LIMIT
        ], f"too long: the first {PART_LIMIT} of {len(data)} bytes are kept (no longer valid JSON)"
    return data, ""


def _write(
    directory: Path,
    name: str,
    parts: dict[str, bytes],
    missing: list[tuple[str, str]],
    about: dict[str, Any],
    wall: float,
) -> Captured:
    room = TOTAL_LIMIT
    for part in list(parts):
        room -= len(parts[part])
        if room < 0:
            missing.append((part, f"the bundle is full ({TOTAL_LIMIT} bytes)"))
            room += len(parts.pop(part))
    manifest = {
        "format": "m0-cockpit evidence 1",
        "captured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall)),
        "about": redacted(about),
        "parts": {
            p: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for p, data in sorted(parts.items())
        },
        "missing": [{"part": part, "reason": reason} for part, reason in sorted(missing)],
    }
    members = {
        MANIFEST: (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode(),
        **dict(sorted(parts.items())),
    }
    data = tarred(members, int(wall))
    make_own(directory)
    path = _place(directory, name, data)
    return Captured(path, hashlib.sha256(data).hexdigest(), len(data), tuple(sorted(parts)), tuple(sorted(missing)))


def tarred(members: Mapping[str, bytes], mtime: int) -> bytes:
    """Return a USTAR archive whose bytes depend on nothing but names, contents and `mtime`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size, info.mtime, info.mode = len(data), mtime, 0o600
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _place(directory: Path, name: str, data: bytes) -> Path:
    """Write beside, sync, then give the file its name.

    A bundle is there whole or not at all, and none is ever overwritten.
    """
    temporary = directory / f".{name}.{os.getpid()}.part"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        for number in range(1, 1000):
            path = directory / (f"{name}.tar" if number == 1 else f"{name}-{number}.tar")
            try:
                os.link(temporary, path)
                return path
            except FileExistsError:
                continue
        raise FileExistsError(f"{name}.tar")
    finally:
        temporary.unlink(missing_ok=True)


def verify(path: Path) -> tuple[list[str], dict[str, Any]]:
    """Return every difference between the bundle and its manifest (empty: none), and the manifest.

    Nothing is unpacked; never raises for what is in the file. Raises OSError when it cannot be
    read, or is larger than a bundle can be.
    """
    data = read_plain(path, VERIFY_LIMIT)
    problems: list[str] = []
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for info in archive:
                name = safe(info.name, 200)
                if not info.isreg() or info.issparse() or info.size > len(data):  # a sparse one can claim any size
                    problems.append(f"{name}: not a plain file")
                    continue
                member = archive.extractfile(info)
                content = member.read() if member is not None else b""
                if info.name in found:
                    problems.append(f"{name}: there twice")
                found[info.name] = content
    except Exception as error:  # a hostile file: tarfile raises what it likes
        return [f"not a whole tar: {safe(error, 200)}"], {}
    try:
        manifest = json.loads(found.pop(MANIFEST, b""))
        listed = {str(name): dict(entry) for name, entry in manifest["parts"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [*problems, f"no readable {MANIFEST}: not a bundle of this program"], {}
    for name, entry in listed.items():
        if name not in found:
            problems.append(f"{safe(name, 200)}: in the manifest, not in the bundle")
        elif hashlib.sha256(found[name]).hexdigest() != entry.get("sha256"):
            problems.append(f"{safe(name, 200)}: its content is not what the manifest says")
    problems += [f"{safe(name, 200)}: in the bundle, not in the manifest" for name in found if name not in listed]
    if not problems:
        remade = tarred({MANIFEST: _member(data, MANIFEST), **dict(sorted(found.items()))}, _mtime(data))
        if remade != data:
            problems.append("the parts are as listed, but the file was packed anew or has bytes around them")
    return problems, manifest


def _member(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        member = archive.extractfile(name)
        return member.read() if member is not None else b""


def _mtime(data: bytes) -> int:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        first = archive.next()
        return int(first.mtime) if first is not None else 0
