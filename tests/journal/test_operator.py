"""The process knows from itself who acts."""

from __future__ import annotations

from cockpit.journal.operator import Operator


def test_sudo_tells_who_came_in() -> None:
    operator = Operator.current("kube-ops", {"SUDO_USER": "anna", "SSH_CONNECTION": "10.0.0.9 5022 10.0.0.1 22"})
    assert operator.name == operator.ssh_user == "anna"
    assert operator.ssh_from == "10.0.0.9"
    assert operator.kube_user == "kube-ops"
    assert operator.identity.startswith("anna@")
    assert operator.record()["from"] == "10.0.0.9"


def test_hostile_names_are_shown_not_sent() -> None:
    operator = Operator.current("\x1b[2J", {"SUDO_USER": "a\x1b]0;x\x07"})
    assert "\x1b" not in operator.name + operator.kube_user


def test_a_local_login_has_no_ssh_user() -> None:
    operator = Operator.current("", {})
    assert operator.ssh_user == ""
    assert set(operator.record()) == {"name", "os", "host"}
