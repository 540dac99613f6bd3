"""Hides the values of secret names: name=value, JSON, YAML, flags, headers, dumps of structs."""

from __future__ import annotations

import re

from cockpit.redaction import HIDDEN
from cockpit.redaction.marks import (
    is_count,
    is_local_path,
    is_reference,
    is_said,
    is_uuid,
    listed,
    looks_random,
)
from cockpit.redaction.names import Secrecy, secrecy
from cockpit.redaction.values import WRAPPED, Value, read_value

_SEPARATOR = r"(?:=>|->|→|│|[:?+]?={1,3}|!={1,2}|:(?![:/])|::(?=[ ])|%3[aAdD]|\t)"
#: A name, what closes it, and what leads to its value. A name begins at the edge of a word and is
#: taken whole (`++`), so that each character is looked at a bounded number of times.
_PAIR = re.compile(
    rf"(?<![\w.$@-])(?P<name>[\w.$@-]++)(?P<close>(?:\\{{0,8}}[\"'`]|\]){{0,3}})(?P<sep>[ \n]{{0,8}}{_SEPARATOR})"
    rf"|<(?:\w{{1,32}}:)?(?P<tag>[\w.-]++)(?:\s(?:type|class|encoding|x[\w:]{{1,40}})=[\"'][^\"'<>\n]{{0,99}}[\"']){{0,3}}>"
    rf"|(?<=\|) {{0,64}}(?P<cell>[\w.-]++) {{0,64}}\|"
    rf"|(?<![\w-])--?(?P<flag>[A-Za-z][\w.-]*+)"
    rf"(?:\\{{0,8}}[\"'][\s,]{{1,9}}(?=\\{{0,8}}[\"'])|,? {{1,8}}|\n\s{{0,64}}(?:- )?)(?=[^\s-])"
    rf"|[(\[]\s{{0,8}}b?\\{{0,8}}[\"'](?P<tuple>[\w.-]++)\\{{0,8}}[\"']\s{{0,4}},\s{{0,4}}(?=b?\\{{0,8}}[\"'])"
    rf"|(?<![\w.])(?P<call>[A-Z]\w*+)(?:\(| ?\{{\s{{1,40}}(?:inner|value|data|raw|text): )(?=\\{{0,8}}[\"'])"
    rf"|(?i:(?<![\w])(?P<sql>password|passphrase|identified by)[ ]{{1,4}}(?=['\"]))",
)
_BEFORE = re.compile(r"([A-Za-z]{1,24})[ ]\Z")
_SCHEME = re.compile(
    r"(?i)(bearer|basic|token|api[-_]?key|apitoken|api-token|bot|negotiate|splunk|sso-key)[ ]{1,4}(?=\S)"
)
#: Schemes whose credentials have several parts.
_PARTS = re.compile(r"(?i)(?:digest|aws4-|hawk|signature|oauth|sharedkey|negotiate|ntlm|mac|escher|credential)\b")
_NAMED = frozenset(("name", "key", "Name", "Key", "header"))
_LINK = re.compile(r"[\s,;\"'\\)/\-]{0,80}(?:\\{0,8}[\"'])?\b[vV]alue(?:\\{0,8}[\"'])?\s{0,4}[:=]|[\"']?\s{0,4}>")
_OF_SECRET = re.compile(r"""\bkind\\{0,8}["']?\s{0,4}[:=]\s{0,4}\\{0,8}["']?Secret\b""")
_SIGNATURES = listed("sig signature hmac key dkey x-amz-signature x-amz-credential x-goog-signature")
_DATA = frozenset(("data", "stringData", "binaryData"))
_QUOTED = re.compile(r"[bu@]?\\{0,8}[\"'`]")
_OPENING = re.compile(r"[ \t]{0,80}\\{0,8}[\"'`]?")
_RUN = re.compile(r"""[^\s"'`,;)\]}]++""")
_NEAR = 4096  # so far a value and its name stand apart at most
_NUMERIC = (Secrecy.TOKEN, Secrecy.MAYBE, Secrecy.HEADER, Secrecy.PHRASE)


