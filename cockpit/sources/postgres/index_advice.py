"""Finds which index a statement lacks: the columns it filters a table by, read from its text.

Only what an ordinary B-tree serves is told: a bare column of the table compared with a constant
(parameter, literal, now() and the like) by =, IN, <, >, BETWEEN; and the column of a join, where
something else in the statement is compared with a constant. A column inside a function or cast,
LIKE, JSON and array operators need an index that a person must design: nothing is proposed for
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.sources.postgres.sql_text import Token, quoted, relation, unquoted

MOST_COLUMNS = 3
NAME_BYTES = 63  # of an identifier in PostgreSQL

_EQUAL = frozenset({"="})
_RANGE = frozenset({"<", ">", "<=", ">=", "between"})
_BEFORE_TABLE = frozenset({"from", "join", "update", "into"})
_CLAUSES = """where on using set join left right inner outer full cross natural group order limit offset having union
intersect
except values
returning for as tablesample window fetch select default lateral only"""
_NOT_ALIAS = frozenset(_CLAUSES.split())
_CONSTANTS = frozenset(
    (
        "now",
        "current_timestamp",
        "current_date",
        "clock_timestamp",
        "statement_timestamp",
        "interval",
        "timestamp",
        "timestamptz",
        "date",
        "true",
        "false",
        "array",
        "localtimestamp",
    )
)
_AFTER_OPERAND = frozenset({"::", "(", "[", ".", "->", "->>", "#>", "#>>", "+", "-", "*", "/", "||", "%"})
_BEFORE_OPERAND = frozenset({"::", "+", "-", "*", "/", "||", "%", "->", "->>", "#>", "#>>", "."})


@dataclass(frozen=True, slots=True)
class Filter:
    """Names a table's columns by which a statement chooses rows, in the order of mention."""

    equal: tuple[str, ...]
    ranged: tuple[str, ...]
    joined: tuple[str, ...] = ()
    narrowed: bool = False  # something in the statement, of whatever table, is compared with a constant

    @property
    def columns(self) -> tuple[str, ...]:
        """Order columns as an index wants them.

        Equal ones first, then one that is ranged over; the joined ones when there is neither.
        """
        if not self.equal and not self.ranged:
            return self.joined[:MOST_COLUMNS] if self.narrowed else ()
        ranged = [name for name in self.ranged if name not in self.equal][:1]
        return (*self.equal[: MOST_COLUMNS - len(ranged)], *ranged)


@dataclass(frozen=True, slots=True)
class _Table:
    schema: str | None
    name: str
    alias: str


def reads(tokens: Sequence[Token], schema: str, name: str) -> bool:
    """Return whether the statement names this table after FROM, JOIN or UPDATE."""
    return any(t.name == name and t.schema in (None, schema) for t in _tables(tokens))


def filtered(tokens: Sequence[Token], schema: str, name: str, columns: Iterable[str]) -> Filter:
    """Return the bare columns of the table by which the statement filters or joins.

    `columns`: all that the table has.
    """
    known = set(columns)
    tables = _tables(tokens)
    mine = {t.alias for t in tables if t.name == name and t.schema in (None, schema)}
    others = {t.alias for t in tables} - mine
    equal: dict[str, None] = {}
    ranged: dict[str, None] = {}
    joined: dict[str, None] = {}
    narrowed = False
    for index, (kind, text) in enumerate(tokens):
        operator = text.lower()
        if kind not in ("op", "word"):
            continue
        kept = equal if operator in _EQUAL or operator == "in" else ranged if operator in _RANGE else None
        if kept is None or (operator == "=" and _assigns(tokens, index)):
            continue
        start = _start_of_left(tokens, index)
        left = _column(tokens=tokens, start=start, end=index, mine=mine, others=others, known=known)
        if _constant(tokens, index + 1):
            narrowed = True
            if left is not None:
                kept[left] = None
            continue
        right = None
        if operator not in ("in", "between"):
            right = _column(
                tokens=tokens,
                start=index + 1,
                end=_end_of_right(tokens, index + 1),
                mine=mine,
                others=others,
                known=known,
            )
        if right is not None and _constant(tokens, start, index):
            narrowed = True
            kept[right] = None
        elif operator == "=":
            joined.update(dict.fromkeys(name for name in (left, right) if name is not None))
    return Filter(tuple(equal), tuple(ranged), tuple(joined), narrowed)


def _constant(tokens: Sequence[Token], start: int, end: int | None = None) -> bool:
    """Return whether the operand that begins at `start` is the same for all rows.

    As far as its first words tell.
    """
    while start < len(tokens) and tokens[start][1] in ("(", "-", "+"):
        start += 1
    if start < 0 or start >= len(tokens) or (end is not None and start >= end):
        return False
    kind, text = tokens[start]
    if kind in ("param", "number", "literal"):
        return True
    word = text.lower() if kind == "word" else ""
    if word in ("any", "all"):
        return _constant(tokens, start + 1, end)
    return word in _CONSTANTS


