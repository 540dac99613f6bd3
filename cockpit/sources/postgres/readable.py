"""Reads text in whatever encoding it comes, so that one odd byte blinds no row.

A database in SQL_ASCII holds any bytes, and pg_stat_activity shows statements of other databases in
theirs. psycopg gives bytes for the first and fails the whole answer for the second.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

#: PostgreSQL's names of these differ from Python's: WIN1252 is cp1252, KOI8R koi8_r.
_SPELLINGS = ((re.compile(r"WIN(?=\d)"), "cp"), (re.compile(r"KOI8(?=[RU])"), "koi8_"))
#: 0 stands for what the server gives no type.
_TEXTS: tuple[str | int, ...] = ("text", "name", "varchar", "bpchar", '"char"', 0)


def readable(raw: bytes, server_encoding: str = "") -> str:
    """Return UTF-8 where it is, else what the server's encoding makes of it, with replacements."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        for pattern, ours in _SPELLINGS:
            server_encoding = pattern.sub(ours, server_encoding)
        try:
            return raw.decode(server_encoding or "utf-8", "replace")
        except (LookupError, UnicodeError):  # SQL_ASCII, or one that Python lacks
            return raw.decode("utf-8", "replace")


def read_any_text(connection: psycopg.AsyncConnection[Any]) -> None:
    """Make every text that `connection` reads a str, bytea included.

    Statements select long texts as bytea (`textsend`): the server's own functions on text fail at
    bytes that are not of its encoding.
    """
    from psycopg.adapt import Buffer, Loader
    from psycopg.types.string import ByteaLoader

    encoding = connection.info.parameter_status("server_encoding") or ""

    class AnyText(Loader):
        def load(self, data: Buffer) -> str:
            return readable(bytes(data), encoding)

    class AnyBytes(ByteaLoader):
        def load(self, data: Buffer) -> str:  # type: ignore[override]
            return readable(bytes(super().load(bytes(data))), encoding)

    for kind in _TEXTS:
        connection.adapters.register_loader(kind, AnyText)
    connection.adapters.register_loader("bytea", AnyBytes)
