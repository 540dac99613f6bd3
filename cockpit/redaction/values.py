"""Finds where the value of a secret name ends, in the spellings of languages, loggers and files.

What is read is never read again, so that the whole takes linear time however values nest.
"""

from __future__ import annotations

import re

from cockpit.redaction.marks import is_reference

_QUOTES = "\"'`"
#: What stands in front of a quoted value: b'…', @"…", Some("…"), string(8) "…", Optional[…].
WRAPPED = re.compile(
    r"(?:[A-Za-z_&*@:]{0,24}\(\s{0,40}|[A-Za-z]{2,24}\[(?=[\"'\w*])){1,4}|[A-Za-z]{3,8}\(\d{1,9}\)\s{1,4}"
)
_MARKED = re.compile(r"(?:!!?[\w:/]{0,40}|&[\w-]{1,40})[ \t]{1,8}(?=\S)|<!\[CDATA\[")  # what YAML and XML put in front
_PREFIX = re.compile(r"[bBrRuUfF&@$]{1,2}(?=[\"'`\\])")
#: An unquoted value ends here. At , ; & only if another name and its value follow.
_STOP = re.compile(
    r"""[\s"`] | '(?=[\s,;)\]}]|$) | (?:[,;&]|\\u0026)(?=[\w.$-]{1,64}["']?[=:]) | \\n(?=\W|$) | \\?%26 | %22 | </""",
    re.X,
)
_TRAILING = r")]},;.\>'"
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]{0,8}(?:\r?\n|\\n)")


#: What a reference to a secret has in it first, and no secret.
_REFERS = re.compile(
    r"""[{\[\s\-\\"']{0,80}(?:secretName|secretRef|secretKeyRef|defaultMode|optional|items|audience|expirationSeconds"""
    r"""|path|name|valueFrom|key)\\{0,8}["']?\s{0,4}[:=]"""
)


def refers(text: str, at: int) -> bool:
    """Tell whether what begins here names a secret of the cluster rather than holding one."""
    return _REFERS.match(text, at) is not None


def quoted_end(text: str, at: int) -> int:
    """Return where the text that is quoted from `at` (before its quote) ends, the quote excluded.

    As many backslashes stand before the closing quote as before the opening one.
    """
    start = at
    while text[at] == "\\":
        at += 1
    slashes, quote = at - start, text[at]
    at += 1
    if not slashes and text.startswith(quote * 2, at):  # '''…''' and \"\"\"…\"\"\"
        end = text.find(quote * 3, at + 2)
        return end if end >= 0 else len(text)
    while True:
        at = text.find(quote, at)
        if at < 0:
            return len(text)
        before = at
        while text[before - 1] == "\\":
            before -= 1
        count = at - before
        if slashes and count == slashes:
            return before
        if not slashes and count % 2 == 0:
            if quote == "'" and text.startswith("''", at):
                at += 2  # SQL's quote in a quote
                continue
            return at
        if count < slashes:
            return before  # it closes what is around it
        at += 1


def bracket_end(text: str, at: int) -> int:
    """Return where the bracket that opens at `at` is closed, after it; else the end of the text."""
    depth = 0
    while at < len(text):
        char = text[at]
        if char in "{[(":
            depth += 1
        elif char in "}])":
            depth -= 1
            if depth == 0:
                return at + 1
        elif char == '"' or (char == "\\" and text[at + 1 : at + 2] == '"'):
            at = quoted_end(text, at)
            while at < len(text) and text[at] == "\\":
                at += 1
        at += 1
    return len(text)


def _indent(text: str, at: int) -> int:
    begin = text.rfind("\n", 0, at) + 1
    line = text[begin:at]
    return len(line) - len(line.lstrip(" \t"))


def block_end(text: str, at: int, indent: int, items: bool) -> int:
    """Return where the lines from `at` on end that stand deeper than `indent`.

    With `items` lines that begin with a dash may stand as deep.
    """
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end]
        bare = line.lstrip(" \t")
        deep = len(line) - len(bare)
        if bare.strip() and not (deep > indent or (items and deep == indent and bare.startswith("- "))):
            return at
        at = end + 1
    return len(text)


class Value:
    """Where a value stands: `start` to `end` is what would be hidden, `inner` what is judged."""

    __slots__ = ("closed", "end", "inner", "quoted", "start")

    def __init__(self, start: int, end: int, inner: str, *, quoted: bool = False, closed: bool = False) -> None:
        self.start, self.end, self.inner, self.quoted, self.closed = start, end, inner, quoted, closed


_QUOTE_AROUND = re.compile(r"(\\{0,8}[\"'])\Z")
_LINE_END = re.compile(r"[\r\n]|\\[nr](?=\W|$)|$")


def line_end(text: str, at: int, name_at: int) -> int:
    """Return where the line ends, or the quotes around it, which open before its name."""
    end = _LINE_END.search(text, at)
    last = end.start() if end else len(text)
    around = _QUOTE_AROUND.search(text, max(0, name_at - 9), name_at)
    if around is not None:
        closed = text.find(around[1], at, last)
        last = closed if closed >= 0 else last
    return last


def read_value(text: str, at: int, name_at: int, *, to_line_end: bool = False) -> Value | None:
    """Read the value that begins at `at`; `name_at` is where its name begins. None: there is none.

    A line break ends it, except a block of YAML.
    """
    first = at
    while at < len(text) and text[at] in " \t" and at - first < 80:
        at += 1
    if at >= len(text):
        return None
    tagged = _MARKED.match(text, at)
    block = _BLOCK.match(text, tagged.end() if tagged else at)
    if block is not None:
        end = block_end(text, block.end(), _indent(text, name_at), items=False)
        return Value(block.end(), end, text[block.end() : end], closed=True)
    if text[at] in "\r\n" or text.startswith("\\n", at):
        return _nested(text, at, name_at)
    marked = _MARKED.match(text, at)
    at = marked.end() if marked else at
    prefix = _PREFIX.match(text, at)
    wrapped = None if prefix else WRAPPED.match(text, at)
    opened = (prefix or wrapped) is not None
    at = (prefix or wrapped).end() if opened else at  # type: ignore[union-attr]
    if at >= len(text):
        return None
    slashes = at
    while slashes < len(text) and text[slashes] == "\\":
        slashes += 1
    if (slashes < len(text) and text[slashes] in "\"'") or text[at] in _QUOTES:
        end = quoted_end(text, at)
        start = slashes + 1
        if text.startswith(text[slashes] * 2, start) and slashes == at:
            start += 2
        return Value(start, max(end, start), text[start:end], quoted=True)
    if text[at] in "{[" and not is_reference(text, at):
        if refers(text, at):
            return None
        end = bracket_end(text, at)
        if text[end : end + 1].isalnum() or text[end : end + 1] == "$":  # {bcrypt}$2a$…, {noop}…
            stop = _STOP.search(text, end)
            end = stop.start() if stop else len(text)
        return Value(at, end, text[at:end], closed=True)
    if to_line_end:
        end = line_end(text, at, name_at)
        return Value(at, end, text[at:end])
    stop = _STOP.search(text, at)
    inner = text[at : stop.start() if stop else len(text)]
    inner = inner.rstrip(_TRAILING) or inner
    return Value(at, at + len(inner), inner) if inner else None


def _nested(text: str, at: int, name_at: int) -> Value | None:
    """Read what stands deeper below a name, or the quoted text on the next line."""
    start = text.find("\n", at) + 1
    if not start:
        return None
    end = start if refers(text, start) else block_end(text, start, _indent(text, name_at), items=True)
    if end <= start:
        return None
    return Value(start, end, text[start:end], closed=True)
