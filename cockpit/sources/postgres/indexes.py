"""Finds large tables that are read whole, often; which statement does it, and which index serves.

Scans are counted over a window that begins anew when a table's indexes change, so that a cure shows
at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from cockpit.model.observed.postgres import Indexes, IndexTrouble, MissingIndex
from cockpit.sources.postgres.health import Ask, Seen, Server
from cockpit.sources.postgres.index_advice import create_statement, filtered, reads, served
from cockpit.sources.postgres.sql_text import MARK, relation
from cockpit.sources.postgres.statements import Ran, Statements, Text
from cockpit.text import safe

WINDOW_S = 60.0
#: A scan that reads fewer rows than this is no trouble, whatever else there is.
MANY_ROWS = 10_000
OFTEN_PER_S = 1 / 60.0
SETTLE_S = 2.0  # a backend reports what it counted once a second
_MOST = 12  # tables that are looked into at a time
_BIG_BYTES = 1 << 20  # unused indexes smaller than this cost nothing worth saying

_TABLES = f"""
SELECT {MARK} s.relid::int8, n.nspname, s.relname, s.seq_scan, s.seq_tup_read, greatest(s.n_live_tup, c.reltuples,
  0)::int8,
  greatest(c.relpages, 0)::int8, greatest(c.relpages, 0)::int8 * current_setting('block_size')::int,
  (SELECT coalesce(string_agg(i.indexrelid::text, ',' ORDER BY i.indexrelid), '') FROM pg_index i
    WHERE i.indrelid = s.relid AND i.indisvalid)
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE greatest(s.n_live_tup, c.reltuples) >= {MANY_ROWS} ORDER BY c.relpages DESC LIMIT 400
"""
_COLUMNS = f"""
SELECT {MARK} a.attrelid::int8, a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  AND t.typcategory NOT IN ('A', 'B', 'G', 'P', 'X', 'Z') AND t.typname NOT IN ('json', 'jsonb', 'xml', 'tsvector',
    'tsquery')
"""
#: Valid or being built, whole (no WHERE), of plain columns, ordered as B-trees are.
_INDEXES = f"""
SELECT {MARK} i.indrelid::int8, c.relname, i.indisvalid, i.indpred IS NULL AND i.indexprs IS NULL
  AND m.amname = 'btree',
  ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place)::text[]
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
  WHERE i.indrelid = ANY(%s::oid[])
"""
_NAMES = f"""
SELECT {MARK} t.oid::int8, c.relname FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace
WHERE t.oid = ANY(%s::oid[]) AND starts_with(c.relname, left(t.relname, 40))
"""
_INVALID = f"""
SELECT {MARK} n.nspname, c.relname, t.relname, greatest(c.relpages, 0)::int8 * current_setting('block_size')::int,
  (SELECT p.phase FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid LIMIT 1), i.indrelid::int8
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_' ORDER BY 2 LIMIT 20
"""
_UNUSED = f"""
SELECT {MARK} n.nspname, c.relname, t.relname, c.relpages::int8 * current_setting('block_size')::int
FROM pg_stat_user_indexes s JOIN pg_index i ON i.indexrelid = s.indexrelid JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.idx_scan = 0 AND i.indisvalid AND NOT i.indisunique AND NOT i.indisexclusion
  AND c.relpages::int8 * current_setting('block_size')::int >= {_BIG_BYTES} ORDER BY 4 DESC LIMIT 20
