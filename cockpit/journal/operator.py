"""Names who acts, for the journal, the Lease and the cluster's events."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cockpit.text import clean


@dataclass(frozen=True, slots=True)
class Operator:
    """Names the person at the keyboard: others read `name`, the rest is where it comes from.

    Empty where nothing is known.
    """

    name: str
    os_user: str
    ssh_user: str  # who came in before sudo, or the login over SSH
    ssh_from: str  # the address that SSH_CONNECTION names
    kube_user: str
    host: str

    @staticmethod
    def current(
        kube_user: str = "", environment: Mapping[str, str] | None = None, *, proc: Path = Path("/proc")
    ) -> Operator:
        """Read the operator from the process and its environment (SUDO_USER, SSH_CONNECTION).

        The environment is anybody's to write: SUDO_USER counts where the kernel says the same, USER
        and LOGNAME never. Never raises.
        """
        env = os.environ if environment is None else environment
        os_user = user_name(os.getuid())
        origin = (env.get("SSH_CONNECTION") or env.get("SSH_CLIENT") or "").split(" ")[0]
        sudo_user = env.get("SUDO_USER") or ""
        if sudo_user and sudo_user not in came_in_as(proc):
            sudo_user = ""
        ssh_user = sudo_user or (os_user if origin else "")
        name = sudo_user or os_user
        parts = (name, os_user, ssh_user, origin, kube_user, socket.gethostname())
        return Operator(*(clean(part, 120) for part in parts))

    @property
    def identity(self) -> str:
        """Return `name@host`, as a Lease names its holder."""
        return f"{self.name}@{self.host}"

    def record(self) -> dict[str, str]:
        """Return the fields that are known, for the journal."""
        fields = {
            "name": self.name,
            "os": self.os_user,
            "ssh": self.ssh_user,
            "from": self.ssh_from,
            "kube": self.kube_user,
            "host": self.host,
        }
        return {key: value for key, value in fields.items() if value}


_NO_LOGIN = 2**32 - 1  # of /proc/PID/loginuid: nobody logged in (a container, a service)
_GENERATIONS = 64


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # no passwd entry: a container's arbitrary uid
        return f"uid{uid}"


def came_in_as(proc: Path = Path("/proc")) -> frozenset[str]:
    """Return who may be behind this process, as the kernel knows it: no process can write that.

    Whoever logged in (the audit's login uid), and whoever called the sudo that this process comes
    from. Empty where neither is known.
    """
    found = set()
    try:
        login = int((proc / "self" / "loginuid").read_text(encoding="ascii"))
        found |= {user_name(login)} if login != _NO_LOGIN else set()
    except (OSError, ValueError):
        pass
    pid, under_sudo = "self", False
    for _ in range(_GENERATIONS):
        fields = _status(proc / pid / "status")
        if not fields:
            break
        real, effective = fields["Uid"].split()[:2]
        if fields["Name"].strip() == "sudo" and effective == "0":  # only root's own program runs so
            under_sudo = True
        elif under_sudo:
            found.add(user_name(int(real)))
            under_sudo = False
        pid = fields["PPid"].strip()
    return frozenset(found)


def _status(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    fields = dict(line.partition(":")[::2] for line in text.splitlines())
    return fields if {"Name", "Uid", "PPid"} <= fields.keys() and len(fields["Uid"].split()) >= 2 else {}
