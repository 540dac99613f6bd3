"""Guards against hostile text (rule 4 of docs/architecture.md): `clean` on entry, `redact` on exit.

`clean` makes control, format and bidirectional characters visible as ASCII escapes, so that nothing
a pod prints can drive the terminal. `redact` hides what looks like a secret, before a text is shown
or kept. Both are idempotent.
"""

from __future__ import annotations

import re

#: C0 and C1 controls, DEL, soft hyphen, zero-width, bidi and other format characters, line and
#: paragraph separators, surrogates, tags and noncharacters: all that can move the cursor, reorder
#: or hide what the operator reads.
_HOSTILE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]"
)
_SHORT = {"\t": "    ", "\n": "\\n", "\r": "\\r", "\x1b": "\\e"}

HIDDEN = "***"


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    short = _SHORT.get(char)
    if short is not None:
        return short
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def clean(text: str, limit: int = 4096) -> str:
    """Return one line that is safe to print: escapes shown, never sent.

    Longer texts end in an ellipsis at `limit` characters.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isascii() and text.isprintable() else _HOSTILE.sub(_escape, text)


_URL = re.compile(r"""(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]{1,20})://(?P<rest>[^\s"'<>`{}|\\^]+)""")
_USERINFO = re.compile(r"^[^/@?#\s]*@")
#: Names whose value is a secret. Not "key" or "signature" alone: public keys and transaction
#: signatures are evidence.
_SECRET_WORD = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret(?:[-_]?key)?|token|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|credentials?|authorization|cookie)"
)
#: A name ends at the next separator, so that each part of a query is looked at once: outside text
#: must not be able to make a pattern go back over itself.
_QUERY_VALUE = re.compile(rf"(?i)([?&;](?=[^=&?;\s]*(?:{_SECRET_WORD}|key|sig|auth|pass))[^=&?;\s]*=)[^&#\s]+")
_KEY_SEGMENT = re.compile(r"(?<=/)(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{16,}(?=[/?#]|$)")
_ASSIGNED = re.compile(
    rf"""(?ix)
    ( (?:^|[\s,;{{(\["'&?_-]){_SECRET_WORD} ["']? \s* [=:] \s* ["']? )
    (?!\*\*\*)( (?:bearer|basic)\s+ )? [^\s"',;}})\]&]{{3,}}
    """
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.S)
_KNOWN = re.compile(
    r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|sk-[A-Za-z0-9]{20,})"
)
_KEYPAIR = re.compile(r"\[\s*(?:\d{1,3}\s*,\s*){63}\d{1,3}\s*\]")  # a Solana keypair file
#: Cheap test for "could hold a secret", so that ordinary log lines cost one scan.
_SUSPECT = re.compile(rf"(?i)://|eyJ|PRIVATE KEY|bearer|basic\s|AKIA|gh[pousr]_|xox|sk-|\[\s*\d+\s*,|{_SECRET_WORD}")
#: Schemes whose whole remainder is a secret in practice (user, password, host of a data store).
_STORES = ("postgres", "postgresql", "mysql", "redis", "rediss", "amqp", "amqps", "mongodb", "kafka", "nats")


def _redact_url(match: re.Match[str]) -> str:
    scheme, rest = match["scheme"], match["rest"]
    if scheme.lower() in _STORES:
        host = _USERINFO.sub("", rest).split("/", 1)[0].split("?", 1)[0]
        return f"{scheme}://{HIDDEN}@{host}" if "@" in rest.split("/", 1)[0] else f"{scheme}://{host}"
    rest = _USERINFO.sub(f"{HIDDEN}@", rest)
    rest = _QUERY_VALUE.sub(rf"\g<1>{HIDDEN}", rest)
    return f"{scheme}://{_KEY_SEGMENT.sub(HIDDEN, rest)}"


def redact(text: str) -> str:
    """Hide credentials.

    User info, keys in URLs, assignments to secret names, bearer tokens, JWTs, PEM and Solana
    keys.
    """
    if not _SUSPECT.search(text):
        return text
    text = _PEM.sub(f"[private key {HIDDEN}]", text)
    text = _KEYPAIR.sub(f"[key pair {HIDDEN}]", text)
    text = _URL.sub(_redact_url, text)
    text = _JWT.sub(HIDDEN, text)
    text = _KNOWN.sub(HIDDEN, text)
    text = _BEARER.sub(rf"\g<1> {HIDDEN}", text)
    return _ASSIGNED.sub(lambda m: f"{m[1]}{m[2] or ''}{HIDDEN}", text)


def safe(text: object, limit: int = 4096) -> str:
    """Return `clean` of `redact`.

    Every text from outside passes it before it reaches a screen, the journal or an error.
    """
    raw = text if isinstance(text, str) else str(text)
    return clean(redact(raw[: limit * 4]), limit)


_LEAST_SECRET = 8  # shorter pieces of a URL are words of ordinary language


def url_secrets(url: str) -> tuple[str, ...]:
    """Return the parts of a URL that no answer may repeat, longest first.

    A node names the key that it refuses. Parts are user info, values of the query, and pieces
    of the path that are long or have a digit in them.
    """
    match = _URL.match(url.strip())
    if match is None:
        return ()
    rest = match["rest"].partition("#")[0]
    place, _, query = rest.partition("?")
    info, at, _ = place.partition("@") if _USERINFO.match(place) else ("", "", "")
    found = {info, *info.split(":")} if at else set()
    found |= {value for _, _, value in (pair.partition("=") for pair in query.split("&"))}
    path = place.split("/")[1:]
    found |= {part for part in path if len(part) >= 2 * _LEAST_SECRET or any(char.isdigit() for char in part)}
    return tuple(sorted((part for part in found if len(part) >= _LEAST_SECRET), key=len, reverse=True))


def without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def url_hint(url: str) -> str:
    """Return a URL that an operator can recognise and nobody can use.

    Scheme and host, `/***` in place of a path or query.
    """
    match = _URL.match(url.strip())
    if match is None:
        return HIDDEN if url else ""
    host = _USERINFO.sub("", match["rest"])
    bare = re.split(r"[/?#]", host, maxsplit=1)[0]
    tail = host[len(bare) :].strip("/")
    return clean(f"{match['scheme']}://{bare}" + (f"/{HIDDEN}" if tail else ""))
