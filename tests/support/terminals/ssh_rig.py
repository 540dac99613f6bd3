"""A real sshd on loopback, with keys of its own, that can be walked through and cut: nothing of the
machine's own SSH is used.

Clients connect from a tmux pane or a pty as operators do. `cut` ends the server's side of every
connection at once, as a dropped line does: what ran there without tmux gets its hang-up, what ran
under tmux goes on.
"""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from cockpit.drill.ports import free_port
from tests.support.paths import ROOT
from tests.support.terminals.pty_terminal import alive, until
from tests.support.terminals.tmux_terminal import Terminal

#: Where sshd, run by root, puts its unprivileged half; its package's service makes it at boot.
_PRIVSEP = Path("/run/sshd")


class Sshd:
    """An SSH server as a child, for the user who runs the tests, by key only.

    `home` is the home of what runs there.
    """

    def __init__(self, need: Callable[[str], str], directory: Path) -> None:
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        self._ssh, keygen = need("ssh"), need("ssh-keygen")
        program = need("sshd")  # by its whole path: it runs itself anew for every connection
        host, key = directory / "host", directory / "key"
        for path in (host, key):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        self.port = free_port()
        (directory / "known").write_text(f"[127.0.0.1]:{self.port} {host.with_suffix('.pub').read_text()}")
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        config = {
            "ListenAddress": "127.0.0.1",
            "Port": self.port,
            "HostKey": host,
            "PidFile": "none",
            "AuthorizedKeysFile": key.with_suffix(".pub"),
            "AuthenticationMethods": "publickey",
            "PermitRootLogin": "prohibit-password",
            "UsePAM": "no",
            "StrictModes": "no",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "PermitUserRC": "no",
            "AcceptEnv": "LANG LC_* NO_COLOR",
            "SetEnv": f"HOME={self.home} PYTHONPATH={paths} PATH={os.environ['PATH']}",  # no start-up file of the real home
        }
        (directory / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in config.items()))
        self._client = [
            "-F",
            "none",
            "-i",
            str(key),
            "-p",
            str(self.port),
            *(
                part
                for option in (
                    f"UserKnownHostsFile={directory / 'known'}",
                    "GlobalKnownHostsFile=none",
                    "StrictHostKeyChecking=yes",
                    "IdentitiesOnly=yes",
                    "IdentityAgent=none",
                    "BatchMode=yes",
                    "SendEnv=LANG NO_COLOR",
                )
                for part in ("-o", option)
            ),
        ]
        if os.geteuid() == 0:
            _PRIVSEP.mkdir(mode=0o755, exist_ok=True)
        self.log = directory / "sshd.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(directory / "sshd_config")], stdin=subprocess.DEVNULL, stderr=log
            )
        until(lambda: self.process.poll() is not None or _answers(self.port), 10, self.words)
        assert self.process.poll() is None, self.words()

    def words(self) -> str:
        """What the server said."""
        return self.log.read_text("utf-8", "replace")

    def client(self, command: str) -> list[str]:
        """The argument list that logs in with a terminal and runs `command` there, in a shell."""
        return [self._ssh, "-tt", *self._client, f"{getpass.getuser()}@127.0.0.1", command]

    def sessions(self) -> list[int]:
        """Processes of the server that hold a connection: its children, and theirs that are sshd's
        too (the half without rights).
        """
        found = _children(self.process.pid)
        return found + [child for pid in found for child in _children(pid) if _name(child) == "sshd"]

    def cut(self) -> None:
        """The line drops: nobody says goodbye."""
        held = self.sessions()
        assert held, f"nobody is logged in\n{self.words()}"
        for pid in held:
            os.kill(pid, 9)
        until(lambda: not any(alive(pid) for pid in held), 5, "the connections end")

    def close(self) -> None:
        for pid in self.sessions():
            with suppress(ProcessLookupError):  # it ended by itself meanwhile
                os.kill(pid, 9)
        self.process.terminate()
        self.process.wait(10)


class Remote(Terminal):
    """A tmux pane in which an operator logs in over ssh."""

    def __init__(self, tmux: str, door: Sshd, width: int, height: int) -> None:
        super().__init__(tmux, door.home, width, height)
        self.door = door
        self._program = tmux
        self._logged_in = False
        self._far = f"far-{self.name}"  # the tmux on the other side

    def log_in(self, command: str, env: Mapping[str, str] | None = None) -> None:
        """Run `command` there; when the connection ends, the pane says so and stays."""
        exports = shlex.join(f"{name}={value}" for name, value in {"LANG": "C.UTF-8", **(env or {})}.items())
        shown = f"env {exports} {shlex.join(self.door.client(command))}; echo ssh=$?; sleep 600"
        if self._logged_in:
            self._do("respawn-pane", "-k", shown)
            return
        self._logged_in = True
        self._do("new-session", "-d", "-x", str(self.width), "-y", str(self.height), shown)
        self._do("set-option", "-g", "history-limit", "0")

    def tmux(self, *arguments: str) -> None:
        """Log in and open the cockpit in a tmux there; a second time, it is found again as it was
        left.
        """
        inside = shlex.join(cockpit(*arguments))
        self.log_in(
            shlex.join([self._program, "-L", self._far, "-f", "/dev/null", "new-session", "-A", "-s", "m0", inside])
        )

    def type_ahead(self, keys: str) -> None:
        """All in one piece, as a slow line delivers them.

        Characters; \\r is Enter.
        """
        self._do("set-buffer", keys)
        self._do("paste-buffer", "-r")

    def painted(self) -> str:
        """The screen with its styles."""
        return self._do("capture-pane", "-p", "-e")

    def kill(self) -> None:
        super().kill()
        subprocess.run([self._program, "-L", self._far, "kill-server"], capture_output=True, check=False)


def cockpit(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cockpit.cli", *arguments]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
