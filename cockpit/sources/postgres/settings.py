"""Declares what the configuration says of the database."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

from cockpit.settings import ConfigProblem, Key, Section, Settings, secret_of
from cockpit.sources.transport import UNVERIFIED, stays_here

_QUERY = re.compile(r"(?is)\s*(select|with|table|values)\b[^;]*")


class PostgresSettings(Section, frozen=True, kw_only=True):
    """Holds `[postgres]`: a role with pg_monitor and no writes.

    URLs are secrets: never shown; better kept in files.

    `admin_url`: a role that owns the tables, for reviewed statements only (kind `sql`: an index);
    nothing is read with it.
    """

    SECRETS = ("url", "admin_url")
    SECRET_FILES = ("url_file", "admin_url_file")

    url: str | None = None  # postgresql://ROLE:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full
    url_file: str | None = None  # a file that holds it, read again at each connection
    interval: float = 10.0  # seconds between two polls
    admin_url: str | None = None  # the tables' owner, for steps of kind sql only
    admin_url_file: str | None = None  # a file that holds it
    publish_state: str | None = None  # SELECT of market, epoch, sequence that the submitter keeps
    migrations: str | None = None  # SELECT of version, success and time of each migration

    def __post_init__(self) -> None:
        """Raises ValueError, which the decoder tells with its place in the file."""
        for name in ("publish_state", "migrations"):
            query = getattr(self, name)
            if query is not None and not _QUERY.fullmatch(query):
                raise ValueError(f"{name.replace('_', '-')}: expected one SELECT, without a semicolon")


POSTGRES = Key("postgres", PostgresSettings, PostgresSettings())


def exposed(settings: Settings) -> Iterator[str]:
    """Yield what of the database's connections travels unprotected."""
    own = settings.of(POSTGRES)
    for url, file, which in (
        (own.url, own.url_file, "Postgres"),
        (own.admin_url, own.admin_url_file, "Postgres (admin-url)"),
    ):
        try:
            found = secret_of(url, file, "[postgres] url")
            mode, host = _mode_and_host(found) if found else ("verify-full", "")
        except (ConfigProblem, ValueError):
            continue  # the source says so
        if mode.startswith("verify-") or not host or host.startswith("/") or stays_here(host):
            continue
        if mode == "require":
            yield f"{which}: its {UNVERIFIED} (sslmode=require; verify-full does)"
        else:
            yield f"{which}: the password may go without TLS (sslmode={mode}; verify-full never does)"


def _mode_and_host(text: str) -> tuple[str, str]:
    """Read a URL, or `host=… sslmode=…`, as libpq does.

    Raises ValueError.
    """
    if "://" in text:
        parts = urlsplit(text.strip())
        given = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        host = given.get("host") or unquote(parts.hostname or "")
    else:
        given = {key: value.strip("'") for key, value in re.findall(r"(\w+)\s*=\s*('[^']*'|\S+)", text)}
        host = given.get("host") or given.get("hostaddr") or ""
    mode = given.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    known = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
    if mode == "require" and given.get("sslrootcert"):
        mode = "verify-ca"  # as libpq takes it
    return mode if mode in known else "prefer", host
