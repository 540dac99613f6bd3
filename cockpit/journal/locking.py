"""Locks the journal's file, and a shared directory for the numbers that its users give out."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from cockpit.errors import CockpitError
from cockpit.journal.state_files import Directory

_NUMBERING_WAIT_S = 2.0
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF)


class JournalProblem(CockpitError):
    """The journal cannot be read or written, so nothing may be sent."""

    usual_remedy = "make room and mend the rights of state-dir; `m0-cockpit journal verify` says how the journal is"


@contextlib.contextmanager
def numbering(directory: Directory) -> Iterator[None]:
    """Hold the lock of a shared directory, so that numbers are one series for all its users.

    One who holds it too long is not waited for: what stops harm must not hang on a number.
    """
    if not directory.shared or not directory.there or directory.trouble:
        yield
        return
    fd = None
    with contextlib.suppress(OSError, JournalProblem):
        fd = os.open(directory.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        lock(fd, _NUMBERING_WAIT_S)
    try:
        yield
    finally:
        if fd is not None:
            os.close(fd)


def lock(fd: int, wait_s: float) -> None:
    """Take the lock of an open file.

    Raises JournalProblem (somebody else holds it, or there are no locks here), OSError.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise JournalProblem(
                    "the journal is locked by another process", "end the process that holds it (see fuser)"
                ) from error
            time.sleep(0.01)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            raise JournalProblem(
                f"the journal cannot be locked: its file system has no locks ({error.strerror or error})",
                "set state-dir to a local disk, or mount it with locks (NFS 4, or lockd)",
            ) from error
