"""A disk without room, under a journal that is open."""

from __future__ import annotations

import errno
import os

import pytest

from cockpit.journal.journal import Journal


def fill(journal: Journal | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each write to it fail as the system's does, until the patch is undone."""
    assert journal is not None

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal, "_write", full)
