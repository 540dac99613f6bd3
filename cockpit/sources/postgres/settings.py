"""Declares what the configuration says of the database."""

from __future__ import annotations

from cockpit.settings import Key, Section


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


POSTGRES = Key("postgres", PostgresSettings, PostgresSettings())
