"""Keeps the key of a state directory, which the fingerprints of hidden values need.

It never leaves the directory: not with the journal's records, nor with evidence. In a shared one
the group reads it, as it reads the journals. One that is lost costs the undo of older steps alone.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from cockpit.journal import state_files
from cockpit.secrets import learn_key

FILE = "fingerprint.key"
_BYTES = 32
_TRIES, _PAUSE_S = 20, 0.02  # another cockpit may be writing it


def open_key(state_dir: Path, *, listed: bool = False) -> str:
    """Return the name of the directory's key, made where there is none; blocking, never raises.

    Where it can be neither read nor written, one that this process alone knows.
    """
    try:
        key = _read_or_make(state_files.find_directory(state_dir, listed=listed))
    except OSError:
        key = secrets.token_bytes(_BYTES)
    return learn_key(key)


def _read_or_make(directory: state_files.Directory) -> bytes:
    if directory.trouble:
        raise state_files.Refused(directory.trouble)
    path = directory.path / FILE
    for _ in range(_TRIES):
        try:
            owner = path.lstat().st_uid if directory.shared else None
            found = state_files.read_plain(path, 2 * _BYTES + 2, owner=owner)
            if len(found) >= 2 * _BYTES:
                return bytes.fromhex(found.decode("ascii"))
        except FileNotFoundError:
            if made := _make(path, directory):
                return made
            continue
        except ValueError:
            pass  # torn, or no key
        time.sleep(_PAUSE_S)
    key = secrets.token_bytes(_BYTES)
    state_files.write_whole(path, key.hex() + "\n")
    return key


def _make(path: Path, directory: state_files.Directory) -> bytes | None:
    """Make it; None when another cockpit was quicker."""
    state_files.make(directory)
    key = secrets.token_bytes(_BYTES)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, state_files.OWN_MODE)
    except FileExistsError:
        return None
    try:
        state_files.share(fd, directory)
        os.write(fd, (key.hex() + "\n").encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    return key
