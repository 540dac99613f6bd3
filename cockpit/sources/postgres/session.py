"""Keeps one read-only session with the database, and says its errors in words.

psycopg is imported here at the first use, in a thread: it takes 0.2 s and is an optional extra.
What protects the operator's own loop from a frozen server is `break_off`: shutting the socket down
ends whatever waits on it, where a cancel would wait for seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import msgspec

from cockpit.errors import CockpitError
from cockpit.model.reading import Fault, SourceState
from cockpit.sources.postgres.readable import read_any_text
from cockpit.text import HIDDEN, safe

if TYPE_CHECKING:
    import psycopg

APPLICATION = "m0-cockpit"
CONNECT_S = 4
STATEMENT_S = 4.0
#: The server converts nothing: one session's bytes in another encoding would fail the whole answer.
UNCONVERTED = "sql_ascii"
Row = tuple[Any, ...]
#: Of one answer: statements ask for a few hundred rows, and cut each text.
MOST_ROWS = 20_000
MOST_CHARACTERS = 8_000_000
TOO_MUCH = Fault(
    SourceState.DOWN,
    f"the server's answer is too long: more than {MOST_ROWS:,} rows, or {MOST_CHARACTERS:,} characters",
    "is it really PostgreSQL that answers there?",
)

#: libpq's own limits (https://www.postgresql.org/docs/current/libpq-connect.html). An operator's
#: URL may tighten them.
_LIMITS: Mapping[str, str] = {
    "connect_timeout": str(CONNECT_S),
    "tcp_user_timeout": "8000",  # ms that sent data may stay unacknowledged
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "2",
}
#: Of the session. `search_path`: nothing that somebody put into a schema is ever called by a
#: statement of ours.
_SESSION: Mapping[str, str] = {
    "statement_timeout": f"{STATEMENT_S:g}s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "default_transaction_read_only": "on",
    "search_path": "pg_catalog",
}


class PgProblem(CockpitError):
    """Why there is no answer, as a fault.

    `lost`: the connection is of no more use. `sqlstate`: the server's code, "" when it was not the
    server that said no.
    """

    usual_remedy = "check the address in [postgres] and the server"

    def __init__(self, fault: Fault, *, lost: bool, sqlstate: str = "") -> None:
        super().__init__(fault.reason, fault.remedy)
        self.fault = msgspec.structs.replace(fault, remedy=self.remedy)
        self.lost = lost
        self.sqlstate = sqlstate


def _driver() -> Any:
    try:
        module = importlib.import_module("psycopg")
    except ImportError as error:
        reason = "PostgreSQL needs an extra that is not installed"
        if not isinstance(error, ModuleNotFoundError) or not (error.name or "").startswith("psycopg"):
            reason = f"psycopg cannot be loaded: {safe(error, 160)}"
        raise PgProblem(Fault(SourceState.DOWN, reason, "pip install 'm0-cockpit[postgres]'"), lost=True) from None
    # Its warnings (a cancel that failed) would otherwise be printed over the screen.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    return module


async def driver() -> Any:
    """Return the module psycopg.

    Raises PgProblem without the extra.
    """
    return await asyncio.to_thread(_driver)


def conninfo(url: str, encoding: str = "utf8", session: Mapping[str, str] = _SESSION) -> str:
    """Return the operator's URL with our limits and `encoding` for the client.

    Raises PgProblem, without a word of the URL, when it is none.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except (ProgrammingError, UnicodeError):
        fault = Fault(
            SourceState.DOWN,
            "[postgres] url is no PostgreSQL address",
            "give postgresql://ROLE@HOST:5432/DATABASE, % signs as %25",
        )
        raise PgProblem(fault, lost=True) from None
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    own = {**_LIMITS, "application_name": APPLICATION, "client_encoding": encoding}
    with contextlib.suppress(KeyError, ValueError):
        own["connect_timeout"] = str(min(max(2, int(given["connect_timeout"])), CONNECT_S))
    try:
        return make_conninfo("", **{**given, **own, "options": f"{given.get('options', '')} {options}".strip()})
    except (ProgrammingError, UnicodeError):
        fault = Fault(
            SourceState.DOWN, "[postgres] url holds something that libpq does not know", "check its parameters"
        )
        raise PgProblem(fault, lost=True) from None


