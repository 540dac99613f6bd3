"""Opens what lies in the state directory: plain files alone, of the owner that is due.

A link, a pipe or a device in a file's place is refused before it is opened, and so is what another
user owns. A directory that a group (or everyone) may write to is shared: each user has files of
their own in it, which the others read. One that belongs to another user and is not shared is
refused: whoever owns it can put anything there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from cockpit.text import clean

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a plain file",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
OWN_MODE, SHARED_MODE = 0o600, 0o640
_SHARED_BITS = 0o022


class Refused(OSError):
    """What lies at the path is not what may be used there; `strerror` says it in words."""

    def __init__(self, words: str) -> None:
        super().__init__(errno.EPERM, words)


def user_name(uid: int) -> str:
    """Return the login name of a user, as far as this machine knows one."""
    try:
        return clean(pwd.getpwuid(uid).pw_name, 60)
    except (KeyError, OverflowError):
        return f"uid {uid}"


def me() -> int:
    return os.geteuid()


@dataclass(frozen=True, slots=True)
class Directory:
    """Tells whose the state directory is; `trouble` says why nothing in it may be used.

    The reason stands before the path: a narrow screen cuts the end off.
    """

    path: Path
    there: bool = False
    shared: bool = False
    everyone: bool = False  # may write to it, not a group alone
    group: int = -1
    trouble: str = ""
    remedy: str = ""

    @property
    def mode(self) -> int:
        """Return the mode of the files in it."""
        return SHARED_MODE if self.shared else OWN_MODE

    @property
    def own(self) -> Path:
        """Return where this user's files are that the others need not read.

        (All but the journal: the flight recorder, evidence, reports, the drills' scores.)
        """
        return self.path / f"user-{me()}" if self.shared else self.path


def find_directory(path: Path, *, listed: bool = False) -> Directory:
    """Judge the state directory; `listed`: the configuration says that it is shared.

    Never raises: what cannot be looked at is `trouble`.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            return Directory(
                path,
                trouble=f"the state directory is a link that leads nowhere: {path}",
                remedy="mend it, or set state-dir",
            )
        return Directory(path, shared=listed)
    except OSError as error:
        words = f"the state directory cannot be read: {error.strerror or error}: {path}"
        return Directory(path, there=True, trouble=words, remedy="mend its owner and mode, or set state-dir")
    if not stat.S_ISDIR(found.st_mode):
        words = f"the state directory is {kind_of(found.st_mode)}: {path}"
        return Directory(path, there=True, trouble=words, remedy="set state-dir to a directory")
    shared = listed or bool(found.st_mode & _SHARED_BITS)
    if found.st_uid != me() and not shared:
        return Directory(
            path,
            there=True,
            trouble=f"the state directory belongs to {user_name(found.st_uid)} and is not shared: {path}",
            remedy=f"set state-dir to one of your own; or its owner shares it: chgrp GROUP {path}; chmod 2770 {path}",
        )
    return Directory(path, True, shared, bool(found.st_mode & 0o002), found.st_gid)


def make(directory: Directory) -> None:
    """Make the directory where there is none.

    Raises OSError.
    """
    directory.path.mkdir(parents=True, exist_ok=True, mode=0o2770 if directory.shared else 0o700)


def own_directory(path: Path, *, listed: bool = False) -> Path:
    """Return where this user's own files go; whoever writes there makes it (`make_own`)."""
    return find_directory(path, listed=listed).own


def make_own(path: Path) -> None:
    """Make a directory for one's own files; in a shared one, only below a directory of one's own.

    Raises OSError.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part in (path, *path.parents):
        if part.name == f"user-{me()}":
            found = part.lstat()
            if not stat.S_ISDIR(found.st_mode):
                raise Refused(f"{part} is {kind_of(found.st_mode)}, not a directory")
            if found.st_uid != me():
                raise Refused(f"{part} belongs to {user_name(found.st_uid)}")


def kind_of(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no plain file")


def _judge(found: os.stat_result, owner: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"it is {kind_of(found.st_mode)}, not a plain file")
    if found.st_nlink > 1:
        raise Refused(f"it has {found.st_nlink} names (hard links), so others may change it")
    if owner is not None and found.st_uid != owner:
        raise Refused(f"it belongs to {user_name(found.st_uid)}, not to {user_name(owner)}")


def open_plain(path: Path, flags: int, mode: int = OWN_MODE, *, owner: int | None = None) -> int:
    """Open a plain file of `owner` (None: of this user), and nothing else.

    What is there is looked at first: only opening a device or a pipe may do harm, or block. Raises
    OSError.
    """
    due = me() if owner is None else owner
    try:
        _judge(path.lstat(), due)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, mode)
    try:
        _judge(os.fstat(fd), due)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_plain(path: Path, limit: int, *, owner: int | None = None) -> bytes:
    """Return the last `limit` bytes of a plain file.

    Raises OSError.
    """
    fd = open_plain(path, os.O_RDONLY, owner=owner)
    with os.fdopen(fd, "rb") as file:
        size = os.fstat(fd).st_size
        if size > limit:
            file.seek(size - limit)
        return file.read(limit)


def write_whole(path: Path, text: str) -> None:
    """Write a file of one's own (0600): it is there whole or not at all, and no link is followed.

    Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(temporary, flags, OWN_MODE)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def words_of(error: OSError, path: Path) -> str:
    """Say what cannot be read, whose it is and why."""
    whose = ""
    with contextlib.suppress(OSError):
        whose = f" of {user_name(path.lstat().st_uid)}"
    return f"{path.name}{whose} cannot be read: {error.strerror or error}"


def share(fd: int, directory: Directory) -> str:
    """Give an open file its mode in this directory; return "" or why the group cannot read it."""
    found = os.fstat(fd)
    why = ""
    if directory.shared and found.st_gid != directory.group:
        try:
            os.fchown(fd, -1, directory.group)
        except OSError as error:
            why = f"the directory's group cannot read your journal: {error.strerror or error}"
    if stat.S_IMODE(found.st_mode) != directory.mode:
        os.fchmod(fd, directory.mode)
    return why
