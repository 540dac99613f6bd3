"""Guards against hostile text (rule 4 of docs/architecture.md): `clean` on entry, `redact` on exit.

`clean` makes control, format, bidirectional and invisible characters visible as ASCII escapes, so
that nothing a pod prints can drive the terminal or hide in it. `redact` (cockpit/redaction) hides
what looks like a secret, before a text is shown or kept. Both are idempotent.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from cockpit.patterns import Pattern
from cockpit.redaction import HIDDEN, redact
from cockpit.redaction.addresses import parts_of
from cockpit.redaction.own import hide_own

__all__ = ["HIDDEN", "clean", "has_unseen", "redact", "safe", "typed", "url_hint", "url_keys", "url_secrets", "without"]

#: All that can move the cursor, reorder or hide what the operator reads: controls, format
#: characters, separators, surrogates, tags, variation selectors, noncharacters; and what looks
#: like a space or like nothing: spaces but the one, fillers, the blank of braille. And what joins
#: emoji to one picture (skin tones, flags, keycaps), whose width each terminal sees in its own way.
_HOSTILE = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5"
    "\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u20e3\u2800\u3000\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0000-\U000e0fff]"
)
_SHORT = {"\t": "    ", "\n": "\\n", "\r": "\\r", "\x1b": "\\e"}
_MOST_MARKS = 4  # in a row: more than any script piles up


@cache
def _marks() -> Pattern:
    return Pattern(r"[\p{Mn}\p{Me}\x{1161}-\x{11ff}\x{d7b0}-\x{d7ff}]{5}|^[\p{Mn}\p{Me}]")


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    short = _SHORT.get(char)
    return short if short is not None else _escaped(char)


def _escaped(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _piles_up(char: str) -> bool:
    """Tell whether it is drawn into the cell before: a mark, a vowel or an end of Hangul."""
    return unicodedata.category(char) in ("Mn", "Me") or "\u1161" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff"


def _with_few_marks(text: str) -> str:
    """Leave at most four marks on a letter and count the others; escape one without a letter."""
    shown: list[str] = []
    row = 0
    for char in text:
        if not _piles_up(char):
            if row > _MOST_MARKS:
                shown.append(f"[+{row - _MOST_MARKS} marks]")
            row = 0
            shown.append(char)
            continue
        row += 1
        if row <= _MOST_MARKS:
            shown.append(char if shown else _escaped(char))
    if row > _MOST_MARKS:
        shown.append(f"[+{row - _MOST_MARKS} marks]")
    return "".join(shown)


def clean(text: str, limit: int = 4096) -> str:
    """Return one line that is safe to print: escapes shown, never sent.

    Longer texts end in an ellipsis at `limit` characters.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    text = hide_own(text)
    if text.isascii():
        return text if text.isprintable() else _HOSTILE.sub(_escape, text)
    text = _HOSTILE.sub(_escape, text)
    return _with_few_marks(text) if _marks().found_in(text) else text


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 pod", "3 pods", "1,204 rows"; `plural` where an s does not make it."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def split_words(text: str) -> list[str]:
    """Return the words of a list that commas, spaces or both separate."""
    return text.replace(",", " ").split()


def has_unseen(text: str) -> bool:
    """Tell whether anything in it is not to be seen, lines and tabs aside."""
    return _HOSTILE.search(text.replace("\n", "").replace("\t", "")) is not None


def typed(text: str) -> str:
    """Return what of a pasted text may stand in a field: nothing that is unseen, lines kept."""
    kept = "".join(char for char in text if char == "\n" or (char.isprintable() and not _HOSTILE.match(char)))
    return _with_few_marks(kept) if _marks().found_in(kept) else kept


_EDGE = 512  # characters before a cut in which its last whole word is looked for


def safe(text: object, limit: int = 4096) -> str:
    """Return `clean` of `redact`.

    Every text from outside passes it before it reaches a screen, the journal or an error. What is
    cut off is cut at white space: half of a secret would not be recognised.
    """
    raw = text if isinstance(text, str) else str(text)
    if len(raw) > limit * 4:
        raw = raw[: limit * 4]
        space = max(raw.rfind(" ", -_EDGE), raw.rfind("\n", -_EDGE))
        raw = raw[:space] if space > limit else raw
    return clean(redact(raw), limit)


_LEAST_SECRET = 8  # shorter pieces of a URL are words of ordinary language


def url_secrets(url: str) -> tuple[str, ...]:
    """Return the parts of a URL that no answer may repeat, longest first.

    A node names the key that it refuses. Parts are user info, values of the query, and pieces
    of the path that are long or have a digit in them.
    """
    parts = parts_of(url.strip())
    if parts is None:
        return ()
    _, info, _, rest = parts
    place, _, query = rest.partition("#")[0].partition("?")
    found = {info, *info.split(":", 1)} if info else set()
    found |= {value for _, _, value in (pair.partition("=") for pair in query.split("&"))}
    path = place.split("/")[1:]
    found |= {part for part in path if len(part) >= 2 * _LEAST_SECRET or any(char.isdigit() for char in part)}
    return tuple(sorted((part for part in found if len(part) >= _LEAST_SECRET), key=len, reverse=True))


def url_keys(url: str) -> tuple[str, ...]:
    """Return those parts of a URL that are keys wherever they stand.

    A piece of a path may be a word of the network (`/m0-ingestor/metrics`): only a random one
    counts. A value of the query and user info are none.
    """
    secrets = url_secrets(url)
    if not secrets:
        return ()
    from cockpit.redaction.marks import looks_random

    return tuple(part for part in secrets if looks_random(part) or f"/{part}" not in url)


def without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def url_hint(url: str) -> str:
    """Return a URL that an operator can recognise and nobody can use.

    Scheme and host, `/***` in place of a path or query.
    """
    parts = parts_of(url.strip())
    if parts is None:
        return HIDDEN if url else ""
    scheme, _, host, rest = parts
    return clean(f"{scheme}://{host}" + (f"/{HIDDEN}" if rest.strip("/") else ""))
