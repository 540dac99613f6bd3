"""Goes over a text once: each part of the redaction looks where a sign of its kind stands."""

from __future__ import annotations

import re

from cockpit.patterns import Pattern
from cockpit.redaction import HIDDEN
from cockpit.redaction.commands import HINTS, hide_commands
from cockpit.redaction.forms import FORM_SIGNS, hide_forms
from cockpit.redaction.marks import decoded, is_said
from cockpit.redaction.names import STEMS
from cockpit.redaction.own import hide_own
from cockpit.redaction.pairs import hide_pairs
from cockpit.redaction.urls import hide_urls

_ESC = r"(?:\x1b|\\e|\\x1[bB]|\\u001[bB]|\\033|\^\[)"
#: Sequences of a terminal, raw or as `clean` and JSON write them: colours and links, and any.
_COLOUR = re.compile(
    rf"{_ESC}(?:\[[0-9;:]{{0,64}}[mK]|\]8;[^\x07\x1b\\]{{0,512}}(?:\x07|(?:\x1b|\\e)\\))|\x9b[0-9;:]{{0,64}}m"
)
_SEQUENCE = re.compile(
    rf"{_ESC}(?:\[[0-?]{{0,64}}[ -/]{{0,8}}[@-~]|\][^\x07\x1b\\]{{0,512}}(?:\x07|(?:\x1b|\\e)\\))"
    r"|\x9b[0-?]{0,64}[ -/]{0,8}[@-~]"
)
_ESCAPED = ("\x1b", "\x9b", "\\e", "\\x1", "\\u001", "\\033", "^[")


def _escaped(text: str) -> bool:
    return ("\\" in text or "\x9b" in text or "^" in text) and any(sign in text for sign in _ESCAPED)


#: What is read as a name though it is not spelled as one: what is not to be seen, spaces that are
#: none, the wide forms of ASCII. A tab and a line's end are as they are read.
_ODD = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uff01-\uff5e\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_SPACES = (
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u2800\u3000"
)
_WIDE = range(0xFF01, 0xFF5F)


def _as_read(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(code - 0xFEE0) if code in _WIDE else " " if match.group() in _SPACES else ""


#: As JSON may write a printable character, and as HTML and XML write what stands around values.
_CODED = re.compile(r"\\u00(2[1346-9a-fA-F]|[3-6][0-9a-fA-F]|5[0-9abdefABDEF]|7[0-9a-eA-E])")
_ENTITIES = {"quot": '"', "apos": "'", "#34": '"', "#39": "'", "#58": ":", "#61": "=", "#x22": '"', "#x27": "'"}
_ENTITY = re.compile(rf"&({'|'.join(_ENTITIES)});")
_ENCODED = re.compile(r"(?<!\S)\S*?%(?:3[aAdD]|25)\S*+")
_SCHEME = re.compile(r"(?i)\b(bearer|basic)([ ]{1,4})([A-Za-z0-9._~+/=-]{8,}+)")


def _any_of(*literals: str) -> str:
    return "(?i:" + "|".join(re.escape(literal) for literal in literals) + ")"


#: What a text must have in it for each part to look closer; one look for all of them first.
_PAIRED = _any_of(*STEMS, "identified", "sig=", "signature=")
_COMMANDS = _any_of(*HINTS) + r"|:(?:\d{4,5}|\*):"
_URLS = r"://|@|(?i:\burl|\buri|\bpath)\W|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) "
_SCHEMES = "(?i:bearer|basic) "
_ENCODINGS = "%(?:3[aAdD]|25)"
_may_pair, _may_command, _may_url, _may_have_form = map(Pattern, (_PAIRED, _COMMANDS, _URLS, FORM_SIGNS))
_may_be_secret = Pattern("|".join((_PAIRED, _COMMANDS, _URLS, FORM_SIGNS, _SCHEMES, _ENCODINGS)))


def _hide_scheme(match: re.Match[str]) -> str:
    value = match[3]
    mixed = any(char.isdigit() for char in value) or any(char.isupper() for char in value[1:]) or "=" in value
    if len(value) < 24 and (not mixed or is_said(value) or match[0].endswith("realm=")):
        return match.group()
    return f"{match[1]}{match[2]}{HIDDEN}"


def _decode(match: re.Match[str]) -> str:
    """Redact a percent-encoded run decoded; where nothing is found it stays as it was."""
    plain = decoded(match.group())
    if plain == match.group() or not plain.isprintable():
        plain = "".join(char if char.isprintable() else " " for char in plain)
    shown = _redact_plain(plain)
    return match.group() if shown == plain else shown.replace(" ", "+")


def _redact_plain(text: str) -> str:
    if _may_have_form.found_in(text):
        text = hide_forms(text)
    if _may_url.found_in(text):
        text = hide_urls(text)
    if _may_pair.found_in(text):
        text = hide_pairs(text)
    if _may_command.found_in(text):
        text = hide_commands(text)
    low = text.lower()
    if "bearer " in low or "basic " in low:
        text = _SCHEME.sub(_hide_scheme, text)
    return text


def redact_once(text: str) -> str:
    """Hide what is found in one pass over the text."""
    text = _redact_written(hide_own(text))
    if _ODD.search(text) is None:
        return text
    plain = _ODD.sub(_as_read, text)
    shown = _redact_written(plain)
    return text if shown == plain else shown


def _redact_written(text: str) -> str:
    if "\x1b" not in text and not _escaped(text):
        return _redact_line(text)
    shown = _without(_COLOUR, text)
    return _without(_SEQUENCE, shown)


def _without(sequences: re.Pattern[str], text: str) -> str:
    """Redact without these sequences, which can stand in the middle of a name.

    Where nothing is found they stay, and are made visible by `clean`.
    """
    plain = sequences.sub("", text)
    shown = _redact_line(plain)
    return text if shown == plain else shown


def _redact_line(text: str) -> str:
    plain = text.replace("\\/", "/") if "\\/" in text else text  # as some write JSON
    plain = _CODED.sub(lambda coded: chr(int(coded[1], 16)), plain) if "\\u00" in plain else plain
    if "&" in plain:
        plain = _ENTITY.sub(lambda entity: _ENTITIES[entity[1]], plain)
    if not _may_be_secret.found_in(plain):
        return text
    shown = _redact_plain(plain)
    if "%" in shown:
        shown = _ENCODED.sub(_decode, shown)
    return text if shown == plain else shown
