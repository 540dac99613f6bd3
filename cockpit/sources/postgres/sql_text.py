"""Makes statements fit to be shown, and names fit for SQL.

A statement in pg_stat_activity holds users' data, one in pg_stat_statements may hold the password
of an ALTER ROLE, and comments hold whatever a client wrote: literals and comments go, the rest is
cleaned and put on one line.
"""

from __future__ import annotations

import re

from cockpit.text import safe

#: Written into every statement of the cockpit's own, so that it does not report itself.
MARK = "/* m0-cockpit */"
TEXT_LIMIT = 600

#: What may stand in a statement. Each alternative consumes at least one character and none
#: backtracks into another, so that a hostile text costs time in proportion to its length. An
#: unterminated literal or comment (a text cut short) goes to the end.
_LEXEME = re.compile(
    r"""
    (?P<line>--[^\n]*)
  | (?P<block>/\*)
  | (?P<escape>[eE]'(?:[^'\\]|\\.|'')*+(?:'|\\?\Z))
  | (?P<literal>'(?:[^']|'')*+(?:'|\Z))
  | (?P<name>"(?:[^"]|"")*+(?:"|\Z))
  | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?\$)
  | (?P<param>\$\d+)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*)
  | (?P<number>\d[\d.eE]*)
  | (?P<space>\s+)
  | (?P<op>->>|->|\#>>|\#>|@>|<@|\|\||<=|>=|<>|!=|::|.)
    """,
    re.X | re.S,
)

Token = tuple[str, str]  # kind ("word", "name", "param", "number", "literal", "op"), text


def tokens(statement: str) -> list[Token]:
    """Split the statement, without comments and blanks.

    A literal is told by its kind only, its text is `'…'`.
    """
    found: list[Token] = []
    at, end = 0, len(statement)
    while at < end:
        match = _LEXEME.match(statement, at)
        assert match is not None  # the last alternative takes anything
        kind, text, at = match.lastgroup or "op", match.group(), match.end()
        if kind == "block":
            at = _after_comment(statement, at)
        elif kind == "dollar":
            close = statement.find(text, at)
            at = end if close < 0 else close + len(text)
            found.append(("literal", "'…'"))
        elif kind in ("literal", "escape"):
            found.append(("literal", "'…'"))
        elif kind not in ("space", "line"):
            found.append((kind, text))
    return found


def _after_comment(statement: str, at: int) -> int:
    """Return the place past a block comment; they nest."""
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(statement, at):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    return len(statement)


_TIGHT_BEFORE = frozenset({",", ")", ".", ";", "::", "]", "("})
_TIGHT_AFTER = frozenset({"(", ".", "::", "["})
#: Words after which a parenthesis stands apart, as people write it.
_APART = frozenset(
    {
        "in",
        "and",
        "or",
        "not",
        "where",
        "values",
        "on",
        "as",
        "from",
        "join",
        "any",
        "all",
        "select",
        "exists",
        "using",
        "over",
        "by",
        "with",
    }
)


def shown(statement: str, limit: int = TEXT_LIMIT) -> str:
    """Return one safe line for the screen: no literals, no comments, one blank between words."""
    out: list[str] = []
    last = ""
    for _, text in tokens(statement[: 4 * limit]):
        tight = (
            not out
            or last in _TIGHT_AFTER
            or (text in _TIGHT_BEFORE and not (text == "(" and (last.lower() in _APART or not _ends_name(last))))
        )
        out.append(text if tight else " " + text)
        last = text
    return safe("".join(out), limit)


def _ends_name(text: str) -> bool:
    return text[-1:].isalnum() or text[-1:] in ('"', "_")


_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
#: Keywords that cannot stand bare as a table, column or index name (reserved in PostgreSQL's
#: appendix C).
_RESERVED_WORDS = """all analyse analyze and any array as asc asymmetric authorization between binary both case cast
check
collate collation column
concurrently constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp
current_user default deferrable desc distinct do else end except false fetch for foreign freeze from full grant
group having ilike
in initially inner intersect into is isnull join lateral leading left like limit localtime localtimestamp natural
not notnull null
offset on only or order outer overlaps placing primary references returning right select session_user similar some
symmetric
system_user table tablesample then to trailing true union unique user using variadic verbose when where window with"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


def quoted(name: str) -> str:
    """Spell an identifier as SQL needs it: bare where it may be, else in double quotes."""
    if _PLAIN.match(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def relation(schema: str, name: str) -> str:
    """Return `schema.name`, quoted: no search path shall decide what it means."""
    return f"{quoted(schema)}.{quoted(name)}"


def unquoted(kind: str, text: str) -> str:
    """Return the identifier that a word or quoted name stands for."""
    return text[1:-1].replace('""', '"') if kind == "name" else text.lower()