def _is_secret(text: str, kind: Secrecy, name: str, value: Value) -> bool:
    following = text[value.end : value.end + 8]
    inner = value.inner.strip()
    if not inner or inner == HIDDEN or (is_reference(text, value.start) and not value.closed):
        return False
    if value.closed:
        body = inner.strip("{}[]() \n")
        if not body or body == HIDDEN:
            return False
        return kind is not Secrecy.MAYBE
    if kind is Secrecy.MAYBE:
        return looks_random(inner) and not is_local_path(inner)
    if is_count(inner) and (kind in _NUMERIC or len(inner) < 4 or following.startswith(" bytes")):
        return False
    if is_local_path(inner) and kind is not Secrecy.PASSWORD:
        return False
    first = inner.split(maxsplit=1)[0]
    if is_said(inner) or (not value.quoted and is_said(first)):
        return False
    if "://" in inner[:32] and kind is Secrecy.TOKEN and "dsn" in name.lower():
        return False
    return not (kind is Secrecy.TOKEN and inner.isupper() and inner.isalpha() and len(inner) <= 5)


class _Hider:
    """One pass over one text: what is shown of it so far, and how far it was read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.shown: list[str] = []
        self.at = 0
        self.of_secret = _OF_SECRET.search(text) is not None
        self.value_at: int | None = None  # where the value of the last pair "value": … begins

    def hide(self, start: int, end: int) -> None:
        if start >= self.at:
            self.shown += [self.text[self.at : start], HIDDEN]
            self.at = end

    def run(self) -> str:
        at = 0
        while (match := _PAIR.search(self.text, at)) is not None:
            at = max(self._pair(match), match.start() + 1, self.at)
        return "".join([*self.shown, self.text[self.at :]])

    def _pair(self, match: re.Match[str]) -> int:
        """Hide this pair's value if it is secret; return where to look on."""
        text, name = (
            self.text,
            next(group for group in match.group("name", "tag", "cell", "flag", "tuple", "call", "sql") if group),
        )
        where = match.lastgroup
        begin = match.start("name") if match["name"] else match.start()
        if match["name"]:
            if name in _NAMED and (after := self._named(match)) is not None:
                return after
            if name.lower() == "value":
                self.value_at = match.end()
                return match.end()
        if match["sql"]:
            kind = Secrecy.PASSWORD
        else:
            kind = secrecy(name)
            if where != "flag" and (kind is not Secrecy.NONE or name.lower().endswith(("key", "keys", "phrase"))):
                before = _BEFORE.search(text, max(0, begin - 26), begin)
                kind = secrecy(name, before[1]) if before else kind
            if kind is Secrecy.NONE and begin and text[begin - 1] in "?&" and name.lower() in _SIGNATURES:
                kind = Secrecy.MAYBE
            if self.of_secret and name in _DATA:
                kind = Secrecy.PASSWORD
        if (
            kind is Secrecy.NONE
            or text.startswith("checksum/", max(0, begin - 9))
            or ("\t" in (match["sep"] or "") and kind is Secrecy.MAYBE)
        ):
            return match.end()
        if match["flag"] and kind is Secrecy.MAYBE and text.startswith("--", match.start()) is False:
            return match.end()
        return self._value(kind, name, match, begin)

    def _value(self, kind: Secrecy, name: str, match: re.Match[str], begin: int) -> int:
        text = self.text
        opening = _OPENING.match(text, match.end())
        at = opening.end() if opening else match.end()
        if is_reference(text, at) and not text.startswith("<![CDATA[", at):
            return match.end()
        if _pair_inside(text, at, but_maybe=kind is Secrecy.HEADER):
            return match.end()
        if kind in (Secrecy.HEADER, Secrecy.PHRASE):
            return self._line(kind, name, match, begin)
        if kind is Secrecy.MAYBE:
            run = _RUN.match(text, at, at + 512)
            if run is None or not looks_random(run.group()):
                return match.end()
        value = read_value(text, match.end(), begin)
        if value is None:
            return match.end()
        if match["tag"]:
            value = _cut(value, "<")
        if match["cell"]:
            value = Value(value.start, value.end, value.inner.rstrip(" |"))
        if not _is_secret(text, kind, name, value):
            return match.end()
        self.hide(value.start, value.end)
        return value.end

    def _line(self, kind: Secrecy, name: str, match: re.Match[str], begin: int) -> int:
        """Hide a header's value, or words: the rest of the line, or of the quotes around it.

        A header's scheme (Bearer) is left to be read; of most schemes only one run is secret.
        """
        text = self.text
        at = match.end()
        while at < len(text) and text[at] in " \t" and at - match.end() < 80:
            at += 1
        if at >= len(text) or text[at] in "\r\n{[" or _QUOTED.match(text, at):
            value = read_value(text, match.end(), begin)
            if value is not None and value.quoted and kind is Secrecy.HEADER:
                scheme = _SCHEME.match(text, value.start, value.end)
                start = scheme.end() if scheme else value.start
                value = Value(start, value.end, text[start : value.end], quoted=True)
            if value is None or not _is_secret(text, kind, name, value):
                return match.end()
            self.hide(value.start, value.end)
            return value.end
        scheme = _SCHEME.match(text, at) if kind is Secrecy.HEADER else None
        at = scheme.end() if scheme else at
        first = _RUN.match(text, at, at + 64)
        if first is None or is_said(first.group()) or is_count(first.group()) or is_reference(text, at):
            return match.end()
        if kind is Secrecy.PHRASE or _PARTS.match(text, at) or "cookie" in name.lower():
            value = read_value(text, at, begin, to_line_end=True)
            end = value.end if value else at
        else:
            run = _RUN.match(text, at)
            end = run.end() if run else at
        self.hide(at, end)
        return max(end, match.end())

    def _named(self, match: re.Match[str]) -> int | None:
        """Hide the value beside a name: {"name": "DB_PASSWORD", "value": …}, in either order."""
        text, at = self.text, match.end()
        named = read_value(text[at : at + 300], 0, 0)
        if named is None or named.closed or len(named.inner) > 200:
            return None
        name = named.inner.rstrip(",;")
        kind = secrecy(name)
        if kind in (Secrecy.NONE, Secrecy.MAYBE):
            return None
        link = _LINK.match(text, at + named.end)
        if link is None:
            self._value_before(kind, name, match.start())
            return None
        beside = read_value(text, link.end(), match.start(), to_line_end=kind is Secrecy.HEADER)
        if beside is not None and link.group().endswith(">"):
            beside = _cut(beside, "<")
        if beside is None or not _is_secret(text, kind, name, beside):
            return link.end()
        self.hide(beside.start, beside.end)
        return beside.end

    def _value_before(self, kind: Secrecy, name: str, name_at: int) -> None:
        at = self.value_at
        if at is None or name_at - at > _NEAR:
            return
        value = read_value(self.text[at:name_at], 0, 0)
        if value is None or not _is_secret(self.text[at:name_at], kind, name, value):
            return
        between = self.text[at + value.end : name_at]
        if len(between) < 40 and not set(between) & set("{}[]"):
            self.hide(at + value.start, at + value.end)


