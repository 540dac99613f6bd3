"""Parses the shapes of statement that a `sql` step may have.

What fits none is refused: this is an allow-list, not a filter.

Every statement is taken apart into names and put together anew, quoted, so that nothing of its text
but names and numbers reaches the server. Reference: PostgreSQL's SQL commands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cockpit.mitigation.problem import PlanProblem
from cockpit.sources.postgres.sql_text import Token, quoted, tokens, unquoted

ALLOWED = (
    "CREATE INDEX CONCURRENTLY NAME ON TABLE (COLUMN, …)",
    "DROP INDEX CONCURRENTLY NAME",
    "ANALYZE TABLE",
    "VACUUM (ANALYZE) TABLE",
    "SELECT pg_terminate_backend(PID)",
    "SELECT pg_cancel_backend(PID)",
)
_METHODS = ("btree", "hash", "gin", "gist", "brin", "spgist")
_NAME_BYTES = 63  # NAMEDATALEN - 1: a longer name would be cut, and be another


@dataclass(frozen=True, slots=True)
class Statement:
    """Holds a statement of an allowed shape; `sql` is what is sent.

    `kind`: "Index", "Table" or "Backend"; `name` is what it is about, as SQL spells it.

    `verb`: "create", "drop", "analyze", "vacuum", "terminate" or "cancel". `table`: of a new index,
    as SQL.
    """

    sql: str
    verb: str
    kind: str
    name: str
    table: str = ""
    index: str = ""  # the bare name of a new index
    inverse: str = ""


class _Reader:
    def __init__(self, found: list[Token]) -> None:
        self._found = found
        self._at = 0

    def take(self, *words: str) -> bool:
        """Take these words in a row, whatever their case; consume nothing otherwise."""
        there = [text.lower() for kind, text in self._found[self._at : self._at + len(words)] if kind != "name"]
        if there != list(words):
            return False
        self._at += len(words)
        return True

    def want(self, *words: str) -> None:
        if not self.take(*words):
            raise PlanProblem(f"expected {' '.join(words).upper()}, got {self._rest()}", _allowed())

    def name(self) -> str:
        """Take one identifier, bare or quoted, and return it quoted for SQL."""
        kind, text = self._found[self._at] if self._at < len(self._found) else ("", "")
        if kind not in ("word", "name"):
            raise PlanProblem(f"expected a name, got {self._rest()}", _allowed())
        self._at += 1
        name = unquoted(kind, text)
        if not name or len(name.encode()) > _NAME_BYTES or not re.fullmatch(r"[^\W\d][\w$]*", name):
            raise PlanProblem(f"{name[:80]!r} is not a name", f"letters, digits and _, {_NAME_BYTES} bytes at most")
        return quoted(name)

    def relation(self) -> str:
        first = self.name()
        return f"{first}.{self.name()}" if self.take(".") else first

    def number(self) -> int:
        kind, text = self._found[self._at] if self._at < len(self._found) else ("", "")
        if kind != "number" or not text.isdecimal() or len(text) > 9:
            raise PlanProblem(f"expected a process id, got {self._rest()}", _allowed())
        self._at += 1
        return int(text)

    def end(self) -> None:
        self.take(";")
        if self._at < len(self._found):
            raise PlanProblem(f"nothing may follow: {self._rest()}", _allowed())

    def _rest(self) -> str:
        words = " ".join(text for _, text in self._found[self._at : self._at + 6])
        return words or "the end"


def _allowed() -> str:
    return "allowed: " + "; ".join(ALLOWED)


def parse(statement: str) -> Statement:
    """Raises PlanProblem, naming what was expected."""
    reader = _Reader(tokens(statement))
    if reader.take("create"):
        return _create(reader)
    if reader.take("drop"):
        reader.want("index", "concurrently")
        exists = reader.take("if", "exists")
        name = reader.relation()
        reader.end()
        return Statement(f"DROP INDEX CONCURRENTLY {'IF EXISTS ' if exists else ''}{name}", "drop", "Index", name)
    if reader.take("analyze") or reader.take("analyse"):
        name = reader.relation()
        reader.end()
        return Statement(f"ANALYZE {name}", "analyze", "Table", name)
    if reader.take("vacuum"):
        analyze = reader.take("(", "analyze", ")") or reader.take("analyze")
        if reader.take("full") or reader.take("(", "full"):
            raise PlanProblem("VACUUM FULL locks the table for as long as it takes", _allowed())
        name = reader.relation()
        reader.end()
        return Statement(f"VACUUM {'(ANALYZE) ' if analyze else ''}{name}", "vacuum", "Table", name)
    if reader.take("select"):
        for verb in ("terminate", "cancel"):
            if reader.take(f"pg_{verb}_backend"):
                reader.want("(")
                pid = reader.number()
                reader.want(")")
                reader.end()
                return Statement(f"SELECT pg_{verb}_backend({pid})", verb, "Backend", str(pid))
    raise PlanProblem("this statement has none of the shapes that a step may run", _allowed())


def _create(reader: _Reader) -> Statement:
    unique = reader.take("unique")
    reader.want("index")
    if not reader.take("concurrently"):
        raise PlanProblem("CREATE INDEX without CONCURRENTLY stops every write to the table", _allowed())
    reader.take("if", "not", "exists")  # whether it exists is looked at before, and said
    index = reader.name()
    reader.want("on")
    table = reader.relation()
    method = ""
    if reader.take("using"):
        method = reader.name()
        if method not in _METHODS:
            raise PlanProblem(f"{method} is no index method", "one of " + ", ".join(_METHODS))
    reader.want("(")
    columns = [_column(reader)]
    while reader.take(","):
        columns.append(_column(reader))
    reader.want(")")
    reader.end()
    schema = table.rpartition(".")[0]
    name = f"{schema}.{index}" if schema else index
    sql = (
        f"CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY {index} ON {table}"
        f"{f' USING {method}' if method else ''} ({', '.join(columns)})"
    )
    inverse = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    return Statement(sql=sql, verb="create", kind="Index", name=name, table=table, index=index, inverse=inverse)


def _column(reader: _Reader) -> str:
    column = reader.name()
    for order in ("asc", "desc"):
        if reader.take(order):
            column += f" {order.upper()}"
    for which in ("first", "last"):
        if reader.take("nulls", which):
            column += f" NULLS {which.upper()}"
    return column