def secrets_of(url: str) -> tuple[str, ...]:
    """Return every spelling of the password, longest first: no error may repeat it."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    found = {url}
    with contextlib.suppress(ProgrammingError, UnicodeError):
        given = conninfo_to_dict(url)
        for key in ("password", "sslpassword", "oauth_client_secret"):
            word = str(given.get(key) or "")
            found |= {word, quote(word, safe=""), quote(word), unquote(word)}
    raw = re.search(r"://[^:@/\s]*:(.+)@", url)
    if raw is not None:  # with a bare @ or / in it, libpq takes a part of the password for the host
        parts = [raw.group(1), *re.split(r"[@/:?]", raw.group(1))]
        found |= {*parts, *map(unquote, parts)}
    return tuple(sorted((word for word in found if len(word) >= 3), key=len, reverse=True))


def hide(text: str, secrets: Sequence[str]) -> str:
    for word in secrets:
        text = text.replace(word, HIDDEN)
    return text


_NOT_LET_IN = re.compile(
    r"(?i)authentication failed|no pg_hba\.conf entry|no password supplied|password authentication|"
    r"role .* does not exist|certificate"
)
_FULL = re.compile(r"too many clients|too many connections|remaining connection slots")
#: SQLSTATE classes that speak of the connection or the server's state, not of one statement.
_CONNECTION_CLASSES = frozenset({"08", "28", "3D", "53", "57", "58", "XX"})
_UNSUPPORTED = re.compile(r"(?i)unsupported startup parameter")


_AT = re.compile(
    r'^(?:connection failed: )?connection to server (?:at|on socket) "([^"]*)"(?: \([^)]*\))?'
    r"(?:, port (\d+))? failed: (?:FATAL: +)?"
)


#: What libpq and psycopg say of the line itself, and what it means.
_OF_THE_LINE = (
    (re.compile(r"server closed the connection unexpectedly"), "the server closed the connection"),
    (re.compile(r"(?:^|: )connection timeout expired|timeout expired"), "no connection in time"),
    (
        re.compile(r"expected authentication request|invalid response to SSL negotiation|protocol synchronization"),
        "what answers there does not speak PostgreSQL",
    ),
    (re.compile(r"the connection is (?:lost|closed)|SSL connection has been closed"), "the connection was lost"),
)
#: What libraries put around the words of the system.
_OF_LIBRARIES = re.compile(r"\[Errno -?\d+\] |^connection is bad: |^connection failed: ")


def first_line(error: BaseException, secrets: Sequence[str], limit: int = 240) -> str:
    """Return what the server or libpq said, in one line without secrets.

    Of several addresses tried, the last.
    """
    lines = [line.strip() for line in hide(str(error), secrets).splitlines() if line.strip()]
    text = next((line for line in reversed(lines) if _AT.match(line)), (lines or [""])[0])
    text = _OF_LIBRARIES.sub("", text)
    at = _AT.match(text)
    if at is not None:
        text = f"{at.group(1)}{f':{at.group(2)}' if at.group(2) else ''}: {text[at.end() :]}"
    for pattern, meant in _OF_THE_LINE:
        if pattern.search(text):
            text = meant if at is None else f"{text.partition(': ')[0]}: {meant}"
    return safe(text, limit) or type(error).__name__


def fault_of(error: BaseException, secrets: Sequence[str], role: str = "") -> Fault:
    """Say what an error of psycopg means to the operator.

    SQLSTATEs: PostgreSQL's appendix A.
    """
    state = getattr(error, "sqlstate", None) or ""
    words = first_line(error, secrets)
    name = safe(role, 63) or "the role"
    if state == "42501":
        return Fault(SourceState.DENIED, f"insufficient privilege: {words}", f"GRANT pg_monitor TO {name}")
    if state == "57014":
        return Fault(
            SourceState.DOWN,
            f"took longer than {STATEMENT_S:g} s, or was cancelled",
            "the database is too busy to tell",
        )
    if state == "55P03":
        return Fault(SourceState.DOWN, "a lock on a system table is held by someone else", "see transactions and locks")
    if state == "53300" or _FULL.search(words):
        return Fault(
            SourceState.DOWN,
            f"the database is full: {words}",
            f"GRANT pg_use_reserved_connections TO {name}, and reserved_connections = 2",
        )
    if _UNSUPPORTED.search(words):
        return Fault(SourceState.DOWN, words, "connect to the server itself, not through a pooler")
    if state in ("28P01", "28000") or _NOT_LET_IN.search(words):
        return Fault(
            SourceState.UNAUTHORISED,
            words,
            "check role, password and pg_hba.conf; `m0-cockpit files postgres-role.sql` makes the role",
        )
    if state in ("57P01", "57P02", "57P03"):
        return Fault(SourceState.DOWN, words, "it is starting or stopping; the cockpit tries again")
    if state == "55000" and "shared_preload_libraries" in words:
        return Fault(
            SourceState.DOWN, words, "shared_preload_libraries = 'pg_stat_statements', then restart the server"
        )
    if state and state[:2] not in _CONNECTION_CLASSES:
        return Fault(
            SourceState.DOWN, words, f"the server answers, but not this question (SQLSTATE {state}): see its log"
        )
    return Fault(SourceState.DOWN, words, PgProblem.usual_remedy)


class Session:
    """Holds one autocommit connection.

    Not for use by two tasks at once; `break_off` may be called from any.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Row], secrets: Sequence[str]) -> None:
        self._connection = connection
        self._secrets = tuple(secrets)
        self.role = ""
        read_any_text(connection)

    @classmethod
    async def open(cls, url: str) -> Session:
        """Connect.

        Raises PgProblem.
        """
        psycopg = await driver()
        info, secrets = conninfo(url, UNCONVERTED), secrets_of(url)
        try:
            async with asyncio.timeout(2 * CONNECT_S):
                connection = await psycopg.AsyncConnection.connect(info, autocommit=True, prepare_threshold=None)
        except TimeoutError:
            fault = Fault(
                SourceState.DOWN,
                f"no connection within {2 * CONNECT_S} s",
                "is the server overloaded, or the network filtered?",
            )
            raise PgProblem(fault, lost=True) from None
        except (psycopg.Error, OSError, UnicodeError, ValueError) as error:
            raise PgProblem(fault_of(error, secrets), lost=True) from None
        return cls(connection, secrets)

    async def ask(self, statement: str, parameters: Sequence[Any] | None = None) -> list[Row]:
        """Return all rows.

        Raises PgProblem.
        """
        import psycopg

        rows: list[Row] = []
        size = 0
        try:
            # Statements are constants of this package, with a quoted schema filled in at most.
            async with self._connection.cursor() as cursor:
                async for row in cursor.stream(statement.encode(), parameters):
                    size += sum(len(cell) if isinstance(cell, str | list) else 8 for cell in row)
                    if len(rows) >= MOST_ROWS or size > MOST_CHARACTERS:
                        self.break_off()  # else what is left of the answer would be read first
                        raise PgProblem(TOO_MUCH, lost=True)
                    rows.append(row)
            return rows
        except (psycopg.Error, OSError, UnicodeError, ValueError) as error:
            lost = self._connection.closed or self._connection.broken
            code = getattr(error, "sqlstate", None) or ""
            raise PgProblem(fault_of(error, self._secrets, self.role), lost=lost, sqlstate=code) from None

    def break_off(self) -> None:
        """End whatever waits on the socket, now.

        Only the socket is touched: the task that waits cleans up by itself.
        """
        with contextlib.suppress(Exception):
            duplicate = socket.socket(fileno=os.dup(self._connection.fileno()))
            with duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            await self._connection.close()
