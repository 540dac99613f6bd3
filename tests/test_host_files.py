"""A file that an operator names is a plain one, or one error at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit.cli import main
from cockpit.errors import CockpitError
from cockpit.host.files import MOST_BYTES, open_to_write, read_plain
from cockpit.kubeapi.access import load_access
from cockpit.settings import secret_of


def fifo(place: Path) -> Path:
    os.mkfifo(place / "pipe")
    return place / "pipe"


def endless(place: Path) -> Path:
    return Path("/dev/zero")


def folder(place: Path) -> Path:
    return place


def bound(place: Path) -> Path:
    """Make a socket, by a short relative name: a long path is none for a socket."""
    one = socket.socket(socket.AF_UNIX)
    one.bind("socket")
    one.close()
    return place / "socket"


def giant(place: Path) -> Path:
    with (place / "giant").open("wb") as file:
        file.truncate(1 << 30)  # sparse: no disk is filled
    return place / "giant"


MADE: dict[Callable[[Path], Path], str] = {
    fifo: "a pipe",
    endless: "a device",
    folder: "a directory",
    bound: "a socket",
    giant: "larger than 8 MB",
}


@pytest.mark.parametrize("make", MADE)
def test_what_is_no_plain_file_is_one_error_everywhere(
    make: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """H: of each place that opens a file by an operator's word, one line, and no wait."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("M0_COCKPIT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    path = str(make(tmp_path))
    for line in (
        ["runbooks", "check", path],
        ["--runbooks", path, "runbooks", "list"],
        ["--config", path, "runbooks", "list"],
        ["verify", path],
        ["incident", "evidence", "--verify", path],
    ):
        code = main(line)
        out, err = capfd.readouterr()
        assert code != 0 or "--runbooks" in line, line
        assert MADE[make] in out + err or (make is giant and "larger than" in out + err), (line, out, err)
        assert "Traceback" not in err
    with pytest.raises(CockpitError, match=MADE[make]):
        load_access(path)
    with pytest.raises(CockpitError, match=MADE[make]):
        secret_of(None, path, "[prometheus] token-file")
    with pytest.raises(OSError, match=MADE[make]):
        read_plain(path)


def test_a_file_that_says_no_size_is_bounded_all_the_same() -> None:
    assert read_plain("/proc/self/status").startswith(b"Name:")
    with pytest.raises(OSError, match="larger than"):
        read_plain("/proc/self/status", 4)
    assert MOST_BYTES >= 1 << 20


def test_a_pipe_that_nobody_reads_is_written_to_by_nobody(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        open_to_write(fifo(tmp_path))
