"""Hides what is secret in a URL: user info, keys in its path, values in its query.

A URL ends at white space or at a closing quote; punctuation after it is no part of it.
"""

from __future__ import annotations

import re

from cockpit.redaction import HIDDEN
from cockpit.redaction.addresses import REST, SCHEME, split_authority
from cockpit.redaction.marks import is_reference, is_uuid, listed
from cockpit.redaction.names import Secrecy, secrecy, words_of

#: A path without a host: as access logs and libraries print it.
_BARE = re.compile(
    r"""(?P<head>\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\s{1,3}|\b(?:url|uri|path)["']?\s{0,3}[:=]\s{0,3}["']?)"""
    r"""(?P<rest>/[^\s"<>`{}|\\^]++)"""
)
_TAIL = ")]}.,;:!?'*"
_ORACLE = re.compile(r"(?i)(?<=jdbc:oracle:)((?:thin|oci8?):[\w$#.-]{1,64}/)[^\s@]{1,128}+(?=@)")
_GO_DSN = re.compile(r"(?<![\w.-])([\w.-]{1,64}+:)[^\s@:/]{1,128}+(?=@(?:tcp|tcp6|unix|udp)\()")

_PLAIN_USER = re.compile(r"(?:[a-z]+|[a-z][a-z0-9]{1,3})(?:_[a-z]+)*$")
_FILE = re.compile(r"\.[a-z][a-z0-9]{1,4}$")
_SEGMENT = re.compile(r"[A-Za-z0-9_~=.%+-]{12,}$")
_PLACES_OF_FILES = listed("s3 gs file ipfs oci abfs hdfs docker-pullable containerd")
_APART = re.compile(r"([^A-Za-z0-9_~=.%+-]+)")
_DNS_LABEL = re.compile(r"[a-z0-9]{1,16}(?:[.-][a-z0-9]{1,16})+$")
#: What comes after these is an object's name or digest.
_OBJECTS = listed(
    "tx transaction address account block trace commit tree blob raw compare d dashboard object epoch slot "
    "pod node namespace deployment release tag container containerlogs exec attach portforward proxy log "
    "sha256 market output incident run job build pull issue bundle model"
)
_NOT_OBJECTS = listed("keys tokens secrets hooks webhooks services triggers access rpcs apis credentials")


def _path_key(segment: str, before: str) -> bool:
    """Tell whether a segment of a path is a key; `before` is the one in front of it."""
    named = before.lower() in ("secrets", "tokens")  # in the API server's paths names follow
    if not named and secrecy(before) not in (Secrecy.NONE, Secrecy.MAYBE) and len(segment) >= 6:
        return True
    if not _SEGMENT.match(segment):
        return False
    least = 12 if re.fullmatch(r"v\d{1,2}|ws|rpc", before) else 16
    if len(segment) < least or not _random(segment) or _FILE.search(segment):
        return False
    if not is_uuid(segment) and _DNS_LABEL.match(segment) and re.search(r"(?:^|[.-])[a-z]{3,}(?:[.-]|$)", segment):
        return False  # the name of a pod, a host, a release
    word = before.lower()
    plural = word.isalpha() and len(word) > 3 and word.endswith("s")
    return word not in _OBJECTS and not (plural and word not in _NOT_OBJECTS)


def _random(segment: str) -> bool:
    letters = any(char.isalpha() for char in segment)
    if letters and any(char.isdigit() for char in segment):
        return True
    return len(segment) >= 24 and letters and not segment.islower() and not segment.isupper() and segment.isalnum()


def _hide_path(path: str) -> str:
    segments = path.split("/")
    shown: list[str] = []
    for at, segment in enumerate(segments):
        before = segments[at - 1] if at else ""
        pieces = _APART.split(segment)
        shown.append("".join(HIDDEN if _path_key(piece, before) else piece for piece in pieces))
    return "/".join(shown)


def _query_secret(name: str, value: str) -> bool:
    if len(value) < 2 or is_reference(value):
        return False
    words = words_of(name)
    kind = secrecy(name)
    if kind is Secrecy.MAYBE:
        return len(value) >= 8
    if kind is not Secrecy.NONE:
        return True
    if not words:
        return False
    if words[-1] in ("sig", "signature", "hmac", "dkey", "credential") or words == ("code",):
        return len(value) >= 16
    return words == ("key",) and len(value) >= 12


def _hide_query(query: str) -> str:
    parts = re.split(r"([&;])", query)
    for at in range(0, len(parts), 2):
        name, equals, value = parts[at].partition("=")
        if equals and _query_secret(name.rpartition("?")[2], value):
            parts[at] = f"{name}={HIDDEN}"
    return "".join(parts)


def hide_rest(rest: str) -> str:
    """Hide keys in what follows the host: path, query and fragment."""
    path, mark, query = rest.partition("?")
    query, hash_, fragment = query.partition("#") if mark else ("", "", "")
    if not mark:
        path, hash_, fragment = path.partition("#")
    fragment = _hide_query(fragment) if "=" in fragment else fragment
    return f"{_hide_path(path)}{mark}{_hide_query(query)}{hash_}{fragment}"


def _hide_one(scheme: str, rest: str, quote: str) -> str:
    after = ""
    if quote == "'" and "'" in rest:
        rest, tick, after = rest.partition("'")
        after = tick + after
    cut = len(rest.rstrip(_TAIL))
    if rest.startswith(HIDDEN, cut):
        cut += len(HIDDEN)
    rest, after = rest[:cut], rest[cut:] + after
    info, place = split_authority(scheme, rest)
    if info and not (len(info) <= 20 and _PLAIN_USER.match(info)) and not is_reference(info):
        info = HIDDEN
    host = re.split(r"[/?#]", place, maxsplit=1)[0]
    behind = place[len(host) :] if scheme.lower() in _PLACES_OF_FILES else hide_rest(place[len(host) :])
    return f"{info}@{host}{behind}{after}" if info else f"{host}{behind}{after}"


def _hide_absolute(text: str) -> str:
    shown, at = [], 0
    while (colon := text.find("://", at)) >= 0:
        scheme = SCHEME.search(text, max(at, colon - 31), colon)
        begin = colon + 3
        shown.append(text[at:begin])
        at = begin
        if scheme is not None:
            rest = REST.match(text, begin)
            assert rest is not None  # it matches nothing at all too
            quote = text[scheme.start() - 1] if scheme.start() else ""
            shown.append(_hide_one(scheme.group(), rest.group(), quote))
            at = rest.end()
    return "".join([*shown, text[at:]])


def _hide_bare(match: re.Match[str]) -> str:
    return match["head"] + hide_rest(match["rest"])


def hide_urls(text: str) -> str:
    """Hide the keys of every URL, and of paths that follow a method or `url:`."""
    if "://" in text:
        text = _hide_absolute(text)
    if "@" in text:
        text = _GO_DSN.sub(rf"\g<1>{HIDDEN}", _ORACLE.sub(rf"\g<1>{HIDDEN}", text))
    return _BARE.sub(_hide_bare, text)
