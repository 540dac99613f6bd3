"""Keeps the journal: append-only JSON lines, fsynced, chained by hash.

What is not in it was not done.

Several cockpits of one user may append to one journal: each append takes the file's lock, reads
what others added, chains on to it. Beside it lies `NAME.head` with the count and hash of the newest
line, so that a cut at the end is found too. In a directory that several users share each user has a
journal of their own (0640, by the directory's group; alone 0600): the others' are read with it,
never appended to. Records hold redacted text only; their shapes are in `entries.py`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cockpit.journal import hash_chain, state_files
from cockpit.journal.entries import unfinished_of
from cockpit.journal.following import FollowedFile, head_of, lost
from cockpit.journal.incidents import stamped
from cockpit.journal.key import open_key
from cockpit.journal.locking import JournalProblem, lock, numbering
from cockpit.journal.others import OtherJournals, order_of, own_path

__all__ = ["Journal", "JournalProblem"]

_HEAD_WIDTH = 96  # fixed, so that it is overwritten in place and needs no space on a full disk
_LOCK_WAIT_S = 5.0
_READS = 5


Given = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]


class Journal:
    """Keeps one user's journal and its head, and reads those of the others who share the directory.

    It is opened with `Journal.open` (to write) or made as it is (to look: nothing is created).
    Every method may be called from any thread. `write` and `sync` are os.write and os.fsync;
    tests give others to play a full or failing disk. `listed`: the configuration says that the
    directory is shared.
    """

    def __init__(
        self,
        path: Path,
        *,
        listed: bool = False,
        wall: Callable[[], float] = time.time,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self.path = path
        self.read_only_reason = ""  # why it can only be read; empty when it can be written
        self.notices: list[str] = []  # what opening found, for the operator: one line each
        self._remedy = ""
        self._listed = listed
        self._wall = wall
        self._write = write
        self._sync = sync
        self._mutex = threading.RLock()
        self._fd: int | None = None
        self._head: int | None = None
        self._own = FollowedFile.of(path)
        self._others = OtherJournals(path)
        self._records: tuple[dict[str, Any], ...] = ()
        self._unread = ""  # why this user's own journal cannot be read
        self.revision = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        listed: bool = False,
        wall: Callable[[], float] = time.time,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = os.fsync,
    ) -> Journal:
        """Open the journal, or create it.

        One that cannot be written is opened for reading, with `read_only_reason`; never
        raises for it.
        """
        journal = cls(path, listed=listed, wall=wall, write=write, sync=sync)
        try:
            journal._open_files()
        except OSError as error:
            journal._cannot_write(error)
            journal.notices.append(_unsendable(journal.read_only_reason))
        journal.records()
        reading = journal._own.reading
        wrong = bool(reading.problems) or bool(journal._own.lost())
        problems = journal._verify_own() if wrong else []
        crash = len(problems) == 1 and bool(reading.torn)
        if crash:
            journal.notices.append("the journal's last line was cut off by a crash; what was under way is judged anew")
        elif problems and not (journal.read_only_reason and not reading.records):
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            journal.notices.append(
                f"the journal was changed by something else: {problems[0]}{more} (`m0-cockpit journal verify` says all)"
            )
        return journal

    @staticmethod
    def path_in(state_dir: Path, *, listed: bool = False) -> Path:
        """Return where this user's journal is in a state directory."""
        return own_path(state_files.find_directory(state_dir, listed=listed))

    def close(self) -> None:
        """Release the files.

        A late append (an outcome that came while the process ends) opens them again.
        """
        with self._mutex:
            self._close_files()

    # --- reading ----------------------------------------------------------------------------------

    def records(self, *, wait: bool = True) -> tuple[dict[str, Any], ...]:
        """Return every good record, oldest first; those of other cockpits and users too.

        Without `wait` the last known ones while someone is writing: a slow disk must not
        hold up a screen.
        """
        if self._mutex.acquire(blocking=wait):
            try:
                self._refresh()
            finally:
                self._mutex.release()
        return self._records

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Say which journal of whom cannot be read: what it holds is unknown, never "none"."""
        return (*([self._unread] if self._unread else []), *self._others.problems)

    @property
    def there(self) -> bool:
        """Tell whether any journal is there; one that cannot be read is."""
        self.records()
        return bool(self._records or self.unreadable or self._others.files or os.path.lexists(self.path))

    def verify(self) -> list[str]:
        """List every edit, cut, reorder or broken line with its line number; empty when intact.

        Reads the files anew. What is wrong with another user's journal is said with whose it is.
        """
        with self._mutex:
            self._refresh()
            return self._verify_own() + self._others.verify()

    def _verify_own(self) -> list[str]:
        try:
            reading, head = self._read_both()
        except OSError as error:
            return [f"{self.path} cannot be read: {error.strerror or error}"]
        gone = lost(reading, head)
        return reading.problems + ([f"end of the journal: {gone}"] if gone else [])

    def _read_both(self) -> tuple[hash_chain.CheckedJournal, tuple[int, str] | None]:
        """Read the journal and its head as they belong together: others may append meanwhile."""
        directory = self._directory()
        if directory.trouble:
            raise state_files.Refused(directory.trouble)
        head = self._own.head()
        for _ in range(_READS):
            before = head
            reading = self._read_anew()
            head = self._own.head()
            if head == before:
                break
        return reading, head

    def _read_anew(self) -> hash_chain.CheckedJournal:
        anew = FollowedFile.of(self.path)
        anew.refresh()
        return anew.reading

    def end(self) -> tuple[int, str]:
        """Return the count and hash of the newest line of this user's journal.

        Kept elsewhere, they prove later that nothing before it was changed.
        """
        self.records()
        return self._own.reading.seq, self._own.reading.hash

    def chains(self) -> dict[int, hash_chain.CheckedJournal]:
        """Return what each user's journal holds as of now, by the user's number."""
        self.records()
        own = {state_files.me(): self._own.reading}
        return own | {file.owner: file.reading for file in self._others.files if file.owner not in own}

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
                self._try_again()
            try:
                with numbering(self._directory()), self._locked() as fd:
                    return self._append(fd, dict(record), given)
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                remedy = "make room on the disk" if full else "check the disk and the directory's permissions"
                raise JournalProblem(f"the journal cannot be written: {error.strerror or error}", remedy) from error

    def _append(self, fd: int, record: dict[str, Any], given: Given | None) -> int:
        self._refresh()
        if self._unread:
            raise JournalProblem(f"the journal cannot be written on: {self._unread}", self._remedy)
        reading = self._own.reading
        if given is not None:
            record.update(given(self._records))
        record.update(stamped(record, self._records))
        last = reading.records[-1] if reading.records else {}
        known = last.get("intents", 0)
        intents = max(known if type(known) is int else 0, self._others.newest_number())
        if record.get("kind") == "intent":
            intents += 1
            record["number"] = intents
        record.update(seq=reading.seq + 1, at=round(self._wall(), 3), intents=intents)
        if self._others.files and self._records and record["at"] < order_of(self._records[-1]):
            record["order"] = order_of(self._records[-1])  # a clock that is behind the others': written after them
        start = b""
        if reading.torn:
            record["torn"], start = reading.torn, b"\n"
        elif reading.unended:
            start = b"\n"
        gone = self._own.lost()
        if gone:
            record["gap"] = gone
        line, digest = hash_chain.hashed_line(record, reading.hash)
        if len(line) > hash_chain.LINE_LIMIT:
            raise JournalProblem(
                f"the journal takes no record of {len(line)} bytes: {hash_chain.LINE_LIMIT} at most", "make it shorter"
            )
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
                if not gone:
                    self._write_head(reading.seq, reading.hash)
            self._own.forget()
            raise
        kept = {**record, "hash": digest}
        reading.records.append(kept)
        reading.seq, reading.hash, reading.torn, reading.unended = record["seq"], digest, "", False
        reading.hashes[reading.seq] = digest
        reading.lines += 1 + bool(start)
        self._own.wrote(fd, before + len(start) + len(line))
        self._records = (*self._records, kept)
        self.revision += 1
        return intents

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the lock of the file that is at the path now (someone may have moved it away)."""
        if self._fd is None or not self._still_there():
            self._close_files()
            self._open_files()
            self._own.forget()
        fd = self._fd
        assert fd is not None
        lock(fd, _LOCK_WAIT_S)
        try:
            yield fd
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)

    def _cannot_write(self, error: OSError) -> None:
        self._close_files()
        directory = self._directory()
        self.read_only_reason = directory.trouble or (
            f"the journal cannot be written: {error.strerror or error}: {self.path}"
        )
        self._remedy = directory.remedy or "make room or mend its owner and permissions, then try again"

    def _try_again(self) -> None:
        """Open the files once more: what stood in the way may be mended.

        Raises JournalProblem.
        """
        said = _unsendable(self.read_only_reason)
        try:
            self._open_files()
        except OSError as error:
            self._cannot_write(error)
            raise JournalProblem(self.read_only_reason, self._remedy) from error
        self.read_only_reason = ""
        self.notices = [notice for notice in self.notices if notice != said]

    # --- files ------------------------------------------------------------------------------------

    def open_key(self) -> str:
        """Return the name of the key that fingerprints in this journal need; blocking."""
        return open_key(self.path.parent, listed=self._listed)

    def _directory(self) -> state_files.Directory:
        return state_files.find_directory(self.path.parent, listed=self._listed)

    def _open_files(self) -> None:
        directory = self._directory()
        if directory.trouble:
            raise state_files.Refused(directory.trouble)
        state_files.make(directory)
        flags = os.O_RDWR | os.O_CREAT
        fresh = not os.path.lexists(self.path)
        head_path = head_of(self.path)
        head_fresh = not os.path.lexists(head_path)
        # the head before the journal: a journal without it was tampered with
        self._head = state_files.open_plain(head_path, flags, directory.mode)
        state_files.share(self._head, directory)
        if head_fresh and fresh:
            self._write_head(0, hash_chain.GENESIS)
        self._fd = state_files.open_plain(self.path, flags | os.O_APPEND, directory.mode)
        hidden = state_files.share(self._fd, directory)
        if hidden and hidden not in self.notices:
            self.notices.append(hidden)
        if fresh or head_fresh:
            parent = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(parent)
            finally:
                os.close(parent)

    def _close_files(self) -> None:
        for fd in (self._fd, self._head):
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._fd = self._head = None

    def _still_there(self) -> bool:
        assert self._fd is not None
        try:
            there, ours = self.path.lstat(), os.fstat(self._fd)
        except OSError:
            return False
        return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)

    def _refresh(self) -> None:
        """Read again the files that are not as they were left; note what cannot be read."""
        directory = self._directory()
        changed, was = False, self._unread
        try:
            if directory.trouble:
                raise state_files.Refused(directory.trouble)
            changed = self._own.refresh()
            self._unread = ""
        except OSError as error:
            self._unread = directory.trouble or state_files.words_of(error, self.path)
            self._remedy = directory.remedy or "mend its owner and permissions"
        changed |= self._others.refresh(directory)
        if changed or was != self._unread:
            own = self._own.reading.records
            self._records = self._others.merged(own) if self._others.files else tuple(own)
            self.revision += 1

    def _write_head(self, seq: int, digest: str) -> None:
        assert self._head is not None
        text = f"{seq} {digest}".ljust(_HEAD_WIDTH - 1) + "\n"
        os.pwrite(self._head, text.encode(), 0)
        self._sync(self._head)


def _unsendable(reason: str) -> str:
    return f"nothing can be sent: {reason}"