"""


@dataclass(frozen=True, slots=True)
class _Table:
    oid: int
    schema: str
    name: str
    scans: int
    read: int
    rows: int
    pages: int
    size: int
    indexes: str

    @property
    def shown(self) -> str:
        return safe(relation(self.schema, self.name), 130)


@dataclass(frozen=True, slots=True)
class _Scanned:
    table: _Table
    scans_per_s: float
    rows_per_scan: float


@dataclass(slots=True)
class Scans:
    """Remembers scan counters between polls."""

    _past: deque[tuple[float, dict[int, _Table]]] = field(default_factory=deque)

    async def poll(self, ask: Ask, server: Server, statements: Statements, now: float) -> Seen | None:
        """Return `Indexes`; None at the first poll: there is nothing to compare with."""
        tables = {row[0]: _Table(*row) for row in await ask(_TABLES, None)}
        while len(self._past) > 1 and now - self._past[1][0] >= WINDOW_S:
            self._past.popleft()
        scanned = self._scanned(tables, now)
        window = now - self._past[0][0] if self._past else None
        self._past.append((now, tables))
        if window is None:
            return None
        invalid = await ask(_INVALID, None)
        missing = await _explained(ask, scanned, statements, server, {row[5] for row in invalid if row[4]})
        troubles = [_invalid(row) for row in invalid] + [_unused(row) for row in await ask(_UNUSED, None)]
        return Indexes(window, tuple(missing), tuple(troubles), len(tables)), None

    def _scanned(self, tables: dict[int, _Table], now: float) -> list[_Scanned]:
        """Return tables read whole in the window, most rows first."""
        found: list[_Scanned] = []
        for oid, table in tables.items():
            base = _base(self._past, oid, table)
            if base is None:
                continue
            at, was = base
            scans, read, window = table.scans - was.scans, table.read - was.read, max(now - at, 1e-3)
            if scans > 0 and read / scans >= MANY_ROWS and scans / window >= OFTEN_PER_S:
                found.append(_Scanned(table, scans / window, read / scans))
        found.sort(key=lambda s: -s.scans_per_s * s.rows_per_scan)
        return found[:_MOST]


def _base(past: deque[tuple[float, dict[int, _Table]]], oid: int, table: _Table) -> tuple[float, _Table] | None:
    """Return this table's oldest counters with the same indexes, not reset or remade since.

    None while there are none that may be compared with.
    """
    same: list[tuple[float, _Table]] = []
    remade = False
    for at, tables in reversed(past):
        was = tables.get(oid)
        if was is None or was.indexes != table.indexes or was.scans > table.scans:
            remade = was is not None
            break
        same.append((at, was))
    if not same:
        return None
    # The build of an index reads the table whole too, and its counts arrive after the index itself.
    settled = same[-1][0] + (SETTLE_S if remade else 0.0)
    return next(((at, was) for at, was in reversed(same) if at >= settled), None)


async def _explained(
    ask: Ask, scanned: list[_Scanned], statements: Statements, server: Server, building: set[int]
) -> list[MissingIndex]:
    if not scanned:
        return []
    oids = [s.table.oid for s in scanned]
    columns: dict[int, set[str]] = {oid: set() for oid in oids}
    for oid, name in await ask(_COLUMNS, (oids,)):
        columns[oid].add(name)
    indexes: dict[int, dict[str, tuple[str, ...]]] = {oid: {} for oid in oids}
    for oid, name, valid, plain, own in await ask(_INDEXES, (oids,)):
        if valid and plain:
            indexes[oid][name] = tuple(own)
    taken: dict[int, set[str]] = {oid: set() for oid in oids}
    for oid, name in await ask(_NAMES, (oids,)):
        taken[oid].add(name)
    return [
        _missing(
            scanned=s,
            statements=statements,
            server=server,
            columns=columns[s.table.oid],
            indexes=indexes[s.table.oid],
            taken=taken[s.table.oid],
            building=s.table.oid in building,
        )
        for s in scanned
    ]


def _missing(
    scanned: _Scanned,
    statements: Statements,
    server: Server,
    columns: set[str],
    indexes: dict[str, tuple[str, ...]],
    taken: set[str],
    building: bool,
) -> MissingIndex:
    table = scanned.table
    how = (
        f"scanned whole {_rate(scanned.scans_per_s)}, {scanned.scans_per_s * scanned.rows_per_scan:,.0f} rows a second"
    )
    facts: dict[str, Any] = {
        "table": table.shown,
        "rows": table.rows,
        "size_bytes": table.size,
        "scans_per_s": scanned.scans_per_s,
        "rows_per_scan": scanned.rows_per_scan,
        "columns": (),
    }
    if building:
        return MissingIndex(**facts, cause="building", reason=f"{how}; an index of it is being built")
    suspects = _suspects(table, statements, server)
    if not suspects:
        why = statements.blind or "no statement that ended lately is known to read it so"
        return MissingIndex(**facts, cause="untold", reason=f"{how}; which column cannot be told: {why}")
    in_vain = ""
    for _, text in suspects:
        wanted = filtered(text.tokens, table.schema, table.name, columns).columns
        own = served(wanted, indexes)
        if not wanted or own is not None:
            in_vain = in_vain or (
                f"index {safe(own, 63)} begins with a column it filters by, and is not used: is the table analysed?"
                if own
                else "its statement compares no plain column with a constant: no ordinary index would serve it"
            )
            continue
        index, statement = create_statement(table.schema, table.name, wanted, taken)
        named = tuple(safe(column, 63) for column in wanted)
        facts["columns"] = named
        which = "it" if len(named) == 1 else "any of them"
        reason = f"{how}; a statement filters it by {', '.join(named)}, and no index begins with {which}"
        return MissingIndex(
            **facts,
            cause="missing",
            reason=reason,
            statement=safe(statement, 400),
            index=safe(index, 63),
            query=text.shown,
        )
    return MissingIndex(**facts, cause="whole", reason=f"{how}; {in_vain}", query=suspects[0][1].shown)


def _suspects(table: _Table, statements: Statements, server: Server) -> list[tuple[Ran, Text]]:
    """Return statements that name the table and touched a good part of its pages at each call.

    Of this database, most time first.
    """
    found: list[tuple[Ran, Text]] = []
    for ran in statements.ran:
        text = statements.texts.get(ran.key)
        if (
            text is None
            or text.database != safe(server.database, 63)
            or not reads(text.tokens, table.schema, table.name)
        ):
            continue
        if ran.blocks / ran.calls >= 0.3 * table.pages:
            found.append((ran, text))
    return found


def _rate(per_s: float) -> str:
    return f"{per_s:.1f} times a second" if per_s >= 1 else f"{per_s * 60:.0f} times a minute"


def _invalid(row: tuple[Any, ...]) -> IndexTrouble:
    schema, name, table, size, phase, _ = row
    index, of = safe(relation(schema, name), 130), safe(relation(schema, table), 130)
    if phase:
        return IndexTrouble(index, of, "building", size, f"being built: {safe(phase, 60)}")
    reason = "a concurrent build failed: it serves no query and still costs every write"
    return IndexTrouble(
        index=index,
        table=of,
        kind="invalid",
        size_bytes=size,
        reason=reason,
        statement=f"DROP INDEX CONCURRENTLY {index}",
    )


def _unused(row: tuple[Any, ...]) -> IndexTrouble:
    schema, name, table, size = row
    reason = "not used by this server since its statistics began; a standby or a rare job may use it"
    return IndexTrouble(safe(relation(schema, name), 130), safe(relation(schema, table), 130), "unused", size, reason)