def _tables(tokens: Sequence[Token]) -> list[_Table]:
    found: list[_Table] = []
    index = 0
    listing = False  # in a FROM list, after a comma
    while index < len(tokens):
        kind, text = tokens[index]
        word = text.lower() if kind == "word" else ""
        starts = word in _BEFORE_TABLE or (listing and text == ",")
        if word in ("where", "on", "using", "set", "group", "order", "select", "values", "returning") or text == "(":
            listing = False
        index += 1
        if not starts:
            continue
        listing = word in ("from", "join") or text == ","
        while _word(tokens, index) in ("only", "lateral"):
            index += 1
        if index >= len(tokens) or tokens[index][0] not in ("word", "name"):
            continue
        parts = [unquoted(*tokens[index])]
        index += 1
        while index + 1 < len(tokens) and tokens[index][1] == "." and tokens[index + 1][0] in ("word", "name"):
            parts.append(unquoted(*tokens[index + 1]))
            index += 2
        alias = parts[-1]
        if _word(tokens, index) == "as":
            index += 1
        if index < len(tokens) and tokens[index][0] in ("word", "name") and _word(tokens, index) not in _NOT_ALIAS:
            alias = unquoted(*tokens[index])
            index += 1
        found.append(_Table(parts[-2] if len(parts) > 1 else None, parts[-1], alias))
    return found


def _word(tokens: Sequence[Token], index: int) -> str:
    return tokens[index][1].lower() if index < len(tokens) and tokens[index][0] == "word" else ""


def _assigns(tokens: Sequence[Token], index: int) -> bool:
    """Return whether this `=` belongs to UPDATE ...

    SET rather than to a condition.
    """
    for at in range(index - 1, -1, -1):
        word = _word(tokens, at)
        if word == "set":
            return True
        if word in ("where", "on", "and", "or", "having", "from", "select"):
            return False
    return False


def _start_of_left(tokens: Sequence[Token], operator: int) -> int:
    at = operator - 1
    if _word(tokens, at) == "not":  # NOT IN, NOT BETWEEN: no index helps
        return operator
    while at >= 2 and tokens[at - 1][1] == "." and tokens[at - 2][0] in ("word", "name"):
        at -= 2
    return at


def _end_of_right(tokens: Sequence[Token], start: int) -> int:
    at = start + 1
    while at + 1 < len(tokens) and tokens[at][1] == "." and tokens[at + 1][0] in ("word", "name"):
        at += 2
    return at


def _column(
    tokens: Sequence[Token], start: int, end: int, mine: set[str], others: set[str], known: set[str]
) -> str | None:
    """Return the column of ours that tokens[start:end] is; None when it is anything else.

    `col`, `alias.col` or `schema.table.col`.
    """
    part = tokens[max(0, start) : end]
    if start < 0 or not part or len(part) % 2 == 0:
        return None
    if any(kind not in ("word", "name") for kind, _ in part[::2]) or any(text != "." for _, text in part[1::2]):
        return None
    after = tokens[end][1] if end < len(tokens) else ""
    before = tokens[start - 1][1] if start else ""
    if after in _AFTER_OPERAND or before in _BEFORE_OPERAND:
        return None
    names = [unquoted(*token) for token in part[::2]]
    if names[-1] not in known:
        return None
    if len(names) > 1:
        return names[-1] if names[-2] in mine else None
    # A bare name is ours for sure only when no other table could have it.
    return names[-1] if not others else None


def index_name(table: str, columns: Sequence[str], taken: Iterable[str]) -> str:
    """Name an index as PostgreSQL would, within its 63 bytes; numbered when that name is taken."""
    taken = set(taken)
    head = "_".join((table, *columns)).encode()[: NAME_BYTES - 8].decode("utf-8", "ignore")
    name = f"{head}_idx"
    number = 1
    while name in taken:
        name = f"{head}_idx{number}"
        number += 1
    return name


def create_statement(schema: str, table: str, columns: Sequence[str], taken: Iterable[str]) -> tuple[str, str]:
    """Return (index name, `CREATE INDEX CONCURRENTLY ...`)."""
    name = index_name(table, columns, taken)
    listed = ", ".join(quoted(column) for column in columns)
    return name, f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {quoted(name)} ON {relation(schema, table)} ({listed})"


def served(columns: Sequence[str], indexes: Mapping[str, Sequence[str]]) -> str | None:
    """Return the name of a valid index that begins as one for `columns` would, if there is one."""
    for name, own in indexes.items():
        if own and columns and own[0] in columns:
            return name
    return None
