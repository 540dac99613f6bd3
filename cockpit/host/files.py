"""Opens files that an operator names: plain ones of a sensible size, or one error at once.

A pipe blocks who opens it, a device never ends, and a file of a gigabyte is none of ours.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

#: More than any configuration, kubeconfig, certificate or runbooks' file has.
MOST_BYTES = 8 << 20

_KINDS = (
    (stat.S_ISDIR, errno.EISDIR, "it is a directory"),
    (stat.S_ISFIFO, errno.EINVAL, "it is a pipe, no plain file"),
    (stat.S_ISSOCK, errno.EINVAL, "it is a socket, no plain file"),
    (stat.S_ISCHR, errno.EINVAL, "it is a device, no plain file"),
    (stat.S_ISBLK, errno.EINVAL, "it is a device, no plain file"),
)


def check_plain(path: str | os.PathLike[str], most: int = MOST_BYTES) -> None:
    """Raises OSError, with the reason as its `strerror`, for what must not be opened and read."""
    _judge(Path(path).stat(), path, most)


def plain(path: str | None) -> str | None:
    """Return the path, once it is known to be a plain file's; raises OSError."""
    if path is not None:
        check_plain(path)
    return path


def read_plain(path: str | os.PathLike[str], most: int = MOST_BYTES) -> bytes:
    """Return the whole file.

    What is there is looked at first: only to open a device may do harm. Raises OSError.
    """
    check_plain(path, most)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(fd, "rb") as file:
        _judge(os.fstat(fd), path, most)
        data = file.read(most + 1)  # what grows, or says no size of its own, is found out here
    if len(data) > most:
        raise _too_large(path, most)
    return data


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8", most: int = MOST_BYTES) -> str:
    """Return the file's text, its line ends as they are elsewhere.

    Raises OSError, UnicodeDecodeError.
    """
    text = read_plain(path, most).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _judge(found: os.stat_result, path: str | os.PathLike[str], most: int) -> None:
    for is_kind, number, reason in _KINDS:
        if is_kind(found.st_mode):
            raise OSError(number, reason, str(path))
    if found.st_size > most:
        raise _too_large(path, most)


def _too_large(path: str | os.PathLike[str], most: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {most / (1 << 20):g} MB", str(path))


def open_to_write(path: str | os.PathLike[str], mode: int = 0o600) -> int:
    """Open a file to be written anew; a pipe that nobody reads is an error, and no wait.

    Raises OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY
    fd = os.open(Path(path), flags | os.O_NONBLOCK, mode)
    os.set_blocking(fd, True)
    return fd
