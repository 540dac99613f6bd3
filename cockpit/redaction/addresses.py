"""Splits a URL into its parts, though what stands in them is not encoded."""

from __future__ import annotations

import re

SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}\Z")
REST = re.compile(r"""[^\s"<>`{}|\\^]*""")

_STORES = frozenset(
    ("postgres", "postgresql", "mysql", "mariadb", "redis", "rediss", "amqp", "amqps", "mongodb", "mongodb+srv")
) | frozenset(
    ("kafka", "nats", "clickhouse", "cockroachdb", "sqlserver", "oracle", "couchbase", "cassandra", "memcached")
)


def split_authority(scheme: str, rest: str) -> tuple[str, str]:
    """Split what follows `scheme://` into user info and the rest, though neither is encoded."""
    first = re.search(r"[/?#]", rest)
    head = rest[: first.start()] if first else rest
    _, colon, after = head.partition(":")
    store = scheme.lower().rpartition("+")[2] in _STORES or scheme.lower() in _STORES
    if "@" in rest and (store or ("@" not in head and colon and after and not after.isdigit() and after != "]")):
        # a password with a slash, hash or question mark in it: up to the last @ it is all user info
        info, _, place = rest.rpartition("@") if store or first else head.rpartition("@")
        if ":" in info or "@" in head:
            return info, place
    if "@" in head:
        info, _, host = head.rpartition("@")
        return info, host + rest[len(head) :]
    return "", rest


def parts_of(url: str) -> tuple[str, str, str, str] | None:
    """Split a URL into scheme, user info, host and what follows the host; None: it is none."""
    scheme, colon, rest = url.partition("://")
    if not colon or not SCHEME.fullmatch(scheme):
        return None
    found = REST.match(rest)
    info, place = split_authority(scheme, found.group() if found else "")
    host = re.split(r"[/?#]", place, maxsplit=1)[0]
    return scheme, info, host, place[len(host) :]
