"""The process knows from itself who acts; its environment counts where the kernel agrees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cockpit.journal.operator import Operator, came_in_as, user_name

ME = user_name(os.getuid())
SUDO = {"SUDO_USER": "anna", "SSH_CONNECTION": "10.0.0.9 5022 10.0.0.1 22"}


def proc(at: Path, *processes: tuple[str, int, int], login: str = "4294967295") -> Path:
    """A /proc in which this process and those before it are (name, real uid, effective uid)."""
    for number, (name, real, effective) in enumerate(processes):
        directory = at / (str(100 + number) if number else "self")
        directory.mkdir(parents=True)
        parent = 101 + number if number + 1 < len(processes) else 0
        (directory / "status").write_text(f"Name:\t{name}\nPPid:\t{parent}\nUid:\t{real}\t{effective}\t0\t0\n")
    (at / "self" / "loginuid").write_text(login)
    return at


@pytest.fixture
def anna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cockpit.journal.operator.user_name", lambda uid: {1001: "anna", 1002: "eve"}.get(uid, "m0"))


@pytest.mark.usefixtures("anna")
def test_sudo_tells_who_came_in(tmp_path: Path) -> None:
    chain = ("m0-cockpit", 900, 900), ("sudo", 0, 0), ("sudo", 1001, 0), ("bash", 1001, 1001), ("sshd", 0, 0)
    operator = Operator.current("kube-ops", SUDO, proc=proc(tmp_path, *chain))
    assert operator.name == operator.ssh_user == "anna" and operator.os_user == "m0"
    assert operator.ssh_from == "10.0.0.9"
    assert operator.kube_user == "kube-ops"
    assert operator.identity.startswith("anna@")
    assert operator.record()["from"] == "10.0.0.9"


@pytest.mark.usefixtures("anna")
@pytest.mark.parametrize(
    ("chain", "login"),
    [
        ((("m0-cockpit", 1002, 1002), ("bash", 1002, 1002)), "4294967295"),
        ((("m0-cockpit", 1002, 1002), ("sudo", 1002, 1002), ("bash", 1001, 1001)), "1002"),  # a program named sudo
        ((("m0-cockpit", 900, 900), ("sudo", 0, 0), ("bash", 1002, 1002)), "1002"),  # sudo env SUDO_USER=anna …
        ((("m0-cockpit", 0, 0), ("bash", 0, 0)), "not a number"),
    ],
)
def test_a_user_that_the_environment_alone_names_is_not_believed(
    tmp_path: Path, chain: tuple[tuple[str, int, int], ...], login: str
) -> None:
    """H10: SUDO_USER, USER and LOGNAME are anybody's to write."""
    environment = {**SUDO, "USER": "anna", "LOGNAME": "anna"}
    operator = Operator.current("", environment, proc=proc(tmp_path, *chain, login=login))
    assert "anna" not in (operator.name, operator.os_user, operator.ssh_user)


@pytest.mark.usefixtures("anna")
def test_a_root_shell_of_hours_ago_is_known_by_its_login(tmp_path: Path) -> None:
    there = proc(tmp_path, ("m0-cockpit", 0, 0), ("tmux: server", 0, 0), login="1001")
    assert Operator.current("", SUDO, proc=there).name == "anna"


def test_this_very_process_believes_no_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "nobody-at-all")
    assert Operator.current().name != "nobody-at-all"
    assert isinstance(came_in_as(), frozenset) and came_in_as(Path("/nowhere")) == frozenset()


def test_hostile_names_are_shown_not_sent() -> None:
    operator = Operator.current("\x1b[2J", {"SUDO_USER": "a\x1b]0;x\x07"})
    assert "\x1b" not in operator.name + operator.kube_user


def test_a_local_login_has_no_ssh_user() -> None:
    operator = Operator.current("", {})
    assert operator.name == ME
    assert operator.ssh_user == ""
    assert set(operator.record()) == {"name", "os", "host"}