def _pair_inside(text: str, at: int, *, but_maybe: bool) -> bool:
    """Tell whether a secret name with a value of its own stands here: `token=api_key=…`.

    `but_maybe`: one whose value is a secret only if it looks random does not count.
    """
    wrapped = WRAPPED.match(text, at)
    inner = _PAIR.match(text, wrapped.end() if wrapped else at)
    found = secrecy(inner["name"]) if inner is not None and inner["name"] else Secrecy.NONE
    if inner is None or found is Secrecy.NONE or (but_maybe and found is Secrecy.MAYBE):
        return False
    quoted = at > 0 and text[at - 1] in "\"'`"
    return not quoted or bool(inner["close"])


def _cut(value: Value, mark: str) -> Value:
    inner = value.inner.partition(mark)[0]
    return Value(value.start, value.start + len(inner), inner, quoted=value.quoted)


#: A random run near a secret name, in a sentence: "the password is …", "token […]".
_PROSE = re.compile(
    r"(?<![\w.-])(?P<name>[A-Za-z][\w-]{2,63}+)(?:[ ]{1,2}(?:is|was|set to|changed to|to|of|value)(?=[ ]))?[ ]{0,2}"
    r"(?:[ ]|(?=[(\[]))[\"'`(\[]{0,3}(?P<run>[A-Za-z0-9_+/=~.-]{16,512}+)"
)
_PUBLIC_KEY = re.compile(r"[1-9A-HJ-NP-Za-km-z]{43,44}$")


def _hide_prose(match: re.Match[str]) -> str:
    before = _BEFORE.search(match.string, max(0, match.start() - 26), match.start())
    kind = secrecy(match["name"], before[1] if before else "")
    run = match["run"].rstrip(".")
    mixed = (any(char.isdigit() for char in run) and any(char.isupper() for char in run)) or is_uuid(run)
    if kind not in (Secrecy.TOKEN, Secrecy.PASSWORD) or not mixed or not looks_random(run) or _PUBLIC_KEY.match(run):
        return match.group()
    at = match.start("run") - match.start()
    return match.group()[:at] + HIDDEN + match.group()[at + len(run) :]


def hide_pairs(text: str) -> str:
    """Hide the values of secret names, and what looks random right after one in a sentence."""
    return _PROSE.sub(_hide_prose, _Hider(text).run())
