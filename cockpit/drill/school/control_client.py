"""Talks to a running drill's control, from the cockpit's process or another terminal.

Light: no HTTP client library.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cockpit.errors import CockpitError
from cockpit.journal.state_files import read_plain

CONTROLS = "running-drills"  # in the state directory: a file for each drill that runs
TIMEOUT_S = 5.0
_LIMIT = 10_000
_LEAVE = "leave it, and start another with `m0-cockpit drill`"


class NoDrill(CockpitError):
    """Reports that no drill answers, in one line, and what to do."""

    usual_remedy = "start one with `m0-cockpit drill`"


class ControlClient:
    """Calls the control; each call blocks for a few milliseconds.

    Raise NoDrill.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self._token = token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @classmethod
    def of(cls, path: Path) -> ControlClient:
        """Connect as the file of a running drill says.

        Raises NoDrill.
        """
        try:
            found = json.loads(read_plain(path, _LIMIT))
            return cls(str(found["address"]), str(found["token"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise NoDrill("no drill is running") from None

    @classmethod
    def newest(cls, directory: Path) -> ControlClient:
        """Connect to the newest drill that answers, and remove what others left behind.

        Raises NoDrill.
        """
        try:
            held = [path for path in directory.iterdir() if path.name.endswith(".json")]
            found = sorted(held, key=lambda path: path.lstat().st_mtime, reverse=True)
        except FileNotFoundError:
            found = []
        except OSError as error:
            words = f"whether a drill is running is not known: {directory} cannot be read: {error.strerror or error}"
            raise NoDrill(words, "mend its owner and mode") from None
        for path in found:
            control = cls.of(path)
            try:
                control.status()
            except NoDrill:
                path.unlink(missing_ok=True)
            else:
                return control
        raise NoDrill("no drill is running")

    def status(self) -> dict[str, Any]:
        return self._ask("status", None)

    def request(self, name: str, **values: object) -> dict[str, Any]:
        return self._ask(name, values)

    def _ask(self, name: str, values: dict[str, object] | None) -> dict[str, Any]:
        data = None if values is None else json.dumps(values).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/{name}", data, headers=headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                found = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise NoDrill(_reason(error), "see `m0-cockpit drill --help`") from None
        except (OSError, ValueError) as error:
            why = error.reason if isinstance(error, urllib.error.URLError) else error
            raise NoDrill(f"the drill does not answer: {why}", _LEAVE) from None
        return found if isinstance(found, dict) else {}


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read().decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text or str(error.reason)
