"""Keeps on disk what is usual, so that who starts in an outage does not take it for normal.

One small file in the state directory: numbers and times by a digest of what was asked of whom, and
no text from outside. What cannot be read or written stops nothing: it is kept in memory then.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from cockpit.assessment.usual.windows import Usual
from cockpit.clock import Clock
from cockpit.journal.state_files import find_directory, make_own, read_plain, write_whole
from cockpit.text import clean

FILE = "usual.json"
VERSION = 1
#: What was normal so long ago says nothing of today: a change that stays is taken up then.
KEEP_S = 14 * 86400.0
MOST_BYTES = 128 * 1024
MOST_ENTRIES = 256
#: Several signals change one after the other: they are written together.
SAVE_AFTER_S = 5.0
_DIGEST = 32


class _Entry(msgspec.Struct, frozen=True):
    """Holds one baseline as it lies in the file; `since` and `until` are unix seconds."""

    value: float
    since: float
    until: float

    @property
    def possible(self) -> bool:
        return all(map(math.isfinite, (self.value, self.since, self.until))) and 0 <= self.since < self.until < 1e11


class _File(msgspec.Struct, frozen=True):
    version: int
    usual: dict[str, msgspec.Raw] = {}


class KeptBaselines:
    """Reads and writes the file; every method but `load` and `save` is free of waiting.

    `world` names what is asked: a context and an address, so that no cluster is judged by another.
    """

    def __init__(self, state_dir: Path, clock: Clock, *, listed: bool = False, world: str = "") -> None:
        self._state_dir = state_dir
        self._listed = listed
        self._clock = clock
        self._world = world
        self._entries: dict[str, _Entry] = {}
        self._own: set[str] = set()  # learned here, and newer than what lies on disk
        self._changed_at: float | None = None
        self._lock = threading.Lock()
        self.trouble = ""  # why it is not kept, for the screen

    def get(self, promql: str, now: float) -> Usual | None:
        """Return what was kept of a query, unless that is too old or of a time to come."""
        found = self._entries.get(self._key(promql))
        if found is None or not now - KEEP_S <= found.until <= now + 3600.0:
            return None
        return Usual(found.value, found.since, found.until, kept=True)

    def put(self, promql: str, usual: Usual) -> None:
        entry, key = _Entry(usual.value, usual.since, usual.until), self._key(promql)
        if usual.kept or not entry.possible or self._entries.get(key) == entry:
            return
        with self._lock:
            self._entries[key] = entry
            self._own.add(key)
            self._changed_at = self._changed_at if self._changed_at is not None else self._clock.mono()

    def due(self, *, closing: bool = False) -> bool:
        """Tell whether there is something to write, and whether it is time to."""
        since = self._changed_at
        return since is not None and (closing or self._clock.mono() - since >= SAVE_AFTER_S)

    def load(self) -> None:
        """Read what others and earlier runs left; blocking, never raises."""
        with self._lock:
            self._entries.update(self._read())

    def save(self) -> None:
        """Write it beside what others wrote meanwhile; blocking, never raises."""
        with self._lock:
            self._changed_at = None
            try:
                directory = find_directory(self._state_dir, listed=self._listed)
                if directory.trouble:
                    raise OSError(directory.trouble)
                on_disk = self._read()
                if self.trouble:
                    return
                every = {**on_disk, **{key: self._entries[key] for key in self._own}}
                newest = sorted(every, key=lambda key: every[key].until)[-MOST_ENTRIES:]
                usual = {key: msgspec.structs.asdict(every[key]) for key in sorted(newest)}
                make_own(directory.own)
                text = msgspec.json.format(msgspec.json.encode({"version": VERSION, "usual": usual}), indent=1)
                write_whole(directory.own / FILE, text.decode() + "\n")
                self.trouble = ""
            except OSError as error:
                self.trouble = f"what is usual is not kept on disk: {clean(error.strerror or str(error), 200)}"

    def _key(self, promql: str) -> str:
        return hashlib.sha256(f"{self._world}\n{promql}".encode("utf-8", "replace")).hexdigest()[:_DIGEST]

    def _read(self) -> dict[str, _Entry]:
        """Return every entry that can be used; a torn file, or another's, holds none."""
        directory = find_directory(self._state_dir, listed=self._listed)
        if directory.trouble or not directory.there:
            return {}
        self.trouble = ""
        try:
            file = msgspec.json.decode(read_plain(directory.own / FILE, MOST_BYTES), type=_File)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.trouble = f"{FILE} cannot be used: {clean(error.strerror or str(error), 200)}"
            return {}
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return {}  # written anew, whole
        if file.version > VERSION:  # of a newer cockpit, whose it stays
            self.trouble = f"{FILE} is of a newer m0-cockpit: what is usual is not kept by this one"
            return {}
        found: dict[str, _Entry] = {}
        for key, raw in file.usual.items():
            with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
                entry = msgspec.json.decode(raw, type=_Entry)
                if len(key) == _DIGEST and entry.possible:
                    found[key] = entry
        return dict(sorted(found.items(), key=lambda item: item[1].until)[-MOST_ENTRIES:])


def world_of(context: str, address: str | None) -> str:
    """Name a cluster and its Prometheus, without what an address may hide."""
    try:
        parts = urlsplit(address or "")
        return f"{context}\n{parts.scheme}://{(parts.hostname or '').lower()}:{parts.port or ''}"
    except ValueError:
        return context
