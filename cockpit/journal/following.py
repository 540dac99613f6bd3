"""Follows one journal's file: reads it whole once, then only what was appended since."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cockpit.journal import hash_chain, state_files
from cockpit.journal.hash_chain import CheckedJournal
from cockpit.text import counted

_HEAD_BYTES = 200


@dataclass(slots=True)
class FollowedFile:
    """Keeps what a journal's file held when it was last looked at.

    `owner`: whose it must be.
    """

    path: Path
    owner: int
    reading: CheckedJournal
    _seen: tuple[int, int, int, int] | None = None  # device, inode, size, time of the last change

    @staticmethod
    def of(path: Path, owner: int | None = None) -> FollowedFile:
        return FollowedFile(path, state_files.me() if owner is None else owner, CheckedJournal())

    def refresh(self) -> bool:
        """Read what is new, or all of it where it is not as it was left; tell whether anything was.

        A missing file is an empty journal. Raises OSError for one that cannot or must not be read.
        """
        try:
            fd = state_files.open_plain(self.path, os.O_RDONLY, owner=self.owner)
        except FileNotFoundError:
            changed = self._seen is not None
            self.reading, self._seen = CheckedJournal(), None
            return changed
        with os.fdopen(fd, "rb") as file:
            now = _signature(os.fstat(fd))
            if now == self._seen:
                return False
            was = self._seen
            grown = was is not None and was[:2] == now[:2] and now[2] > was[2] == self.reading.size
            start = self.reading if grown and self.reading.clean_end else CheckedJournal()
            file.seek(start.size)
            self.reading = CheckedJournal()  # should reading fail, nothing half-read stands
            self._seen = None
            self.reading = hash_chain.read_on(file, start)
            self._seen = (*now[:2], self.reading.size, now[3])
        return True

    def forget(self) -> None:
        """Read all of it next time."""
        self._seen = None

    def wrote(self, fd: int, size: int) -> None:
        """Hear that this process itself brought the file to this size, and knows what is in it."""
        found = _signature(os.fstat(fd))
        self._seen = (*found[:2], size, found[3])
        self.reading.size = size

    def head(self) -> tuple[int, str] | None:
        """Return (count, hash) of the newest line as written beside it; None when not there."""
        try:
            data = state_files.read_plain(head_of(self.path), _HEAD_BYTES, owner=self.owner)
            seq, digest = data.decode("ascii").split()
            return int(seq), digest
        except (OSError, ValueError):
            return None

    def lost(self) -> str:
        """Say what the head knows and the journal does not have any more; "" when they agree."""
        return lost(self.reading, self.head())


def head_of(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def lost(reading: CheckedJournal, head: tuple[int, str] | None) -> str:
    """Say what the head knows and the journal does not have any more; "" when they agree.

    One line behind is a crash between the two writes.
    """
    if head is None:
        return "" if not reading.records else "its .head file was missing or unreadable"
    count, digest = head
    if count > reading.seq:
        return f"{counted(count, 'record')} {'was' if count == 1 else 'were'} written, {reading.seq} are left"
    if count and reading.hashes.get(count) != digest:
        return f"record {count} is not the one that was written"
    return "" if reading.seq - count <= 1 else f"its .head file is old: record {count} of {reading.seq}"


def _signature(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
