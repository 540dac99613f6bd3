"""Names who acts, for the journal, the Lease and the cluster's events."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

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
    def current(kube_user: str = "", environment: Mapping[str, str] | None = None) -> Operator:
        """Read the operator from the process and its environment (SUDO_USER, SSH_CONNECTION).

        Never raises.
        """
        env = os.environ if environment is None else environment
        try:
            os_user = getpass.getuser()
        except (KeyError, OSError):  # no passwd entry: a container's arbitrary uid
            os_user = f"uid{os.getuid()}"
        origin = (env.get("SSH_CONNECTION") or env.get("SSH_CLIENT") or "").split(" ")[0]
        ssh_user = env.get("SUDO_USER") or (os_user if origin else "")
        name = env.get("SUDO_USER") or os_user
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
