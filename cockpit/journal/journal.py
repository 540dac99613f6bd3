"""Keeps the journal: append-only JSON lines, 0600, fsynced, chained by hash.

What is not in it was not done.

Several cockpits may append to one journal: each append takes the file's lock, reads what others
added, chains on to it. Beside it lies `NAME.head` with the count and hash of the newest line, so
that a cut at the end is found too. Records hold redacted text only; their shapes are in
`entries.py`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cockpit.errors import CockpitError
from cockpit.journal import anchor as anchors
from cockpit.journal import hash_chain
from cockpit.journal.entries import unfinished_of
from cockpit.journal.incidents import stamped

__all__ = ["Journal", "JournalProblem"]

_HEAD_WIDTH = 96  # fixed, so that it is overwritten in place and needs no space on a full disk
_LOCK_WAIT_S = 5.0
_READS = 5


Given = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]


class JournalProblem(CockpitError):
    """The journal cannot be read or written, so nothing may be sent."""

    usual_remedy = "make room and mend the rights of state-dir; `m0-cockpit journal verify` says how the journal is"


class Journal:
    """Keeps the journal's file and its head; it is opened with `Journal.open`.

    Every method may be called from any thread. `write` and `sync` are os.write and os.fsync;
    tests give others to play a full or failing disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self.path = path
        self.read_only_reason = ""  # why it can only be read; empty when it can be written
        self.notices: list[str] = []  # what opening found, for the operator: one line each
        self._wall = wall
        self._write = write
        self._sync = sync
        self._mutex = threading.RLock()
        self._fd: int | None = None
        self._head: int | None = None
        self._size = -1  # of the file when it was last read whole
        self._reading = hash_chain.CheckedJournal()
        self._records: tuple[dict[str, Any], ...] = ()
        self.revision = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = os.fsync,
    ) -> Journal:
        """Open the journal, or create it.

        One that cannot be written is opened for reading, with `read_only_reason`; never
        raises for it.
        """
        journal = cls(path, wall=wall, write=write, sync=sync)
        try:
            journal._open_files()
        except OSError as error:
            journal._close_files()
            journal.read_only_reason = f"the journal {path} cannot be written: {error.strerror or error}"
            journal.notices.append(journal.read_only_reason + "; nothing can be changed until it can")
        with contextlib.suppress(OSError):
            journal._refresh()
        reading = journal._reading
        wrong = bool(reading.problems) or bool(journal._lost(reading, journal._read_head()))
        problems = journal.verify() if wrong else []
        crash = len(problems) == 1 and bool(reading.torn)
        if crash:
            journal.notices.append("the journal's last line was cut off by a crash; what was under way is judged anew")
        elif problems and not (journal.read_only_reason and not reading.records):
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            journal.notices.append(
                f"the journal was changed by something else: {problems[0]}{more} (`m0-cockpit journal verify` says all)"
            )
        return journal

    def close(self) -> None:
        """Release the files.

        A late append (an outcome that came while the process ends) opens them again.
        """
        with self._mutex:
            self._close_files()

    # --- reading ----------------------------------------------------------------------------------

    def records(self, *, wait: bool = True) -> tuple[dict[str, Any], ...]:
        """Return every good record, oldest first; those that other cockpits appended too.

        Without `wait` the last known ones while someone is writing: a slow disk must not
        hold up a screen.
        """
        if self._mutex.acquire(blocking=wait):
            try:
                self._refresh()
            except OSError:
                pass  # what was read before stands; `verify` says why it cannot be read now
            finally:
                self._mutex.release()
        return self._records

    def verify(self) -> list[str]:
        """List every edit, cut, reorder or broken line with its line number; empty when intact.

        Reads the files anew.
        """
        with self._mutex:
            try:
                reading, head = self._read_both()
            except OSError as error:
                return [f"{self.path} cannot be read: {error.strerror or error}"]
            lost = self._lost(reading, head)
            return reading.problems + ([f"end of the journal: {lost}"] if lost else [])

    def _read_both(self) -> tuple[hash_chain.CheckedJournal, tuple[int, str] | None]:
        """Read the journal and its head as they belong together: others may append meanwhile."""
        head = self._read_head()
        for _ in range(_READS):
            before = head
            data = self._data() if self.path.exists() else b""
            head = self._read_head()
            if head == before:
                break
        return hash_chain.read(data), head

    def end(self) -> tuple[int, str]:
        """Return the count and hash of the newest line.

        Kept elsewhere, they prove later that nothing before it was changed.
        """
        self.records()
        return self._reading.seq, self._reading.hash

    def anchor(self) -> anchors.Anchor:
        """Return (which journal, count, hash of the newest line), to be kept elsewhere."""
        return (anchors.name_of(self.path), *self.end())

    def anchored(self, annotation: object) -> bool:
        """Tell whether anything of this journal was kept there."""
        return anchors.name_of(self.path) in anchors.read(annotation)

    def compare(self, annotation: object, *, held: bool) -> list[str]:
        """List what is not as it was kept elsewhere by `anchor`; empty when it is.

        `held`: a mitigation is under way, or was cut off.
        """
        records = self.records()
        kept = anchors.read(annotation).get(anchors.name_of(self.path))
        return anchors.differences(kept, records, self._reading.hashes, held=held)

    def unfinished(self) -> tuple[dict[str, Any], ...]:
        """List the intents whose outcome is missing or unknown and that nobody judged since."""
        return unfinished_of(self.records())

    # --- writing ----------------------------------------------------------------------------------

    def append(self, record: Mapping[str, Any], given: Given | None = None) -> int:
        """Write one record durably; return the number of the newest intent (of an intent: its own).

        `seq`, `at` (unix seconds), `number` (of an intent), the open incident (of an intent
        or note) and the hash are added here. `given` is called under the lock with every
        record that stands: it may raise, and what it returns is added, so that two cockpits
        cannot both open incident 14. Raises JournalProblem, and then leaves the file as it
        was.
        """
        with self._mutex:
            if self.read_only_reason:
                raise JournalProblem(self.read_only_reason, "make room or mend its permissions, then start again")
            try:
                with self._locked() as fd:
                    return self._append(fd, dict(record), given)
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                remedy = "make room on the disk" if full else "check the disk and the directory's permissions"
                raise JournalProblem(f"the journal cannot be written: {error.strerror or error}", remedy) from error

    def _append(self, fd: int, record: dict[str, Any], given: Given | None) -> int:
        self._refresh()
        reading = self._reading
        if given is not None:
            record.update(given(reading.records))
        record.update(stamped(record, reading.records))
        last = reading.records[-1] if reading.records else {}
        intents = int(last.get("intents", 0)) + (record.get("kind") == "intent")
        if record.get("kind") == "intent":
            record["number"] = intents
        record.update(seq=reading.seq + 1, at=round(self._wall(), 3), intents=intents)
        start = b""
        if reading.torn:
            record["torn"], start = hashlib.sha256(reading.torn).hexdigest(), b"\n"
        elif reading.unended:
            start = b"\n"
        lost = self._lost(reading, self._read_head())
        if lost:
            record["gap"] = lost
        line, digest = hash_chain.hashed_line(record, reading.hash)
        before = os.fstat(fd).st_size
        try:
            data = start + line
            while data:
                data = data[self._write(fd, data) :]
            self._sync(fd)
            self._write_head(record["seq"], digest)
        except OSError:
            with contextlib.suppress(OSError):  # nobody else appends while we hold the lock: take back what got in
                os.ftruncate(fd, before)
                if not lost:
                    self._write_head(reading.seq, reading.hash)
            self._size = -1
            raise
        reading.records.append({**record, "hash": digest})
        reading.seq, reading.hash, reading.torn, reading.unended = record["seq"], digest, b"", False
        reading.hashes[reading.seq] = digest
        self._size = before + len(start) + len(line)
        self._records = (*self._records, reading.records[-1])
        self.revision += 1
        return intents

    @contextlib.contextmanager
    def _locked(self) -> Any:
        """Hold the lock of the file that is at the path now (someone may have moved it away)."""
        if self._fd is None or not self._still_there():
            self._close_files()
            self._open_files()
            self._size = -1
        fd = self._fd
        assert fd is not None
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise JournalProblem(
                        "the journal is locked by another process", "end the process that holds it (see fuser)"
                    ) from error
                time.sleep(0.01)
        try:
            yield fd
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)

    # --- files ------------------------------------------------------------------------------------

    def _open_files(self) -> None:
        parent = self.path.parent
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fresh = not self.path.exists()
        head_path = self._head_path
        head_fresh = not head_path.exists()
        self._head = os.open(head_path, flags, 0o600)  # before the journal: a journal without it was tampered with
        os.fchmod(self._head, 0o600)
        if head_fresh and fresh:
            self._write_head(0, hash_chain.GENESIS)
        self._fd = os.open(self.path, flags | os.O_APPEND, 0o600)
        os.fchmod(self._fd, 0o600)
        if fresh or head_fresh:
            directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def _close_files(self) -> None:
        for fd in (self._fd, self._head):
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._fd = self._head = None

    def _still_there(self) -> bool:
        assert self._fd is not None
        try:
            there, ours = self.path.stat(), os.fstat(self._fd)
        except OSError:
            return False
        return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)

    @property
    def _head_path(self) -> Path:
        return self.path.with_name(self.path.name + ".head")

    def _data(self) -> bytes:
        return self.path.read_bytes()

    def _refresh(self) -> None:
        """Read the file again when it is not as this process left it."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size == self._size:
            return
        data = self._data() if size else b""
        self._reading = hash_chain.read(data)
        self._records = tuple(self._reading.records)
        self._size = len(data)
        self.revision += 1

    def _write_head(self, seq: int, digest: str) -> None:
        assert self._head is not None
        text = f"{seq} {digest}".ljust(_HEAD_WIDTH - 1) + "\n"
        os.pwrite(self._head, text.encode(), 0)
        self._sync(self._head)

    def _read_head(self) -> tuple[int, str] | None:
        """Return (count, hash) of the newest line as written; None when missing or unreadable."""
        try:
            seq, digest = self._head_path.read_text(encoding="ascii").split()
            return int(seq), digest
        except (OSError, ValueError):
            return None

    @staticmethod
    def _lost(reading: hash_chain.CheckedJournal, head: tuple[int, str] | None) -> str:
        """Say what the head knows and the journal does not have any more; "" when they agree.

        One line behind is a crash between the two writes.
        """
        if head is None:
            return "" if not reading.records else "its .head file was missing or unreadable"
        count, digest = head
        if count > reading.seq:
            return f"{count} records were written, {reading.seq} are left"
        if count and reading.hashes.get(count) != digest:
            return f"record {count} is not the one that was written"
        return "" if reading.seq - count <= 1 else f"its .head file is old: record {count} of {reading.seq}"
