"""Finds the statements that take the database's time: pg_stat_statements now and a minute ago.

The extension counts a statement when it has ended; what runs for long is seen in
`postgres/activity`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from cockpit.model.observed.postgres import TopQueries, TopQuery
from cockpit.model.reading import Fault, SourceState
from cockpit.sources.postgres.health import Ask, Seen, Server, hidden_from
from cockpit.sources.postgres.session import PgProblem
from cockpit.sources.postgres.sql_text import MARK, Token, quoted, shown, tokens
from cockpit.text import safe

WINDOW_S = 60.0
#: With PostgreSQL 13; pg_upgrade leaves the one from before, whose columns have other names.
OLDEST_EXTENSION = (1, 8)
_FOLLOWED = 300  # statements whose counters are kept between polls
_SHOWN = 25
_TEXT = 4800  # bytes of a statement that are read
_TEXTS_KEPT = 600
#: character_not_in_repertoire, untranslatable_character, undefined_function (no such conversion).
_NOT_CONVERTIBLE = frozenset({"22021", "22P05", "42883"})

Key = tuple[int, int, int]  # user, database, queryid


@dataclass(frozen=True, slots=True)
class _Counters:
    calls: int
    total_ms: float
    blocks: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    at: float  # monotonic
    total_ms: float
    whole: bool  # every statement is in `rows`
    rows: dict[Key, _Counters]


@dataclass(frozen=True, slots=True)
class Text:
    """Holds one statement as it was read.

    `tokens` is what advice is drawn from.
    """

    shown: str
    tokens: list[Token]
    database: str
    user: str


@dataclass(frozen=True, slots=True)
class Ran:
    """Says what one statement did in the window."""

    key: Key
    calls: int
    ms: float
    blocks: int


@dataclass(slots=True)
class Statements:
    """Remembers counters and texts between polls."""

    ran: tuple[Ran, ...] = ()  # in the window, most time first, our own left out
    texts: dict[Key, Text | None] = field(default_factory=dict)  # None: our own
    blind: str = "pg_stat_statements was not read yet"  # why `ran` tells nothing; "" when it does
    _past: deque[_Snapshot] = field(default_factory=deque)
    _unreadable: set[Key] = field(default_factory=set)

    async def poll(self, ask: Ask, server: Server, now: float) -> Seen:
        """Ask for `TopQueries`.

        Raises PgProblem where the extension is absent, with the remedy.
        """
        self.ran, self.blind = (), "pg_stat_statements cannot be read"
        if server.statements_schema is None:
            raise PgProblem(
                Fault(
                    SourceState.DOWN,
                    f"the extension pg_stat_statements is missing in database {safe(server.database, 63)}",
                    "shared_preload_libraries = 'pg_stat_statements', then CREATE EXTENSION pg_stat_statements",
                ),
                lost=False,
            )
        if version_of(server.statements_version) < OLDEST_EXTENSION:
            raise PgProblem(
                Fault(
                    SourceState.DOWN,
                    f"the extension pg_stat_statements is still of version {safe(server.statements_version, 20)}, as "
                    "before the server's upgrade",
                    "ALTER EXTENSION pg_stat_statements UPDATE",
                ),
                lost=False,
            )
        function = f"{quoted(server.statements_schema)}.pg_stat_statements"
        ((count, hidden, total),) = await ask(
            f"SELECT {MARK} count(*)::int, count(*) FILTER (WHERE queryid IS NULL)::int, "
            f"coalesce(sum(total_exec_time), 0)::float8 FROM {function}(false)",
            None,
        )
        rows = await ask(
            f"SELECT {MARK} userid::int8, dbid::int8, queryid, sum(calls)::int8, sum(total_exec_time)::float8, "
            f"sum(shared_blks_hit + shared_blks_read)::int8 "
            f"FROM {function}(false) WHERE queryid IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 5 DESC LIMIT {_FOLLOWED}",
            None,
        )
        counters = {(user, base, query): _Counters(calls, ms, blocks) for user, base, query, calls, ms, blocks in rows}
        current = _Snapshot(now, total, len(counters) < _FOLLOWED, counters)
        before = self._before(current)
        ran = _since(before, current) if before is not None else []
        wanted = [r.key for r in ran[: 2 * _SHOWN]] or [*counters][: 2 * _SHOWN]
        await self._read_texts(ask, function, wanted, server.role)
        self.ran = tuple(r for r in ran if self.texts.get(r.key) is not None)
        self.blind = "" if before is not None else "statements were read once only"
        if hidden:
            self.blind = f"{hidden} of {count} statements are hidden"
        seen = self._seen(current, before, count, await self._evicted(ask, server))
        return seen, hidden_from(server, f"{hidden} of {count} statements are") if hidden else None

    def _before(self, current: _Snapshot) -> _Snapshot | None:
        """Return the oldest snapshot within the window; none after the statistics were reset."""
        if self._past:
            last = self._past[-1]
            fell = any(last.rows[key].calls > now.calls for key, now in current.rows.items() if key in last.rows)
            if fell or current.total_ms < last.total_ms - 1e-6:
                self._past.clear()
        while len(self._past) > 1 and current.at - self._past[1].at >= WINDOW_S:
            self._past.popleft()
        before = self._past[0] if self._past else None
        self._past.append(current)
        return before

    async def _read_texts(self, ask: Ask, function: str, wanted: list[Key], role: str) -> None:
        for key in self._unreadable:
            self.texts.pop(key, None)
        self._unreadable.clear()
        unknown = [key for key in wanted if key not in self.texts]
        if not unknown:
            return
        if len(self.texts) > _TEXTS_KEPT:
            self.texts.clear()
        why = "its text is gone"
        try:
            rows = await ask(_texts(function, "true", f"substring(textsend(s.query) FOR {_TEXT})"), (_ids(unknown),))
        except PgProblem as problem:
            # The extension converts every text at once: one that is not of this database's encoding
            # fails them all. The counters are read all the same.
            if problem.sqlstate not in _NOT_CONVERTIBLE:
                raise
            why = "a statement of another encoding keeps all texts from being read"
            rows = await ask(_texts(function, "false", "NULL"), (_ids(unknown),))
        for user, base, query, text, database, owner in rows:
            key = (user, base, query)
            if text is None:
                text = f"({why}: queryid {query})"
                self._unreadable.add(key)
                own = owner == role
            else:
                own = MARK in text
            said = Text(shown(text), tokens(text), safe(database, 63), safe(owner, 63))
            self.texts[key] = None if own else said

    async def _evicted(self, ask: Ask, server: Server) -> int:
        if server.version_num < 140_000 or server.statements_schema is None:
            return 0
        try:
            ((dealloc,),) = await ask(
                f"SELECT {MARK} dealloc::int8 FROM {quoted(server.statements_schema)}.pg_stat_statements_info()", None
            )
        except PgProblem as problem:  # an extension older than 1.9 on a newer server
            if problem.lost:
                raise
            return 0
        return int(dealloc)

    def _seen(self, current: _Snapshot, before: _Snapshot | None, count: int, evicted: int) -> TopQueries:
        if before is None:
            keys = [key for key in current.rows if self.texts.get(key) is not None][:_SHOWN]
            return TopQueries(
                None, tuple(self._query(key, current, None, 0.0, 0.0) for key in keys), None, count, evicted
            )
        window = max(current.at - before.at, 1e-3)
        # Own and forgotten statements count into the whole, but a counter that fell cannot make it
        # negative.
        whole = max(current.total_ms - before.total_ms, sum(r.ms for r in self.ran), 0.0)
        queries = tuple(self._query(r.key, current, r, window, whole) for r in self.ran)
        slowest = max(queries, key=lambda q: q.ms_per_call or 0.0, default=None)
        return TopQueries(
            window_s=window,
            queries=queries[:_SHOWN],
            slowest=slowest,
            tracked=count,
            evicted=evicted,
            load=whole / 1000.0 / window,
        )

    def _query(self, key: Key, current: _Snapshot, ran: Ran | None, window: float, whole: float) -> TopQuery:
        text, counters = self.texts[key], current.rows[key]
        assert text is not None
        made = TopQuery(
            key=f"{key[1]}/{key[0]}/{key[2]}",
            text=text.shown,
            database=text.database,
            user=text.user,
            calls=counters.calls,
            total_ms=counters.total_ms,
            mean_ms=counters.total_ms / counters.calls if counters.calls else 0.0,
        )
        if ran is None:
            return made
        return msgspec.structs.replace(
            made,
            calls_per_s=ran.calls / window,
            ms_per_call=ran.ms / ran.calls,
            share=ran.ms / whole if whole > 0 else 0.0,
            load=ran.ms / 1000.0 / window,
            blocks_per_call=ran.blocks / ran.calls,
        )


def _texts(function: str, with_text: str, text: str) -> str:
    return (
        f"SELECT {MARK} s.userid::int8, s.dbid::int8, s.queryid, {text}, coalesce(d.datname, '?'), "
        f"pg_get_userbyid(s.userid) FROM {function}({with_text}) s LEFT JOIN pg_database d ON d.oid = s.dbid "
        "WHERE s.queryid = ANY(%s)"
    )


def _ids(keys: list[Key]) -> list[int]:
    return [query for _, _, query in keys]


def version_of(text: str) -> tuple[int, ...]:
    """Return "1.10" as (1, 10); what is no number counts as the newest."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(each.isascii() and each.isdigit() for each in parts) else (99,)


def _since(before: _Snapshot, current: _Snapshot) -> list[Ran]:
    """Return what was called since, most time first.

    A statement that was not followed before began at zero only if all were.
    """
    found: list[Ran] = []
    for key, now in current.rows.items():
        was = before.rows.get(key) or (_Counters(0, 0.0, 0) if before.whole else None)
        if was is not None and now.calls > was.calls:
            found.append(Ran(key, now.calls - was.calls, now.total_ms - was.total_ms, now.blocks - was.blocks))
    return sorted(found, key=lambda ran: -ran.ms)
